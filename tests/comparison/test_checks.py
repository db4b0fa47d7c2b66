"""Limits beside latency: accuracy in pairs, size and memory, and what could not be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest

from edgekit.comparison.command import compare
from edgekit.comparison.result import CompareResult
from edgekit.errors import UsageError
from edgekit.records.measurement import Accuracy, Memory
from edgekit.records.record import new_id, now
from edgekit.storage.store import Store
from edgekit.util.files import file_sha256
from tests.command_line import edgekit
from tests.comparison.records import BASE, NEW, keep, record

HITS = "1" * 700 + "-" * 300


def evaluated(hits: str = HITS, sha256: str = "of a.onnx", **fields: Any) -> Accuracy:
    """The accuracy of a file with these hits."""
    values: dict[str, Any] = {
        "id": new_id(), "created": now(), "artifact": "a.onnx", "sha256": sha256, "format": "onnx", "manifest": None,
        "device": "local", "runtime": "onnxruntime", "dataset": "photos", "dataset_hash": "d", "n": len(hits),
        "correct1": hits.count("1"), "correct5": None, "hits": hits, "images_per_second": 1.0,
    }  # fmt: skip
    return Accuracy(**values | fields)


def memory(peak: int | None) -> Memory:
    return Memory(peak_bytes=peak, baseline_bytes=1, method="VmHWM of a separate process")


def released(
    hits: str | None = HITS, new_bytes: int = 1000, peak: int | None = 1000, same: bool = False, **limits: Any
) -> CompareResult:
    """A base and a new build, each measured and evaluated in a store of its own."""
    sha256 = "of a.onnx" if same else "other"
    keep(record(bytes=1000, memory=memory(1000)), store="base.db")
    keep(record(bytes=new_bytes, memory=memory(peak), sha256=sha256), store="new.db")
    Store("base.db").append(evaluated())
    if hits is not None:
        Store("new.db").append(evaluated(hits, sha256))
    return compare("base.db", "new.db", **limits)


def told(result: CompareResult) -> list[tuple[str, str, bool | None]]:
    return [(one.gate, one.verdict, one.passed) for one in result.checks]


def test_nothing_is_held_that_was_not_asked_for() -> None:
    result = released(hits=None, new_bytes=9999, peak=9999)
    assert (result.checks, result.exit_code) == ((), 0) and result.to_json()["max_drop"] is None


def test_a_release_that_holds_every_limit() -> None:
    result = released("1" * 690 + "-" * 310, 1099, 1100, max_drop=5, max_growth="10%", max_memory_growth=0.1)
    assert told(result) == [("accuracy", "passed", True), ("size", "passed", True), ("memory", "passed", True)]
    document = result.to_json()
    assert (document["verdict"], result.exit_code, document["passed"]) == ("same", 0, True)
    assert document["gate"] == "5% slowdown, 5 points of top-1, 10% growth, 10% growth in memory"
    assert (document["max_drop"], document["max_growth"]) == (0.05, 0.1)
    assert document["checks"][0]["change"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("made", "limit", "gate", "verdict", "code", "strict_code"),
    [
        ({"hits": "1" * 600 + "-" * 400}, {"max_drop": 5}, "accuracy", "failed", 3, 3),
        ({"hits": "1" * 698 + "-" * 302}, {"max_drop": 0.3}, "accuracy", "cannot tell", 0, 3),
        ({"hits": "1" * 696 + "-" * 304}, {"max_drop": 0.3}, "accuracy", "cannot tell", 3, 3),  # by what was measured
        ({"hits": None}, {"max_drop": 0.3}, "accuracy", "missing", 3, 3),
        ({"same": True, "hits": HITS}, {"max_drop": 0}, "accuracy", "passed", 0, 0),
        ({"new_bytes": 1101}, {"max_growth": "10%"}, "size", "failed", 3, 3),
        ({"new_bytes": 1100}, {"max_growth": "10%"}, "size", "passed", 0, 0),
        ({"new_bytes": 500}, {"max_growth": "0%"}, "size", "passed", 0, 0),
        ({"peak": 1101}, {"max_memory_growth": "10%"}, "memory", "failed", 3, 3),
        ({"peak": None}, {"max_memory_growth": "10%"}, "memory", "not comparable", 2, 2),
    ],
)
def test_each_limit_alone(
    made: dict[str, Any], limit: dict[str, Any], gate: str, verdict: str, code: int, strict_code: int
) -> None:
    result = released(**made, **limit)
    ((found, word, _),) = told(result)
    assert (found, word, result.exit_code) == (gate, verdict, code)
    assert verdict in ("missing", "not comparable") or made.get("same") or "--max-" in result.checks[0].reason
    assert compare("base.db", "new.db", strict=True, **limit).exit_code == strict_code
    assert (result.verdict == "failed") == (code == 3 and verdict != "missing")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dataset_hash": "e"}, "other images: 1,000 of photos and 1,000 of photos"),
        ({"device": "pixel"}, "device local and pixel"),
        ({"runtime": "litert"}, "runtime onnxruntime and litert"),
    ],
)
def test_other_images_or_another_device_are_no_comparison(fields: dict[str, str], reason: str) -> None:
    released(hits=None)
    Store("new.db").append(evaluated(HITS, "other", **fields))
    result = compare("base.db", "new.db", max_drop=1)
    assert told(result) == [("accuracy", "not comparable", None)] and result.exit_code == 2
    assert result.checks[0].reason == reason


def test_a_base_that_was_never_evaluated_passes_nothing() -> None:
    keep(record(), store="base.db")
    keep(record(sha256="other"), store="new.db")
    result = compare("base.db", "new.db", max_drop=1)
    assert result.exit_code == 2 and "the base's a.onnx was never evaluated" in result.checks[0].reason


def test_the_last_evaluation_of_the_bytes_that_were_measured_counts() -> None:
    released(hits="1" * 100 + "-" * 900)
    Store("new.db").append(evaluated(HITS, "other"), evaluated("-" * 1000, "an older build"))
    assert compare("base.db", "new.db", max_drop=1).checks[0].new == 0.7


def test_stores_and_files_that_were_only_evaluated() -> None:
    Store("base.db").append(evaluated())
    Store("new.db").append(evaluated("1" * 600 + "-" * 400, "other"))
    result = compare("base.db", "new.db", max_drop=5)
    assert (result.rows, result.verdict, result.exit_code) == ((), "failed", 3)
    with pytest.raises(UsageError, match="holds no measurement"):
        compare("base.db", "new.db")
    keep(record(session=BASE), record(session=NEW, sha256="other"))
    Store("edgekit.db").append(evaluated(), evaluated("1" * 600 + "-" * 400, "other"))
    assert compare("latest~1", "latest", max_drop=5).checks[0].change == pytest.approx(0.1)


def test_two_files_by_their_bytes(tmp_path: Path) -> None:
    import hashlib

    for name in ("old.onnx", "new.onnx"):
        (tmp_path / name).write_bytes(name.encode())
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        Store("edgekit.db").append(evaluated(HITS, sha256, artifact=name))
    result = compare("old.onnx", "new.onnx", max_drop=5)
    assert told(result) == [("accuracy", "passed", True)]
    assert result.checks[0].name == "new.onnx against old.onnx on photos"
    assert result.checks[0].reason.endswith("on 1,000 images holds --max-drop 5")
    assert "passed" in repr(result) and "--max-drop 5" in repr(result)
    (tmp_path / "new.onnx").write_bytes(b"never evaluated")
    assert told(compare("old.onnx", "new.onnx", max_drop=5)) == [("accuracy", "missing", None)]


def test_an_invalid_measurement_is_told_apart_from_what_is_beyond_a_limit(tmp_path: Path) -> None:
    keep(record(session=BASE), record("b.onnx", session=BASE))
    keep(record(session=NEW, verdict="invalid", reasons=("other processes ran",), bytes=9))
    keep(record("b.onnx", ms=20, session=NEW))
    result = compare(BASE, NEW, max_growth="10%", junit=tmp_path / "gate.xml")
    (suite,) = xml.parse(tmp_path / "gate.xml").getroot()
    found = {case.get("name", "").partition(" on ")[0]: [(one.tag, one.get("type")) for one in case] for case in suite}
    assert found == {
        "latency: a.onnx": [("error", "invalid")],
        "latency: b.onnx": [("failure", "slower")],
        "size: a.onnx": [("failure", "failed")],
        "size: b.onnx": [],
    }
    assert (suite.get("failures"), suite.get("errors")) == ("2", "1") and "other processes ran" in result.rows[0].reason
    assert "| size | a.onnx | failed |" in result.to_markdown()


def test_memory_that_is_not_there_or_was_read_another_way() -> None:
    keep(record(memory=memory(1000)), record("b.onnx", memory=memory(1000)), store="base.db")
    other = Memory(peak_bytes=900, baseline_bytes=1, method="cgroup")
    keep(record(memory=other), store="new.db")
    result = compare("base.db", "new.db", max_memory_growth="10%")
    assert told(result) == [("memory", "not comparable", None), ("memory", "missing", None)]
    assert "cgroup" in result.checks[0].reason and result.checks[1].base == 1000


def test_a_base_of_which_nothing_is_stored_holds_no_gate(tmp_path: Path) -> None:
    """Whatever the limits: each new cell would be an added one, and an added one passes."""
    for name in ("old.onnx", "new.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    sha256 = file_sha256(tmp_path / "new.onnx")
    new = record("new.onnx", sha256=sha256)
    keep(new)
    Store("edgekit.db").append(evaluated(HITS, sha256, artifact="new.onnx"))
    Store("empty.db").check()
    for base, said in (("old.onnx", "as it is now was never measured into"), ("empty.db", "holds no measurement")):
        for limit in ({"max_drop": 0.5}, {"max_growth": "10%"}, {"max_drop": 0.5, "max_growth": "10%"}, {},
                      {"max_memory_growth": "10%"}):  # fmt: skip
            for side in ("new.onnx", new.id, "edgekit.db", "latest"):
                with pytest.raises(UsageError, match=said):
                    compare(base, side, strict=True, junit=tmp_path / "gate.xml", **limit)
    assert not (tmp_path / "gate.xml").exists()
    ended = edgekit("compare", "old.onnx", "new.onnx", "--max-drop", "0.5", "--max-growth", "10%")
    assert ended.returncode == 2 and "nor evaluated" in ended.stderr and "edgekit eval old.onnx" in ended.stderr


@pytest.mark.parametrize("limit", [{}, {"max_growth": "10%"}, {"max_memory_growth": "10%"}])
def test_two_stores_without_a_cell_in_common_hold_no_gate(limit: dict[str, Any]) -> None:
    keep(record("a.onnx"), store="base.db")
    keep(record("b.onnx"), store="new.db")
    result = compare("base.db", "new.db", **limit)
    assert (result.verdict, result.exit_code) == ("not comparable", 2)
    assert [row.status for row in result.rows] == ["missing", "added"]
    assert result.checks[0].gate == "latency" and "--max-slowdown" in result.checks[0].reason
    keep(record("b.onnx"), store="base.db")
    keep(record("a.onnx"), record("c.onnx"), store="new.db")
    assert compare("base.db", "new.db", **limit).exit_code == 0  # some in common, one added


def test_a_limit_that_nothing_was_held_against_is_told_by_its_name() -> None:
    Store("base.db").append(evaluated())
    Store("new.db").append(evaluated(sha256="other"))
    result = compare("base.db", "new.db", max_drop=1, max_memory_growth="10%")
    assert told(result) == [("memory", "not comparable", None), ("accuracy", "passed", True)]
    assert result.exit_code == 2 and "--max-memory-growth" in result.checks[0].reason
    assert result.gate == "10% growth in memory"
    assert compare("base.db", "new.db", max_drop=1).gate == "1 points of top-1"  # no latency was held
    keep(record(sha256="other"), store="new.db")  # its latency has nothing to be held against
    result = compare("base.db", "new.db", max_drop=1)
    assert result.exit_code == 2 and told(result)[0] == ("latency", "not comparable", None)


def test_the_last_line_names_the_limits_that_stop_the_gate() -> None:
    result = released("1" * 600 + "-" * 400, 1099, max_drop=5, max_growth="10%", max_memory_growth="10%")
    assert (
        result.gate == "5 points of top-1"
        and "**failed: accuracy; held: latency, size, memory**" in result.to_markdown()
    )
    keep(record(sha256="other", verdict="invalid", bytes=1000, memory=memory(1000)), store="new.db")
    limits: dict[str, Any] = {"max_growth": "10%", "max_memory_growth": "10%"}
    assert compare("base.db", "new.db", max_drop=5, **limits).outcome == (
        "failed: accuracy; not judged: latency; held: size, memory"
    )


@pytest.mark.parametrize("strict", [False, True])
def test_what_cannot_be_told_is_neither_held_nor_failed(strict: bool) -> None:
    result = released("1" * 698 + "-" * 302, max_drop=0.3, strict=strict)
    assert result.outcome == "cannot tell: accuracy; held: latency"


def test_a_slowdown_that_was_given_is_not_comparable_where_neither_side_has_a_latency(tmp_path: Path) -> None:
    for store, sha256 in (("base.db", "of a.onnx"), ("new.db", "other")):
        Store(store).append(evaluated(sha256=sha256))
    result = compare("base.db", "new.db", max_slowdown="5%", max_drop=5, strict=True, junit=tmp_path / "gate.xml")
    assert told(result) == [("latency", "not comparable", None), ("accuracy", "passed", True)]
    assert (result.verdict, result.exit_code, result.note) == ("not comparable", 2, None)
    (error,) = xml.parse(tmp_path / "gate.xml").getroot().iter("error")
    assert error.get("type") == "not comparable" and "neither side has a latency" in error.get("message", "")
    ended = edgekit("compare", "base.db", "new.db", "--max-drop", "5")  # nobody gave a slowdown
    assert ended.returncode == 0 and "no latency was held" in ended.stdout
    assert "no latency was held" in compare("base.db", "new.db", max_drop=5).to_markdown()


def test_latency_is_left_out_on_purpose(tmp_path: Path) -> None:
    released(max_drop=5)
    busy = record(ms=30, sha256="other", verdict="invalid", bytes=1000, memory=memory(1000))
    keep(busy, store="new.db")
    limits: dict[str, Any] = {"max_drop": 5, "max_growth": "10%", "max_memory_growth": "10%"}
    assert compare("base.db", "new.db", **limits).exit_code == 6
    result = compare("base.db", "new.db", max_slowdown="none", junit=tmp_path / "gate.xml", **limits)
    assert (result.rows, result.exit_code, result.to_json()["max_slowdown"]) == ((), 0, None)
    given = ("--max-slowdown", "none", "--max-drop", "5")
    assert "latency is not held" in edgekit("compare", "base.db", "new.db", *given).stdout
    assert "latency is not held" in result.to_markdown()
    cases = [case.get("name", "") for case in xml.parse(tmp_path / "gate.xml").getroot().iter("testcase")]
    assert [name.partition(":")[0] for name in cases] == ["accuracy", "size", "memory"]
    evaluated_only = evaluated(id="0" * 12)
    Store("only.db").append(evaluated_only)
    with pytest.raises(UsageError, match="both sides hold the same evaluations, of a.onnx"):
        compare("only.db", "only.db", max_drop=5)
    with pytest.raises(UsageError, match="both sides are this one measurement"):
        compare("base.db", "base.db", max_slowdown="none", **limits)
