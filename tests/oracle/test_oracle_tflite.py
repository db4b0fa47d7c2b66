"""Every network of the zoo: our TFLite files against another converter's, another quantizer's, and another reader."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgekit.exporters import WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.tflite.writer import write
from edgekit.exporting.stored_values import from_layout, to_layout
from tests.oracle.client import Array, Oracle, Refused, run_tflite
from tests.oracle.conftest import Case

SNR_MARGIN = 1.0  # dB that our int8 may be under the other's
NOISE_DB = 10.0  # random weights are hard to round: below this, whoever rounds them is left with noise
# What litert-torch cannot convert, with a part of what it says.
NOT_CONVERTED: dict[str, str] = {}
# What ai-edge-quantizer cannot quantize: what litert-torch writes for LRN, 3-D pooling and some wide layers.
NOT_QUANTIZED = dict.fromkeys(
    ("alexnet", "alexnet_simplified", "c3d", "conv_mobilenet", "googlenet", "wide_resnet50_2", "zfnet"),
    "Failed to get quantization parameters for tensor",
)


def layout(case: Case) -> str:
    return {4: "NHWC", 5: "NDHWC"}[len(case.point.input_shape)]


def ours(case: Case, precision: str) -> Path:
    """Our file, float32 outside; made once."""
    path = case.folder / f"ours_{precision}.tflite"
    if path.exists():
        return path
    quantized = None
    if precision == "int8":
        quantized = quantize(case.graph, record(case.graph, case.noise), "tflite")
    write(WriteJob(quantized.graph if quantized else case.graph, precision, quantized), path)
    return path


def answers(case: Case, path: Path) -> Array:
    """Of a channels-last file, in torch's layout."""
    y = run_tflite(path, to_layout(case.inputs, layout(case)))
    return from_layout(y, layout(case)) if y.ndim > 2 else y


def theirs(case: Case, oracle: Oracle) -> Path:
    """litert-torch's file of the unfolded network, channels-last; made once."""
    path = case.folder / "theirs.tflite"
    if not path.exists():
        oracle.ask("litert", **case.described, to=path)
    return path


def snr(got: Array, want: Array) -> float:
    """Signal-to-noise in dB."""
    noise = float(np.square(got.astype(np.float64) - want).sum())
    return 10 * math.log10(float(np.square(want.astype(np.float64)).sum()) / noise)


def excuse(name: str, refused: Refused, known: dict[str, str]) -> None:
    """Ends the test as skipped where this was known, and as failed where it is new."""
    assert name in known and known[name] in str(refused), f"not known yet: {refused}"
    pytest.skip(f"it cannot: {refused}"[:300])


def test_the_float_file_answers_like_the_other_converters(case: Case, oracle: Oracle) -> None:
    name, got = case.point.spec.name, answers(case, ours(case, "fp32"))
    print(f"{name}: ours {case.error(got):.1e}, torch {case.error(case.outputs):.1e}", end="")
    try:
        other = answers(case, theirs(case, oracle))
    except Refused as refused:
        assert case.error(got) <= case.limit()
        excuse(name, refused, NOT_CONVERTED)
    print(f", theirs {case.error(other):.1e}")
    assert case.error(got) <= case.limit(other)
    assert name not in NOT_CONVERTED


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_old_runtime_answers_like_the_new_one(precision: str, case: Case, old_runtime: Oracle) -> None:
    inputs, target = case.folder / "shown.npy", case.folder / "old.npy"
    np.save(inputs, to_layout(case.inputs, layout(case)))
    old_runtime.ask("run", file=ours(case, precision), inputs=inputs, to=target)
    y = np.load(target)
    got = from_layout(y, layout(case)) if y.ndim > 2 else y
    want = answers(case, ours(case, precision))
    print(f"{case.point} {precision}: {float(np.abs(got - want).max() / np.abs(want).max()):.1e}")
    assert case.error(got) <= (case.limit(want) if precision == "fp32" else 2 * case.error(want))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_another_reader_finds_nothing_wrong(precision: str, case: Case, oracle: Oracle) -> None:
    found = oracle.ask("walk", file=ours(case, precision))
    assert found["problems"] == []
    assert found["operators"] > 0 and found["tensors"] > found["operators"]


def test_int8_keeps_as_much_as_the_other_quantizers(case: Case, oracle: Oracle) -> None:
    got = snr(answers(case, ours(case, "int8")), case.outputs)
    inputs = case.folder / "inputs.npy"
    np.save(inputs, np.concatenate([to_layout(batch, layout(case)) for batch in case.noise.batches(1)]))
    target = case.folder / "theirs_int8.tflite"
    try:
        oracle.ask("quantize", file=theirs(case, oracle), inputs=inputs, to=target, stock=False)
    except Refused as refused:
        excuse(case.point.spec.name, refused, NOT_CONVERTED | NOT_QUANTIZED)
    assert case.point.spec.name not in NOT_QUANTIZED
    other = snr(answers(case, target), case.outputs)
    print(f"{case.point}: int8 {got:.1f} dB, theirs {other:.1f} dB")
    assert got >= other - SNR_MARGIN or other < NOISE_DB
