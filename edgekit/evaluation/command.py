"""Accuracy of the files that ship: each is opened by its runtime and asked about every labeled image.

Images are decoded once for all files; those that cannot be read are left out, and counted. A file that was calibrated
on one of them, or whose weights or ranges mean nothing, is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from edgekit.bench.ondevice.sensors.linux import adds_in_16_bits
from edgekit.data.classes import ClassNames, by_group
from edgekit.data.folder import ARRAYS, SUFFIXES, passed_over
from edgekit.data.images import Sample, labeled
from edgekit.data.unreadable import LeftOut
from edgekit.device.registry import load, open_target
from edgekit.device.target import Opened
from edgekit.errors import EdgekitError, Failure, UsageError
from edgekit.evaluation import gates, tables
from edgekit.evaluation.answers import Answers
from edgekit.evaluation.array_input import array_input
from edgekit.evaluation.chance import at_chance
from edgekit.evaluation.decoding import decoded
from edgekit.evaluation.input import channels_of, file_input, scores_of
from edgekit.evaluation.result import EvalResult, Evaluated
from edgekit.evaluation.run import Run, gives_index
from edgekit.records.artifact import Artifact, in_use, open_artifact
from edgekit.records.manifest import Manifest, TensorRecord
from edgekit.records.preprocessing_file import Described, Reader, reader
from edgekit.records.runtime import Session
from edgekit.storage.keeping import Keeper
from edgekit.util.files import make_folder
from edgekit.util.quantity import count

Progress = Callable[[str, int | None, int | None], None]
OpenFile = Callable[[Artifact], Opened]


def eval(
    artifacts: str | Path | Sequence[str | Path],
    *,
    data: str | Path,
    device: str = "local",
    preprocess: Described | None = None,
    output_name: str | None = None,
    labels: str | Path | None = None,
    classes_by_order: bool = False,
    min_top1: str | float | None = None,
    max_drop: str | float | None = None,
    against: str | Path | None = None,
    csv: str | Path | None = None,
    runtime: str | None = None,
    delegate: str | None = None,
    threads: int = 1,
    store: str | Keeper | None = None,
    devices: Path | None = None,
    progress: Progress | None = None,
) -> EvalResult:
    """Top-1 and top-5 of each file on the labeled images of `data` (edgekit.data.images says what that may be).

    Images are prepared here, and the file runs on `device`, a name of devices.yaml. A file is run with its manifest's
    preprocessing; a foreign one needs `preprocess`, a YAML file or a mapping with its keys
    (edgekit.records.preprocessing_file). Of several outputs `output_name` is the one that classifies. Class folders are
    matched with the file's labels by name, or with those of `labels`, a file with a name a line, for a file without;
    without names there must be as many folders as classes, unless `classes_by_order`.

    `min_top1` is the least top-1 of each file, in percent. `max_drop` is the most points that each may be under the
    file `against` on the same images; that file is evaluated, too. A limit that does not hold gives the result the
    exit code 3. `csv` is a folder for tables of each file: its classes, its confusion matrix, and every image.

    Records go to the store; those that it refuses in the end are kept in a file beside it, which `unstored` of the
    result names. Raises UsageError for images, labels or limits that are wrong, and whatever failed when there is one
    file only; of several files, those that failed are in the result.
    """
    artifacts = [artifacts] if isinstance(artifacts, (str, Path)) else list(artifacts)
    if not artifacts:
        raise UsageError("no artifact to evaluate was named", "give at least one .onnx or .tflite file")
    threads = count(threads, "--threads", "1")
    limits = gates.limits([Path(path) for path in artifacts], min_top1, max_drop, against)
    samples, said = _samples(Path(data)), _said(preprocess)
    classes = ClassNames(Path(labels) if labels is not None else None, classes_by_order)
    keeper = store if isinstance(store, Keeper) else Keeper(store)
    if csv is not None:
        make_folder(Path(csv))
    shown: tuple[tuple[Sample, str], ...] = ()
    left_out = LeftOut()
    paths = list(dict.fromkeys([*map(Path, artifacts), *([limits.against] if limits.against else [])]))
    with _sessions(device, devices, runtime, threads, delegate) as open_file:
        runs, failures = _prepared(paths, said, device, open_file, samples, output_name, classes)
        if runs:
            keeper.check()
            shown = _run_all(runs, samples, left_out, progress)
            left_out.check(Path(data), len(shown))
    name = Path(data).resolve().name.encode(errors="backslashreplace").decode()
    done = _finished(runs, name, _dataset_hash(shown), len(left_out))
    failures += [_failure(run.artifact.path, run.error) for run in runs if run.error is not None]
    if failures and len(artifacts) == 1:
        raise failures[0].error
    keeper.append(*(evaluated.accuracy for evaluated in done))
    if csv is not None:
        tables.write(Path(csv), done)
    passed = passed_over(Path(data), ARRAYS if samples[0].is_array else SUFFIXES)
    notes = (*passed, *left_out.notes(len(shown)), *_notes(shown), *_remarks(done))
    place = next((i for i, one in enumerate(done) if one.artifact == limits.against), None)
    held = gates.held([(one.artifact, one.accuracy) for one in done], place, limits)
    return EvalResult(done, tuple(failures), notes, keeper.refusal, place, tuple(held))


def _samples(data: Path) -> tuple[Sample, ...]:
    """The labeled images of a folder, or its arrays. Raises UsageError where it has both."""
    samples = labeled(data, by_name=True)
    if len({sample.is_array for sample in samples}) > 1:
        raise UsageError(f"{data} lists both images and arrays", "give each kind a set of its own")
    return samples


def _said(preprocess: Described | None) -> Reader | None:
    """What is said of foreign files' preprocessing. What is wrong in it is raised before a file is opened."""
    if preprocess is None:
        return None
    said = reader(preprocess)
    said(None)
    return said


