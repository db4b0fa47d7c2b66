"""`edgekit export`: from a network and its weights to files that are proved to answer like it.

Everything that can be known to fail is said before the first long step. Each (format, precision) is a task of its
own: one that fails does not hide the others.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar, get_type_hints

from torch import nn

from edgekit.bug_report import tellable
from edgekit.device.registry import load, open_target
from edgekit.device.target import Target
from edgekit.errors import USERS_CODE, BackendMissing, EdgekitError, Failure, UsageError
from edgekit.exporting.export_file import export_file
from edgekit.exporting.inputs import content_key, file_key, is_known, there
from edgekit.exporting.not_run import NOT_RUN
from edgekit.exporting.options import ExportOptions, Progress, check_heeded
from edgekit.exporting.prepare import prepare
from edgekit.exporting.result import ExportResult
from edgekit.exporting.site import Site
from edgekit.exporting.task import ExportTask
from edgekit.records.artifact import Artifact
from edgekit.records.formats import FORMATS, PRECISIONS
from edgekit.records.runtime import choose
from edgekit.tensorrt.builder import find
from edgekit.tensorrt.capabilities import targets
from edgekit.tensorrt.orders import Builder
from edgekit.util.files import make_folder
from edgekit.util.formatting import counted

P = ParamSpec("P")
R = TypeVar("R")


def _of_options(make: Callable[P, ExportOptions]) -> Callable[[Callable[[ExportOptions], R]], Callable[P, R]]:
    """Give a function of options the arguments that make them, for type checkers and for those who look at it."""
    signature = inspect.signature(make, eval_str=True, locals={"nn": nn})

    def with_arguments(function: Callable[[ExportOptions], R]) -> Callable[P, R]:
        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{function.__name__}() {error}") from None
            return function(make(*args, **kwargs))

        hints = get_type_hints(function)
        called.__dict__["__signature__"] = signature.replace(return_annotation=hints["return"])
        called.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()} | hints
        del called.__annotations__["asked"], called.__dict__["__wrapped__"]
        return called

    return with_arguments


@_of_options(ExportOptions)
def export(asked: ExportOptions) -> ExportResult:
    """Export one variant to every asked format and precision; each file is re-opened, run and compared.

    `model` is a network of the zoo, or one's own: an `nn.Module` in eval mode, which is left as it is;
    `FILE.py:function` or `PACKAGE.MODULE:function`, which build one; a `FILE.pt2` of torch.export; a `FILE.onnx` or
    `FILE.tflite` of any program, which what is written is held against; or a Keras model. `input` is the shape of one's
    own: of several inputs a list of shapes, or a mapping from forward()'s arguments, or from the inputs of a file.
    `weights` is "random" (the default for the zoo), "pretrained", a file, or None for what one's own network holds.
    `data` is a folder of images: int8 takes its ranges from it, and parity its real inputs. With `device`, a name of
    devices.yaml, engines are built there, and files proved and timed; a phone only times. `output` is what the file
    answers with: the network's own output ("logits"), its "softmax", or the index of the largest ("argmax"). `labels`
    is a text file with the outputs' names, which go into the file. `layout` "nchw" leaves torch's axes to maps that
    TFLite files take and give, at the cost of transpositions.

    A file that is there already, made from the same inputs by the same versions, and that nobody changed, is not made
    again unless `force`; the result's `reused` has its path.

    Raises EdgekitError where nothing at all can be exported; what fails for one format or precision only is in the
    result's `failed`, bugs of edgekit (code "internal") among it.
    """
    return run(asked)


def run(asked: ExportOptions) -> ExportResult:
    """Do what `export` does, for options that are there already."""
    say = asked.progress or (lambda stage: None)
    for name in asked.format:
        FORMATS[name].check()
    check_heeded(asked)
    _check_written(asked)
    entry = load(Path(asked.devices) if asked.devices is not None else None)[asked.device]
    with open_target(asked.device, entry) as target:
        with _folder_or_nothing(Path(asked.out)):
            site, unfit = _site(asked, target)
            prepared = prepare(asked, say)
        folder = make_folder(Path(asked.out) / str(prepared.point))
        artifacts, failed, reused = [], [], []
        for task in _tasks(asked, site, content_key(prepared) if is_known(asked, target) else None):
            say(f"{task.format} {task.precision}")
            try:
                if task.format in unfit:
                    raise unfit[task.format]
                _check_writes(task.format, task.precision)
                known = None if asked.force else there(folder / task.target(prepared), task.made_from)
                if known is not None:
                    reused.append(known.path)
                    prepared.notes += _unsaid(known, prepared.notes)
                artifacts.append(known or export_file(task, prepared, folder, _told(say, task)))
            except USERS_CODE as error:  # a bug in one must not hide the files that are made
                failed.append(Failure({"format": task.format, "precision": task.precision}, tellable(error)))
    notes = (*prepared.notes, *_notes(site), *_for_whom(asked), *_reused(reused))
    return ExportResult(tuple(artifacts), tuple(failed), notes, tuple(reused), prepared.assumed)


def _unsaid(known: Artifact, notes: Sequence[str]) -> tuple[str, ...]:
    """What was said when a file was made, and not now."""
    return tuple(note for note in (known.manifest.notes if known.manifest else ()) if note not in notes)


def _reused(paths: Sequence[Path]) -> tuple[str, ...]:
    if not paths:
        return ()
    number = counted(len(paths), "file was", "files were")
    names = ", ".join(path.name for path in paths)
    return (f"{number} there already, from the same inputs, and not made again ({names}); --force makes them again",)


def _tasks(asked: ExportOptions, site: Site, content: str | None) -> list[ExportTask]:
    wanted = list(itertools.product(asked.format, asked.precision))
    found = [ExportTask(*one, asked.for_files(one[:1], one[1:]), site, one == wanted[-1]) for one in wanted]
    return [replace(task, made_from=file_key(content, task.format, task.asked)) for task in found]


def _check_written(asked: ExportOptions) -> None:
    """Raise UsageError where none of the formats has files of any asked precision."""
    wanted = list(itertools.product(asked.format, asked.precision))
    if all(precision in FORMATS[format].lacks for format, precision in wanted):
        _check_writes(*wanted[0])


def _check_writes(format: str, precision: str) -> None:
    why = FORMATS[format].lacks.get(precision)
    if why is not None:
        others = ", ".join(one for one in PRECISIONS if one not in FORMATS[format].lacks)
        raise UsageError(f"there are no {format} files in {precision}: {why}", f"choose --precision {others}")


def _site(asked: ExportOptions, target: Target) -> tuple[Site, dict[str, EdgekitError]]:
    """Where files are proved, and the formats that cannot be made for it, with the reason.

    Raises DeviceUnreachable, and the reason where no format is left.
    """
    formats, unfit = asked.format, dict[str, EdgekitError]()
    builder = None
    if not target.is_local:
        target.link.look({"commands": [{"argv": ["true"]}]})  # whether it is there at all
    for name in formats:
        try:
            if not target.is_local:
                _check_runs(name, target)
            if FORMATS[name].is_built:
                builder = _builder(asked, target)
        except BackendMissing as error:
            unfit[name] = error
    if len(unfit) == len(formats):
        raise unfit[formats[0]]
    return Site(target, builder), unfit


def _builder(asked: ExportOptions, target: Target) -> Builder:
    """What builds engines there. Raises BackendMissing where nothing does, or where a gate would have to run them."""
    among = None if target.is_local else target.runtimes
    found = find(target.link, among, targets(asked.target_gpu) if asked.target_gpu else ())
    if found.not_run is not None and asked.max_latency is not None:
        raise BackendMissing(
            f"--max-latency has to run the engine, and {found.not_run}",
            "leave --max-latency out, or build on the device that will run it, with --device NAME",
        )
    return found


def _check_runs(format: str, target: Target) -> None:
    try:
        choose(Path(f"file{FORMATS[format].suffix}"), None, target.runtimes, here=False)
    except BackendMissing:
        raise BackendMissing(
            f"{target.name} runs no {format} files: its runtimes are {', '.join(target.runtimes)}",
            "add one that does to its runtimes in devices.yaml, or choose another --format",
        ) from None


def _told(say: Progress, task: ExportTask) -> Progress:
    """What is going on with one file."""
    on = "" if task.site.target.is_local else f" on {task.site.name}"
    return lambda stage: say(f"{task.format} {task.precision}{on}: {stage}")


def _for_whom(asked: ExportOptions) -> tuple[str, ...]:
    """Who takes int8 files of a format that others read, too."""
    told = (FORMATS[name].int8_for for name in asked.format) if asked.has_int8 else ()
    return tuple(one for one in told if one is not None)


def _notes(site: Site) -> tuple[str, ...]:
    reason = site.builder.not_run if site.builder is not None else None
    if reason is not None:
        return (f"{NOT_RUN}: {reason}; the ONNX files that engines were built from were proved instead",)
    if site.target.has_runner:
        return ()
    return (f"proved here: no Python runs files on {site.name}, which is a phone",)


@contextmanager
def _folder_or_nothing(folder: Path) -> Iterator[None]:
    """The folder is made first, so that one which cannot be is told at once; what fails then leaves none behind."""
    new = not folder.exists()
    make_folder(folder)
    try:
        yield
    except BaseException:
        if new:
            with suppress(OSError):  # not empty: another export writes there by now
                folder.rmdir()
        raise
