"""Which measurement of the new side belongs to which of the base."""

from __future__ import annotations

import pytest

from edgekit.comparison.command import compare
from edgekit.errors import UsageError
from edgekit.records.measurement import Measurement
from tests.comparison.records import BASE, NEW, in_mode, keep, record, two
from tests.reporting.conftest import manifest

OURS, THEIRS = {"host": "3fc95c0b"}, {"host": "00ff00ff"}


def test_two_machines_of_one_name_are_told_apart_and_not_compared() -> None:
    keep(record(found=OURS, session=BASE), record(ms=20, found=THEIRS, session=BASE))
    keep(record(ms=20, found=THEIRS, session=NEW), record(found=OURS, session=NEW))
    result = compare("latest~1", "latest")
    assert [row.verdict for row in result.rows] == ["same", "same"], "each with its own"
    assert ["3fc95c0b" in row.name for row in result.rows] == [True, False] and "00ff00ff" in result.rows[1].name
    (row,) = two(record("b.onnx", found=OURS), record("b.onnx", found=THEIRS)).rows
    assert row.verdict == "not comparable" and "host 3fc95c0b and 00ff00ff" in row.reason


def test_a_record_from_before_machines_were_told_is_compared() -> None:
    (row,) = two(record(), record(ms=11, found=OURS)).rows
    assert row.verdict == "slower"


def test_no_file_of_one_command_is_left_out() -> None:
    """Two folders that hold a model.onnx each; one of them became nine times slower."""
    keep(record("m.onnx", 1, BASE, sha256="a1"), record("m.onnx", 2, BASE, sha256="b1"))
    keep(record("m.onnx", 9, NEW, sha256="c1"), record("m.onnx", 2, NEW, sha256="b1"))
    keep(record("m.onnx", 9, NEW, sha256="c1"), record("m.onnx", 2, NEW, sha256="b1"), store="other.db")
    for new in ("latest", "other.db"):
        result = compare("latest~1", new)
        assert [row.verdict for row in result.rows] == ["slower", "same"]
        assert [row.base_ms for row in result.rows] == pytest.approx([1, 2], rel=0.01)
        assert [row.new_ms for row in result.rows] == pytest.approx([9, 2], rel=0.01)
        assert result.exit_code == 3 and len({row.name for row in result.rows}) == 2
    with pytest.raises(UsageError, match=r"m\.onnx is the name of several files"):
        compare("m.onnx", "other.db")


@pytest.mark.parametrize(
    ("base", "new"), [(("a1", "b1"), ("c1", "d1")), (("a1",), ("c1", "d1")), (("a1", "b1"), ("c1",))]
)
def test_files_that_nothing_tells_apart_are_not_guessed(base: tuple[str, ...], new: tuple[str, ...]) -> None:
    keep(*(record("m.onnx", session=BASE, sha256=each) for each in base))
    keep(*(record("m.onnx", session=NEW, sha256=each) for each in new))
    with pytest.raises(UsageError, match=r"cannot tell which of m\.onnx") as caught:
        compare(BASE, NEW)
    assert "ids" in caught.value.remedy


def test_files_of_one_variant_are_told_apart_by_their_weights() -> None:
    def of(weights: str, session: str, ms: float) -> Measurement:
        known = manifest()
        known = known.model_copy(update={"weights": known.weights.model_copy(update={"id": weights})})
        return record(f"net_{weights}.onnx", ms, session, sha256=f"{weights} in {session}", manifest=known)

    keep(of("one", BASE, 1), of("two", BASE, 2), of("two", NEW, 2), of("one", NEW, 9))
    assert [row.verdict for row in compare(BASE, NEW).rows] == ["slower", "same"]
    keep(of("one", BASE, 1), store="base.db")
    keep(of("three", NEW, 9), store="branch.db")
    assert compare("base.db", "branch.db").verdict == "slower", "trained again: one on each side"


def test_power_modes_are_different_run_conditions() -> None:
    keep(record(session=BASE, found=in_mode("15W")), record(session=NEW, ms=5, found=in_mode("25W")))
    (row,) = compare(BASE, NEW).rows
    assert row.verdict == "not comparable" and row.reason == "power_mode 15W and 25W" and "local 15W" in row.name
    keep(record(session="d" * 12, found=in_mode("25W")), record(session="d" * 12, ms=5, found=in_mode("15W")))
    keep(record(session="e" * 12, ms=5, found=in_mode("15W")), record(session="e" * 12, found=in_mode("25W")))
    assert [row.verdict for row in compare("d" * 12, "e" * 12).rows] == ["same", "same"], "each with its own"


def test_they_are_matched_by_their_run_conditions_first() -> None:
    threads = [{"threads": count} for count in (1, 2)]
    keep(*(record(session=BASE, ms=10 * (index + 1), found=one) for index, one in enumerate(threads)))
    keep(*(record(session=NEW, ms=10 * (2 - index), found=one) for index, one in enumerate(reversed(threads))))
    assert [row.verdict for row in compare(BASE, NEW).rows] == ["same", "same"]
