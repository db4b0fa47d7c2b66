from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.bench.ondevice import footprint
from tests.waiting import until


def left(kilobytes: object) -> str:
    return f"MemTotal:       7802468 kB\nMemFree:         100000 kB\nMemAvailable:   {kilobytes} kB\n"


def test_the_lowest_point_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "meminfo"
    told.write_text(left(5000))
    monkeypatch.setattr(footprint, "MEMINFO", told)
    monkeypatch.setattr(footprint, "PERIOD_SECONDS", 0.001)
    water = footprint.LowWater()
    told.write_text(left(1200))
    until(lambda: water._lowest == 1200 * 1024)
    told.write_text(left(4000))
    assert water.taken() == 3800 * 1024


def test_a_machine_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "MEMINFO", tmp_path / "none")
    assert footprint.LowWater().taken() is None


def test_this_process() -> None:
    found = footprint.own()
    assert found["peak_bytes"] > 2**20


@settings(max_examples=50)
@given(st.text(alphabet="MemAvailable: 0123456789kB\n\u0661,.", max_size=80))
def test_no_number_that_is_not_there(text: str) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        found = footprint.kilobytes(Path(file.name), "MemAvailable:")
    assert found is None or str(found // 1024) in text
