from __future__ import annotations

import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgekit.errors import BackendMissing, EnvironmentRefused, UsageError
from edgekit.storage.store import Store, open_store
from tests.paths import ROOT
from tests.storage.records import accuracy, measurement


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def test_what_is_appended_comes_back_in_order(url: str) -> None:
    first, second, hit = measurement(), measurement(), accuracy()
    store = Store(url)
    for record in (first, hit, second):
        store.append(record)
    assert Store(url).measurements() == [first, second]
    assert Store(url).accuracies() == [hit]


def test_reading_what_is_not_there_makes_no_file(url: str, tmp_path: Path) -> None:
    assert Store(url).measurements() == []
    assert list(tmp_path.iterdir()) == []


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEKIT_STORE", raising=False)
    assert open_store().url == "sqlite:///./edgekit.db"
    monkeypatch.setenv("EDGEKIT_STORE", "sqlite:///elsewhere.db")
    assert open_store().url == "sqlite:///elsewhere.db"
    assert open_store(str(tmp_path / "a.db")).url == f"sqlite:///{tmp_path}/a.db"


WRITER = """
import sys
from tests.storage.records import measurement
from edgekit.storage.store import Store
store = Store(sys.argv[1])
for number in range(int(sys.argv[3])):
    store.append(measurement(artifact=f"{sys.argv[2]}-{number}"))
"""


def test_writers_at_once_lose_nothing(url: str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, str(writer), "15"], cwd=ROOT) for writer in range(3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    names = [record.artifact for record in Store(url).measurements()]
    assert sorted(names) == sorted(f"{writer}-{number}" for writer in range(3) for number in range(15))
    for writer in range(3):
        assert [name for name in names if name[0] == str(writer)] == [f"{writer}-{number}" for number in range(15)]


def test_a_newer_schema_is_refused(url: str, tmp_path: Path) -> None:
    Store(url).append(measurement())
    _execute(tmp_path, "UPDATE edgekit_schema SET version = 99")
    with pytest.raises(UsageError, match="schema version 99"):
        Store(url).measurements()
    with pytest.raises(UsageError, match="schema version 99"):
        Store(url).append(measurement())


def test_a_newer_or_broken_record_is_refused(url: str, tmp_path: Path) -> None:
    Store(url).append(measurement())
    _execute(tmp_path, "UPDATE measurements SET version = 99")
    with pytest.raises(UsageError, match="version 99"):
        Store(url).measurements()
    _execute(tmp_path, "UPDATE measurements SET version = 1, payload = json_set(payload, '$.memory.shiny', 1)")
    with pytest.raises(UsageError, match="'memory.shiny', which this edgekit does not know") as caught:
        Store(url).measurements()
    assert "newer edgekit" in caught.value.remedy
    _execute(tmp_path, "UPDATE measurements SET version = 1, payload = '{}'")
    with pytest.raises(UsageError, match="broken at 'id'"):
        Store(url).measurements()


def test_a_record_from_before_a_field_was_added_is_read(url: str, tmp_path: Path) -> None:
    kept = measurement()
    Store(url).append(kept)
    _execute(tmp_path, "UPDATE measurements SET payload = json_remove(payload, '$.memory.baseline_reason')")
    assert Store(url).measurements() == [kept]


def test_a_locked_store_is_told(url: str, tmp_path: Path) -> None:
    Store(url).append(measurement())
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(EnvironmentRefused, match="locked by another process"):
            Store(url, wait_seconds=0.1).append(measurement())
    finally:
        other.close()
    assert len(Store(url).measurements()) == 1


def test_a_writer_waits_for_another(url: str, tmp_path: Path) -> None:
    Store(url).append(measurement())
    holder = "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
    holder += "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); time.sleep(0.5); c.execute('COMMIT'); c.close()"
    command = [sys.executable, "-c", holder, str(tmp_path / "store.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        Store(url).append(measurement())
    assert len(Store(url).measurements()) == 2


def test_a_read_only_store_is_read_and_not_written(url: str, tmp_path: Path) -> None:
    Store(url).append(measurement())
    frozen = f"sqlite:///file:{tmp_path}/store.db?mode=ro&uri=true"
    assert len(Store(frozen).measurements()) == 1
    with pytest.raises(EnvironmentRefused, match="cannot be written"):
        Store(frozen).append(measurement())
    with pytest.raises(EnvironmentRefused, match="cannot be written"):
        Store(frozen).check()


def test_a_full_disk_is_told_and_keeps_what_was_there(url: str, tmp_path: Path) -> None:
    Store(url).append(measurement())
    limited = """
import resource, signal, sys
from tests.storage.records import measurement
from edgekit.errors import EnvironmentRefused
from edgekit.storage.store import Store
store = Store(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.append(measurement(artifact="x" * 500_000))
except EnvironmentRefused as error:
    print(error.message)
"""
    done = subprocess.run(
        [sys.executable, "-c", limited, url], cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert "no space" in done.stdout, done.stderr
    assert len(Store(url).measurements()) == 1


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"\xff" * 5000, b"hello" * 1000])
def test_a_damaged_file_is_told(url: str, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store.db").write_bytes(content)
    with pytest.raises(UsageError, match="damaged or is no store"):
        Store(url).measurements()
    assert (tmp_path / "store.db").read_bytes() == content


def test_a_cut_file_is_told(url: str, tmp_path: Path) -> None:
    for _ in range(30):
        Store(url).append(measurement(artifact="x" * 2000))
    whole = tmp_path / "store.db"
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UsageError, match="damaged or is no store"):
        Store(url).measurements()


def test_a_database_of_something_else_is_told(url: str, tmp_path: Path) -> None:
    _execute(tmp_path, "CREATE TABLE cats (name TEXT)")
    with pytest.raises(UsageError, match="no store of edgekit"):
        Store(url).measurements()


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ("nothing://x", UsageError),
        ("://", UsageError),
        ("sqlite:////no/such/folder/x.db", UsageError),
        ("sqlite:////tmp", UsageError),
    ],
)
def test_bad_urls(bad: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Store(bad).append(measurement())


@pytest.mark.skipif(find_spec("asyncmy") is not None, reason="the driver is here")
def test_a_missing_driver_is_named() -> None:
    with pytest.raises(BackendMissing, match="asyncmy"):
        Store("mysql+asyncmy://localhost/x").append(measurement())


def test_sqlalchemy_comes_with_the_first_use() -> None:
    code = "import sys, edgekit.storage.store as s; s.open_store(); assert 'sqlalchemy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def _execute(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "store.db") as connection:
        connection.execute(statement)
    connection.close()
