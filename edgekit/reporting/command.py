"""From the store to what a person reads: one page that opens anywhere, or Markdown, CSV, JSON, and pictures apart.

Imports neither torch nor a runtime; only the page and the pictures need the `report` extra.
"""

from __future__ import annotations

import csv
import gc
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.records.failure import FailedCell
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.records.record import now
from edgekit.registry import Registry, each
from edgekit.reporting import charts, charts_profile, charts_sustained, drawing, page
from edgekit.reporting import text as report_text
from edgekit.reporting.answer import Answer, answers
from edgekit.reporting.page_profile import profiled
from edgekit.reporting.records import Records, from_store
from edgekit.reporting.rows import Row, rows
from edgekit.stats.losses import losses
from edgekit.storage.filters import Names, filters
from edgekit.storage.looking import check_is_there
from edgekit.storage.store import Store, open_store
from edgekit.util.files import drafting, environment, make_folder, publish, write_atomically
from edgekit.util.formatting import csv_cell, minute, printable
from edgekit.util.tabled import Tabled

FORMATS = Registry[None](
    "report format", dict.fromkeys(("html", "md", "csv", "json")), {"markdown": "md", "htm": "html"}
)

LONGEST_NAME = 160  # bytes


@dataclass(frozen=True, repr=False)
class ReportResult(Tabled):
    """The files that were written, the rows in them, and which file to ship to each device."""

    paths: tuple[Path, ...]
    rows: tuple[Row, ...]
    answers: tuple[Answer, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the paths, how many rows, and which file to ship to each device."""
        answers = [one.to_json() for one in self.answers]
        return {"paths": [str(path) for path in self.paths], "rows": len(self.rows), "answers": answers}


def report(
    store: Store | str | None = None,
    out: Path | str = "report.html",
    format: str | Sequence[str] = "html",
    assets: Path | str | None = None,
    *,
    device: str | None = None,
    model: str | None = None,
    since: str | None = None,
    latest: int | None = None,
    file_format: Names = None,
    precision: Names = None,
    runtime: Names = None,
) -> ReportResult:
    """Write the store's measurements and accuracies to `out`, with a suffix for each format.

    Its first lines say which file to ship to each device, as `edgekit.choose` without limits does. Filters leave what
    was measured on `device`, of `model` (a network, a variant or a file's name), `since` a time (an ISO date or time in
    UTC, or "7d" or "24h"), of files of a `file_format` and a `precision`, by a `runtime` (one or several names each),
    and of that the `latest` so many measurements; their files' accuracies come with them.
    `assets` is a folder for each picture as SVG and PNG and for all raw samples as CSV. Raises UsageError for a store
    with no such record, an unknown format or a wrong filter, BackendMissing where a page or a picture is asked for and
    vl-convert is not installed, EnvironmentRefused where nothing can be written.
    """
    wanted = filters(device, model, since, latest, file_format, precision, runtime)
    _refuse_missing(_formats(format), assets)  # what is missing is said before the store is read
    source = store if isinstance(store, Store) else open_store(store)
    check_is_there(source)
    with _all_stays():
        return _written(from_store(source, wanted), out, format, assets, bool(wanted))


@contextmanager
def _all_stays() -> Iterator[None]:
    """Spares the garbage collector millions of values that live until the page is written: a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def of_records(
    measurements: Sequence[Measurement],
    accuracies: Sequence[Accuracy],
    failures: Sequence[FailedCell] = (),
    *,
    out: Path | str = "report.html",
    format: str | Sequence[str] = "html",
    assets: Path | str | None = None,
) -> ReportResult:
    """As `report`, of these records."""
    return _written(Records(measurements, measurements, accuracies, failures), out, format, assets)


def _written(
    records: Records,
    out: Path | str,
    format: str | Sequence[str],
    assets: Path | str | None,
    filtered: bool = False,
) -> ReportResult:
    formats = _formats(format)
    targets = {name: _path(Path(out), name) for name in formats}
    _refuse_missing(formats, assets)
    with ThreadPoolExecutor(1) as other:  # its process takes seconds, as the statistics do here
        library = other.submit(drawing.script) if "html" in formats else None
        evaluated: dict[str, Accuracy] = {}
        found = rows(records.latest, _noting(records.accuracies, evaluated), records.resample)
    if not found and not records.failures:
        raise _nothing(filtered)
    hits, lost = {sha256: one.hits for sha256, one in evaluated.items()}, losses(evaluated.values())
    which = answers(found, hits, records.failures, lost)
    shown, failed = _shown(found), [one.model_copy(update=printable(one.__dict__)) for one in records.failures]
    told = which if shown == found and failed == records.failures else answers(shown, hits, failed, lost)
    created = f"{minute(now())} UTC"
    texts = {
        "html": lambda: page.page(shown, created, library.result() if library else "", failed, told, lost),
        "md": lambda: report_text.as_markdown(shown, page.cautions(shown, failed, lost=lost), created, told),
        "csv": lambda: report_text.as_csv(found),
        "json": lambda: report_text.as_json(found, created, which),
    }
    paths = [_write(targets[name], texts[name]()) for name in formats]
    if assets is not None:
        paths += _assets(Path(assets), shown, records.measurements)
    return ReportResult(tuple(paths), found, which)


def _nothing(filtered: bool) -> UsageError:
    nothing = "the store has nothing to report"
    if filtered:
        return UsageError(f"{nothing} that fits the filters", "see `edgekit store list`")
    return UsageError(nothing, "run `edgekit bench` or `edgekit eval` first, or give --store")


def _shown(found: Sequence[Row]) -> tuple[Row, ...]:
    """The rows as a person may see them, wherever the texts in them come from."""
    return tuple(replace(row, **printable(row.__dict__)) for row in found)


def _noting(accuracies: Iterable[Accuracy], latest: dict[str, Accuracy]) -> Iterator[Accuracy]:
    """The same accuracies; each file's latest goes into `latest`, by its sha256."""
    for one in accuracies:
        if one.sha256 not in latest or one.created >= latest[one.sha256].created:
            latest[one.sha256] = one
        yield one


def _refuse_missing(formats: Sequence[str], assets: Path | str | None) -> None:
    if "html" in formats or assets is not None:
        drawing.converter()


def _formats(asked: str | Sequence[str]) -> tuple[str, ...]:
    found = each(asked, lambda word: FORMATS.canonical(word.lower()))
    if not found:
        raise UsageError("no format of a report was named", f"choose of: {', '.join(FORMATS)}")
    return found


def _path(out: Path, format: str) -> Path:
    """`out` with the suffix of a format; a suffix of another kind belongs to the name and stays."""
    if out.name in ("", ".."):
        raise UsageError(f"--out {out} is a folder", f"give a file in it, as in --out {out / 'report.html'}")
    suffix = out.suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        return out.with_name(f"{out.name}.{format}")
    return out if FORMATS.canonical(suffix) == format else out.with_suffix(f".{format}")


def _write(path: Path, text: str | bytes) -> Path:
    make_folder(path.parent)
    write_atomically(path, text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return path


def _assets(folder: Path, found: Sequence[Row], measurements: Iterable[Measurement]) -> list[Path]:
    published = charts.published_points(found)
    pictures: dict[str, tuple[charts.Spec, dict[str, Any]]] = {
        f"accuracy-{cost}": (
            charts.tradeoff(cost, found),
            {"points": charts.points(found, cost), "published": published},
        )
        for cost in charts.COSTS
    }
    pictures["latency-distributions"] = (charts.distributions(found), {"strips": charts.strips(found)})
    pictures["sustained"] = (charts_sustained.sustained(), {"curves": charts_sustained.curves(found)})
    for index, profile in profiled(found):
        name = _file_name(found[index].label, index)
        drawn = charts_profile.datasets(profile)
        pictures[f"layers-{name}"] = (charts_profile.layers(), drawn["layers"])
        pictures[f"roofline-{name}"] = (charts_profile.roofline(), drawn["roofline"])
    paths = []
    for name, (spec, data) in pictures.items():
        if not next(iter(data.values())):
            continue  # nothing to draw
        svg, png = drawing.render(spec, data)
        paths += [_write(folder / f"{name}.svg", svg), _write(folder / f"{name}.png", png)]
    return [*paths, _samples(folder / "samples.csv", measurements)]


def _file_name(label: str, index: int) -> str:
    """A label as part of a file's name. Names end somewhere below 255 bytes; a cut one is told apart by its row."""
    name = re.sub(r"[^\w.]+", "-", label)
    short = name.encode()[:LONGEST_NAME].decode(errors="ignore")
    return name if name == short else f"{short}-{index}"


def _samples(path: Path, measurements: Iterable[Measurement]) -> Path:
    """Write every raw sample in the order in which it was taken."""
    with drafting(path.parent, path.name) as draft:
        with environment(path), draft.open("w", encoding="utf-8", errors="surrogatepass", newline="") as stream:
            _write_samples(csv.writer(stream, lineterminator="\n"), measurements)
        publish(draft, path)
    return path


def _write_samples(writer: Any, measurements: Iterable[Measurement]) -> None:
    writer.writerow(("measurement", "artifact", "sha256", "device", "runtime", "process", "sample", "latency_ns"))
    for record in measurements:
        texts = (record.id, record.artifact, record.sha256, record.device, record.runtime)
        known = tuple(map(csv_cell, texts))
        for process, run in enumerate(record.runs):
            writer.writerows((*known, process, index, value) for index, value in enumerate(run.samples_ns))
