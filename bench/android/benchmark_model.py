"""LiteRT's `benchmark_model`: which of the two tools of that name it is, how it is asked, and what its log says.

The classic tool (tflite/tools/benchmark) and LiteRT's own (litert/tools) share a name, most flags and the `count=`
lines, but neither delegates nor defaults. Both only warn of a flag that they do not know and then measure something
else, so that flags are held against the tool's own usage text, and the warning is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgekit.util.numerals import real, whole

CLASSIC, LITERT = "classic", "litert"
MIB = 1024 * 1024

_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_SAID = re.compile(r"^(?:(?:INFO|WARNING|WARN|ERROR|VERBOSE): )?(?:\[[^\]\n]*\.(?:h|cc):\d+\] ?)?")
_PAIR = re.compile(rf"([a-z0-9]+)=({_NUMBER})")
_STATISTICS = ("count", "first", "curr", "min", "max", "avg", "std", "p5", "median", "p95")
_NODES = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate \(([^)]*)\) node, yielding \d+ partitions.*")
_APPLIED = re.compile(
    r"Explicitly applied (\w+) delegate, and the model graph will be (completely|partially) executed by the delegate"
    r"(?: w/ \d+ delegate kernels)?\."
)
_UNUSED = re.compile(
    r"Though (\w+) delegate is explicitly applied, the model graph will not be executed by the delegate\."
)
_FLAG = re.compile(r"^\s*--([A-Za-z][\w-]*)=", re.MULTILINE | re.ASCII)


@dataclass(frozen=True)
class Taken:
    """`Replacing N out of M node(s)`: what one delegate took of one graph."""

    delegate: str
    nodes: int
    of: int


@dataclass(frozen=True)
class Applied:
    """What the tool says of a delegate that was asked for: completely, partially or not executed by it."""

    delegate: str
    how: str


@dataclass(frozen=True)
class Log:
    """What stands in a log, in its order. Times in microseconds."""

    statistics: tuple[dict[str, float], ...] = ()  # warm-up, then inference
    session_ms: tuple[float, ...] = ()  # opening the file until it can run
    taken: tuple[Taken, ...] = ()
    applied: tuple[Applied, ...] = ()
    created: tuple[str, ...] = ()  # "TensorFlow Lite <this>"
    peak_mb: tuple[float, ...] = ()  # watched every 50 ms
    unconsumed: tuple[str, ...] = ()  # flags that the tool did not know
    errors: tuple[str, ...] = ()


def parse(text: str) -> Log:
    """Read a log. A line that is not whole and of the known form is passed over; a last one without its end, too."""
    lines = [line.rstrip("\r") for line in text.split("\n")[:-1]]
    rows = [_SAID.sub("", line, count=1) for line in lines]
    created = (
        re.fullmatch(r"Created TensorFlow Lite (XNNPACK delegate for CPU|delegate for \w+)\.", row) for row in rows
    )
    unconsumed = (re.fullmatch(r"Unconsumed cmdline flags: (.*)", row) for row in rows)
    peak = rf"Overall peak memory footprint \(MB\) via periodic monitoring: ({_NUMBER})"
    return Log(
        statistics=tuple(found for row in rows if (found := _statistics(row))),
        session_ms=_each(rows, rf"Initialized session in ({_NUMBER})ms\.?"),
        taken=tuple(one for row in rows if (one := _taken(row))),
        applied=tuple(said for row in rows if (said := _applied(row))),
        created=tuple(match.group(1) for match in created if match),
        peak_mb=_each(rows, peak),
        unconsumed=tuple(flag for match in unconsumed if match for flag in match.group(1).split()),
        errors=tuple(line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")),
    )


def _each(rows: Sequence[str], form: str) -> tuple[float, ...]:
    """The number of each line of a form."""
    numbers = (real(match.group(1)) for row in rows if (match := re.fullmatch(form, row)))
    return tuple(number for number in numbers if number is not None)


def _numbers(pairs: Iterable[tuple[str, str]]) -> dict[str, float] | None:
    """The numbers by name; None where one is none."""
    found = {name: real(text) for name, text in pairs}
    known = {name: number for name, number in found.items() if number is not None}
    return known if len(known) == len(found) else None


def _taken(row: str) -> Taken | None:
    match = _NODES.fullmatch(row)
    nodes, of = (whole(match[place]) if match else None for place in (1, 2))
    return None if match is None or nodes is None or of is None else Taken(match[3], nodes, of)


def _statistics(row: str) -> dict[str, float] | None:
    parts = [_PAIR.fullmatch(part) for part in row.split()]
    if not parts or not all(parts):
        return None
    keys = [part.group(1) for part in parts if part]
    if keys[0] != "count" or len(set(keys)) != len(keys) or not set(keys) <= set(_STATISTICS):
        return None
    values = _numbers((part.group(1), part.group(2)) for part in parts if part)
    if values is None:
        return None
    needed = {"count", "curr"} if values["count"] == 1 else {"count", "first", "min", "max", "avg", "std"}
    return values if needed <= set(values) and values["count"] >= 1 else None


def _applied(row: str) -> Applied | None:
    if match := _APPLIED.fullmatch(row):
        return Applied(match.group(1), match.group(2))
    unused = _UNUSED.fullmatch(row)
    return Applied(unused.group(1), "not") if unused else None


@dataclass(frozen=True)
class Tool:
    """One benchmark_model: which of the two it is, and the flags that it knows."""

    kind: str
    flags: frozenset[str]


def recognize(usage: str) -> Tool | None:
    """Return the tool whose usage text this is; None for any other program's."""
    flags = frozenset(_FLAG.findall(usage))
    if not {"graph", "num_threads", "num_runs"} <= flags:
        return None
    return Tool(LITERT if "use_npu" in flags else CLASSIC, flags)


def arguments(tool: Tool, flags: Mapping[str, object]) -> list[str]:
    """Flags as the tool takes them. Raises ValueError for one that it does not know: it would pass it over."""
    unknown = [f"--{name}" for name in flags if name not in tool.flags]
    if unknown:
        raise ValueError(f"this benchmark_model knows no {', '.join(unknown)}")
    return [f"--{name}={value}" for name, value in flags.items()]


@dataclass(frozen=True)
class Reading:
    """One run: nanoseconds of loading, of the first inference and of the mean one, and how many were averaged."""

    load_ns: int
    first_ns: int
    mean_ns: int
    count: int
    microseconds: dict[str, float]  # what the tool told of the measured loop


def read(log: Log) -> Reading:
    """Return the times of one run. Raises ValueError where a log has none, or more than those of one run."""
    if log.unconsumed:
        raise ValueError(f"it did not know {' '.join(log.unconsumed)}, and measured without")
    if len(log.session_ms) != 1 or len(log.statistics) != 2:
        said = f": {log.errors[0]}" if log.errors else ""
        raise ValueError(
            f"its log tells of {len(log.session_ms)} runs with {len(log.statistics)} loops, not of 1 with 2{said}"
        )
    warm, loop = log.statistics
    mean = loop["avg"] if "avg" in loop else loop["curr"]  # a loop of one inference tells no mean
    if not mean > 0:
        raise ValueError("its log tells no time")
    return Reading(
        load_ns=round(log.session_ms[0] * 1e6),
        first_ns=round((warm["first"] if "first" in warm else warm["curr"]) * 1000),
        mean_ns=round(mean * 1000),
        count=int(loop["count"]),
        microseconds={key: value for key, value in loop.items() if key != "count"},
    )
