"""What runs an artifact, and how to open one in this process.

To add a runtime: a module `bench/ondevice/runtimes/<name>.py`, and a line in RUNTIMES. The same module serves
parity and evaluation, whose files run in a process of their own, and the runner, here or on a device.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from edgekit.bench.ondevice.engines import REBUILD, RTX, TENSORRT, TITLES, product_of
from edgekit.errors import BackendMissing, EdgekitError, UsageError
from edgekit.records.formats import FORMATS, format_of
from edgekit.registry import Registry


class Tensor(Protocol):
    """An input or output, as a caller sees it; -1 stands for a free batch."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


class Session(Protocol):
    """An open artifact. `found` holds what really runs it: threads, provider or delegate, versions."""

    found: dict[str, Any]

    @property
    def inputs(self) -> Sequence[Tensor]:
        """What the file takes, in its order."""

    @property
    def outputs(self) -> Sequence[Tensor]:
        """What the file gives, in its order."""

    def run(self, arrays: list[Any]) -> list[Any]:
        """Return one array per output, for one array per input; integers stay as they are in the file."""

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """Return a function that makes one inference on these arrays: what is timed."""


def own_time(session: Session) -> int | None:
    """Return how many nanoseconds the last run took where the file is, without the way there; None for one here."""
    found: int | None = getattr(session, "last_ns", None)
    return found


@dataclass(frozen=True)
class Runtime:
    """One entry of RUNTIMES. `packages` are distributions any of which provides `modules`, `extra` installs one."""

    name: str
    formats: tuple[str, ...]
    modules: tuple[str, ...] = ()  # what must be importable: one of them
    packages: tuple[str, ...] = ()
    extra: str | None = None
    programs: tuple[str, ...] = ()  # instead of modules: where a program may be
    instead: str | None = None  # what else runs its files, where it is missing
    by_steps: bool = True  # one inference at a time; else a program that has a loop of its own

    @property
    def module(self) -> str:
        """The module that drives it."""
        return f"edgekit.bench.ondevice.runtimes.{self.name}"

    @property
    def installed(self) -> bool:
        """Whether its package is there; nothing is imported."""
        if self.programs:
            return any(shutil.which(program) for program in self.programs)
        return not self.modules or any(find_spec(module) for module in self.modules)

    @property
    def version(self) -> str | None:
        """The installed version, or None; nothing is imported."""
        for package in self.packages:
            try:
                return metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
        return None

    @property
    def remedy(self) -> str:
        """How to install it."""
        if self.programs:
            return f"put {self.programs[0]} on PATH, or give --device with a device that has it"
        if self.extra is None:
            return "give --device with a phone of devices.yaml, or leave --runtime out"
        other = f", or give --runtime {self.instead}" if self.instead else ""
        return f"pip install 'edgekit[{self.extra}]'{other}"


TRTEXEC = ("trtexec", "/usr/src/tensorrt/bin/trtexec")  # as bench/ondevice/runtimes/trtexec.py has it
RUNTIMES: Registry[Runtime] = Registry(
    "runtime",
    {
        runtime.name: runtime
        for runtime in (
            Runtime("onnxruntime", ("onnx",), ("onnxruntime",), ("onnxruntime", "onnxruntime-gpu"), "onnxruntime"),
            Runtime(
                "litert",
                ("tflite",),
                ("ai_edge_litert", "tflite_runtime"),
                ("ai-edge-litert", "tflite-runtime"),
                "litert",
            ),
            Runtime(
                "tensorrt",
                ("tensorrt",),
                ("tensorrt",),
                ("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-cu11"),
                "tensorrt",
                instead="trtexec",
            ),
            Runtime(
                "tensorrt_rtx",
                ("tensorrt",),
                ("tensorrt_rtx", "tensorrt_rtx_bindings"),
                ("tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu13", "tensorrt-rtx"),
                "tensorrt-rtx",
            ),
            Runtime("trtexec", ("tensorrt",), programs=TRTEXEC, by_steps=False),
            Runtime("torch", ("pt2",), ("torch",), ("torch",), "export"),
            # a program on phones; no Python opens it
            Runtime("benchmark_model", ("tflite",), ("benchmark_model",), by_steps=False),
            Runtime("null", tuple(FORMATS)),
        )
    },
    aliases={
        "trt": "tensorrt",
        "tensorrt-rtx": "tensorrt_rtx",
        "rtx": "tensorrt_rtx",
        "ort": "onnxruntime",
        "tflite": "litert",
        "tflite_runtime": "litert",
        "ai_edge_litert": "litert",
    },
)


def default_runtime(format: str, among: Sequence[str] | None = None) -> str:
    """Return the runtime for a format, of those that a device has (`among`; None: any). Raises BackendMissing.

    null, which answers nothing, runs a file only when it is asked for by name.
    """
    name = FORMATS[format].runtime
    if among is not None and name not in among:
        known = [other for other in among or () if other in RUNTIMES and other != "null"]
        others = [other for other in known if format in RUNTIMES[other].formats]
        if not others:
            raise BackendMissing(f"no runtime here runs a {format} file", "export to onnx or tflite, or add a runtime")
        name = others[0]
    return name


