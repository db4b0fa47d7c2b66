"""What of a measurement is found without reading its samples."""

from __future__ import annotations

from edgekit.records.conditions import run_conditions
from edgekit.records.summary import name, subject, summary, unreadable
from tests.comparison.records import record
from tests.reporting.conftest import manifest


def test_a_summary_tells_what_its_measurement_does() -> None:
    for one in (record(), record(manifest=manifest(), found={"host": "h", "provider": "CUDAExecutionProvider"})):
        found = summary(one)
        assert (found.subject, found.name) == (subject(one), name(one))
        assert found.run_conditions == run_conditions(one)
    assert subject(record("foreign.onnx")) == ("foreign.onnx", None, "onnx")


def test_the_median_is_of_the_medians_of_processes() -> None:
    assert summary(record(ms=2.0, processes=3, spread=(0.0, 0.5, -0.5))).median_ns == 2_000_000
    assert summary(record(processes=0)).median_ns is None


def test_a_measurement_belongs_to_its_command_or_to_itself() -> None:
    assert summary(record(session="s")).command == "s"
    alone = record(session=None)  # type: ignore[arg-type]
    assert summary(alone).command == alone.id


def test_what_cannot_be_read_is_there_and_says_so() -> None:
    found = unreadable("1", "2026", "0", "local", "litert")
    assert (found.id, found.verdict, found.median_ns) == ("1", "unreadable", None)
