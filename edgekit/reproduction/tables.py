"""The published trade-off of MobileNet v1 beside our exact counts: the paper's Tables 4, 6 and 7, and TF-slim's rows.

A printed count of operations is marked where it is a whole unit of its last digit or more away from the exact one:
rounding, up or down, is less than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgekit.network.spec import ModelSpec, Published
from edgekit.records.measurement import Accuracy
from edgekit.reproduction.own import Counted
from edgekit.stats.pareto import spearman
from edgekit.sweeps.weights import named

UNIT = 1_000_000  # the last digit that is printed, of operations
PAPER, SLIM = "Howard et al. 2017", "TF-slim"
SOURCES = {"paper": PAPER, "TF-slim": SLIM}  # how its sources begin
TITLES = {
    "Table 4": "Table 4. Depthwise separable against full convolution",
    "Table 6": "Table 6. Width multiplier",
    "Table 7": "Table 7. Resolution",
}

Counts = Callable[[str, float, int], tuple[int, int]]  # (model, alpha, resolution) -> exact MACs, parameters


@dataclass(frozen=True)
class Printed:
    """What a source prints of one point. `differs`: its operations are not ours, rounded."""

    source: str
    top1: float | None
    top5: float | None
    macs: float | None
    params: float | None
    differs: bool


@dataclass(frozen=True)
class Line:
    """One row of a table: a network, exact, and as it was published."""

    variant: str  # its name as files have it
    model: str
    alpha: float
    res: int
    macs: int
    params: int
    paper: Printed | None
    slim: Printed | None


@dataclass(frozen=True)
class Table:
    """One table of the paper, or TF-slim's list."""

    title: str
    lines: tuple[Line, ...]

    def to_json(self) -> dict[str, Any]:
        """{"title", "rows"}"""
        return {"title": self.title, "rows": [asdict(line) for line in self.lines]}


@dataclass(frozen=True)
class Correlation:
    """How well the order of what was measured agrees with what was published; None where that is not defined."""

    series: str
    published: str
    n: int
    spearman: float | None


def tables(spec: ModelSpec, twin: ModelSpec, counts: Counts) -> tuple[Table, ...]:
    """Tables 4, 6 and 7 of the paper, then all of TF-slim's rows. `twin` has full convolutions."""
    own = [row for row in spec.published if row.source.startswith(PAPER)]
    base = next(row for row in own if row.source.endswith("Table 4"))
    found = []
    for name, title in TITLES.items():
        rows = [row for row in own if row.source.endswith(name)]
        if name == "Table 4":
            lines = [_line(twin, row, counts) for row in twin.published] + [_line(spec, base, counts)]
        else:  # both begin with the whole network, as they are printed
            lines = [_line(spec, row, counts) for row in (base, *rows)]
        found.append(Table(title, tuple(lines)))
    rest = tuple(_line(spec, row, counts) for row in spec.published if row.source.startswith(SLIM))
    return (*found, Table("TF-slim, all of its checkpoints", rest))


def _line(spec: ModelSpec, row: Published, counts: Counts) -> Line:
    res = row.resolution or spec.resolution
    macs, params = counts(spec.name, row.alpha, res)
    paper, slim = (_printed(spec, begins, row.alpha, res, macs) for begins in (PAPER, SLIM))
    return Line(named(spec.name, row.alpha, res), spec.name, row.alpha, res, macs, params, paper, slim)


def of_own(networks: Sequence[Counted], res: int) -> Table:
    """Return the user's own networks, of which nothing is published."""
    lines = (Line(one.variant, one.model, 1.0, res, one.macs, one.params, None, None) for one in networks)
    return Table("Own networks", tuple(lines))


def _printed(spec: ModelSpec, begins: str, alpha: float, res: int, macs: int) -> Printed | None:
    for row in spec.published:
        if row.source.startswith(begins) and row.alpha == alpha and (row.resolution or spec.resolution) == res:
            differs = row.macs is not None and abs(row.macs - macs) >= UNIT
            return Printed(row.source, row.top1, row.top5, row.macs, row.params, differs)
    return None


def correlations(accuracies: Iterable[tuple[str, Accuracy]], spec: ModelSpec) -> tuple[Correlation, ...]:
    """Spearman's rank correlation of each series ("tflite int8") with what the paper and TF-slim publish."""
    series: dict[str, dict[tuple[float, int], float]] = {}
    for name, record in accuracies:
        if record.manifest is not None:
            point = (record.manifest.variant.alpha, record.manifest.variant.resolution)
            series.setdefault(name, {})[point] = record.correct1 / record.n
    return tuple(
        _correlation(name, source, measured, _top1(spec, begins))
        for name, measured in series.items()
        for source, begins in SOURCES.items()
    )


def _top1(spec: ModelSpec, begins: str) -> dict[tuple[float, int], float]:
    rows = (row for row in spec.published if row.source.startswith(begins) and row.top1 is not None)
    return {(row.alpha, row.resolution or spec.resolution): row.top1 or 0.0 for row in rows}


def _correlation(
    name: str, source: str, measured: dict[tuple[float, int], float], published: dict[tuple[float, int], float]
) -> Correlation:
    both: Sequence[tuple[float, int]] = [point for point in measured if point in published]
    value = spearman([measured[point] for point in both], [published[point] for point in both])
    return Correlation(name, source, len(both), value)
