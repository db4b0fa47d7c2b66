"""`make bench-store`: what a large store costs, written into docs/measured/store.md.

One measurement is taken, and copied under other names: of 200 files on 5 devices, each by a command of its own. Times
are of the processor, user and system, of a whole process, its start included; memory is its highest resident. The
targets are those that the page names; 1 where one is missed. `python -m scripts.bench_store 100000` says how many.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import edgekit
from edgekit.records.measurement import Measurement
from edgekit.records.record import new_id
from edgekit.storage.store import Store
from scripts.bench_helpers import ROOT, Line, as_installed, cost
from tests.storage.older import VERSION_1

COUNT = 100_000
FILES, DEVICES, SAMPLES = 200, 5, 200  # samples of each of a measurement's processes
ROUNDS, KILLS = 3, 20
TABLES = ("measurements", "samples", "summaries")
MIGRATE = "import sys; from edgekit.storage.store import Store; Store(sys.argv[1]).check()"
IMPORTS = "import sqlalchemy, pydantic, typer, rich.console, numpy"  # what they are made with
WORKED = (0, 3, 6)  # what is compared may be slower, or measured on a busy machine
PAGE = ROOT / "docs" / "measured" / "store.md"
HEAD = """\
# What a large store costs

Written by `make bench-store`; do not edit. {date}, {machine}.

A SQLite store of {count:,} measurements, {bytes:.2f} GB: a real one of {samples} samples and no longer a warm-up,
copied under the names of {files} files on {devices} devices. Times are of the processor, user and system, of a whole
process, its start included, the median of {rounds}; memory is its highest resident. The machine's load was {load:.0f}
meanwhile: with more than one process a core the same work takes more of the processor's time, too.

