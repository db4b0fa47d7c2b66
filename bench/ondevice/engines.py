"""Engines: which of NVIDIA's two products built one, what it belongs to, and whether that is here.

TensorRT and TensorRT for RTX each build engines and run their own alone. An engine of TensorRT belongs to one release
and one kind of GPU; one of TensorRT for RTX to a release, and to the GPUs that it was built for, which may be others
than the one at hand.
"""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

from . import cuda

TENSORRT, RTX = "tensorrt", "tensorrt_rtx"  # the names of the runtimes, and of the versions in a manifest's details
TITLES = {TENSORRT: "TensorRT", RTX: "TensorRT for RTX"}
# The Python package of each: its own name, or for RTX that of the bindings, which stand alone in NVIDIA's wheels.
MODULES = {TENSORRT: ("tensorrt",), RTX: ("tensorrt_rtx", "tensorrt_rtx_bindings")}
# What an engine belongs to: the names in its manifest's details, and their words.
BELONGS = {**TITLES, "compute_capability": "compute capability", "gpu": "GPU", "jetpack": "JetPack"}
OLDEST_RTX = (8, 0)  # the compute capability from which on an engine runs that was built for no GPU in particular
REBUILD = "; build it again on this device: "
RTX_MAGIC, VERSION_AT, RTX_MAJOR = b"vtrt", 24, 1  # as TensorRT for RTX 1.7 begins an engine


def load(product: str) -> Any:
    """Import the Python package of a product. Raises ImportError."""
    *first, last = MODULES[product]
    for name in first:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    return importlib.import_module(last)


def product_of(path: str) -> str | None:
    """Return which product built an engine, by its manifest, else by its first bytes; None where neither tells."""
    details = manifest_beside(path).get("details") or {}
    known = [product for product in (RTX, TENSORRT) if details.get(product)]
    if known:
        return known[0]
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(VERSION_AT + 2)
    except OSError:
        return None
    if head[:4] == RTX_MAGIC and head[VERSION_AT + 1 : VERSION_AT + 2] == bytes([RTX_MAJOR]):
        return RTX
    return None


def manifest_beside(path: str) -> dict[str, Any]:
    """Return what the manifest beside a file says; nothing where there is none."""
    try:
        found = json.loads(Path(path + ".json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check(manifest: dict[str, Any], here: dict[str, Any]) -> None:
    """Compare what an engine was built for with what is here. Raises RuntimeError with how to build it again."""
    other = differences(manifest.get("details") or {}, here)
    if other:
        raise RuntimeError(f"the engine was built for {other[0]}, and here is {other[1]}{REBUILD}{command(manifest)}")


def differences(details: dict[str, Any], here: dict[str, Any]) -> tuple[str, str] | None:
    """Return what an engine was built for and what is here, where they differ.

    What either does not tell is passed over.
    """
    made_by, found_here = (next((name for name in TITLES if facts.get(name)), "") for facts in (details, here))
    if made_by and found_here and made_by != found_here:
        return f"{TITLES[made_by]} {details[made_by]}", f"{TITLES[found_here]} {here[found_here]}"
    both = [(words, details.get(key), here.get(key)) for key, words in BELONGS.items()]
    known = [(words, made, found) for words, made, found in both if None not in (made, found)]
    other = [
        (words, made, found)
        for words, made, found in known
        if made != found and not (words in TITLES.values() and is_same_release(str(made), str(found)))
    ]
    if other:
        theirs = ", ".join(f"{words} {made}" for words, made, _ in other)
        return theirs, ", ".join(f"{words} {found}" for words, _, found in other)
    return _other_gpu(details, here.get("compute_capability")) if made_by == RTX else None


def _other_gpu(details: dict[str, Any], capability: str | None) -> tuple[str, str] | None:
    """The GPUs that an engine of TensorRT for RTX was built for, and the one that is here, where it is none of them."""
    if capability is None or runs_on(details.get("target_gpus") or (), capability):
        return None
    return targets_in_words(details.get("target_gpus") or ()), f"compute capability {capability}"


def runs_on(targets: Any, capability: str) -> bool:
    """Return whether an engine of TensorRT for RTX runs on a GPU.

    Without targets it was built for all from Ampere on.
    """
    return capability in targets if targets else _numbers(capability) >= OLDEST_RTX


def targets_in_words(targets: Any) -> str:
    """Return the GPUs that an engine of TensorRT for RTX is built for."""
    if not targets:
        return "compute capability {}.{} and newer".format(*OLDEST_RTX)
    return "compute capability " + " or ".join(targets)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall("[0-9]+", version))


def is_same_release(one: str, other: str) -> bool:
    """Return whether two versions of TensorRT are one, as far as both tell: Python has a fourth part, trtexec three."""
    return all(a == b for a, b in zip(_numbers(one), _numbers(other)))  # noqa: B905 (strict= needs Python 3.10)


def command(manifest: dict[str, Any]) -> str:
    """Return the export command that builds the same again."""
    variant, weights = manifest.get("variant") or {}, manifest.get("weights") or {}
    if not variant:
        return "export the network with --format tensorrt"
    words = ["edgekit export", str(variant.get("model"))]
    words += ["--alpha {}".format(variant["alpha"])] if variant.get("alpha") not in (None, 1.0) else []
    words += ["--res {}".format(variant["resolution"])] if variant.get("resolution") else []
    words += ["--option " + shlex.quote(f"{name}={value}") for name, value in (variant.get("options") or {}).items()]
    words += ["--format tensorrt --precision {}".format(manifest.get("precision"))]
    words += ["--weights " + shlex.quote(str(weights["origin"]))] if weights.get("origin") else []
    calibration = manifest.get("calibration")
    if calibration:
        words.append("--synthetic-calibration" if calibration.get("synthetic") else "--data FOLDER")
    return " ".join(words)


def jetpack() -> str | None:
    """Return the JetPack of this Jetson; None elsewhere, and where its release is not known."""
    text = cuda.jetson_release()
    if not text:
        return None
    from .sensors import jetson_tools

    found = jetson_tools.release(text)
    return found["jetpack"] if found else None
