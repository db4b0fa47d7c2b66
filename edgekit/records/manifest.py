"""The manifest (`<file>.json`) beside an artifact, which says what that is.

It is written last, so a file without one was never finished.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from edgekit.errors import UsageError
from edgekit.records.preprocessing import Preprocessing
from edgekit.records.record import Record, Whole
from edgekit.util.numerals import LARGEST_64
from edgekit.util.text_file import text_of

MANIFEST_VERSION = 1
Dtype = Literal[
    "bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"
]


class VariantRecord(Record):
    """The network and the point of it: `name` is printed, e.g. mobilenet_0.5_160."""

    name: str
    model: str
    family: str
    alpha: float
    resolution: Whole
    classes: Whole
    input_shape: tuple[Whole, ...]  # torch's layout, batch first
    options: dict[str, str] = {}


class WeightsRecord(Record):
    """Where the weights came from. `trained` is false for random ones: only latency means anything then."""

    origin: str  # "random" or the file's name
    id: str  # random<seed>, or the first 8 hex digits of sha256
    sha256: str | None  # None for random weights
    trained: bool


class SourceRecord(Record):
    """The file that a network was read from."""

    file: str
    format: str  # a name of FORMATS, or keras
    sha256: str
    producer: str  # "pytorch 2.13.0"; empty where the file does not say
    opset: Whole | None = None


class TensorRecord(Record):
    """An input or output of the file, as a caller sees it; real = (stored - zero_point) * scale where quantized."""

    name: str
    dtype: Dtype
    shape: tuple[Whole, ...]  # -1 for a free batch
    layout: str  # NCHW, NHWC, NC, NCDHW, NDHWC ...
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    zero_point: Whole | None = None


class CalibrationRecord(Record):
    """The images whose activations gave the int8 ranges. `pixels` are hashes of decoded pixels, 16 hex digits each."""

    hash: str  # of the set: pixels, preprocessing, seed
    n: Whole
    synthetic: bool  # latency only
    method: str  # minmax, percentile, mse, file; means: of int8w, which has no ranges
    source: str  # "data" or "file" (ranges that a weights file carried)
    seed: Whole
    pixels: tuple[str, ...] = ()
    unreadable: Whole = 0  # images that were left out because they cannot be read


class ParityRecord(Record):
    """The written file against the folded torch network, on `n` inputs of which `n_real` are images.

    What int8 files lose is told of the images alone, where there are at least 16: noise leaves the ranges of images.
    """

    passed: bool | None  # None: an engine that was built where nothing can run it; reasons say why
    n: Whole
    n_real: Whole
    max_abs_error: float | None  # None: no comparison was possible, see reasons
    max_rel_error: float | None  # max_abs_error over the largest absolute output
    cosine: float | None
    top1_agreement: float | None  # fraction
    snr_db: float | None
    # int8: the file against its integer simulation, and the simulation against the network; None: equal, or not known
    simulated_snr_db: float | None = None
    simulation_snr_db: float | None = None
    worst_channel: Whole | None = None  # int8: of a map or list of boxes, the one that loses most
    worst_channel_snr_db: float | None = None
    undecided: float | None = None  # fp32, fp16: the share of elements that rounding decides, which are not judged
    by_layer: bool = False  # rounding decides the answers, so each layer was judged on what the file gives to it
    reasons: tuple[str, ...] = ()  # why it did not pass, or was not run


class Manifest(Record):
    """Everything that a reader of the file must know and cannot see in it."""

    version: Whole = MANIFEST_VERSION
    edgekit: str  # our version
    file: str
    sha256: str
    bytes: Whole
    format: str
    precision: str
    variant: VariantRecord
    weights: WeightsRecord
    preprocessing: Preprocessing
    inputs: Annotated[tuple[TensorRecord, ...], Field(min_length=1)]
    outputs: Annotated[tuple[TensorRecord, ...], Field(min_length=1)]
    calibration: CalibrationRecord | None
    parity: ParityRecord
    macs: Whole
    params: Whole
    activation_elements: Whole
    remaining_batch_norms: tuple[str, ...]  # "name: reason"
    operators: dict[str, Whole]  # operators of the file by name
    tool_versions: dict[str, str]
    seconds: float
    created: str  # ISO 8601, UTC
    output: str = "logits"  # what the file answers with: the network's own output, or its softmax or argmax
    labels: tuple[str, ...] = ()  # the outputs' names, as they were given: the file's own are without WordNet ids
    notes: tuple[str, ...] = ()
    source: SourceRecord | None = None  # of a network that was read from a file
    details: dict[str, Any] = Field(default_factory=dict)  # of the format: opset, ir_version, delegation ...

    def for_records(self) -> Manifest:
        """Without the layer table and the names, which stay beside the file: each record would carry them again."""
        kept = {name: value for name, value in self.details.items() if name != "layers"}
        return self.model_copy(update={"details": kept, "labels": ()})


def manifest_path(path: Path) -> Path:
    """Return where the manifest of a file stands."""
    return path.with_name(path.name + ".json")


def labels_path(path: Path) -> Path:
    """Return where the names of a file's outputs stand beside it, a line each, for the programs that call it."""
    return path.with_name(path.name + ".labels.txt")


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a JSON file. Raises UsageError when it is broken or from a newer edgekit."""
    again = "export the artifact again"
    try:
        raw = _json_object(text_of(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"the manifest {path} cannot be read: {error}", again) from error
    if raw.get("version") != MANIFEST_VERSION:
        raise UsageError(
            f"the manifest {path} has version {raw.get('version')}; this edgekit reads {MANIFEST_VERSION}",
            "use the edgekit that wrote it, or a newer one",
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"the manifest {path} is broken at '{where}': {first['msg']}", again) from error


def _json_object(text: str) -> dict[str, Any]:
    try:
        raw = json.loads(text, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(raw, dict):
        raise ValueError("not a JSON object")
    return raw


def _whole(text: str) -> int:
    """A number of 64 bits: all that a manifest counts is less, and what computes with it can take it."""
    if len(text) > 20 or abs(int(text)) > LARGEST_64:
        raise ValueError(f"it has a number of {len(text)} digits")
    return int(text)


def pixels_are_codes(preprocessing: Preprocessing, tensor: TensorRecord) -> bool:
    """Whether the integers of an input mean pixels, or miss the normalized values by at most one step everywhere.

    Then they are the pixels as they are (uint8) or less 128 (int8): no value falls between two codes.
    """
    import numpy as np

    if tensor.dtype not in ("uint8", "int8") or tensor.layout not in ("NHWC", "NCHW"):
        return False
    if tensor.shape[tensor.layout.index("C")] != len(preprocessing.mean):
        return False
    low = int(np.iinfo(tensor.dtype).min)
    if tensor.scale is None or tensor.zero_point is None or (tensor.scale, tensor.zero_point) == (1.0, low):
        return True
    mean, std = np.asarray(preprocessing.mean), np.asarray(preprocessing.std)
    # Both are straight lines, so that they are farthest apart at one of the ends.
    return all(
        np.abs((p + low - tensor.zero_point) * tensor.scale - (p - mean) / std).max() <= tensor.scale * 1.001
        for p in (0, 255)
    )
