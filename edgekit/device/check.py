"""What is on a device, as `edgekit devices check` shows it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from edgekit.util.numerals import kibibytes

GIB = 1 << 30


@dataclass(frozen=True)
class RuntimeFound:
    """A runtime that a device is said to have; `version` is None where it is missing, with the remedy."""

    name: str
    version: str | None
    missing: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Check:
    """What is on a device. None where the device does not tell."""

    name: str
    model: str | None
    architecture: str | None
    os: str | None
    kernel: str | None
    soc: str | None
    processor: str | None
    cpus: int | None
    memory_bytes: int | None
    free_bytes: int | None
    python: str | None
    l4t: str | None = None
    jetpack: str | None = None
    power_mode: str | None = None
    power_modes: tuple[str, ...] = ()
    power_limits: dict[str, str] = field(default_factory=dict)  # what the power mode sets, where sudo may ask
    clocks: str | None = None  # locked, floating; None: not known
    missing: tuple[str, ...] = ()  # what is missing, and the remedy
    runtimes: tuple[RuntimeFound, ...] = field(default_factory=tuple)

    def facts(self) -> dict[str, Any]:
        """Return what belongs to a measurement: without what is missing, and without what is not known."""
        found = asdict(self)
        kept = {key: found[key] for key in found if key not in ("name", "missing", "runtimes", "free_bytes")}
        return {key: value for key, value in kept.items() if value not in (None, (), {})}


def memory_line(text: str, key: str) -> int | None:
    """Return the bytes that a line of /proc/meminfo tells in kB; None where it is not there."""
    match = re.search(rf"^{key}:\s*([0-9]+) kB", text, re.MULTILINE)
    return kibibytes(match.group(1)) if match else None
