"""The exporting half of a sweep: one job for each variant, which any `concurrent.futures.Executor` can take.

A job and what it gives back are plain values that can be pickled. It imports torch where it runs, not here.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit.bug_report import tellable
from edgekit.errors import USERS_CODE, EdgekitError, GateFailed, Refusal
from edgekit.exporting.inputs import Inputs
from edgekit.records.artifact import open_artifact
from edgekit.records.manifest import manifest_path, read_manifest
from edgekit.redact import redacted
from edgekit.sweeps.grid.axes import Point
from edgekit.sweeps.grid.fields import Grid
from edgekit.sweeps.journal import Journal, device
from edgekit.sweeps.weights import Source
from edgekit.util.files import stamp

TRACE_LINES = 12


@dataclass(frozen=True)
class File:
    """One file that is wanted, and what it depends on."""

    format: str
    precision: str
    key: str
    inputs: Inputs = field(compare=False)


@dataclass(frozen=True)
class Job:
    """The files of one variant that are to be made. `since`: what was made before it does not count."""

    grid: Grid
    point: Point
    weights: Source
    files: tuple[File, ...]
    since: float


@dataclass(frozen=True)
class Made:
    """A file that is there (`fresh`: made just now), or why it is not; and what was assumed of its weights."""

    file: File
    path: Path | None = None
    sha256: str | None = None
    variant: str | None = None
    trained: bool = False
    macs: int | None = None
    fresh: bool = False
    refusal: Refusal | None = None
    assumed: tuple[str, ...] = ()


def assumed(made: Mapping[tuple[Point, str, str], Made]) -> tuple[str, ...]:
    """Return what was assumed of the weights of files, as notes; each once for a network."""
    return tuple(dict.fromkeys(f"{point.model}: {note}" for (point, _, _), one in made.items() for note in one.assumed))


def refused(error: BaseException) -> Refusal:
    """Any error as a value; what nobody foresaw is a bug of ours, with exit code 1."""
    if isinstance(error, SystemExit):
        error = tellable(error)
    if isinstance(error, EdgekitError):
        return Refusal(error.code, error.message, error.remedy, error.exit_code, log=error.log)
    if isinstance(error, MemoryError):
        return Refusal("environment", "not enough memory", "close other programs, or sweep with --jobs 1", 7)
    cause = redacted(" ".join(f"{type(error).__name__}: {error}".split()))
    told = "".join(traceback.format_exception(error)).splitlines()[-TRACE_LINES:]
    log = tuple(redacted(line) for line in told)
    return Refusal("internal", f"a bug of edgekit: {cause}", "export this variant alone to see more", 1, log=log)


def there(journal: Journal, file: File, out: Path) -> Made | None:
    """Return the file as it was made before, if it is still what it was; or the gate that it did not pass."""
    entry = journal.get("file", file.key)
    if entry is None:
        gate = journal.get("gate", file.key)
        if gate is None:
            return None
        failed = Refusal(GateFailed.code, gate["message"], gate["remedy"], GateFailed.exit_code, known=True)
        return Made(file, refusal=failed)
    path = out / str(entry.get("path"))
    try:
        untouched = list(stamp(path)) == entry.get("stat")  # else its bytes are looked at
        manifest = read_manifest(manifest_path(path)) if untouched else open_artifact(path).manifest
    except (EdgekitError, OSError):
        return None
    if manifest is None or manifest.sha256 != entry.get("sha256"):
        return None
    notes = tuple(map(str, entry.get("assumed") or ()))
    told = (manifest.sha256, manifest.variant.name, manifest.weights.trained, manifest.macs)
    return Made(file, path, *told, assumed=notes)


def run(job: Job, make: Callable[[Job], Iterable[Made]]) -> tuple[Made, ...]:
    """Let `make` make the files of a job that nobody made meanwhile, and write each down as soon as it is there.

    Raises nothing for what fails.
    """
    journal = Journal(job.grid.out, job.since)
    try:
        with journal.alone(f"{job.point.model} {job.point.alpha} {job.point.res} {job.point.way}".rstrip()):
            known = [there(journal, file, job.grid.out) for file in job.files]
            found = {made.file: made for made in known if made is not None}
            missing = tuple(file for file in job.files if file not in found)
            for made in make(replace(job, files=missing)) if missing else ():
                _remember(journal, made, job.grid.out)
                found[made.file] = made
            return tuple(found[file] for file in job.files)
    except USERS_CODE as error:  # it must not end the other jobs
        return failed(job, refused(error))


def run_here(job: Job) -> tuple[Made, ...]:
    """Make the files of a job on this machine, while nothing is measured on it. Runs in a worker."""
    return run(job, make_here)


def make_here(job: Job) -> Iterator[Made]:
    """Make the files of a job on this machine, while nothing is measured on it."""
    with device("local", measuring=job.grid.export.max_latency is not None):
        for files in _together(job.files):
            yield from _export(job, files)


def failed(job: Job, refusal: Refusal) -> tuple[Made, ...]:
    """Return the files of a job none of which could be made."""
    return tuple(Made(file, refusal=refusal) for file in job.files)


def _remember(journal: Journal, made: Made, out: Path) -> None:
    """Write down a file that was made, and the gate that one did not pass: it would fail in the same way again."""
    file, refusal = made.file, made.refusal
    if refusal is not None and refusal.code == GateFailed.code:
        journal.put("gate", file.key, file.inputs, message=refusal.message, remedy=refusal.remedy)
    if made.path is not None:
        where = str(made.path.relative_to(out))
        known = {"path": where, "sha256": made.sha256, "stat": stamp(made.path), "assumed": made.assumed}
        journal.put("file", file.key, file.inputs, **known)


def _together(files: Sequence[File]) -> list[list[File]]:
    """The files in groups that one export can make: precisions that are wanted in the same formats."""
    formats: dict[str, list[File]] = {}
    for file in files:
        formats.setdefault(file.precision, []).append(file)
    groups: dict[tuple[str, ...], list[File]] = {}
    for wanted in formats.values():
        groups.setdefault(tuple(file.format for file in wanted), []).extend(wanted)
    return list(groups.values())


def _export(job: Job, files: Sequence[File]) -> list[Made]:
    """One export; what stops it as a whole is tried again for each precision alone, so that each has its own reason."""
    from edgekit.exporting.command import run as export

    grid, precisions = job.grid, tuple(dict.fromkeys(file.precision for file in files))
    formats = tuple(dict.fromkeys(file.format for file in files))
    try:
        asked = replace(grid.asked(job.point, job.weights, formats, precisions), force=True)  # the journal knows better
        result = export(asked)
    except USERS_CODE as error:
        if len(precisions) == 1:
            return [Made(file, refusal=refused(error)) for file in files]
        alone = [[file for file in files if file.precision == precision] for precision in precisions]
        return [made for group in alone for made in _export(job, group)]
    named = {(file.format, file.precision): file for file in files}
    made = [
        Made(named[one.part["format"], one.part["precision"]], refusal=refused(one.error), assumed=result.assumed)
        for one in result.failed
    ]
    for artifact in result.artifacts:
        manifest = artifact.manifest
        assert manifest is not None
        file = named[manifest.format, manifest.precision]
        found = (artifact.path, manifest.sha256, manifest.variant.name, manifest.weights.trained, manifest.macs)
        made.append(Made(file, *found, fresh=True, assumed=result.assumed))
    return made
