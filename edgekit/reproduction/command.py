"""The verb `reproduce`: the published trade-off of a network, measured here and laid beside what was published.

MobileNet v1 at every width and resolution that has published weights: exported to every format, measured, and evaluated
on the images that are given. A row whose weights are not here has random ones: then only its latency is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgekit import registry
from edgekit.checkpoints.pretrained import folder as cached_weights
from edgekit.errors import UsageError, nearest
from edgekit.exporting.options import Preprocess, flag
from edgekit.records.formats import FORMATS, PRECISIONS
from edgekit.reporting import charts, drawing
from edgekit.reporting.command import ReportResult, of_records
from edgekit.reporting.rows import rows
from edgekit.reproduction import saving
from edgekit.reproduction.own import each, to_measure
from edgekit.reproduction.tables import Correlation, Table, correlations, of_own, tables
from edgekit.reproduction.zoo import ZooReproduction, reproduce_zoo
from edgekit.sweeps.command import sweep
from edgekit.sweeps.result import SweepResult
from edgekit.sweeps.run import Progress
from edgekit.util.tabled import Tabled

KNOWN = ("mobilenet", "zoo")
TWIN = "conv_mobilenet"  # of Table 4: full convolutions
REPORTED = ("html", "md", "csv", "json")
ALPHAS, RESOLUTIONS = (1.0, 0.75, 0.5, 0.25), (224, 192, 160, 128)


@dataclass(frozen=True, repr=False)
class Reproduction(Tabled):
    """The tables, how well the orders agree, every cell, and the files that were written."""

    tables: tuple[Table, ...]
    correlations: tuple[Correlation, ...]
    sweep: SweepResult
    report: ReportResult | None
    notes: tuple[str, ...]
    saved: tuple[Path, ...] = ()

    @property
    def exit_code(self) -> int:
        """That of the sweep."""
        return self.sweep.exit_code

    def to_json(self) -> dict[str, Any]:
        """{"tables", "correlations", "cells", "paths", "seconds", "notes"}"""
        return {
            "tables": [table.to_json() for table in self.tables],
            "correlations": [asdict(one) for one in self.correlations],
            "cells": [cell.to_json() for cell in self.sweep.cells],
            "paths": [str(path) for path in (*(self.report.paths if self.report else ()), *self.saved)],
            "seconds": round(self.sweep.seconds, 3),
            "notes": list(self.notes),
        }


def reproduce(
    model: str = "mobilenet",
    *,
    weights: str | Path | None = None,
    data: str | Path | None = None,
    calibration: str | Path | None = None,
    alpha: Sequence[float] = (),
    res: Sequence[int] = (),
    format: Sequence[str] = ("onnx", "tflite"),
    precision: Sequence[str] = (),
    int8_effort: str = "default",
    device: str = "local",
    threads: int = 1,
    preset: str = "default",
    out: str | Path = "reproduction",
    own: Any = (),
    preprocess: Preprocess | None = None,
    save: str | Path | Sequence[str | Path] = (),
    store: str | None = None,
    devices: Path | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Reproduction | ZooReproduction:
    """Measure what was published, as far as there are weights and images, and write a report of it into `out`.

    `weights` is a folder with a file for each variant (edgekit.sweeps.weights); None: the cache of `edgekit weights`.
    `data` are labeled images for accuracy, `calibration` others for int8; without them int8 tells latency alone.
    `alpha` and `res` choose some of the published rows. What was done before is kept. Raises what `sweep` raises.

    `own` are networks of one's own, as `FILE.py:function` or modules: exported, measured and evaluated in the same way,
    on images of the largest of `res`, and shown beside the others. `preprocess` says how they take images (None:
    torchvision's way). `save` are files for the rows (.csv, .tex) or the picture of accuracy over MACs (.svg, .png).

    The model "zoo" is every network's published accuracy on exact counts (edgekit.reproduction.zoo): it measures
    nothing, and takes only `out`, `store`, `save` and `own`, there as `FILE.py:function=71.5` or `(module, 71.5)`, with
    the top-1 in percent, or without it where the store has their accuracy.
    """
    if model not in KNOWN:
        raise UsageError(f"reproduce does not know '{model}'{nearest(model, KNOWN)}", f"say one of: {', '.join(KNOWN)}")
    own = each(own)
    format, precision = registry.each(format, FORMATS.canonical), registry.each(precision, PRECISIONS.canonical)
    paths = [Path(path) for path in ([save] if isinstance(save, (str, Path)) else save)]
    saving.check(paths)
    drawing.converter()  # what is missing is said before anything takes long
    if model == "zoo":
        _refuse_for_zoo(
            weights=weights, data=data, calibration=calibration, alpha=alpha, res=res, format=format,
            precision=precision, int8_effort=int8_effort, device=device, threads=threads, preset=preset,
            devices=devices, jobs=jobs, preprocess=preprocess,
        )  # fmt: skip
        return reproduce_zoo(out, store, own, paths)
    _check(own, preprocess, paths, data)
    sides, precisions = tuple(res) or RESOLUTIONS, _precisions(precision, calibration)
    owned = [to_measure(one, max(sides), Path(out) / "own") for one in own]
    swept = partial(
        sweep, format=format, precision=precisions, int8_effort=int8_effort, device=(device,), threads=threads,
        preset=preset, random_where_missing=True, data=Path(calibration) if calibration else None,
        synthetic_calibration="int8" in precisions and calibration is None, eval=Path(data) if data else None,
        continue_=True, store=store, devices=devices, jobs=jobs, executor=executor, progress=progress,
    )  # fmt: skip
    published = swept(
        model, alpha=tuple(alpha) or ALPHAS, res=sides, weights=_weights(weights), out=Path(out) / "artifacts"
    )
    printed, correlated = _beside(published, model)
    mine = [swept(one.model, input=one.input, preprocess=preprocess, out=Path(out) / "own") for one in owned]
    printed = ((of_own(owned, max(sides)),) if owned else ()) + printed
    whole = _joined([published, *mine])
    notes = _notes(whole, data, calibration, () if preprocess else [one.model for one in owned])
    return Reproduction(printed, correlated, whole, _written(whole, Path(out)), tuple(notes), _saved(whole, paths))


def _joined(sweeps: Sequence[SweepResult]) -> SweepResult:
    """One result of all cells."""
    cells = tuple(cell for one in sweeps for cell in one.cells)
    unstored = next((one.unstored for one in sweeps if one.unstored), None)
    return replace(sweeps[0], cells=cells, seconds=sum(one.seconds for one in sweeps), unstored=unstored)


def _check(own: Sequence[Any], preprocess: Preprocess | None, paths: Sequence[Path], data: str | Path | None) -> None:
    """Raises UsageError for what this reproduction cannot heed or show."""
    if preprocess is not None and not own:
        raise UsageError("--preprocess is for networks of your own", "name one with --with, or leave it out")
    pictures = [path for path in paths if path.suffix.lower() in saving.PICTURES]
    if pictures and data is None:
        cause = f"{pictures[0]} would show accuracies, and none is measured"
        raise UsageError(cause, "give labeled images with --data")


HEADS = ("variant", "format", "precision", "weights", "macs", "params", "top1", "images", "median_ms", "verdict")


def _saved(swept: SweepResult, paths: Sequence[Path]) -> tuple[Path, ...]:
    """The rows and the picture in files of their own."""
    measured = [cell.measurement for cell in swept.cells if cell.measurement]
    found = rows(measured, [cell.accuracy for cell in swept.cells if cell.accuracy])
    lines = [[getattr(row, name) for name in HEADS] for row in found]
    shown = {"points": charts.points(found, "macs"), "published": charts.published_points(found)}
    return saving.save(paths, HEADS, lines, lambda: drawing.render(charts.tradeoff("macs", found), shown))


def _precisions(asked: Sequence[str], calibration: str | Path | None) -> tuple[str, ...]:
    """Those that are asked for; int8 is among the usual ones where there are images for it."""
    precisions = tuple(asked) or (("fp32", "int8") if calibration else ("fp32",))
    if calibration and "int8" not in precisions:
        raise UsageError("--calibration is for int8, which is not asked for", "add int8 to --precision")
    return precisions


def _refuse_for_zoo(**given: Any) -> None:
    """Raises UsageError for an argument that would change nothing."""
    own = reproduce.__kwdefaults__ or {}
    for name, value in given.items():
        if value and value != own[name]:
            raise UsageError(
                f"reproduce zoo measures nothing: {flag(name)} has nothing to say",
                "leave it out: --out, --store, --save and --with are for it",
            )


def _written(swept: SweepResult, out: Path) -> ReportResult | None:
    """The report of what was measured; None where nothing was."""
    measured = [cell.measurement for cell in swept.cells if cell.measurement]
    evaluated = [cell.accuracy for cell in swept.cells if cell.accuracy]
    if not measured and not evaluated:
        return None
    return of_records(measured, evaluated, out=out / "report.html", format=REPORTED, assets=out / "pictures")


def _beside(swept: SweepResult, model: str) -> tuple[tuple[Table, ...], tuple[Correlation, ...]]:
    """The published tables beside exact counts, and how well the orders of accuracies agree. Imports torch."""
    from edgekit.network.catalog import chosen, counted

    def counts(name: str, alpha: float, res: int) -> tuple[int, int]:
        table = counted(chosen(name, alpha, res, None, None, None))
        return table.macs, table.params

    spec, twin = (chosen(name, None, None, None, None, None).spec for name in (model, TWIN))
    series = [(f"{cell.cell.format} {cell.cell.precision}", cell.accuracy) for cell in swept.cells if cell.accuracy]
    return tables(spec, twin, counts), correlations(series, spec)


def _weights(weights: str | Path | None) -> str:
    if weights is not None:
        return str(weights)
    return str(cached_weights()) if cached_weights().is_dir() else "random"


def _notes(
    swept: SweepResult, data: str | Path | None, calibration: str | Path | None, assumed: Sequence[str]
) -> list[str]:
    """What a reader must know about what is missing; `assumed` are networks whose preprocessing nobody said."""
    said = [f"{swept.unstored.message}; {swept.unstored.remedy}"] if swept.unstored else []
    bare = {cell.variant for cell in swept.cells if cell.measurement and not _trained(cell.measurement)}
    if bare:
        names = ", ".join(sorted(bare))
        said.append(f"no weights are here for {len(bare)} of the variants, so only their latency is shown: {names}")
    if data is None:
        said.append("no accuracy was measured: give labeled images with --data")
    if calibration is None and any(cell.cell.precision == "int8" for cell in swept.cells):
        said.append("int8 was calibrated on noise and shows latency only: give images with --calibration")
    elif calibration is None:
        said.append("int8 was left out: give images to calibrate with by --calibration")
    if data is not None:
        said.append("accuracy is on the given images, published accuracy on all 50,000 of ImageNet's validation set")
    if assumed:
        said.append(f"the preprocessing of {', '.join(assumed)} is assumed: say it with --preprocess")
    return said


def _trained(record: Any) -> bool:
    return record.manifest is not None and record.manifest.weights.trained
