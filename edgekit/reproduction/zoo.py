"""`edgekit reproduce zoo`: the comparison chart of the field, on exact counts.

Published top-1 of one crop of the ImageNet networks of the zoo over their exact MACs, parameters as the size of the
bubble; accuracy per million parameters; latency where the store has one; and the comparisons that papers and lectures
print, each with the exact ratio. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from edgekit.bench.ondevice.sensors import linux
from edgekit.network import shipped
from edgekit.network.spec import Variant, published_at
from edgekit.records.record import now
from edgekit.reporting import drawing
from edgekit.reporting.rows import Row, has_latency, rows
from edgekit.reproduction import saving
from edgekit.reproduction.own import Own, own
from edgekit.reproduction.zoo_charts import accuracy_over_macs
from edgekit.reproduction.zoo_page import page
from edgekit.stats.pareto import front
from edgekit.storage.store import open_store
from edgekit.util.files import make_folder, write_atomically
from edgekit.util.formatting import minute
from edgekit.util.tabled import OWN_FAMILY, Tabled

IMAGENET = 1000  # classes; other data sets' accuracies cannot stand on the same axis
LATENCIES = ("fp32", "int8")
WIDTH = 1000  # pixels of a saved chart


@dataclass(frozen=True)
class Point:
    """One published network, exact counts; `ms`: the least median of each precision, one image and thread."""

    variant: str
    label: str  # without what is the network's own
    family: str
    top1: float  # as published, a fraction of 1
    source: str
    macs: int
    params: int
    front: bool  # no other has fewer MACs and at least this accuracy
    ms: dict[str, float | None]

    @property
    def per_million(self) -> float:
        """Points of top-1 per million parameters."""
        return 100 * self.top1 / (self.params / 1e6)

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self) | {"top1_points_per_million_params": self.per_million}


@dataclass(frozen=True)
class Claim:
    """A printed comparison: `large` has `claimed` times the `of` of `small`."""

    text: str
    source: str
    large: str
    small: str
    of: str  # macs or params
    claimed: str  # as printed
    at_least: bool = False  # "more than", "8 to 9"


@dataclass(frozen=True)
class Compared:
    """A claim beside the exact ratio."""

    claim: Claim
    large: int
    small: int

    @property
    def ratio(self) -> float:
        """The exact one."""
        return self.large / self.small

    @property
    def follows(self) -> str:
        """yes, "cut off, not rounded", or no."""
        claimed = Decimal(self.claim.claimed)
        unit = Decimal(10) ** int(claimed.as_tuple().exponent)
        away = Decimal(self.ratio) - claimed
        if self.claim.at_least:
            return "yes" if away >= 0 else "no"
        return "yes" if abs(away) <= unit / 2 else "cut off, not rounded" if 0 <= away < unit else "no"

    def to_json(self) -> dict[str, Any]:
        """Return the claim, both counts, the exact ratio and whether it follows."""
        return {
            **asdict(self.claim),
            "exact_large": self.large,
            "exact_small": self.small,
            "ratio": self.ratio,
            "follows": self.follows,
        }


@dataclass(frozen=True, repr=False)
class ZooReproduction(Tabled):
    """The chart's points, the comparisons, and the page that was written."""

    points: tuple[Point, ...]
    comparisons: tuple[Compared, ...]
    paths: tuple[Path, ...]
    notes: tuple[str, ...]
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """{"points", "comparisons", "paths", "notes"}"""
        return {
            "points": [point.to_json() for point in self.points],
            "comparisons": [one.to_json() for one in self.comparisons],
            "paths": [str(path) for path in self.paths],
            "notes": list(self.notes),
        }


HOWARD = "Howard et al. 2017"
WHOLE, SMALL = "mobilenet_1.0_224", "mobilenet_0.5_160"
CLAIMS = (
    Claim("27x less computation than VGG-16", HOWARD, "vgg16_224", WHOLE, "macs", "27"),
    Claim("32x smaller than VGG-16", HOWARD, "vgg16_224", WHOLE, "params", "32"),
    Claim("more than 2.5x less computation than GoogLeNet", HOWARD, "googlenet_224", WHOLE, "macs", "2.5", True),
    Claim("8 to 9x less than full convolution", HOWARD, "conv_mobilenet_224", WHOLE, "macs", "8", True),
    Claim("9.4x less computation than AlexNet", HOWARD, "alexnet_227", SMALL, "macs", "9.4"),
    Claim("45x smaller than AlexNet", HOWARD, "alexnet_227", SMALL, "params", "45"),
    Claim("22x less computation than SqueezeNet", HOWARD, "squeezenet1_0_224", SMALL, "macs", "22"),
    Claim(
        "50x fewer parameters than AlexNet", "Iandola et al. 2016", "alexnet_227", "squeezenet1_0_224", "params", "50"
    ),
)


HEADS = ("variant", "family", "top1", "macs", "params", "ms_fp32", "ms_int8", "front", "source")