def choose(path: Path, runtime: str | None = None, among: Sequence[str] | None = None, here: bool = True) -> Runtime:
    """Return the runtime for a file, fit for its format and installed (`here`: on this machine; else nobody looks).

    Raises UsageError for a runtime that never runs such a file, BackendMissing where none that does is there.
    """
    format = format_of(path).name
    built_by = product_of(str(path)) if FORMATS[format].is_built else None
    found = RUNTIMES[runtime or _of_product(built_by, among) or default_runtime(format, among)]
    if format not in found.formats:
        raise UsageError(
            f"{found.name} does not run {format} files such as {path.name}",
            f"leave --runtime out, or export the network with --format {' or '.join(found.formats)}",
        )
    if built_by is not None and found.name in PRODUCTS and PRODUCTS[found.name] != built_by:
        raise (UsageError if runtime else BackendMissing)(
            f"{path.name} was built by {TITLES[built_by]}, and {found.name} does not run it",
            f"give --runtime {built_by} where it is installed, or build the engine again with what is",
        )
    if here and not found.installed:
        raise BackendMissing(f"{found.name} is not installed, and {path.name} needs it", found.remedy)
    return found


# What built the engines that a runtime runs.
PRODUCTS = {"tensorrt": TENSORRT, "trtexec": TENSORRT, "tensorrt_rtx": RTX}


def _of_product(built_by: str | None, among: Sequence[str] | None) -> str | None:
    """The runtime of an engine, where the device has one of its product; None: the format's."""
    names = [name for name, product in PRODUCTS.items() if product == built_by]
    return next((name for name in names if among is None or name in among), None)


def open_session(
    path: Path,
    runtime: str | None = None,
    threads: int = 1,
    batch: int | None = None,
    delegate: str | None = None,
) -> Session:
    """Open an artifact in this process, to run it; `batch` None keeps the file's own, free where it is free.

    Raises UsageError for a file that is missing or broken, BackendMissing where the runtime is or cannot run it.
    """
    chosen = choose(path, runtime)
    if not path.exists():
        raise UsageError(f"{path} does not exist", "give the path that `edgekit export` printed")
    try:
        module = importlib.import_module(chosen.module)
        with _quiet():
            options = {"threads": threads, "batch": batch, "delegate": delegate}
            return cast(Session, module.open_session(str(path), options))
    except ImportError as error:
        raise refusal("missing", str(error), chosen) from error
    except ValueError as error:
        raise refusal("usage", str(error), chosen) from error
    except RuntimeError as error:
        raise refusal("backend", str(error), chosen) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Runtimes greet on the process's standard error when they start; only what fails is worth hearing."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def refusal(kind: str, cause: str, runtime: Runtime) -> EdgekitError:
    """Return the error for what a runtime refused; the kinds are those of bench/ondevice/protocol.py."""
    if kind == "missing":
        return BackendMissing(f"{runtime.name} cannot be loaded: {cause}", runtime.remedy)
    if kind == "usage" and "--input" in cause:
        return UsageError(cause, "write --input NAME=1,3,224,224")
    if kind == "usage" and "batch" in cause:
        return UsageError(cause, "give --batch as the file has it, or export with --dynamic-batch")
    if kind == "usage" and "threads on" in cause:
        return UsageError(cause, "ask for fewer with --threads")
    if kind == "usage":
        return UsageError(f"{runtime.name}: {cause}", "check the file and the options; export it again if it is broken")
    if "has free sizes" in cause and runtime.name == "onnxruntime":
        return UsageError(cause, "say how large it is to be, for example --input 1,3,224,224")
    if REBUILD in cause:
        why, _, command = cause.partition(REBUILD)
        return BackendMissing(why, f"build it again on this device: {command}")
    if runtime.name == "onnxruntime" and _refused_by_tensorrt(cause):
        return BackendMissing(
            f"{runtime.name} cannot run this: {cause}",
            "an int8 ONNX file is for onnxruntime's own kernels: give --provider cpu or cuda, or for TensorRT build an "
            "engine with --format tensorrt --precision int8",
        )
    if runtime.name in PRODUCTS and ("no NVIDIA driver" in cause or "no GPU" in cause):
        return BackendMissing(
            f"{runtime.name} cannot run this: {cause}",
            "run it where an NVIDIA GPU and its driver are, with --device NAME",
        )
    other = "another --provider" if "provider" in cause.lower() else "another --runtime"
    return BackendMissing(f"{runtime.name} cannot run this: {cause}", f"try {other}, or a newer {runtime.name}")


def _refused_by_tensorrt(cause: str) -> bool:
    """Whether onnxruntime's TensorRT provider did not take a file, perhaps for the pairs of an int8 network."""
    words = ("zero point", "zero_point", "quantizelinear", "runs no node")
    return "tensorrt" in cause.lower() and any(word in cause.lower() for word in words)
