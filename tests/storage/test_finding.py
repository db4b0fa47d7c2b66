"""Only what is asked for is read: records of a store that nobody asked for may be anything, also broken."""

from __future__ import annotations

import json
import sqlite3
from itertools import islice
from pathlib import Path

import pytest

from edgekit.comparison.command import compare
from edgekit.errors import UsageError
from edgekit.records.conditions import run_conditions
from edgekit.records.measurement import Measurement
from edgekit.records.record import new_id
from edgekit.records.summary import Summary, summary
from edgekit.reporting.command import report
from edgekit.storage import finding
from edgekit.storage.filters import Filters
from edgekit.storage.schema import SCHEMA_VERSION
from edgekit.storage.store import Store
from tests.reporting.conftest import accuracy, manifest, measurement
from tests.storage.older import old_store, version
from tests.storage.records import failed

IDS = ("aa00000000a1", "aa00000000a2", "bb00000000b1", "cc00000000c1", "dd00000000d1")
SESSIONS = ("111111111111", "111111111111", "222222222222", None, "ee0000000000")


def family() -> list[Measurement]:
    """Five measurements of three files, by four commands; the last in the store is the oldest."""
    known = [manifest(f"mobilenet_{alpha}_160") for alpha in ("0.5", "0.5", "0.75", "1.0", "0.5")]
    taken = [
        measurement(one, 1.0 + place, created=f"2026-11-2{place if place < 4 else 0}T10:00:00.000+00:00")
        for place, one in enumerate(known)
    ]
    names = zip(taken, IDS, SESSIONS, strict=True)
    return [one.model_copy(update={"id": id, "session": session}) for one, id, session in names]


