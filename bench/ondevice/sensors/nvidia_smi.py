"""What nvidia-smi tells of NVIDIA GPUs: clocks, why they are held down, memory by process, power.

Its tables change with the driver: fields were renamed, cells carry units or say that they are not there. A number is
one only where the whole cell is one, with the unit that the heading names; all else is None. On a Jetson every cell is
empty: jetson_tools.py reads those. nvidia-smi lists GPUs by their place on the bus and CUDA by their speed, or as
CUDA_VISIBLE_DEVICES has them: they are told apart by their uuid.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from typing import Any

from .. import cuda

UNKNOWN = {"", "N/A", "[N/A]", "[Not Supported]", "Not Supported", "[Unknown Error]", "[Insufficient Permissions]"}
CELL = re.compile(r"^([-+]?[0-9]{1,15}(?:\.[0-9]{1,15})?)(?: (\S+))?$")
FIELD = re.compile(r"^[a-z][a-z0-9_.]*$")
HEADING = re.compile(r"^(.*?)(?: \[(\S+)\])?$")
# What drivers once called these.
OLD_NAMES = {"clocks_throttle_reasons": "clocks_event_reasons"}
# The bits of clocks_event_reasons.active (nvml.h), and which of them say that the GPU was slower than it can be.
REASONS = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clocks",
}
SLOWED = 0x4 | 0x8 | 0x20 | 0x40 | 0x80
MIB = 1 << 20


def table(text: str) -> list[dict[str, Any]]:
    """Return the rows of `--query-...=... --format=csv`: numbers, texts, and None for what is not told.

    Headings lose their unit and get today's name. A row that has not a cell for each heading is left out.
    """
    lines = [line.split(",") for line in text.splitlines() if line.strip()]  # nvidia-smi quotes nothing
    if len(lines) < 2:
        return []
    heads = [_heading(cell) for cell in lines[0]]
    if not all(FIELD.match(name) for name, _ in heads):  # the table for people, or anything else
        return []
    whole = [row for row in lines[1:] if len(row) == len(heads)]
    pairs = [[(head, cell.strip()) for head, cell in zip(heads, row)] for row in whole]  # noqa: B905 (Python 3.8)
    return [{name: _value(cell, unit) for (name, unit), cell in row} for row in pairs]


def _heading(cell: str) -> tuple[str, str | None]:
    match = HEADING.match(cell.strip())
    name, unit = match.groups() if match else (cell.strip(), None)
    for old, new in OLD_NAMES.items():
        name = name.replace(old, new)
    return name, unit


def _value(cell: str, unit: str | None) -> Any:
    if cell in UNKNOWN:
        return None
    if re.match(r"^0x[0-9a-fA-F]{1,16}$", cell):
        return int(cell, 16)
    match = CELL.match(cell)
    if match is None:
        return None if unit else cell  # a column of numbers holds no words
    number, own = match.groups()
    if unit != own:
        return None if unit else cell
    return float(number) if "." in number else int(number)


def reasons(mask: int | None) -> list[str] | None:
    """Return the words for clocks_event_reasons.active; a bit that is not known is named by its number."""
    if mask is None:
        return None
    known = [word for bit, word in REASONS.items() if mask & bit]
    rest = mask & ~sum(REASONS)
    return known + ([f"0x{rest:x}"] if rest else [])


def query(fields: list[str], what: str = "gpu") -> list[dict[str, Any]] | None:
    """Return a row for each GPU (or `compute-apps`: each process on one).

    None where nvidia-smi is missing or does not answer.
    """
    text = _ask(["--query-{}={}".format(what, ",".join(fields)), "--format=csv"])
    return None if text is None else table(text)


def state() -> list[dict[str, Any]] | None:
    """Clocks, temperature, power and the reasons of each GPU, whatever the driver calls them; not quick.

    `held_down_by` are those reasons that say that it was slower than it can be; `used` whether CUDA begins with this
    GPU, None where that is not known.
    """
    fields = [
        *("name", "uuid", "driver_version", "pstate", "clocks.sm", "clocks.mem", "clocks.max.sm", "temperature.gpu"),
        *("power.draw", "utilization.gpu", "memory.used"),
    ]
    for name in ("clocks_event_reasons.active", "clocks_throttle_reasons.active"):
        found = query([*fields, name])
        if found is not None:
            held = [{**row, "held_down_by": _held(row.get("clocks_event_reasons.active"))} for row in found]
            return [{**row, "used": _is_used(row, len(found))} for row in held]
    return None


def used(fields: list[str]) -> dict[str, Any] | None:
    """Return what nvidia-smi tells of the GPU that CUDA begins with.

    None where it is not known which of several that is.
    """
    rows = query(["uuid", *fields]) or []
    return next((row for row in rows if _is_used(row, len(rows))), None)


def _is_used(row: dict[str, Any], count: int) -> bool | None:
    own, uuid = _first_uuid(), row.get("uuid")
    if own is None or uuid is None:
        return True if count == 1 else None
    return bool(own == uuid)


@functools.lru_cache(maxsize=None)  # noqa: UP033 (functools.cache needs Python 3.9)
def _first_uuid() -> str | None:
    """The uuid of the GPU that CUDA begins with in this process; None where the driver does not tell."""
    try:
        return str(cuda.Driver(look=True).uuid())
    except (OSError, RuntimeError):
        return None


def _held(mask: Any) -> list[str] | None:
    return reasons(mask & SLOWED) if isinstance(mask, int) else None


def process_memory() -> int | None:
    """GPU memory in bytes of this process, as the driver counts it: context and libraries too.

    None where it does not tell: on a Jetson, in some containers, where processes have other numbers outside.
    """
    rows = query(["pid", "used_memory"], "compute-apps")
    if rows is None:
        return None
    names = ("used_gpu_memory", "used_memory")  # the heading says the first, whichever was asked for
    found = [row[name] for row in rows if row.get("pid") == os.getpid() for name in names if row.get(name) is not None]
    return int(sum(found) * MIB) if found else None


def foreign_processes() -> list[int] | None:
    """Who else computes on the GPU that is used.

    Asked before this process does: a container shows it under another number.
    """
    rows, card = query(["pid", "gpu_uuid"], "compute-apps"), used([])
    if rows is None or card is None:
        return None
    there = [row for row in rows if row.get("gpu_uuid") in (None, card.get("uuid"))]
    return [row["pid"] for row in there if isinstance(row.get("pid"), int) and row["pid"] != os.getpid()]


def watts() -> float | None:
    """Return what the board of the GPU that is used draws at this moment; None where it is not told."""
    value = (used(["power.draw"]) or {}).get("power.draw")
    return float(value) if isinstance(value, (int, float)) else None


def _ask(arguments: list[str]) -> str | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