def reproduce_zoo(
    out: str | Path = "reproduction",
    store: str | None = None,
    own_networks: Sequence[Any] = (),
    save: Sequence[Path] = (),
) -> ZooReproduction:
    """Lay the published accuracies over exact counts, and write `zoo.html` into `out`.

    `own_networks` stand in the chart, too (edgekit.reproduction.own). `save`: also the points, or the chart over MACs,
    in files of their own. Raises BackendMissing where the page cannot be drawn, and what opening the store raises.
    """
    saving.check(save)
    library = drawing.script()
    source = open_store(store)
    measured = rows(source.measurements(), source.accuracies())
    counts, found, left_out = _published(measured, [own(one, measured) for one in own_networks])
    comparisons = tuple(
        Compared(claim, getattr(counts[claim.large], claim.of), getattr(counts[claim.small], claim.of))
        for claim in CLAIMS
    )
    notes = [
        "published accuracies come from different training and cropping: hold the mouse over a point for its source"
    ]
    if left_out:
        notes.append(
            "left out, because the accuracy is of several crops of an image and the MACs of one: " + ", ".join(left_out)
        )
    if not any(value for point in found for value in point.ms.values()) and any(map(has_latency, measured)):
        notes.append("the store has no latency of these networks: run `edgekit export` and `edgekit bench` first")
    created = f"{minute(now())} UTC"
    path = make_folder(Path(out)) / "zoo.html"
    text = page([point.to_json() for point in found], [one.to_json() for one in comparisons], notes, created, library)
    write_atomically(path, text.encode())
    saved = saving.save(save, HEADS, [_line(point) for point in found], lambda: _drawn(found))
    return ZooReproduction(found, comparisons, (path, *saved), tuple(notes))


def _line(point: Point) -> list[Any]:
    """The values of HEADS."""
    times = [point.ms[precision] for precision in LATENCIES]
    known = (point.variant, point.family, point.top1, point.macs, point.params)
    return [*known, *times, "front" if point.front else "", point.source]


def _drawn(points: Sequence[Point]) -> tuple[str, bytes]:
    return drawing.render(accuracy_over_macs([point.to_json() for point in points]), {}, WIDTH)


def _published(
    measured: Sequence[Row], owned: Sequence[Own] = ()
) -> tuple[dict[str, Any], tuple[Point, ...], list[str]]:
    """The layer table of every published point by its name; the points of ImageNet, by MACs; the labels of the others.

    The user's own networks are among the points. Only accuracies of one crop have a place over the MACs of one; a
    network that has no such is left out.
    """
    counts: dict[str, Any] = {}
    sources: dict[str, tuple[str, str, float, str]] = {}
    left_out: dict[str, str] = {}
    networks = shipped.networks()
    for spec in (networks[name] for name in networks):
        for row in spec.published:
            if spec.classes != IMAGENET:
                continue
            point = published_at(spec, row)
            if str(point) not in counts:
                counts[str(point)] = shipped.layer_table(point)
            if row.top1 is not None and not row.one_crop:
                left_out[str(point)] = label(point)
            elif row.top1 is not None:
                # the paper's stands first
                sources.setdefault(str(point), (label(point), spec.family, row.top1, row.source))
    for one in owned:
        counts[one.variant] = one
        sources[one.variant] = (one.label, OWN_FAMILY, one.top1, one.source)
    kept = front([(counts[name].macs, top1) for name, (_, _, top1, _) in sources.items()])
    points = [
        Point(name, *published, counts[name].macs, counts[name].params, on_front, latencies(name, measured))
        for (name, published), on_front in zip(sources.items(), kept, strict=True)
    ]
    others = [text for name, text in left_out.items() if name not in sources]
    return counts, tuple(sorted(points, key=lambda point: point.macs)), others


def label(point: Variant) -> str:
    """Return the variant's name without what is the network's own: "mobilenet 0.5 160", "resnet50 stride 1x1"."""
    parts = [point.spec.name]
    parts += [f"{point.alpha:g}"] if point.alpha != 1 else []
    parts += [str(point.resolution)] if point.resolution != point.spec.resolution else []
    parts += [f"{key} {value}" for key, value in point.options.items() if value != point.spec.options[key][0]]
    return " ".join(parts)


def latencies(variant: str, measured: Iterable[Row]) -> dict[str, float | None]:
    """Return the least median here of one image on one thread, of each precision; None where there is none that counts.

    What a load that lasts made of it is another number.
    """
    times: dict[str, list[float]] = {precision: [] for precision in LATENCIES}
    this = linux.host()
    for row in measured:
        here = row.device == "local" and row.host in (None, this)
        is_asked = (row.variant, row.threads, row.batch, row.sustained_seconds) == (variant, 1, 1, None)
        if here and is_asked and has_latency(row) and row.median_ms is not None and row.precision in times:
            times[row.precision].append(row.median_ms)
    return {precision: min(found, default=None) for precision, found in times.items()}
