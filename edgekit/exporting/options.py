"""What an export may be asked for: each option once, with its type, its help and its check.

The command line, `edgekit.export(...)`, the grid of a sweep and its jobs are made from `ExportOptions`. To add an
option: a field here, and the place that uses it (docs/extending.md). Light, because `edgekit export --help` reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

from edgekit.errors import UsageError, nearest
from edgekit.network.inputs import Input, plain
from edgekit.records.formats import FORMATS, HEADS, PRECISIONS
from edgekit.registry import each
from edgekit.util.quantity import milliseconds, number_of_points, size

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[str], None]
StrPath = str | Path
Preprocess = StrPath | Mapping[str, Any]  # a file, or its keys with their values


@dataclass(frozen=True)
class Option:
    """How an option is told and checked; on the command line it is --<field>, unless `names` say otherwise."""

    help: str
    metavar: str | None = None
    names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()  # where only these are taken
    check: Callable[[Any], None] | None = None  # raises UsageError for a value that was given and cannot be meant
    read: Callable[[Any, str], Any] | None = None  # what a given value means, for this flag; raises UsageError
    of_int8: bool = False  # int8 files alone heed it
    is_limit: bool = False  # it says what is accepted, not how a file is made

    def refuse(self, flag: str, value: Any) -> None:
        """Raise UsageError for a value that cannot be meant."""
        if self.choices and value not in self.choices:
            *first, last = self.choices
            raise UsageError(
                f"{flag} cannot be '{value}'{nearest(value, self.choices)}", f"choose {', '.join(first)} or {last}"
            )
        if self.check is not None and value is not None:
            self.check(value)


def _several(value: int) -> None:
    if value < 2:
        raise UsageError(f"--max-batch must be at least 2, not {value}", "leave --dynamic-batch out for a batch of 1")


def _gpus(value: str) -> None:
    from edgekit.tensorrt.capabilities import targets

    targets(value)


def _opset(value: int) -> None:
    from edgekit.exporters.onnx.versions import check_opset

    check_opset(value)


def _as_text(value: StrPath, flag: str) -> str:
    return os.fspath(value)


def _option(default: Any, help: str, metavar: str | None = None, *names: str, **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(help, metavar, names, **more)})


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """One export: a network, and how its files are to be made. Raises UsageError for a value that cannot be meant.

    `format` and `precision` hold canonical names, each once. `force` makes files again that are there already, and
    `progress` hears what is going on: no options, because files are the same with them.
    """

    model: str | nn.Module = field(kw_only=False)
    alpha: float | None = _option(None, "Width multiplier in (0, 1].")
    res: int | None = _option(None, "Input height and width in pixels.", None, "--res", "--imgsz")
    classes: int | None = _option(None, "Number of classes.")
    input: Input = _option(
        None,
        "Input shape of a network of your own; once for each of several inputs.",
        "[NAME=]1,3,224,224",
        read=lambda value, flag: plain(value),
    )
    options: Mapping[str, str] | None = _option(
        None, "An option of the network, e.g. pool=max; repeatable.", "NAME=VALUE", "--option"
    )
    format: Sequence[str] = _option(("onnx", "tflite"), f"{', '.join(FORMATS)}.", "F,F", "--format", "-f")
    precision: Sequence[str] = _option(("fp32",), f"{', '.join(PRECISIONS)}.", "P,P")
    weights: str | None = _option(
        None,
        "Where weights come from.  [default: random, or what a network of your own holds]",
        "random|pretrained|FILE",
        read=_as_text,
    )
    data: StrPath | None = _option(None, "Images or .npz examples for int8 and the proof.", "DIR")
    preprocess: Preprocess | None = _option(None, "YAML where the weights bring none.", "FILE")
    synthetic_calibration: bool = _option(False, "int8 without images: only its latency means anything.", of_int8=True)
    ranges: str = _option(
        "auto",
        "Where int8 ranges come from; auto: a quantized file of a network keeps its own scales, else --data.",
        choices=("auto", "data", "file"),
        of_int8=True,
    )
    int8_effort: str = _option("default", "Time spent on int8 accuracy.", choices=("fast", "default"), of_int8=True)
    int8_range: str = _option(
        "safe",
        "Weights of int8 ONNX files: safe for every processor, or full for those with VNNI alone.",
        choices=("safe", "full"),
        of_int8=True,
    )
    max_drop: float | None = _option(
        None, "Most points of top-1 that int8 may lose.", "P", read=number_of_points, of_int8=True, is_limit=True
    )
    io: str = _option("float32", "Type of input and output.", choices=("float32", "uint8", "int8"), of_int8=True)
    output: str = _option("logits", "What the file answers with.", choices=HEADS)
    labels: StrPath | None = _option(None, "Names of the outputs, one a line, to be in the file.", "FILE")
    opset: int | None = _option(None, "ONNX operator set.", check=_opset)
    layout: str = _option("nhwc", "Axes of the maps that a TFLite file takes and gives.", choices=("nhwc", "nchw"))
    dynamic_batch: bool = _option(False, "Leave the batch size open.")
    max_batch: int | None = _option(None, "Largest batch of an open TensorRT engine.", "N", check=_several)
    target_gpu: str | None = _option(
        None,
        "Build engines ahead, with TensorRT for RTX, for GPUs of these compute capabilities.",
        "8.6,8.9",
        check=_gpus,
    )
    max_bytes: int | None = _option(
        None, "Largest file that is accepted: 5MB, 5MiB, 5000000.", "SIZE", read=size, is_limit=True
    )
    max_latency: float | None = _option(
        None, "Longest median inference that is accepted: 10ms, 250us, 10.", "TIME", read=milliseconds, is_limit=True
    )
    device: str = _option("local", "A name from devices.yaml.")
    devices: StrPath | None = _option(None, "The devices.yaml to use.", "FILE")
    out: StrPath = _option("artifacts", "Where files go.", "DIR")
    force: bool = field(default=False, compare=False)
    progress: Progress | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "format", each(self.format, FORMATS.canonical))
        object.__setattr__(self, "precision", each(self.precision, PRECISIONS.canonical))
        if not self.format or not self.precision:
            raise UsageError("nothing to export was named", "give at least one format and one precision")
        for name, option in OPTIONS.items():
            value = getattr(self, name)
            option.refuse(flag(name), value)
            if option.read is not None and value is not None:
                object.__setattr__(self, name, option.read(value, flag(name)))

    @property
    def has_int8(self) -> bool:
        """Whether any of the files is int8."""
        return "int8" in self.precision

    def given(self) -> dict[str, Any]:
        """Return the options that are not at their defaults."""
        return {name: value for name in OPTIONS if (value := getattr(self, name)) != DEFAULTS[name]}

    def for_files(self, format: Sequence[str], precision: Sequence[str]) -> ExportOptions:
        """Return the same for some of the files, without the options that these do not heed."""
        others = unheeded(format, precision)
        return replace(self, format=format, precision=precision, **{name: DEFAULTS[name] for name in others})


OPTIONS: dict[str, Option] = {one.name: one.metadata["option"] for one in fields(ExportOptions) if one.metadata}
HINTS = get_type_hints(ExportOptions, localns={"nn": SimpleNamespace(Module=object)})  # without importing torch
DEFAULTS: dict[str, Any] = {one.name: one.default for one in fields(ExportOptions) if one.metadata}


def unheeded(format: Sequence[str], precision: Sequence[str]) -> set[str]:
    """Return the options that none of some files heed."""
    found = {name for one in FORMATS for name in FORMATS[one].options}
    found -= {name for one in format for name in FORMATS[one].options}
    return found | {name for name, option in OPTIONS.items() if option.of_int8 and "int8" not in precision}


def flag(name: str) -> str:
    """Return an argument on the command line, of an export or of any other command."""
    own = OPTIONS[name].names if name in OPTIONS else ()
    return own[0] if own else f"--{name.replace('_', '-')}"


def number(name: str, value: Any) -> Any:
    """Return the number that a text means to an option; what is no text as it is, to be checked. Raises UsageError."""
    read = OPTIONS[name].read
    return read(value, flag(name)) if read is not None and isinstance(value, str) else value


# What several options mean together


def check_heeded(asked: ExportOptions) -> None:
    """Raise UsageError for an option that none of the files heeds."""
    if asked.io != "float32" and (set(asked.precision) != {"int8"} or not _all_heed("io", asked.format)):
        raise UsageError(f"--io {asked.io} is for int8 TFLite files", "add --format tflite --precision int8")
    given = asked.given()
    for name in given:
        shown = f"{flag(name)} {given[name]}" if OPTIONS[name].choices else flag(name)
        if OPTIONS[name].of_int8 and not asked.has_int8:
            raise UsageError(f"{shown} is for int8 files, and none is asked for", "add --precision int8")
    if asked.layout != DEFAULTS["layout"] and not _any_heeds("layout", asked.format):
        raise UsageError("--layout is for TFLite files; others have torch's axes", "leave it out")
    if asked.opset is not None and not _any_heeds("opset", asked.format):
        raise UsageError("--opset is for ONNX files", "leave it out, or add --format onnx")
    if asked.int8_range != "safe" and not _any_heeds("int8_range", asked.format):
        raise UsageError(f"--int8-range {asked.int8_range} is for ONNX files", "leave it out, or add --format onnx")
    if asked.max_batch is not None and not (_any_heeds("max_batch", asked.format) and asked.dynamic_batch):
        raise UsageError(
            "--max-batch is for TensorRT engines whose batch is open", "add --format tensorrt --dynamic-batch"
        )
    if asked.target_gpu is not None and not _any_heeds("target_gpu", asked.format):
        raise UsageError("--target-gpu is for TensorRT engines", "leave it out, or add --format tensorrt")


def _any_heeds(option: str, formats: Sequence[str]) -> bool:
    return any(option in FORMATS[name].options for name in formats)


def _all_heed(option: str, formats: Sequence[str]) -> bool:
    return all(option in FORMATS[name].options for name in formats)


def check_calibration(asked: ExportOptions) -> None:
    """Raise UsageError where int8 files are asked for, and what gives their ranges is missing or told twice."""
    if not asked.has_int8:
        return
    if asked.max_drop is not None and asked.data is None:
        raise UsageError("--max-drop needs labeled images to measure on", "add --data FOLDER")
    if asked.synthetic_calibration and asked.data is not None:
        raise UsageError("--data and --synthetic-calibration exclude each other", "leave one of them out")
    if asked.data is None and not asked.synthetic_calibration:
        raise UsageError(
            "int8 needs images to calibrate with",
            "add --data FOLDER, or --synthetic-calibration where only latency matters",
        )
