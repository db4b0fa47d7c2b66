"""The formats that files are written in: everything that tells one from another, in one table.

To add a format: a module with `write(job: WriteJob, path: Path) -> Written` in exporters/, and a record here
(docs/extending.md). What is heavy is named as "module:attribute" and loaded when it is asked for, because measuring
and reporting read this table too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import BackendMissing, GateFailed, UsageError
from edgekit.registry import Registry

if TYPE_CHECKING:
    from edgekit.exporters import WriteJob, Written


PRECISIONS = Registry[None](  # int8w: int8 weights, arithmetic in float
    "precision",
    dict.fromkeys(("fp32", "fp16", "int8", "int8w")),
    {"half": "fp16", "float16": "fp16", "float32": "fp32", "full": "fp32"},
)
CHANNELS_LAST = ("NHWC", "NDHWC", "NWC")  # layouts in which a file has the channels behind the other axes
HEADS = LOGITS, SOFTMAX, ARGMAX = "logits", "softmax", "argmax"  # what a file answers with


@dataclass(frozen=True)
class Format:
    """One format. `writer`, `reader` and `calls` are "module:attribute"."""

    name: str
    suffix: str
    writer: str  # write(job, path), see edgekit.exporters
    scheme: str  # of int8: how the usual runtime wants activations, of exporters.int8.activations.SCHEMES; "": no int8
    runtime: str  # what runs it, unless another one of RUNTIMES is asked for
    aliases: tuple[str, ...] = ()  # other names that users bring
    packages: tuple[str, ...] = ()  # distributions whose versions a manifest records: they shape what is written
    options: tuple[str, ...] = ()  # of `edgekit export`, that no other format heeds
    mark: str = "diamond"  # the shape of its points in a chart, a name of Vega's
    reader: str | None = None  # operators(path): names to counts, and labels; None: `inspect` cannot look into it
    calls: str | None = None  # how a program calls it, language by language (edgekit.inspection.snippets)
    lacks: Mapping[str, str] = field(default_factory=dict)  # precisions that it has no files of, and why
    keeps_half: bool = True  # fp16 weights stay so when the file is loaded
    int8_for: str | None = None  # whose its int8 files are, where others that read the format refuse them
    is_folder: bool = False  # a folder of files rather than one file
    is_built: bool = False  # on the device that is to run it, and for no other

    def write(self, job: WriteJob, path: Path) -> Written:
        """Write one file. Raises what the writer does, and BackendMissing where its packages are missing."""
        written: Written = self.check()(job, path)
        return written

    def check(self) -> Callable[[WriteJob, Path], Written]:
        """Return the writer. Raises BackendMissing where its packages are missing."""
        try:
            writer: Callable[[WriteJob, Path], Written] = load(self.writer)
        except ImportError as error:
            raise BackendMissing(
                f"{self.name} export needs the package {error.name}", "pip install 'edgekit[export]'"
            ) from error
        return writer

    def contents(self, path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
        """Return the operators in a file with their counts, and its labels. Raises BackendMissing or UsageError."""
        if self.reader is None:
            raise BackendMissing(f"edgekit cannot look into {self.name} files", "use a tool of the format's own")
        found: tuple[dict[str, int], tuple[str, ...]] = load(self.reader)(path)
        return found

    def called_from(self, language: str) -> Mapping[str, str] | None:
        """Return the parts of a program in a language that calls such a file; None where nobody wrote them."""
        found: Mapping[str, str] | None = load(self.calls).get(language) if self.calls else None
        return found


def load(name: str) -> Any:
    """Return what a "module:attribute" names. Raises ImportError."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


_FORMATS = (
    Format(
        "onnx",
        ".onnx",
        writer="edgekit.exporters.onnx.writer:write",
        scheme="onnxruntime",
        runtime="onnxruntime",
        packages=("onnx", "onnxruntime"),
        options=("opset", "int8_range"),
        int8_for="int8 ONNX files are for onnxruntime; TensorRT refuses their zero points: --format tensorrt is for it",
        mark="circle",
        reader="edgekit.inspection.contents:onnx",
        calls="edgekit.inspection.calls_onnx:CALLS",
    ),
    Format(
        "tflite",
        ".tflite",
        writer="edgekit.exporters.tflite.writer:write",
        scheme="tflite",
        runtime="litert",
        aliases=("litert",),
        packages=("ai-edge-litert",),
        options=("io", "layout"),
        mark="square",
        reader="edgekit.inspection.contents:tflite",
        calls="edgekit.inspection.calls_tflite:CALLS",
        keeps_half=False,
    ),
    Format(
        "tensorrt",
        ".engine",
        writer="edgekit.exporters.tensorrt.writer:write",
        scheme="tensorrt",
        runtime="tensorrt",
        aliases=("trt", "engine"),
        options=("max_batch", "target_gpu"),
        lacks={"int8w": "TensorRT expands no int8 weights in front of float arithmetic, only 4-bit ones"},
        mark="triangle-up",
        reader="edgekit.inspection.contents:engine",
        is_built=True,
    ),
    Format(
        "pt2",
        ".pt2",
        writer="edgekit.exporters.pt2.writer:write",
        scheme="",
        runtime="torch",
        lacks=dict.fromkeys(("int8", "int8w"), "torch runs them in float; onnx, tflite and tensorrt have int8"),
        mark="triangle-down",
        reader="edgekit.inspection.contents:pt2",
        calls="edgekit.inspection.calls_pt2:CALLS",
    ),
)
FORMATS: Registry[Format] = Registry(
    "format",
    {format.name: format for format in _FORMATS},
    aliases={alias: format.name for format in _FORMATS for alias in format.aliases},
)
_SUFFIXES = {format.suffix: format for format in _FORMATS}


REJECTED = ".rejected"  # behind the name of a file that failed its verification


def check_not_rejected(path: Path) -> None:
    """Raise GateFailed for a file that an export kept for study."""
    if path.suffix == REJECTED:
        raise GateFailed(
            f"{path.name} failed its verification when it was exported, and is kept for study alone",
            f"see why with `edgekit inspect {path}`, and export it again",
        )


def format_of(path: Path) -> Format:
    """Return the format of a file by its suffix. Raises UsageError for another one, GateFailed for a rejected file."""
    check_not_rejected(path)
    if not is_artifact(path):
        raise UsageError(f"{path} is no artifact", f"give a file that ends in {', '.join(_SUFFIXES)}")
    return _SUFFIXES[path.suffix]


def is_artifact(path: Path) -> bool:
    """Whether a file is called like one of a format."""
    return path.suffix in _SUFFIXES


def tool_versions() -> dict[str, str]:
    """Return the versions of the packages that shape files, as far as they are installed."""
    found = {}
    for package in ("torch", "numpy", *(package for format in _FORMATS for package in format.packages)):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
