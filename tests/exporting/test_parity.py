"""Parity: what is equal passes, and each way of being wrong is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgekit.exporting.parity import MIN_REAL, judge
from edgekit.exporting.reference import Array, Part, Reference
from edgekit.exporting.stored_values import dequantized, from_layout, quantized, to_layout
from edgekit.exporting.thresholds import THRESHOLDS
from edgekit.records.manifest import TensorRecord


def reference(n: int = 20, trained: bool = True) -> Reference:
    random = np.random.default_rng(0)
    outputs = random.normal(size=(n, 10)).astype(np.float32)
    return Reference((np.zeros((n, 3, 4, 4), np.float32),), (outputs,), n_real=n, trained=trained)


def noisy(share: float) -> Array:
    """The reference outputs with noise of this share of the largest of them."""
    (want,) = reference().outputs
    noise = np.random.default_rng(1).uniform(-1, 1, want.shape)
    found: Array = (want + share * np.abs(want).max() * noise).astype(np.float32)
    return found


@pytest.mark.parametrize("precision", THRESHOLDS)
def test_equal_answers_pass(precision: str) -> None:
    record = judge(reference().outputs, reference(), precision)
    assert record.passed and record.max_abs_error == 0 and record.top1_agreement == 1 and record.snr_db is None


@pytest.mark.parametrize(
    ("precision", "share", "passes"),
    [
        ("fp32", 1e-6, True),
        ("fp32", 1e-3, False),
        ("fp16", 1e-3, True),
        ("fp16", 0.3, False),
        ("int8", 0.02, True),
        ("int8", 1.0, False),
    ],
)
def test_thresholds_tell_rounding_from_mistakes(precision: str, share: float, passes: bool) -> None:
    record = judge([noisy(share)], reference(), precision)
    assert record.passed == passes and bool(record.reasons) != passes


def test_two_swapped_layers_of_equal_weights_do_not_pass_by_their_distribution() -> None:
    shuffled = reference().outputs[0][:, ::-1].copy()  # the same numbers in other places
    assert not judge([shuffled], reference(), "int8").passed


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda y: y[:, :5], "shape"),
        (lambda y: np.where(y > 1, np.nan, y), "not finite"),
        (lambda y: np.where(y > 1, np.inf, y), "not finite"),
    ],
)
def test_what_cannot_be_compared_fails_with_its_reason(spoil: object, reason: str) -> None:
    assert callable(spoil)
    record = judge([spoil(reference().outputs[0])], reference(), "fp32")
    assert not record.passed and reason in record.reasons[0]


def test_an_output_that_never_varies_proves_nothing() -> None:
    still = Reference((np.zeros((4, 3, 4, 4), np.float32),), (np.ones((4, 10), np.float32),), 0, trained=False)
    record = judge(still.outputs, still, "fp32")
    assert not record.passed and "does not vary" in record.reasons[0]


def test_agreement_is_asked_only_of_enough_real_images_and_trained_weights() -> None:
    half_wrong = noisy(0.25)
    assert judge([half_wrong], reference(), "int8").top1_agreement is not None
    few = reference(n=MIN_REAL - 1)
    for known in (few, reference(trained=False)):
        reasons = judge([half_wrong[: known.n]], known, "int8").reasons
        assert not any("agreement" in reason for reason in reasons)


@pytest.mark.parametrize(("n_real", "passes"), [(MIN_REAL, True), (MIN_REAL - 1, False)])
@pytest.mark.parametrize("precision", ["int8", "int8w"])
def test_noise_that_leaves_the_ranges_does_not_say_how_good_int8_is(precision: str, n_real: int, passes: bool) -> None:
    found = replace(reference(n_real + 4), n_real=n_real)
    got = found.outputs[0].copy()
    got[:4] *= -3  # examples before the images: noise
    record = judge([got], found, precision)
    assert record.passed == passes and (record.max_abs_error == 0) == passes
    assert not judge([-got], found, precision).passed
    simulated = [np.float32(1.001) * found.outputs[0]]
    assert not judge([got], found, precision, simulated).passed, "that a file is right, noise shows, too"


def test_every_output_is_judged_and_the_worst_tells() -> None:
    both = Reference(reference().inputs, (*reference().outputs, noisy(0.1)), 20, trained=True)
    assert judge(both.outputs, both, "fp32").passed
    record = judge([both.outputs[0], noisy(0.2)], both, "fp32", names=("scores", "boxes"))
    assert not record.passed and [reason.partition(":")[0] for reason in record.reasons] == ["boxes", "boxes"]
    alone = judge([noisy(0.2)], Reference(both.inputs, both.outputs[1:], 20, trained=True), "fp32")
    assert (record.max_rel_error, record.snr_db, record.cosine) == (alone.max_rel_error, alone.snr_db, alone.cosine)
    assert "1 outputs, the network 2" in judge(both.outputs[:1], both, "fp32").reasons[0]


def test_an_int8_file_is_held_against_its_simulation() -> None:
    coarse, near, far = noisy(0.7), noisy(0.71), noisy(2.0)
    untrained = reference(trained=False)
    assert not judge([coarse], untrained, "int8").passed  # nothing shows that it is right
    for got in (coarse, near):
        record = judge([got], untrained, "int8", [coarse[:12]])
        assert record.passed and record.simulation_snr_db is not None and record.simulation_snr_db < 8
    assert judge([coarse], untrained, "int8", [coarse[:12]]).simulated_snr_db is None
    assert "under the" in judge([far], untrained, "int8", [coarse[:12]]).reasons[0]
    trained = judge([coarse], reference(), "int8", [coarse[:12]])
    assert not trained.passed and "under 8 dB" in trained.reasons[0]
    (exact,) = untrained.outputs
    assert judge([noisy(0.01)], untrained, "int8", [exact]).passed
    assert "which is exact" in judge([far], untrained, "int8", [exact]).reasons[0]


def test_layouts_and_integers_go_there_and_back() -> None:
    x = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    assert to_layout(x, "NHWC").shape == (2, 4, 5, 3)
    assert np.array_equal(from_layout(to_layout(x, "NHWC"), "NHWC"), x)
    record = TensorRecord(name="x", dtype="uint8", shape=(1,), layout="NC", scale=0.5, zero_point=10)
    stored = quantized(np.array([-100.0, 0.0, 3.0, 1000.0], np.float32), record)
    assert stored.dtype == np.uint8 and stored.tolist() == [0, 10, 16, 255]
    assert dequantized(stored, record).tolist() == [-5.0, 0.0, 3.0, 122.5]


def test_each_part_of_an_output_is_judged_and_the_worst_channel_told() -> None:
    random = np.random.default_rng(0)
    boxes, scores = 248 * random.random((20, 4, 50)), random.random((20, 6, 50))
    outputs = np.concatenate([boxes, scores], 1).astype(np.float32)
    is_box = np.broadcast_to(np.arange(10)[:, None] < 4, (10, 50))
    parts = (Part("boxes", 0, is_box), Part("scores", 0, ~is_box))
    known = Reference((np.zeros((20, 3, 4, 4), np.float32),), (outputs,), 20, True, parts)
    one_scale = (np.round(outputs * 255 / 248) * 248 / 255).astype(np.float32)
    record = judge([one_scale], known, "int8")
    assert record.cosine is not None and record.cosine > 0.9999
    assert not record.passed and "of scores (300 of the output's 500 values)" in record.reasons[0]
    assert record.worst_channel is not None and record.worst_channel >= 4
    two_scales = np.where(np.arange(10)[:, None] < 4, one_scale, np.round(outputs * 255) / 255).astype(np.float32)
    assert judge([two_scales], known, "int8").passed


def test_the_worst_channel_lies_on_the_axis_of_the_channels() -> None:
    random = np.random.default_rng(0)
    outputs = random.random((20, 50, 6)).astype(np.float32)
    got = outputs + np.where(np.arange(6) == 3, 0.2, 0.01).astype(np.float32) * random.normal(size=outputs.shape)
    known = Reference((np.zeros((20, 3, 4, 4), np.float32),), (outputs,), 20, True, axes=((2,),))
    record = judge([got.astype(np.float32)], known, "int8")
    assert record.worst_channel == 3 and record.worst_channel_snr_db is not None and record.worst_channel_snr_db < 15