@contextmanager
def _sessions(
    device: str, devices: Path | None, runtime: str | None, threads: int, delegate: str | None
) -> Iterator[OpenFile]:
    """What opens files on a device; they are closed at the end of the block."""
    with open_target(device, load(devices)[device]) as target, ExitStack() as opened:

        def open_file(artifact: Artifact) -> Opened:
            found = target.open_session(artifact.path, runtime, threads, delegate)
            opened.callback(found.close)
            return found

        yield open_file


def _prepared(
    paths: list[Path],
    said: Reader | None,
    device: str,
    open_file: OpenFile,
    samples: tuple[Sample, ...],
    output: str | None,
    classes: ClassNames,
) -> tuple[list[Run], list[Failure]]:
    """Every file opened and checked, before the first image is decoded."""
    runs: list[Run] = []
    failures: list[Failure] = []
    artifacts: list[Artifact] = []
    for path in paths:
        try:
            artifacts.append(open_artifact(path))
        except EdgekitError as error:
            failures.append(_failure(path, error))
    if said is not None and artifacts and not any(artifact.foreign for artifact in artifacts):
        raise UsageError("--preprocess is for foreign files; these have it in their manifests", "leave it out")
    for artifact in artifacts:
        try:
            runs.append(_opened(artifact, said, device, open_file, samples, output, classes))
        except EdgekitError as error:
            failures.append(_failure(artifact.path, error))
    return runs, failures


def _failure(path: Path, error: EdgekitError) -> Failure:
    return Failure({"artifact": str(path)}, error)


def _opened(
    artifact: Artifact,
    said: Reader | None,
    device: str,
    open_file: OpenFile,
    samples: tuple[Sample, ...],
    asked: str | None,
    classes: ClassNames,
) -> Run:
    _refuse_meaningless(artifact)
    with in_use(artifact):
        opened = open_file(artifact)
    meant = said(channels_of(opened.session, said(None).layout)) if said is not None and artifact.foreign else None
    taken = (array_input if samples[0].is_array else file_input)(artifact, opened.session, meant)
    output = scores_of(artifact.path.name, opened.session, asked)
    shape, offset = opened.session.outputs[output].shape, taken.class_offset
    groups, names, number = _classes(artifact, shape, offset, samples, classes)
    manifest = artifact.manifest
    calibration = manifest.calibration if manifest else None
    calibrated_on = frozenset(calibration.pixels if calibration else ())
    return Run(
        artifact,
        opened.session,
        device,
        opened.runtime,
        opened.found,
        taken,
        calibrated_on,
        output,
        groups,
        Answers(
            manifest.output if manifest else None, _described(manifest, opened.session, output), offset, max(number, 0)
        ),
        names,
        opened.ahead,
    )


def _described(manifest: Manifest | None, session: Session, output: int) -> TensorRecord | None:
    """What a manifest says of an output: by its name where there are several, whose order a runtime may change."""
    known = manifest.outputs if manifest else ()
    if len(known) == 1:
        return known[0]
    return next((one for one in known if one.name == session.outputs[output].name), None)


