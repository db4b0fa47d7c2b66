"""What a store holds, found by columns: filters in the database and the same filters over an older store's records."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.storage import finding
from edgekit.storage.filters import Filters, filters
from edgekit.storage.finding import MANY
from edgekit.storage.looking import Entry, check_is_there, entries, named
from edgekit.storage.schema import table
from edgekit.storage.store import Store
from tests.reporting.conftest import accuracy, manifest, measurement
from tests.storage.older import old_store
from tests.storage.records import accuracy as foreign
from tests.storage.records import failed

DAYS = [f"2026-11-2{day}T10:00:00.000+00:00" for day in range(4)]
VARIANTS = ("mobilenet_0.5_160", "mobilenet_0.75_160", "mobilenet_v2_1.0_224", "MobileNet_0.5_160")
IDS = ("aa0000000001", "aa0000000002", "bb0000000001", "cc0000000001")


def records() -> list[Any]:
    """Four measurements, a day and a variant each, the last two on another device."""
    return [
        measurement(manifest(variant), 1.0 + place, created=DAYS[place]).model_copy(
            update={"id": IDS[place], "device": "local" if place < 2 else "pi5"}
        )
        for place, variant in enumerate(VARIANTS)
    ]


@pytest.fixture(params=["new", "old"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store with these records, of this version and of an older one."""
    if request.param == "old":
        return old_store(tmp_path / "store.db", *records())
    made = Store(str(tmp_path / "store.db"))
    made.append(*records())
    return made


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [0, 1, 2, 3]),
        ({"device": "pi5"}, [2, 3]),
        ({"device": "pi"}, []),
        ({"model": "mobilenet"}, [0, 1]),  # neither mobilenet_v2 nor another case
        ({"model": "mobilenet_v2"}, [2]),
        ({"model": "mobilenet_0.5_160"}, [0]),
        ({"model": "%"}, []),
        ({"model": "mobilenet_0"}, []),
        ({"since": "2026-11-22"}, [2, 3]),
        ({"since": "2026-11-22T10:00:00Z"}, [2, 3]),
        ({"since": "2026-11-22T12:00:01+02:00"}, [3]),
        ({"latest": 1}, [3]),
        ({"latest": 9}, [0, 1, 2, 3]),
        ({"device": "local", "latest": 1}, [1]),
        ({"device": "pi5", "model": "mobilenet_v2", "since": "2026-11-20"}, [2]),
        ({"format": "onnx", "precision": "fp32", "runtime": "onnxruntime"}, [0, 1, 2, 3]),
        ({"format": "tflite"}, []),
        ({"precision": "int8"}, []),
        ({"runtime": "litert", "model": "mobilenet"}, []),
        ({"format": ["tflite", "onnx"], "latest": 1}, [3]),
    ],
)
def test_filters_choose_alike_in_stores_of_every_version(
    store: Store, wanted: dict[str, Any], found: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = filters(**dict.fromkeys(("device", "model", "since", "latest")) | wanted)
    for many in (MANY, 1):  # records of a model, which are looked for in another way then
        monkeypatch.setattr(finding, "MANY", many)
        assert [one.id for one in entries(store, chosen)] == [IDS[place] for place in found]
        assert [one.id for one in finding.meant(store, chosen)] == [IDS[place] for place in found]


def test_a_file_is_a_model_too(store: Store) -> None:
    name = records()[0].artifact
    assert IDS[0] in [one.id for one in entries(store, Filters(model=name))]


def test_every_kind_has_its_values(tmp_path: Path) -> None:
    made, known = Store(str(tmp_path / "store.db")), manifest("mobilenet_0.5_160")
    one, two, three, four = measurement(known, 2.5), accuracy(known, 0.6), failed("no weights"), foreign()
    made.append(one, two, three, four)
    found = {entry.id: entry for entry in entries(made, Filters())}
    assert found[one.id].median_ms == pytest.approx(2.5, rel=0.05) and found[one.id].verdict == one.verdict
    assert found[one.id].variant == found[two.id].variant == "mobilenet_0.5_160"
    assert found[two.id].top1 == pytest.approx(two.correct1 / two.n) and found[two.id].images == two.n
    assert (found[two.id].precision, found[two.id].format) == (known.precision, two.format)
    assert (found[three.id].kind, found[three.id].variant) == ("failures", "net_1.0_224")
    assert (found[three.id].reason, found[three.id].device) == ("no weights", "local")
    assert (found[four.id].variant, found[four.id].artifact) == (None, "x.onnx")
    assert {entry.id for entry in entries(made, Filters(model="mobilenet"))} == {one.id, two.id}
    assert {entry.id for entry in entries(made, Filters(model="net"))} == {three.id}
    assert {entry.id for entry in entries(made, Filters(precision=("fp32",)))} == {one.id, two.id}
    assert {entry.id for entry in entries(made, Filters(precision=("int8",)))} == {three.id}
    assert {entry.id for entry in entries(made, Filters(runtime=("onnxruntime",)))} >= {one.id, two.id}
    assert [entry.id for entry in entries(made, Filters(model="x.onnx"))] == [four.id]


def test_broken_samples_and_payloads_of_others_stop_no_list(tmp_path: Path) -> None:
    made = Store(str(tmp_path / "store.db"))
    made.append(*records(), foreign())
    with made.connection(writes=True) as (connection, _):
        for name in ("samples", "measurements", "accuracies"):
            connection.execute(table(name).update().values(payload="{"))
    assert len(entries(made, Filters())) == 5


def test_ids_by_their_first_digits(store: Store) -> None:
    assert [one.id for one in named(store, ["bb", IDS[0], "bb00"])] == [IDS[2], IDS[0]]
    with pytest.raises(UsageError, match=f"'aa' is the beginning of 2 ids: {IDS[0]}, {IDS[1]}"):
        named(store, ["aa"])
    for id in ("ff", "", "%", "b_"):
        with pytest.raises(UsageError, match="no record of .* has an id that begins with"):
            named(store, [id])


def test_a_whole_id_is_not_the_beginning_of_another(tmp_path: Path) -> None:
    made = Store(str(tmp_path / "store.db"))
    made.append(*(failed().model_copy(update={"id": id}) for id in ("ab", "abc")))
    assert [one.id for one in named(made, ["ab"])] == ["ab"]


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no store"):
        entries(Store(str(tmp_path / "none.db")), Filters())
    assert not (tmp_path / "none.db").exists()


def test_an_entry_is_plain() -> None:
    assert set(Entry(*["x"] * 23).to_json()) >= {"id", "kind", "verdict"}  # type: ignore[arg-type]


@pytest.mark.parametrize("latest", [0, -1, 10**30])
def test_a_number_of_records_that_cannot_be_is_refused(latest: int) -> None:
    with pytest.raises(UsageError, match="--latest cannot be"):
        filters(None, None, None, latest)


def test_what_is_no_text_is_in_no_store(tmp_path: Path) -> None:
    made = Store(str(tmp_path / "store.db"))
    made.append(*records())
    with pytest.raises(UsageError, match="a store holds text"):
        entries(made, Filters(model="\udcff"))


def test_an_invalid_measurement_that_was_taken_again_is_marked(tmp_path: Path) -> None:
    known = manifest()
    again = [measurement(known, created=DAYS[day], verdict="invalid") for day in (1, 2)]
    alone = measurement(known, threads=4, verdict="invalid", created="2026-11-20T11:00:00Z")
    store = Store(f"sqlite:///{tmp_path}/s.db")
    store.append(*again, alone)
    found = {one.id: one.replaced_by for one in entries(store, Filters())}
    assert found == {again[0].id: again[1].id, again[1].id: None, alone.id: None}


def test_latest_is_the_newest_record(store: Store) -> None:
    assert [one.id for one in named(store, ["latest", IDS[3]])] == [IDS[3]]


def test_an_empty_store_has_no_latest_record(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(UsageError, match="holds no record"):
        named(Store(str(tmp_path / "empty.db")), ["latest"])


def test_a_store_that_is_not_there_is_told_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=re.escape(f"sqlite:///shared/team.db, which is {tmp_path}/shared/team.db")):
        check_is_there(Store("sqlite:///shared/team.db"))
    with pytest.raises(UsageError, match=re.escape(f"there is no store sqlite:///{tmp_path}/team.db\n")):
        check_is_there(Store(f"sqlite:///{tmp_path}/team.db"))
