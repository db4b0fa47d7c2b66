"""`edgekit export`: from a network and its weights to files that are proved to answer like it.

Everything that can be known to fail is said before the first long step. Each (format, precision) is a cell of its
own: one that fails does not hide the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from torch import nn

from edgekit.bench.links.base import Link
from edgekit.bench.links.local import LocalLink
from edgekit.bug_report import tellable
from edgekit.device.config import AdbDevice, AnyDevice
from edgekit.device.link import open_link
from edgekit.device.registry import load
from edgekit.errors import USERS_CODE, BackendMissing, EdgekitError, UsageError, nearest
from edgekit.exporters.head import check_name
from edgekit.exporting.export_file import Cell, Site, export_cell
from edgekit.exporting.prepare import Request, prepare
from edgekit.exporting.result import ExportResult, Failure
from edgekit.records.formats import FORMATS
from edgekit.records.runtime import choose
from edgekit.tensorrt import builder as engine
from edgekit.util.files import make_folder

PRECISIONS = ("fp32", "fp16", "int8")
_PRECISION_ALIASES = {"half": "fp16", "float16": "fp16", "float32": "fp32", "full": "fp32"}
Progress = Callable[[str], None]


def export(
    model: str | nn.Module,
    *,
    alpha: float | None = None,
    res: int | None = None,
    classes: int | None = None,
    input: tuple[int, ...] | None = None,
    options: Mapping[str, str] | None = None,
    format: Sequence[str] = ("onnx", "tflite"),
    precision: Sequence[str] = ("fp32",),
    weights: str | None = None,
    data: str | Path | None = None,
    preprocess: str | Path | None = None,
    synthetic_calibration: bool = False,
    ranges: str = "data",
    int8_effort: str = "default",
    max_drop: float | None = None,
    io: str = "float32",
    output: str = "logits",
    labels: str | Path | None = None,
    opset: int | None = None,
    dynamic_batch: bool = False,
    max_bytes: int | None = None,
    max_latency: float | None = None,
    max_batch: int | None = None,
    device: str = "local",
    devices: Path | None = None,
    out: str | Path = "artifacts",
    progress: Progress | None = None,
) -> ExportResult:
    """Export one variant to every asked format and precision; each file is re-opened, run and compared.

    `model` is a network of the zoo, or one's own: an `nn.Module` in eval mode, which is left as it is;
    `FILE.py:function` or `PACKAGE.MODULE:function`, which build one; or a `FILE.pt2` of torch.export. `input` is the
    shape of one's own. `weights` is "random" (the default for the zoo), "pretrained", a file, or None for what one's
    own network holds. `data` is a folder of images: int8 takes its ranges from it, and parity its real inputs. With
    `device`, a name of devices.yaml, engines are built there, and files proved and timed; a phone only times. `output`
    is what the file answers with: the network's own output ("logits"), its "softmax", or the index of the largest
    ("argmax"). `labels` is a text file with the outputs' names, which go into the file.

    Raises EdgekitError where nothing at all can be exported; what fails for one format or precision only is in the
    result's `failed`, bugs of edgekit (code "internal") among it.
    """
    say = progress or (lambda stage: None)
    formats = _each(format, FORMATS.canonical)
    precisions = _each(precision, _precision)
    for name in formats:
        FORMATS[name].check()
    request = Request(
        model=model,
        alpha=alpha,
        resolution=res,
        classes=classes,
        input=input,
        options=options or {},
        weights=weights,
        data=Path(data) if data is not None else None,
        preprocess=Path(preprocess) if preprocess is not None else None,
        synthetic=synthetic_calibration,
        ranges=ranges,
        effort=int8_effort,
        max_drop=max_drop,
        int8="int8" in precisions,
        io=io,
        output=output,
        labels=Path(labels) if labels is not None else None,
    )
    _check(request, formats, precisions, io, opset, max_drop, max_bytes, max_latency)
    if max_batch is not None:
        _check_max_batch(max_batch, formats, dynamic_batch)
    target = load(devices)[device]
    with open_link(device, target) as link:
        with _folder_or_nothing(Path(out)):
            site, unfit = _site(formats, target, link)
            prepared = prepare(request, say)
        folder = make_folder(Path(out) / str(prepared.point))
        artifacts, failed = [], []
        for name in formats:
            for wanted in precisions:
                say(f"{name} {wanted}")
                limits = (dynamic_batch, max_batch, max_bytes, max_latency)
                last = (name, wanted) == (formats[-1], precisions[-1])
                cell = Cell(name, wanted, io, opset, *limits, site, last)
                try:
                    if name in unfit:
                        raise unfit[name]
                    artifacts.append(export_cell(cell, prepared, folder, _told(say, cell)))
                except USERS_CODE as error:  # a bug in one must not hide the files that are made
                    failed.append(Failure(name, wanted, tellable(error)))
    return ExportResult(tuple(artifacts), tuple(failed), (*prepared.notes, *_notes(site)))


def _site(formats: Sequence[str], device: AnyDevice, link: Link) -> tuple[Site, dict[str, EdgekitError]]:
    """Where files are proved, and the formats that cannot be made for it, with the reason.

    Raises DeviceUnreachable, and the reason where no format is left.
    """
    unfit: dict[str, EdgekitError] = {}
    builder = None
    if not isinstance(link, LocalLink):
        link.look({"commands": [{"argv": ["true"]}]})  # whether it is there at all
    for name in formats:
        try:
            if not isinstance(link, LocalLink):
                _check_runs(name, device, link)
            if FORMATS[name].is_built:
                builder = engine.find(link)
        except BackendMissing as error:
            unfit[name] = error
    if len(unfit) == len(formats):
        raise unfit[formats[0]]
    return Site(device, link, builder), unfit


def _check_runs(format: str, device: AnyDevice, link: Link) -> None:
    try:
        choose(Path(f"file{FORMATS[format].suffix}"), None, device.runtimes, here=False)
    except BackendMissing:
        raise BackendMissing(
            f"{link.name} runs no {format} files: its runtimes are {', '.join(device.runtimes)}",
            "add one that does to its runtimes in devices.yaml, or choose another --format",
        ) from None


def _told(say: Progress, cell: Cell) -> Progress:
    """What is going on with one file."""
    on = "" if isinstance(cell.site.link, LocalLink) else f" on {cell.site.name}"
    return lambda stage: say(f"{cell.format} {cell.precision}{on}: {stage}")


def _notes(site: Site) -> tuple[str, ...]:
    is_phone = isinstance(site.device, AdbDevice)
    return (f"proved here: no Python runs files on {site.name}, which is a phone",) if is_phone else ()


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


# Checks that cost nothing


def _check(
    request: Request,
    formats: Sequence[str],
    precisions: Sequence[str],
    io: str,
    opset: int | None,
    max_drop: float | None,
    max_bytes: int | None,
    max_latency: float | None,
) -> None:
    check_name(request.output)
    if io not in ("float32", "uint8", "int8"):
        raise UsageError(f"--io cannot be '{io}'", "choose float32, uint8 or int8")
    if io != "float32" and ("tflite" not in formats or set(precisions) != {"int8"} or "onnx" in formats):
        raise UsageError(f"--io {io} is for int8 TFLite files", "add --format tflite --precision int8")
    if request.ranges not in ("data", "file"):
        raise UsageError(f"--ranges cannot be '{request.ranges}'", "choose data or file")
    if request.effort not in ("fast", "default"):
        raise UsageError(f"--int8-effort cannot be '{request.effort}'", "choose fast or default")
    if max_drop is not None and not 0 <= max_drop <= 100:
        raise UsageError(f"--max-drop is in points of top-1, 0 to 100, not {max_drop:g}", "write, say, --max-drop 1.0")
    if opset is not None:
        _check_opset(opset, formats)
    if max_bytes is not None and max_bytes < 1:
        raise UsageError(f"--max-bytes must be at least 1, not {max_bytes}", "write, say, 4000000")
    if max_latency is not None and not 0 < max_latency < float("inf"):
        raise UsageError(f"--max-latency is in milliseconds above 0, not {max_latency:g}", "write, say, 10")


def _check_max_batch(most: int, formats: Sequence[str], dynamic_batch: bool) -> None:
    if "tensorrt" not in formats or not dynamic_batch:
        raise UsageError(
            "--max-batch is for TensorRT engines whose batch is open", "add --format tensorrt --dynamic-batch"
        )
    if most < 2:
        raise UsageError(f"--max-batch must be at least 2, not {most}", "leave --dynamic-batch out for a batch of 1")


def _check_opset(opset: int, formats: Sequence[str]) -> None:
    if "onnx" not in formats:
        raise UsageError("--opset is for ONNX files", "leave it out, or add --format onnx")
    from edgekit.exporters.onnx.writer import IR_VERSIONS

    if opset not in IR_VERSIONS:
        raise UsageError(
            f"ONNX opset {opset} is not supported", f"choose {min(IR_VERSIONS)} to {max(IR_VERSIONS)}, or leave it out"
        )


def _each(names: Sequence[str], canonical: Callable[[str], str]) -> tuple[str, ...]:
    """The canonical names, each once, in the order given."""
    found = tuple(dict.fromkeys(canonical(name.strip()) for name in names if name.strip()))
    if not found:
        raise UsageError("nothing to export was named", "give at least one format and one precision")
    return found


def _precision(name: str) -> str:
    name = _PRECISION_ALIASES.get(name, name)
    if name not in PRECISIONS:
        raise UsageError(
            f"unknown precision '{name}'{nearest(name, PRECISIONS)}", f"choose one of: {', '.join(PRECISIONS)}"
        )
    return name
