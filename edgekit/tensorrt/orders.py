"""What is to be built, what came of it, and where: the words that every builder shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from edgekit.bench.links.base import Link
from edgekit.bench.links.progress import Say
from edgekit.bench.ondevice.sensors import jetson_tools
from edgekit.util.files import cache_folder

BUILD_SECONDS = 7200.0  # a build that measures every kernel on a small board takes an hour
HERE = (
    "pip install 'edgekit[tensorrt]' on a machine with an NVIDIA GPU, put trtexec on its PATH, or build on the device "
    "that will run it, with --device NAME; for GeForce and RTX GPUs pip install 'edgekit[tensorrt-rtx]' builds anywhere"
)
HERE_RTX = "pip install 'edgekit[tensorrt-rtx]'"
THERE_RTX = "`{} -m pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings` there"
THERE = "install TensorRT there for the Python that devices.yaml names ({}), or put trtexec into /usr/src/tensorrt/bin"


@dataclass(frozen=True)
class Order:
    """What to build from an ONNX file. `shapes` are (name, least, usual, most) of inputs with a free batch."""

    onnx: Path
    engine: Path
    precision: str
    workspace_mib: int | None = None
    dla: int | None = None
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Built:
    """What an engine belongs to, for its manifest; `warnings` are TensorRT's own, `layers` its list of the layers."""

    facts: Mapping[str, Any]
    warnings: tuple[str, ...]
    layers: str | None = None


@dataclass(frozen=True)
class Refused(Exception):
    """TensorRT does not take the network; `nodes` are those that it names."""

    message: str
    nodes: tuple[Mapping[str, Any], ...] = field(default=())


class Builder(Protocol):
    """What builds engines in one place."""

    @property
    def version(self) -> str:
        """The release of the product."""

    @property
    def runtime(self) -> str:
        """The runtime that can run there what is built."""

    @property
    def product(self) -> str:
        """Which of NVIDIA's products it is, a name of engines.TITLES."""

    @property
    def not_run(self) -> str | None:
        """Why nothing there can run what is built; None where it can."""

    def build(self, order: Order, say: Say) -> Built:
        """Build an engine. Raises Refused for a network that is not taken, else an EdgekitError."""


def release_of(link: Link) -> str | None:
    """Return the file in which a Jetson names its L4T release; None elsewhere."""
    files = link.look({"files": ["/etc/nv_tegra_release"]})["files"]
    found = files.get("/etc/nv_tegra_release")
    return None if found is None else str(found)


def release(text: str | None) -> dict[str, str | None]:
    """L4T and JetPack, as they stand in a manifest."""
    return jetson_tools.release(text or "") or {}


def on(link: Link) -> str:
    """Where: ` on NAME`, or ` here`."""
    return " here" if link.is_local else f" on {link.name}"


class Missing(Exception):
    """The device has no Python package of TensorRT."""


def caches(link: Link) -> str:
    """Return the folder of timing caches; on a device it lies beside the device side, in edgekit's own folder there."""
    is_here = link.is_local
    return str(cache_folder() / "tensorrt" if is_here else PurePosixPath(link.tools()).parents[1] / "tensorrt")


def pull(link: Link, there: str, here: Path, say: Say) -> None:
    """Bring a file here from a device."""
    say(f"bring it here from {link.name}")
    link.pull(there, here)


def remedy_rtx(link: Link) -> str:
    """Return how to get TensorRT for RTX for this device."""
    return HERE_RTX if link.is_local else THERE_RTX.format(link.python)


def remedy(link: Link) -> str:
    """Return how to get a builder for this device."""
    return HERE if link.is_local else THERE.format(link.python)
