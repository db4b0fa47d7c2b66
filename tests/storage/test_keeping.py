"""A measurement that was taken is never lost: where its store refuses it, it is kept in a file that can be merged."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.errors import EnvironmentRefused
from edgekit.measure.session import BenchTask, MeasuringSession
from edgekit.records.measurement import Measurement
from edgekit.storage import store
from edgekit.storage.command import store as verb
from edgekit.storage.keeping import Keeper
from edgekit.storage.store import Store
from tests.storage.records import failed, measurement


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another folder to work in, and none beside it for temporary files."""
    folder = tmp_path / "working folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return folder


def kept(folder: Path) -> Store:
    """The one store in which something was kept."""
    (path,) = folder.glob("edgekit-kept-*.db")
    return Store(str(path))


@pytest.fixture
def there(tmp_path: Path) -> Store:
    """A store in a folder of its own, with a record."""
    (tmp_path / "store").mkdir()
    made = Store(str(tmp_path / "store" / "a b.db"), wait_seconds=0.1)
    made.append(measurement("first"))
    return made


@pytest.mark.parametrize("how", ["locked", "gone", "another", "damaged"])
def test_what_a_store_refuses_is_kept_beside_and_can_be_merged(
    there: Store, scratch: Path, tmp_path: Path, how: str
) -> None:
    assert there.file is not None
    holder = sqlite3.connect(there.file, isolation_level=None)
    keeper = Keeper(there)
    records: list[Any] = [measurement("a"), failed(), measurement("b")]
    keeper.check()
    before = there.file.read_bytes()
    if how == "locked":
        holder.execute("BEGIN IMMEDIATE")
    elif how == "gone":
        shutil.rmtree(there.file.parent)
    else:
        there.file.write_bytes(b"x" * 5000 if how == "damaged" else b"")
        (there.file.parent / "a b.db-journal").unlink(missing_ok=True)
        if how == "another":
            there.file.unlink()
            there.file.mkdir()
    keeper.append(*records[:2])
    keeper.check()  # nothing more is asked of it
    keeper.append(records[2])
    holder.close()
    refusal = keeper.refusal
    assert isinstance(refusal, EnvironmentRefused) and refusal.exit_code == 7
    beside = kept(scratch if how == "gone" else there.file.parent)
    assert str(beside.file) in refusal.message and "edgekit store merge" in refusal.remedy
    assert (beside.measurements(), beside.failures()) == ([records[0], records[2]], [records[1]])
    if how == "locked":
        assert there.file.read_bytes() == before
        assert verb("merge", str(beside.file), store=there.url).added["measurements"] == 2
        assert [record.artifact for record in there.measurements()] == ["first", "a", "b"]


def test_a_store_that_takes_everything_refuses_nothing(there: Store, tmp_path: Path) -> None:
    keeper, record = Keeper(there), measurement("a")
    keeper.append(record)
    keeper.append()
    assert keeper.refusal is None and there.measurements()[1:] == [record]
    assert not list(tmp_path.rglob("edgekit-kept-*"))


def test_where_nothing_can_be_written_that_is_said(
    there: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise EnvironmentRefused("no space", "free some")

    monkeypatch.setattr(Store, "append", full)
    keeper = Keeper(there)
    keeper.append(measurement("a"))
    assert keeper.refusal and "stands in the output alone" in keeper.refusal.message
    assert "store merge" not in keeper.refusal.remedy and not list(tmp_path.rglob("edgekit-kept-*"))


def gone_after(steps: int, folder: Path) -> Callable[..., None]:
    """Progress that removes a folder at one of its steps."""
    told: list[object] = []

    def progress(*said: Any) -> None:
        told.append(said)
        if len(told) == steps:
            shutil.rmtree(folder)

    return progress


def test_bench_measures_the_rest_and_shows_all_of_it(
    there: Store, scratch: Path, tiny_onnx: Callable[..., Path]
) -> None:
    assert there.file is not None
    files = [tiny_onnx("one.onnx"), tiny_onnx("two.onnx")]
    result = edgekit.bench(files, preset="quick", store=there.url, progress=gone_after(1, there.file.parent))
    assert [record.artifact for record in kept(scratch).measurements()] == ["one.onnx", "two.onnx"]
    document = result.to_json()
    assert [row["artifact"] for row in document["measurements"]] == [str(file) for file in files]
    assert all(row["median_ms"] for row in document["measurements"])
    assert document["unstored"]["code"] == "environment" and result.exit_code == 7


def test_a_comparison_is_stored_as_a_whole(there: Store, scratch: Path, tiny_onnx: Callable[..., Path]) -> None:
    files, taken = [tiny_onnx("one.onnx"), tiny_onnx("two.onnx")], []

    class Counting(Store):
        def append(self, *records: Any) -> None:
            taken.append(len(records))
            super().append(*records)

    keeper = Keeper(Counting(there.url))
    result = edgekit.bench(files, preset="quick", versus=True, store=keeper)
    assert taken == [2] and result.unstored is None


def test_a_sweep_goes_on_and_tells_it_at_the_end(there: Store, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert there.file is not None
    folder, measure = there.file.parent, MeasuringSession.measure

    def lose(session: MeasuringSession, task: BenchTask) -> Measurement:
        shutil.rmtree(folder, ignore_errors=True)
        return measure(session, task)

    monkeypatch.setattr(MeasuringSession, "measure", lose)
    result = edgekit.sweep(
        "lenet5", format=("onnx",), precision=("fp32", "fp16"), preset="quick", out=scratch / "out", store=there.url
    )
    assert result.exit_code == 7 and result.to_json()["unstored"]["code"] == "environment"
    assert [cell.status for cell in result.cells] == ["done", "done"]
    assert len(kept(scratch).measurements()) == 2


def test_the_command_prints_the_measurement_and_the_cause(
    there: Store, scratch: Path, tiny_onnx: Callable[..., Path]
) -> None:
    """The store can be asked before, and is locked by another process when the measurement is there."""
    code = (
        "import sys, sqlite3\n"
        "from edgekit.cli.main import main\n"
        "from edgekit.measure import command\n"
        "from edgekit.storage import store\n"
        "store.Store.__init__.__defaults__ = (0.1,)\n"
        "measure = command.MeasuringSession.measure\n"
        "def lock(self, task):\n"
        "    self.holder = sqlite3.connect(sys.argv[-1].partition('///')[2], isolation_level=None)\n"
        "    self.holder.execute('BEGIN IMMEDIATE')\n"
        "    return measure(self, task)\n"
        "command.MeasuringSession.measure = lock\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", code, "bench", str(tiny_onnx()), "--preset", "quick", "--json", "--store"]
    done = subprocess.run([*command, there.url], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["measurements"][0]["median_ms"]
    assert there.file and "is locked by another process; what was measured is kept in" in done.stderr
    assert len(kept(there.file.parent).measurements()) == 1 and store.WAIT_SECONDS > 1
