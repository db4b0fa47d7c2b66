"""What an engine is: whatever does a job that the scheduler has chosen, on this machine or on others.

The plan, the order of the jobs, the journal and the store are the sweep's own, so that a sweep that ran on one engine
goes on with another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from edgekit.device.target import Identity
from edgekit.errors import EdgekitError, Refusal
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.sweeps.export import Job, Made
from edgekit.sweeps.grid.axes import How

Say = Callable[[str], None]
Tell = Callable[[str | EdgekitError], None]  # an error ends the sweep


class Room(NamedTuple):
    """What there is for exports and accuracies: processors, bytes of memory, and how many exports may share it."""

    processors: int
    memory: int
    exports: int


@dataclass(frozen=True)
class Timing:
    """A latency that is wanted. `session` is the command that its record belongs to."""

    made: Made
    how: How
    device: str
    preset: str
    session: str
    devices: Path | None = field(compare=False)


@dataclass(frozen=True)
class Judging:
    """Accuracies that are wanted of files by their paths, on the same images."""

    files: Mapping[Path, str]  # the sha256 of each
    runtime: str | None
    data: Path
    threads: int


class Engine(Protocol):
    """Does what it is told, and raises what stopped it; each call waits until it is done."""

    @property
    def where(self) -> str:
        """What runs exports and accuracies, for people."""

    @property
    def room(self) -> Room:
        """What there is for exports and accuracies at the moment."""

    def is_here(self, device: str) -> bool:
        """Whether a device is this machine."""

    def address(self, device: str) -> str:
        """Return the machine of a device: two names with the same address are one machine."""

    def alone(self, device: str, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Have a device for oneself; calls `waiting` once before it waits for another sweep."""

    def identity(self, device: str) -> Identity:
        """Ask a device who it is. Raises DeviceUnreachable."""

    def export(self, job: Job) -> tuple[Made, ...]:
        """Make the files of a job, or say why they are not there."""

    def measure(self, wanted: Timing, say: Say) -> Measurement:
        """Take a measurement on a device that one has for oneself; it is in no store yet."""

    def judge(self, wanted: Judging) -> Mapping[str, Accuracy | Refusal]:
        """Evaluate files; what was found of each, by its sha256. The records are in no store yet."""

    def begin(self, exports: int, tell: Tell) -> None:
        """Be ready for so many exports; tell from now on what happens beside the jobs, such as workers that come."""

    def close(self) -> None:
        """End what it has begun."""