def _refuse_meaningless(artifact: Artifact) -> None:
    manifest, name = artifact.manifest, artifact.path.name
    if manifest is None:
        return
    if not manifest.weights.trained:
        raise UsageError(f"{name} has random weights: only its latency means anything", "export it with --weights FILE")
    if manifest.calibration is not None and manifest.calibration.synthetic:
        raise UsageError(
            f"{name} was calibrated on noise: only its latency means anything", "export it with --data FOLDER"
        )


def _classes(
    artifact: Artifact, shape: Sequence[int], offset: int, samples: tuple[Sample, ...], asked: ClassNames
) -> tuple[dict[str, int], dict[int, str], int]:
    """The classes that groups of images have by their names, what each class is called, and how many there are.

    Raises UsageError for a class that the file has not.
    """
    manifest, name = artifact.manifest, artifact.path.name
    answers = manifest.variant.classes if manifest and gives_index(artifact) else int(np.prod(shape[1:]))
    classes = answers - offset  # not positive where the file does not tell
    names = asked.of(artifact, answers, offset)
    groups = by_group(name, samples, names[offset:], classes, asked.by_order)
    called = dict(enumerate(names[offset:]))
    for sample in samples:
        label = groups.get(sample.group, sample.label)
        if label is not None and sample.called:
            called.setdefault(label, sample.called[-1])
        if label is not None and label >= classes > 0:
            raise UsageError(
                f"{sample.name} has class {label}, and {name} knows 0 to {classes - 1}",
                "correct the labels, or the class offset",
            )
    return groups, called, classes


def _run_all(
    runs: list[Run], samples: tuple[Sample, ...], left_out: LeftOut, progress: Progress | None
) -> tuple[tuple[Sample, str], ...]:
    """Show every image to every file; what goes wrong with one file ends that file only. Images and their hashes."""
    views = {run.input.view for run in runs}
    shown = []
    for sample, (digest, pixels) in decoded(samples, views, left_out):
        shown.append((sample, digest))
        for run in (run for run in runs if run.error is None):
            with _ending(run):
                run.take(sample, digest, pixels[run.input.view])
        if all(run.error is not None for run in runs):
            break
        if progress is not None:
            progress("evaluating", len(shown) + len(left_out), len(samples))
    for run in (run for run in runs if run.error is None):
        with _ending(run):
            run.flush()
    return tuple(shown)


def _finished(runs: Sequence[Run], dataset: str, dataset_hash: str, unreadable: int) -> tuple[Evaluated, ...]:
    """The records of the runs that nothing ended; a file that is no longer the same ends its own."""
    done = []
    for run in (run for run in runs if run.error is None):
        with _ending(run):
            done.append(Evaluated(run.artifact.path, run.accuracy(dataset, dataset_hash, unreadable), run.answers))
    return tuple(done)


@contextmanager
def _ending(run: Run) -> Iterator[None]:
    """What goes wrong inside ends this run."""
    try:
        yield
    except EdgekitError as error:
        run.error = error


def _dataset_hash(shown: tuple[tuple[Sample, str], ...]) -> str:
    """16 hex digits over the images' pixels and labels, in order."""
    lines = (f"{digest} {sample.group if sample.label is None else sample.label}\n" for sample, digest in shown)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _remarks(done: Sequence[Evaluated]) -> Iterator[str]:
    """What a reader of an accuracy must know of how its answers compare with this machine's."""
    for one in done:
        remark = at_chance(one.accuracy, one.answers.classes) if one.answers is not None else None
        if remark is not None:
            yield remark
        for remark in one.accuracy.found.get("answers", {}).get("remarks", ()):
            yield f"{one.artifact.name} on {one.accuracy.device}: {remark}"
        if _holds_here_only(one):
            adds = adds_in_16_bits(one.accuracy.found.get("instructions"))
            here = "may saturate in onnxruntime here" if adds else "may saturate in onnxruntime on x86-64 without VNNI"
            yield f"{one.artifact.name}: its int8 weights {here}, so that other processors may answer otherwise"


def _holds_here_only(one: Evaluated) -> bool:
    """Whether an accuracy is of int8 weights that onnxruntime adds differently on other processors."""
    manifest, instructions = one.accuracy.manifest, one.accuracy.found.get("instructions")
    if one.accuracy.runtime != "onnxruntime" or instructions is None:
        return False
    if manifest is None:
        return any(word in one.artifact.read_bytes() for word in (b"QLinearConv", b"QuantizeLinear"))
    return manifest.precision == "int8" and not manifest.details.get("weight_pairs")


def _notes(shown: tuple[tuple[Sample, str], ...]) -> tuple[str, ...]:
    twice = len(shown) - len({digest for _, digest in shown})
    return (f"{twice} of {len(shown)} images have the same pixels as another and count twice",) if twice else ()
