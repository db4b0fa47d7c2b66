"""Limits as people write them, and a row against each: held, failed, or not to be told."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.choosing.gaps import INVALID_LATENCY
from edgekit.choosing.limits import Limits, checks, limits
from edgekit.errors import UsageError
from edgekit.records.measurement import Memory
from edgekit.reporting.rows import Row, rows
from tests.reporting.conftest import accuracy, manifest, measurement


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("max_latency", "10ms", 10.0),
        ("max_latency", " 1.5 MS ", 1.5),
        ("max_latency", "250us", 0.25),
        ("max_latency", "2s", 2000.0),
        ("max_latency", 10, 10.0),
        ("max_latency", 1e-6, 1e-6),
        ("min_top1", 70, 0.7),
        ("min_top1", "70.5%", 0.705),
        ("min_top1", 0, 0.0),
        ("max_bytes", "5MB", 5_000_000),
        ("max_bytes", "5 MiB", 5 * 2**20),
        ("max_bytes", 5_000_000, 5_000_000),
        ("max_memory", "1.5GB", 1_500_000_000),
    ],
)
def test_a_limit_as_it_is_written(field: str, value: Any, expected: float) -> None:
    names = {"max_latency": "max_latency_ms", "max_memory": "max_memory_bytes"}
    wanted = limits(**{"max_latency": None, "min_top1": None, "max_bytes": None, "max_memory": None, field: value})
    assert getattr(wanted, names.get(field, field)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("max_latency", value) for value in ("0", "-1ms", "ten", "10MB", "nan", "inf", "", "1e999s", "1 0ms")),
        *(("max_bytes", value) for value in ("0", "0.2", "5ms", "-5MB", "5 M B")),
        *(("min_top1", value) for value in ("101", "-1", "nan", "seventy", "0.7")),
        ("max_memory", "10 apples"),
    ],
)
def test_what_is_no_limit_is_refused_with_its_option(field: str, value: str) -> None:
    given = {"max_latency": None, "min_top1": None, "max_bytes": None, "max_memory": None, field: value}
    with pytest.raises(UsageError, match=f"--{field.replace('_', '-')} ") as caught:
        limits(**given)
    assert f"--{field.replace('_', '-')}" in caught.value.remedy


def row(**other: Any) -> Row:
    known = manifest()
    (one,) = rows([measurement(known, 1.6, processes=8, **other)], [accuracy(known, 0.6)])
    return one


def outcome(one: Row, wanted: Limits) -> tuple[str, str]:
    (check,) = checks(one, wanted, {})
    return check.outcome, check.reason


def test_a_limit_inside_an_interval_cannot_be_told() -> None:
    one = row()
    assert one.ci95_ms and one.top1_ci95
    for end, outside in zip(one.ci95_ms, ("fails", "holds"), strict=True):
        assert outcome(one, Limits(max_latency_ms=(one.ci95_ms[0] + one.ci95_ms[1]) / 2))[0] == "cannot tell"
        assert outcome(one, Limits(max_latency_ms=end * (0.999 if outside == "fails" else 1)))[0] == outside
    low, high = one.top1_ci95
    assert outcome(one, Limits(min_top1=0.6))[0] == "cannot tell"
    assert "lies inside the interval" in outcome(one, Limits(min_top1=high))[1]
    assert outcome(one, Limits(min_top1=low))[0] == "holds"
    assert outcome(one, Limits(min_top1=high + 1e-9))[0] == "fails"


def test_sizes_are_exact() -> None:
    one = row()
    assert one.bytes
    assert outcome(one, Limits(max_bytes=one.bytes))[0] == "holds"
    assert outcome(one, Limits(max_bytes=one.bytes - 1))[0] == "fails"
    assert outcome(one, Limits(max_memory_bytes=91_999_999))[0] == "fails"


def test_what_was_not_measured_cannot_be_told_and_says_why() -> None:
    nowhere = Memory(peak_bytes=None, baseline_bytes=None, method="none", reason="no sensor")
    assert outcome(row(memory=nowhere), Limits(max_memory_bytes=1)) == (
        "cannot tell",
        "peak memory is unknown: no sensor",
    )
    busy = row(verdict="invalid", reasons=("throttled",))
    (check,) = checks(busy, Limits(max_latency_ms=1), {})
    assert check.outcome == "cannot tell" and check.gap is INVALID_LATENCY and "throttled" in check.reason
    assert "runs nothing" in outcome(row(runtime="null"), Limits(max_latency_ms=1))[1]
    assert outcome(row(samples=5), Limits(max_latency_ms=1000))[0] == "holds"  # 8 processes have an interval


def test_a_latency_without_an_interval_is_held_against_nothing() -> None:
    known = manifest()
    (one,) = rows([measurement(known, 1.6, processes=1, samples=5)], [accuracy(known)])
    told = outcome(one, Limits(max_latency_ms=1000))
    assert told[0] == "cannot tell" and "too few samples" in told[1]
