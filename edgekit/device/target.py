"""What a command asks of a device, whatever its link and whatever runs there.

A target is made from an entry of devices.yaml (edgekit.device.registry.open_target) and closed with its block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from edgekit.bench.links.base import Link
from edgekit.device.check import Check
from edgekit.records.artifact import Artifact
from edgekit.records.measurement import Protocol as MeasuringProtocol
from edgekit.records.runtime import Runtime, Session

RUN = "run"  # the command of the device side that measures


@dataclass(frozen=True)
class Identity:
    """Which device it is and how it stands, and the versions of the packages and programs it measures with."""

    facts: tuple[str | None, ...]
    versions: Mapping[str, str | None]

    def version(self, runtime: Runtime) -> str | None:
        """Return that of a runtime there; None where it is missing, or has none."""
        names = (*runtime.packages, runtime.name)
        return next((self.versions[name] for name in names if self.versions.get(name)), None)


class Opened(NamedTuple):
    """A file that is open on a device: the runtime's name, the session, what is found there, and how it is ended.

    `ahead` is how many batches are best asked about at once.
    """

    runtime: str
    session: Session
    found: dict[str, Any]
    close: Callable[[], None]
    ahead: int = 1


class Target(Protocol):
    """A device in use.

    `has_runner`: Python and edgekit's runner work there, so that files answer, take turns and are profiled; else a
    program of its own only measures.
    """

    name: str
    runtimes: tuple[str, ...]
    is_local: bool
    has_runner: bool

    @property
    def link(self) -> Link:
        """The way to the device."""

    def check(self, load: bool = False) -> Check:
        """Return what the device is and has, and what it lacks; with `load` each runtime has been loaded there."""

    def identity(self) -> Identity:
        """Return who the device is, for the key of a measurement."""

    def facts(self) -> dict[str, Any]:
        """Return what the device is, for the record; the first call sees that it is fit to measure."""

    def ask(self, job: Mapping[str, Any], timeout_seconds: float, command: str = RUN) -> dict[str, Any]:
        """Return what a fresh process there answers to a job."""

    def hottest(self) -> float | None:
        """Return the temperature that it throttles by, in degrees Celsius; None where none is told."""

    def passes(self, job: Mapping[str, Any]) -> dict[str, Callable[[float], dict[str, Any]]]:
        """Return what else can be found of a job, each in a pass of its own that takes so many seconds at most."""

    def open_session(
        self, path: Path, runtime: str | None = None, threads: int = 1, delegate: str | None = None
    ) -> Opened:
        """Open a file there, to see what it answers; the caller closes it. Raises BackendMissing or UsageError."""

    def fitted(self, preset: str, protocol: MeasuringProtocol) -> MeasuringProtocol:
        """Return the protocol as this kind of device can follow it."""

    def refuse(self, artifact: Artifact, runtime: str, batch: int) -> None:
        """Raise BackendMissing or UsageError for what cannot be measured there."""

    def building(self) -> dict[str, Any]:
        """Return how TensorRT builds engines there, by the options of its writer."""

    def close(self) -> None:
        """End what was begun there, and put back what was changed."""
