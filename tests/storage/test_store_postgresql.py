"""The same store on PostgreSQL: a real server, which is started here and gone afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.errors import EnvironmentRefused, UsageError
from edgekit.records.failure import FailedCell
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.storage.command import store as verb
from edgekit.storage.filters import Filters
from edgekit.storage.looking import entries, named
from edgekit.storage.store import Store
from tests.paths import ROOT
from tests.reporting.conftest import accuracy as evaluated
from tests.reporting.conftest import manifest
from tests.reporting.conftest import measurement as timed
from tests.storage.postgresql import Cluster, NoServer, execute, running
from tests.storage.records import accuracy, failed
from tests.storage.records import measurement as recorded


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    try:
        with running() as found:
            yield found
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture
def server(cluster: Cluster) -> str:
    """The URL of the server, up to the name of the database."""
    return cluster.url


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """A database of the test's own."""
    name = f"t{abs(hash(request.node.nodeid))}"
    execute(server.format("postgres"), f"CREATE DATABASE {name}")
    return server.format(name)


def measurement(artifact: str = "x.onnx") -> Measurement:
    """One with a sign that PostgreSQL keeps in no text."""
    return recorded(artifact, {"name": "<é> \0"})


def test_what_is_appended_comes_back_in_order(url: str) -> None:
    store = Store(url)
    assert (store.measurements(), store.accuracies(), store.failures()) == ([], [], []), "and reading makes nothing"
    first, second = measurement("a"), measurement("b")
    hit, miss = accuracy(), failed()
    records: list[Measurement | Accuracy | FailedCell] = [first, hit, miss, second]
    for record in records:
        store.append(record)
    again = Store(url)
    assert (again.measurements(), again.accuracies(), again.failures()) == ([first, second], [hit], [miss])
    assert again.measurements([second.id]) == [second]


def test_records_are_looked_at_copied_and_removed(url: str, tmp_path: Path) -> None:
    store, known = Store(url), manifest("mobilenet_0.5_160")
    one, two, other, miss = timed(known, 2.5), evaluated(known, 0.6), measurement("x.onnx"), failed("a \0 b")
    store.append(one, two.model_copy(update={"found": {"name": "\0"}}), other, miss)
    found = {entry.id: entry for entry in entries(store, Filters(model="mobilenet", since="2020"))}
    assert set(found) == {one.id, two.id}
    assert found[two.id].top1 == pytest.approx(two.correct1 / two.n) and found[two.id].images == two.n
    assert [entry.id for entry in named(store, [other.id[:11], miss.id])] == [other.id, miss.id]
    verb("export", tmp_path / "all.db", store=url)
    verb("rm", store=url, model="mobilenet")
    assert len(entries(store, Filters())) == 4
    verb("rm", store=url, model="mobilenet", yes=True)
    assert {entry.id for entry in entries(store, Filters())} == {other.id, miss.id}
    merged = verb("merge", tmp_path / "all.db", store=url)
    assert merged.added == {"measurements": 1, "accuracies": 1, "failures": 0}


WRITER = """
import sys
from tests.storage.records import measurement
from edgekit.storage.store import Store
store = Store(sys.argv[1])
for number in range(int(sys.argv[3])):
    store.append(measurement(f"{sys.argv[2]}-{number}"))
"""


