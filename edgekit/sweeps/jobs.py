"""A sweep as jobs: what each of them needs, what it waits for, and the key by which it is known. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

EXPORT, LATENCY, ACCURACY = "export", "latency", "accuracy"
# What an export takes: VGG-16, with 553 MB of weights, took 984 MB, and the runtime that proves its file 1203 MB.
PROCESS_BYTES, BYTES_PER_PARAMETER = 500_000_000, 12
UNKNOWN_PARAMETERS = 25_000_000


@dataclass(frozen=True)
class Needs:
    """What a job has to itself while it runs.

    Either one of `devices` as a whole, or processors and memory (in bytes) of this machine; `alone`: all of it.
    """

    devices: tuple[str, ...] = ()
    processors: int = 0
    memory: int = 0
    alone: bool = False

    def to_json(self) -> dict[str, Any]:
        """{"devices", "processors", "memory_bytes", "alone"}"""
        own = {"devices": list(self.devices), "processors": self.processors}
        return own | {"memory_bytes": self.memory, "alone": self.alone}


@dataclass(frozen=True)
class Task:
    """One job. `key` is over the content of what goes into it; `after` has the keys of those that it waits for.

    `group` is the network, among which turns are taken; `seconds` is a guess; `work` is what whoever runs it knows
    it by.
    """

    key: str
    kind: str
    name: str
    needs: Needs
    after: tuple[str, ...] = ()
    group: str = ""
    seconds: float = 0.0
    work: Any = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """{"key", "kind", "name", "needs", "after", "seconds"}"""
        own = {"key": self.key, "kind": self.kind, "name": self.name, "needs": self.needs.to_json()}
        return own | {"after": list(self.after), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Start:
    """A job to begin now. `attempt` tells it from earlier ones of the same job; `device` is None on processors."""

    task: Task
    attempt: int
    device: str | None


@dataclass(frozen=True)
class End:
    """A job that is over. `why` is what was said of the last failure; `attempts`: how often it was begun."""

    task: Task
    outcome: str
    attempts: int
    why: object = None


def export_bytes(parameters: int | None) -> int:
    """Return a guess of the memory that the export of a network with so many parameters takes at its most."""
    return PROCESS_BYTES + BYTES_PER_PARAMETER * (UNKNOWN_PARAMETERS if parameters is None else parameters)