@pytest.fixture(params=["new", "old", "brought up to date"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store with these records: of this version, of an older one, and of one that was an older one."""
    if request.param == "new":
        made = Store(str(tmp_path / "store.db"))
        made.append(*family())
        return made
    made = old_store(tmp_path / "store.db", *family())
    if request.param != "old":
        made.check()
        assert version(tmp_path / "store.db") == SCHEMA_VERSION
    return made


def execute(path: Path, statement: str, *values: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement, values)
    connection.close()


def test_summaries_are_found_alike_in_stores_of_every_version(store: Store) -> None:
    expected = sorted(map(summary, family()), key=lambda one: one.created)
    assert list(finding.all_of(store)) == expected
    assert finding.meant(store, Filters(latest=2)) == expected[-2:]
    assert finding.commands(store) == ["ee0000000000", "111111111111", "222222222222", "cc00000000c1"]
    assert [one.id for one in finding.of_command(store, "111111111111")] == ["aa00000000a1", "aa00000000a2"]
    assert [one.id for one in finding.of_command(store, "cc00000000c1")] == ["cc00000000c1"]
    assert {one.id for one in finding.begins(store, "aa00")} == {"aa00000000a1", "aa00000000a2"}
    assert [one.id for one in finding.begins(store, "222")] == ["bb00000000b1"]
    assert not finding.begins(store, "0")
    name = family()[2].artifact
    assert [one.id for one in finding.with_value(store, "artifact", name)] == ["bb00000000b1"]
    assert store.measurements() == family()


def test_a_summary_tells_what_its_record_does() -> None:
    for record in family():
        found = summary(record)
        assert found.run_conditions == run_conditions(record)
        assert isinstance(found, Summary) and found.median_ns == pytest.approx(float(found.median_ns or 0))
        assert found.variant == record.manifest.variant.name if record.manifest else True


def test_a_store_that_is_not_there_has_none(tmp_path: Path) -> None:
    nowhere = Store(str(tmp_path / "nothing.db"))
    assert not [*finding.all_of(nowhere), *finding.meant(nowhere, Filters(latest=3)), *finding.commands(nowhere)]
    assert not list(tmp_path.iterdir())


def test_records_that_nobody_asked_for_are_not_read(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    store.append(*family())
    execute(tmp_path / "store.db", "UPDATE measurements SET payload = '{' WHERE id NOT IN (?, ?)", *IDS[:2])
    assert compare(IDS[0], IDS[1], store=store.url).rows[0].base == IDS[0]
    with pytest.raises(UsageError, match="is broken"):
        compare(IDS[0], IDS[2], store=store.url)


def test_a_record_that_cannot_be_read_is_brought_along_and_told_when_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = old_store(path, *family())
    execute(path, "UPDATE measurements SET payload = '{' WHERE id = ?", IDS[2])
    store.check()
    assert version(path) == SCHEMA_VERSION
    assert compare(IDS[0], IDS[1], store=store.url).rows[0].new == IDS[1]
    with pytest.raises(UsageError, match=f"record {IDS[2]} in .* is broken"):
        report(store, tmp_path / "report.csv", format="csv")


def test_samples_lie_apart(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    (one, *_) = family()
    store.append(one)
    connection = sqlite3.connect(tmp_path / "store.db")
    ((payload,),) = connection.execute("SELECT payload FROM measurements")
    ((samples,),) = connection.execute("SELECT payload FROM samples")
    assert all(run["samples_ns"] == run["warmup_ns"] == [] for run in json.loads(payload)["runs"])
    assert json.loads(samples)[0][0] == list(one.runs[0].samples_ns)
    for damage in ("[]", '[["x"]]', "{"):
        connection.execute("UPDATE samples SET payload = ?", (damage,))
        connection.commit()
        with pytest.raises(UsageError, match=f"record {one.id} in .* (has lost samples|is broken)"):
            store.measurements()
    connection.close()


def test_a_few_records_are_in_memory_at_a_time(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    one = measurement(None, samples=3, processes=1)
    store.append(*(one.model_copy(update={"id": new_id()}) for _ in range(450)))
    execute(tmp_path / "store.db", "UPDATE measurements SET payload = '{' WHERE position > 400")
    assert len(list(islice(store.each("measurements", Measurement), 400))) == 400
    with pytest.raises(UsageError):
        store.measurements()


def test_records_are_appended_all_or_none(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    first, second = family()[:2]
    store.append(first)
    with pytest.raises(Exception, match="UNIQUE"):
        store.append(second, failed(), first)
    assert (store.measurements(), store.failures()) == ([first], [])


def test_a_report_of_the_last_measurements(tmp_path: Path) -> None:
    store, taken = Store(str(tmp_path / "store.db")), family()
    early, late = (failed(f"reason {day}").model_copy(update={"created": f"2026-11-{day}"}) for day in (20, 29))
    hits = [accuracy(one.manifest) for one in (taken[1], taken[2]) if one.manifest]
    store.append(*taken, *hits, early, late)
    execute(tmp_path / "store.db", "UPDATE measurements SET payload = '{' WHERE id IN (?, ?)", IDS[0], IDS[4])
    execute(tmp_path / "store.db", "UPDATE accuracies SET payload = '{' WHERE id = ?", hits[0].id)
    made = report(store, tmp_path / "r.md", format="md,json", assets=tmp_path / "assets", latest=2)
    rows = {row.provenance["Measured"]["id"]: row for row in made.rows}
    assert {id: row.top1 is None for id, row in rows.items()} == {IDS[2]: False, IDS[3]: True}
    text = (tmp_path / "r.md").read_text()
    assert "reason 29" in text and "reason 20" not in text
    samples = (tmp_path / "assets" / "samples.csv").read_text()
    assert IDS[2] in samples and IDS[3] in samples and IDS[1] not in samples
    with pytest.raises(UsageError, match="--latest cannot be 0"):
        report(store, tmp_path / "r.md", format="md", latest=0)


def test_a_report_reads_only_what_its_filters_mean(tmp_path: Path) -> None:
    store, taken = Store(str(tmp_path / "store.db")), family()
    first, second = taken[1].model_copy(update={"device": "pi5"}), taken[2]
    hits = [accuracy(one.manifest) for one in (first, second) if one.manifest]
    unmeasured = accuracy(manifest("lenet5_1.0_32"))
    store.append(first, second, *hits, unmeasured)
    execute(tmp_path / "store.db", "UPDATE measurements SET payload = '{' WHERE id = ?", second.id)
    made = report(store, tmp_path / "r.md", format="md", device="pi5")
    assert [row.place for row in made.rows] == ["pi5"] and made.rows[0].top1 is not None
    alone = report(store, tmp_path / "r.md", format="md", model="lenet5")
    assert [row.variant for row in alone.rows] == ["lenet5_1.0_32"], "a file that was only evaluated"
    with pytest.raises(UsageError, match="nothing to report that fits"):
        report(store, tmp_path / "r.md", format="md", device="pi6")
    with pytest.raises(UsageError, match="is broken"):
        report(store, tmp_path / "r.md", format="md", since="2020-01-01")