| what | target | measured |
|---|---|---|
"""


def template(folder: Path) -> Measurement:
    """A measurement of this machine, with some of its samples and of its warm-up, so that the store is of one size."""
    made = edgekit.export("lenet5", format=["onnx"], out=folder)
    (one,) = edgekit.bench([made.artifacts[0].path], preset="quick", store=str(folder / "one.db")).measurements
    runs = tuple(
        run.model_copy(update={"samples_ns": run.samples_ns[:SAMPLES], "warmup_ns": run.warmup_ns[:SAMPLES]})
        for run in one.runs
    )
    return one.model_copy(update={"runs": runs})


def named(number: int) -> dict[str, str]:
    """What tells a copy from the others."""
    file = number % FILES
    when = datetime.fromtimestamp(1.7e9 + 60 * number, timezone.utc).isoformat(timespec="milliseconds")
    return {
        "id": f"{number:012x}", "created": when, "session": f"5{number:011x}", "artifact": f"net_{file:03}_fp32.onnx",
        "sha256": hashlib.sha256(str(file).encode()).hexdigest(), "device": f"device-{number // FILES % DEVICES}",
    }  # fmt: skip


def fill(path: Path, one: Measurement, count: int) -> None:
    """Write a store of this version with copies of a measurement."""
    Store(str(path)).append(one)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        for table in TABLES:
            row = dict(connection.execute(f"SELECT * FROM {table}").fetchone())
            connection.execute(f"DELETE FROM {table}")
            row.pop("position", None)
            marks = ", ".join("?" * len(row))
            copies = (tuple(copy.values()) for copy in _copies(row, one, count))
            connection.executemany(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", copies)
        connection.commit()


def fill_old(path: Path, one: Measurement, count: int) -> None:
    """Write a store as the first version of edgekit left it: without summaries, and with all samples in the record."""
    row = {name: getattr(one, name) for name in ("id", "created", "sha256", "device", "runtime", "version")}
    row["payload"] = one.model_dump_json()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
        copies = (tuple(copy.values()) for copy in _copies(row, one, count))
        connection.executemany(f"INSERT INTO measurements ({', '.join(row)}) VALUES (?, ?, ?, ?, ?, ?, ?)", copies)
        connection.commit()


def _copies(row: dict[str, object], one: Measurement, count: int) -> Iterator[dict[str, object]]:
    """A row under other names; its JSON has them, too."""
    before = {name: f'"{getattr(one, name)}"' for name in named(0)}
    for number in range(count):
        names = named(number)
        copy = row | {name: value for name, value in names.items() if name in row}
        if "payload" in row and len(row) > 2:  # samples have no names in them
            text = str(row["payload"])
            for name, value in names.items():
                text = text.replace(before[name], f'"{value}"')
            copy["payload"] = text
        yield copy


def _line(
    claim: str,
    command: list[str],
    seconds: float | None = None,
    megabytes: float | None = None,
    without: Path | None = None,
) -> Line:
    """What a command costs; `without` is a folder that is removed before each round."""
    found = []
    for _ in range(ROUNDS if seconds else 1):
        if without is not None:
            shutil.rmtree(without, ignore_errors=True)
        found.append(cost(command, WORKED))
    took = statistics.median(one.cpu_seconds for one in found)
    peak = statistics.median(one.peak_bytes for one in found) / 1e6
    reached = took < seconds and peak < megabytes if seconds and megabytes else None
    target = f"< {seconds:g} s, < {megabytes:g} MB" if seconds and megabytes else "-"
    return Line(claim, target, f"{took:.2f} s, {peak:.0f} MB", reached)


def commands(store: Path, count: int, folder: Path) -> Iterator[Line]:
    """Commands that are asked for little of it."""
    edgekit_, at = [sys.executable, "-m", "edgekit"], ["--store", str(store)]
    base, new = (named(count // 2 + more)["id"] for more in (-FILES * DEVICES, 0))
    out = ["--out", str(folder / "report.html")]
    cache = folder / "cache"  # of the script that draws a report's pictures
    os.environ["EDGEKIT_CACHE"] = str(cache)
    yield _line("`compare ID1 ID2`", [*edgekit_, "compare", base, new, *at], 0.5, 150)
    yield _line("`compare latest~1 latest`", [*edgekit_, "compare", "latest~1", "latest", *at])
    report = [*edgekit_, "report", "--last", "1000", *at, *out]
    yield _line("the first report on a machine, `report --last 1000`", report, 3, 250, cache)
    yield _line("`report --last 1000`", report, 3, 250)
    yield _line(f"for comparison, `{IMPORTS}` alone", [sys.executable, "-c", IMPORTS])


def migrations(one: Measurement, count: int, folder: Path) -> Iterator[Line]:
    """An old store that is written to for the first time."""
    for size in (count // 100, count // 10, count):
        fill_old(folder / "old.db", one, size)
        command = [sys.executable, "-c", MIGRATE, str(folder / "old.db")]
        yield _line(f"bringing an old store of {size:,} up to date", command)
        (folder / "old.db").unlink()


def kills(one: Measurement, count: int, folder: Path) -> Line:
    """Bringing up to date, killed at any moment: it must be the old store as it was, until it is the new one."""
    path, chance, killed, safe = folder / "killed.db", random.Random(0), 0, 0
    fill_old(path, one, count)
    began = time.monotonic()
    _migrate(path, None)
    whole = time.monotonic() - began
    while killed < KILLS:
        if _version(path) > 1:
            path.unlink()
            fill_old(path, one, count)
        if _migrate(path, chance.uniform(0, whole)):
            killed += 1
            safe += _records(path) == count
    _migrate(path, None)
    is_whole = _version(path) > 1 and _records(path) == count
    measured = f"all {count:,} were there after {safe} of {killed} kills, and {'' if is_whole else 'not '}in the end"
    return Line("the same, killed at any moment", "nothing lost", measured, safe == killed and is_whole)


def _migrate(path: Path, seconds: float | None) -> bool:
    """Bring a store up to date; whether it was killed after some seconds."""
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", MIGRATE, str(path)], os.environ)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT version FROM edgekit_schema").fetchone()[0])


def _records(path: Path) -> int:
    """How many can be read, of a file that SQLite finds whole."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return sum(1 for _ in Store(str(path)).each("measurements", Measurement))


def main(count: int) -> int:
    """Measure, and write the page."""
    as_installed()
    facts = edgekit.doctor().machine
    with tempfile.TemporaryDirectory(prefix="edgekit-bench-store-") as name:
        folder = Path(name)
        one = template(folder).model_copy(update={"id": new_id()})
        fill(folder / "store.db", one, count)
        head = HEAD.format(
            date=datetime.now(timezone.utc).date(),
            machine=f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}",
            count=count, bytes=(folder / "store.db").stat().st_size / 1e9,
            samples=sum(len(run.samples_ns) for run in one.runs),
            files=FILES, devices=DEVICES, rounds=ROUNDS, load=os.getloadavg()[0],
        )  # fmt: skip
        lines = []
        for line in (*commands(folder / "store.db", count, folder), *migrations(one, count, folder)):
            print(line, flush=True)
            lines.append(line)
        lines.append(kills(one, count // 20, folder))
    print(lines[-1])
    rows = "".join(f"| {line.claim} | {line.target} | {line.measured} |\n" for line in lines)
    PAGE.write_text(head + rows, encoding="utf-8")
    return int(any(line.reached is False for line in lines))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT))
