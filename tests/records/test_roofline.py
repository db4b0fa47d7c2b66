"""What follows from a profile, worked out by hand."""

from __future__ import annotations

import json

import pytest

from edgekit.records.roofline import LayerTime, Peaks, Profile, layer

PEAKS = Peaks(
    threads=1,
    gemm_float32_gmacs=50.0,
    gemm_float32_by="a",
    gemm_int8_gmacs=200.0,
    gemm_int8_by="b",
    copy_gbytes=10.0,
    copy_by="c",
)


def row(name: str = "conv", ms: float = 1.0, macs: int | None = 25_000_000, size: int | None = 1_000_000) -> LayerTime:
    return LayerTime(name=name, layers=(name,), kind="conv 3x3", operators="Conv", ms=ms, macs=macs, bytes=size)


def test_a_layer_against_its_roofs() -> None:
    made = Profile(rows=(row(), row("other", 3.0, 0, 8_000_000)), profiled_ms=5.0, plain_ms=2.5, peaks=PEAKS)
    first, second = made.to_json()["layers"]
    assert first["share"] == 0.2 and first["gmacs_per_s"] == 25.0 and first["gbytes_per_s"] == 1.0
    assert first["intensity"] == 25.0 and first["peak_share"] == 0.5 and first["bound"] == "compute"
    assert second["share"] == 0.6 and second["bound"] == "memory" and second["gmacs_per_s"] == 0.0
    assert made.sum_ms == 4.0 and made.between_ms == 1.0
    known = made.to_json()
    assert known["overhead"] == pytest.approx(1.0) and known["gmacs_per_s"] == 10.0
    assert known["peak_share"] == pytest.approx(0.5 / 2.5), "25 million at 50e9 a second: half a millisecond"


def test_the_ridge_is_where_the_roofs_meet() -> None:
    below, above = row(macs=4_999_999), row(macs=5_000_000)  # 50 / 10 = 5 on a byte
    assert layer(below, Profile(peaks=PEAKS))["bound"] == "memory"
    assert layer(above, Profile(peaks=PEAKS))["bound"] == "compute"


def test_int8_has_a_peak_of_its_own() -> None:
    integers = row().model_copy(update={"int8": True})
    made = Profile(rows=(integers, row()), profiled_ms=2.0, plain_ms=2.0, peaks=PEAKS)
    assert [one["peak_share"] for one in made.to_json()["layers"]] == [0.125, 0.5]
    assert made.to_json()["peak_share"] == pytest.approx((0.125 + 0.5) / 2)
    unknown = PEAKS.model_copy(update={"gemm_int8_gmacs": None})
    told = made.model_copy(update={"peaks": unknown}).to_json()
    assert told["peak_share"] is None and told["layers"][0]["peak_share"] is None and told["gmacs_per_s"] == 25.0


def test_shares_and_what_lies_between_make_one() -> None:
    made = Profile(rows=(row(ms=0.3), row("b", 0.5)), profiled_ms=1.0, plain_ms=0.9)
    shares = [one["share"] for one in made.to_json()["layers"]]
    assert made.between_ms is not None and sum(shares) + made.between_ms / 1.0 == pytest.approx(1.0)
    tight = made.model_copy(update={"profiled_ms": 0.7})  # medians of parts may sum to more than that of the whole
    assert tight.between_ms is None and sum(one["share"] for one in tight.to_json()["layers"]) == pytest.approx(1.0)


def test_what_cannot_be_known_is_null() -> None:
    made = Profile(rows=(row(ms=0.0), row("own", 0.1, None, None)), profiled_ms=0.2, plain_ms=None)
    first, second = made.to_json()["layers"]
    assert first["gmacs_per_s"] is None and first["share"] == 0.0, "below a microsecond is no rate"
    assert second["intensity"] is None and second["bound"] is None and second["peak_share"] is None
    assert made.to_json()["overhead"] is None and made.to_json()["peaks"] is None
    empty = Profile(reasons=("it did not run",)).to_json()
    assert empty["layers"] == [] and empty["sum_ms"] is None and empty["reasons"] == ("it did not run",)
    assert json.loads(json.dumps(empty, allow_nan=False))["peak_share"] is None
