"""Records in one JSON file come back whole and are compared as a store is; another file is refused."""

from __future__ import annotations

import json
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest

from edgekit.comparison.command import compare
from edgekit.errors import UsageError
from edgekit.records.failure import FailedCell
from edgekit.storage import results
from edgekit.storage.command import store as verb
from edgekit.storage.store import Store
from tests.comparison.records import record
from tests.storage.records import accuracy, failed


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a measurement, an accuracy and a failure."""
    made = Store(str(tmp_path / "store.db"))
    made.append(record(), accuracy(), failed())
    return made


def test_records_come_back_whole(store: Store, tmp_path: Path) -> None:
    file, into = tmp_path / "a b?%20.json", Store(str(tmp_path / "into.db"))
    verb("export", file, store=store.url)
    found = results.opened(file)
    assert found.measurements() == store.measurements() and found.measurements()[0].runs[0].samples_ns
    assert (found.accuracies(), found.failures(), found.shown) == (store.accuracies(), store.failures(), str(file))
    assert verb("merge", file, store=into.url).to_json()["added"] == {
        "measurements": 1, "accuracies": 1, "failures": 1,
    }  # fmt: skip
    assert into.measurements() == store.measurements()
    assert len(json.loads(file.read_text())["measurements"]) == 1


def test_two_files_are_compared_as_stores_are(tmp_path: Path) -> None:
    for name, ms in (("base", 10.0), ("new", 12.0)):
        made = Store(str(tmp_path / f"{name}.db"))
        made.append(record(ms=ms), accuracy().model_copy(update={"sha256": "of a.onnx"}))
        verb("export", tmp_path / f"{name}.json", store=made.url)
    result = compare(tmp_path / "base.json", tmp_path / "new.json", max_drop=1)
    assert (result.verdict, result.exit_code, result.checks[0].passed) == ("slower", 3, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "holds no results"),
        ('{"edgekit": "0.1.0", "file": "a.onnx"}', "holds no results"),  # a manifest
        ('{"measurements": []}', "holds no results"),  # what `bench --json` prints
        ('{"edgekit": "results", "version": 99}', "has version 99"),
        ('{"edgekit": "results", "version": 1, "measurements": {}}', "'measurements' of .* is no list of records"),
        ('{"edgekit": "results", "version": 1, "measurements": [{"id": "a"}]}', "record a in .* is broken at"),
        ('{"edgekit": "results", "version": 1, "accuracies": [{"id": "a", "version": 9}]}', "has version 9"),
    ],
)
def test_another_file_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=message):
        results.opened(file)


HUGE = 10**400
POISON = {
    "samples": (("runs", 0, "samples_ns", 0), HUGE),
    "time": (("runs", 0, "wall_ns"), HUGE),
    "memory": (("memory", "peak_bytes"), HUGE),
    "size": (("bytes",), 2**63),
    "protocol": (("protocol", "sustained_seconds"), 10**30),
    "threads": (("found", "threads"), 10**30),
    "text": (("found", "threads"), "4"),
    "device": (("found", "device"), 5),
    "shapes": (("found", "input_shapes"), {"x": 5}),
    "instructions": (("found", "instructions"), 3),
    "version": (("version",), "1"),
}


@pytest.mark.parametrize("name", POISON)
def test_a_strangers_values_that_nobody_could_compute_with_are_refused(name: str, store: Store, tmp_path: Path) -> None:
    verb("export", tmp_path / "a.json", store=store.url)
    document = json.loads((tmp_path / "a.json").read_text())
    *path, last = POISON[name][0]
    reduce(getitem, path, document["measurements"][0])[last] = POISON[name][1]
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"is broken|no number as its version"):
        verb("merge", tmp_path / "a.json", store=str(tmp_path / "into.db"))
    assert not Store(str(tmp_path / "into.db")).measurements()


@pytest.mark.parametrize(
    "counts", [{"correct1": -1}, {"correct1": 10**9}, {"correct5": 10**9}, {"n": 0}, {"n": 10**30}]
)
def test_accuracies_that_no_images_can_have_are_refused(counts: dict[str, int], store: Store, tmp_path: Path) -> None:
    verb("export", tmp_path / "a.json", store=store.url)
    document = json.loads((tmp_path / "a.json").read_text())
    document["accuracies"][0] |= counts
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="is broken"):
        results.opened(tmp_path / "a.json")


def test_a_failure_of_more_attempts_than_64_bits_count_is_refused(tmp_path: Path) -> None:
    failed = FailedCell(id="a", created="2026", variant="v", format="onnx", precision="fp32", device=None, code="usage",
                        reason="r", remedy="r")  # fmt: skip
    document = {"edgekit": "results", "version": 1, "failures": [failed.model_dump() | {"attempts": 10**30}]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="record a in .* is broken at 'attempts'"):
        results.opened(tmp_path / "a.json")