def test_writers_at_once_lose_nothing_not_even_while_tables_are_made(url: str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, str(writer), "15"], cwd=ROOT) for writer in range(3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    names = [record.artifact for record in Store(url).measurements()]
    assert sorted(names) == sorted(f"{writer}-{number}" for writer in range(3) for number in range(15))


# Threads that write until stdin ends, and print the id of each record that the store has taken.
MANY_WRITERS = """
import sys, threading, time
from tests.storage.records import measurement
from edgekit.errors import EnvironmentRefused
from edgekit.storage.store import Store
over, told = threading.Event(), threading.Lock()
def write(name):
    store, number = Store(sys.argv[1]), 0
    while not over.is_set():
        one, number = measurement(f"{name}-{number}"), number + 1
        try:
            store.append(one)
        except EnvironmentRefused:
            time.sleep(0.05)
            continue
        with told:
            print(one.id, flush=True)
        time.sleep(0.2)
threads = [threading.Thread(target=write, args=(name,)) for name in range(10)]
for thread in threads:
    thread.start()
sys.stdin.read()
over.set()
for thread in threads:
    thread.join()
"""


def test_fifty_writers_lose_nothing_that_was_taken_while_the_server_is_killed_twice(cluster: Cluster, url: str) -> None:
    Store(url).check()
    command = [sys.executable, "-c", MANY_WRITERS, url]
    writers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(5)
    ]
    taken: list[str] = []
    for last in (False, False, True):
        for writer in writers:
            assert writer.stdout is not None
            taken += [writer.stdout.readline().strip() for _ in range(5)]
        if not last:
            cluster.restart()
    for writer in writers:
        assert writer.stdin is not None and writer.stdout is not None
        writer.stdin.close()
        taken += writer.stdout.read().split()
        assert writer.wait() == 0
        writer.stdout.close()
    there = [record.id for record in Store(url).measurements()]
    assert len(there) == len(set(there)) and len(taken) == len(set(taken)) and set(taken) <= set(there)
    assert len(there) - len(taken) <= 2 * 50, "at most what was under way when the server was killed"


def test_older_and_newer_schemas(url: str) -> None:
    first = measurement()
    Store(url).append(first)
    execute(url, "DROP TABLE failures")
    execute(url, "UPDATE edgekit_schema SET version = 1")
    assert (Store(url).measurements(), Store(url).failures()) == ([first], [])
    second = measurement()
    Store(url).append(second)
    assert (Store(url).measurements(), Store(url).failures()) == ([first, second], [])
    execute(url, "UPDATE edgekit_schema SET version = 99")
    for use in (Store(url).measurements, Store(url).check):
        with pytest.raises(UsageError, match="schema version 99"):
            use()


def test_a_colleagues_file_is_brought_in_once(url: str, tmp_path: Path) -> None:
    theirs = Store(f"sqlite:///{tmp_path}/theirs.db")
    records = [measurement(str(number)) for number in range(3)]
    for record in records:
        theirs.append(record)
    mine = measurement("mine")
    Store(url).append(mine)
    assert verb("merge", tmp_path / "theirs.db", store=url).added["measurements"] == 3
    assert verb("merge", tmp_path / "theirs.db", store=url).known["measurements"] == 3
    assert Store(url).measurements() == [mine, *records]


def test_merging_at_once_makes_no_doubles(url: str, tmp_path: Path) -> None:
    theirs = Store(f"sqlite:///{tmp_path}/theirs.db")
    for number in range(30):
        theirs.append(measurement(str(number)))
    code = "import sys; from edgekit.storage.command import store; store('merge', sys.argv[1], store=sys.argv[2])"
    command = [sys.executable, "-c", code, str(tmp_path / "theirs.db"), url]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert [record.artifact for record in Store(url).measurements()] == [str(number) for number in range(30)]


def test_a_table_that_another_process_holds_is_waited_for_and_told(url: str) -> None:
    import sqlalchemy

    Store(url).append(measurement())
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as holder, holder.begin():
        holder.exec_driver_sql("LOCK TABLE measurements IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(EnvironmentRefused, match="locked by another process"):
            Store(url, wait_seconds=1).append(measurement())
    engine.dispose()
    assert len(Store(url).measurements()) == 1


def test_a_store_that_may_only_be_read(url: str, server: str) -> None:
    Store(url).append(measurement())
    name = url.partition("edgekit@/")[2].partition("?")[0]
    execute(server.format("postgres"), f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert len(Store(url).measurements()) == 1
    with pytest.raises(EnvironmentRefused, match="cannot be written"):
        Store(url).append(measurement())


def test_a_server_that_is_not_there_is_told_without_the_password(server: str) -> None:
    with pytest.raises(EnvironmentRefused) as caught:
        Store("postgresql+psycopg://ann:secret@/edgekit?host=/nowhere", wait_seconds=1).check()
    assert "cannot be used" in caught.value.message and "secret" not in caught.value.message
    with pytest.raises(EnvironmentRefused, match="does not exist"):
        Store(server.format("nothing")).measurements()
