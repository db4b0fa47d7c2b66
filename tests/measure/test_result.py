"""Rows of bench: the same keys for what was measured and for what was not."""

from __future__ import annotations

import pytest

from edgekit.errors import BackendMissing, EnvironmentRefused, Failure
from edgekit.measure.result import KEYS, BenchResult, failed_row, row
from edgekit.records.measurement import Memory
from tests.comparison.records import record

FAILURE = Failure(
    {"artifact": "x.onnx", "runtime": None, "device": "local", "threads": 1, "batch": 2},
    BackendMissing("onnxruntime is not installed", "pip install it"),
)


def test_what_failed_has_the_keys_of_what_was_measured() -> None:
    failed, measured = failed_row(FAILURE), row(record())
    assert set(failed) == set(measured) == set(KEYS)
    assert (failed["batch"], failed["median_ms"], failed["verdict"]) == (2, None, "not assessed")
    assert failed["error"] == {"code": "backend", "message": failed["reasons"][0], "remedy": "pip install it"}


def test_a_row_says_why_a_number_is_not_there() -> None:
    found = row(
        record(memory=Memory(peak_bytes=None, baseline_bytes=None, method="m", reason="the kernel tells none")),
        "as/given.onnx",
    )
    assert found["artifact"] == "as/given.onnx" and found["peak_memory_bytes"] is None
    assert "no peak memory: the kernel tells none" in found["reasons"]
    assert "no sample was taken" in row(record(processes=0))["reasons"]


@pytest.mark.parametrize(
    ("verdict", "failures", "unstored", "code"),
    [
        ("valid", (), None, 0),
        ("invalid", (), None, 6),
        ("invalid", (FAILURE,), None, 5),
        ("valid", (FAILURE,), EnvironmentRefused("full", "free some"), 7),
    ],
)
def test_the_exit_code_is_of_the_worst(
    verdict: str, failures: tuple[Failure, ...], unstored: EnvironmentRefused | None, code: int
) -> None:
    measured = record(verdict=verdict)
    result = BenchResult((("a.onnx", measured), *failures), unstored=unstored)
    assert result.exit_code == code and result.measurements == (measured,) and result.failures == failures
    assert [bool(one["error"]) for one in result.to_json()["measurements"]] == [False] + [True] * len(failures)
