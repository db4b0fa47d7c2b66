"""Whether an engine belongs to the device that is to run it: told before anything is loaded."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from edgekit.bench.links.base import Link
from edgekit.bench.ondevice.engines import RTX, TENSORRT, TITLES, command, differences
from edgekit.errors import BackendMissing
from edgekit.records.artifact import manifest_of
from edgekit.records.formats import format_of
from edgekit.tensorrt.orders import THERE_RTX, Missing, on, release, release_of
from edgekit.tensorrt.python_builder import probe
from edgekit.tensorrt.trtexec_builder import trtexec_on

WITHOUT = {
    TENSORRT: "install TensorRT there for the Python that devices.yaml names ({}), or measure with --runtime trtexec",
    RTX: THERE_RTX,
}


def refuse_elsewhere(path: Path, runtime: str, link: Link) -> None:
    """Raise BackendMissing for an engine of another TensorRT, GPU or JetPack than the device's, by its manifest.

    Nothing is asked of an engine without a manifest: TensorRT tells itself what it does not load.
    """
    manifest = manifest_of(path)
    if manifest is None or format_of(path).name != "tensorrt" or (runtime in TITLES and link.is_local):
        return  # bench/ondevice/runtimes/tensorrt.py looks at the manifest beside its file itself
    other = differences(manifest.details, _there(runtime, link))
    if other is not None:
        theirs, ours = other
        device = "" if link.is_local else f" --device {shlex.quote(link.name)}"
        raise BackendMissing(
            f"{path.name} was built for {theirs}, and{on(link)} is {ours}",
            f"build it again: {command(manifest.model_dump(mode='json'))}{device}",
        )


def _there(runtime: str, link: Link) -> dict[str, Any]:
    """What the device has, under the names of a manifest's details; trtexec tells of no GPU before it runs."""
    if runtime == "trtexec":
        program = trtexec_on(link)
        return {"tensorrt": program and program[1], **release(release_of(link))}
    product = RTX if runtime == RTX else TENSORRT
    try:
        found = probe(link, product)
    except Missing as error:
        raise BackendMissing(
            f"{TITLES[product]} cannot be loaded{on(link)}: {error}", WITHOUT[product].format(link.python)
        ) from None
    return {**found, **release(found.get("jetson_release"))}
