"""Which stored measurements a word means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.comparison.command import compare
from edgekit.errors import UsageError
from tests.comparison.records import BASE, keep, record


def test_what_a_later_command_measured_takes_the_place_of_what_it_replaces() -> None:
    keep(record("m.onnx", 1, "1" * 12, sha256="a1"), record("m.onnx", 2, "1" * 12, sha256="b1"), store="new.db")
    keep(record("m.onnx", 1, "2" * 12, sha256="c1"), store="new.db")  # a namesake: the file was exported again
    keep(record("m.onnx", 1, sha256="d1"))
    (row,) = compare("edgekit.db", "new.db").rows
    assert row.verdict == "same"


def test_the_latest_is_by_the_clock_and_not_by_the_place_in_a_store() -> None:
    """A merged store has a colleague's older records behind one's own."""
    times = [f"2026-11-{day:02}T10:00:00.000+00:00" for day in (1, 2, 3)]
    days = [record(ms=10 * (day + 1), session=f"{day}" * 12, created=time) for day, time in enumerate(times)]
    keep(days[1], days[2], days[0])
    (row,) = compare("latest~1", "latest").rows
    assert (row.base, row.new) == (days[1].id, days[2].id)
    keep(record(ms=30), store="other.db")
    assert compare("other.db", "edgekit.db").rows[0].new == days[2].id


def test_files_by_name_and_by_content(tmp_path: Path) -> None:
    keep(record("old.onnx"), record("new.onnx", ms=20))
    result = compare("old.onnx", "new.onnx")  # files need not be there any more
    assert result.verdict == "slower" and result.rows[0].name.startswith("new.onnx against old.onnx on local")
    for word in ("somewhere/new.onnx", "./new.onnx", str(tmp_path / "new.onnx")):
        with pytest.raises(UsageError, match=r"new\.onnx does not exist"):
            compare("old.onnx", word)
    (tmp_path / "old.onnx").write_bytes(b"built again")
    with pytest.raises(UsageError, match=r"old\.onnx as it is now was never measured"):
        compare("old.onnx", "new.onnx")


def test_another_store() -> None:
    keep(record(), store="base.db")
    keep(record(ms=5), record(ms=20))
    assert compare("base.db", "edgekit.db").verdict == "slower"  # the latest of each counts
    assert compare("sqlite:///base.db", "latest").verdict == "slower"
    assert compare("base.db", "latest", store="base.db").verdict == "not comparable"


def test_ids_may_be_shortened() -> None:
    keep(record(id="aaaa11112222", session=BASE), record(id="aaaa33334444", session=BASE, ms=20))
    assert compare("aaaa1", "aaaa3").verdict == "slower"
    with pytest.raises(UsageError, match="beginning of 2 ids"):
        compare("aaaa", "aaaa3")


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        (("latest", "latest~1"), {}, "there is no latest~1"),
        (("nonsense", "latest"), {}, "names no measurement"),
        (("ffff", "latest"), {}, "begins with ffff"),
        (("x.onnx", "latest"), {}, "no file x.onnx was ever measured"),
        (("missing.db", "latest"), {}, "there is no store missing.db"),
        (
            ("sqlite:///missing.db", "latest"),
            {"max_growth": "1%"},
            "there is no store sqlite:///missing.db, which is /",
        ),
        (("latest", "latest"), {"max_slowdown": "five"}, "--max-slowdown cannot be 'five'"),
        (("latest", "latest"), {"max_slowdown": "-5%"}, "--max-slowdown cannot be"),
        (("latest", "latest"), {"max_slowdown": "5"}, "--max-slowdown cannot be"),
        (("latest", "latest"), {"max_slowdown": "1%"}, "below the noise of 2%"),
    ],
)
def test_wrong_words(words: tuple[str, str], options: dict[str, Any], said: str) -> None:
    keep(record())
    with pytest.raises(UsageError, match=said):
        compare(*words, **options)


def test_an_empty_store_has_no_latest() -> None:
    with pytest.raises(UsageError, match="0 bench commands"):
        compare("latest", "latest")
    assert not Path("edgekit.db").exists()
