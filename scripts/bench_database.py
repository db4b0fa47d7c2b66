"""`make bench-database`: a store of a million measurements, and one that fifty write to while its server is killed.

Written into docs/measured/database.md. Needs PostgreSQL's server, `pip install 'edgekit[postgresql]'`, and 15 GB among
the temporary files. `python -m scripts.bench_database 10000 1000` takes so many measurements and rows.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

import edgekit
from edgekit.records.measurement import Measurement
from edgekit.records.record import new_id
from edgekit.reporting.records import from_store
from edgekit.storage.filters import Filters
from edgekit.storage.looking import entries, named
from edgekit.storage.store import Store
from scripts import bench_store
from scripts.bench_helpers import ROOT, Line
from tests.storage.postgresql import Cluster, execute, running

MEASUREMENTS, ROWS = 1_000_000, 100_000
WRITERS, PROCESSES, TOGETHER, RESTARTS = 50, 5, 20, 2  # TOGETHER: rows of one transaction, as a command appends them
SAMPLES, ROUNDS, LIMIT_MS, AT_ONCE = 10, 5, 500.0, 5_000
PAGE = ROOT / "docs" / "measured" / "database.md"
# Threads that append until each has so many rows, and print the ids that the store has taken.
WRITE = """
import sys, threading, time
from edgekit.errors import EnvironmentRefused
from edgekit.records.measurement import Measurement
from edgekit.records.record import new_id
from edgekit.storage.store import Store
url, threads, rows, together = sys.argv[1], *map(int, sys.argv[2:5])
one, told = Measurement.model_validate_json(open(sys.argv[5]).read()), threading.Lock()
def write():
    store, left = Store(url), rows
    while left:
        some = [one.model_copy(update={"id": new_id()}) for _ in range(min(together, left))]
        try:
            store.append(*some)
        except EnvironmentRefused:
            time.sleep(0.2)
            continue
        left -= len(some)
        with told:
            print(*(record.id for record in some), flush=True)
each = [threading.Thread(target=write) for _ in range(threads)]
[thread.start() for thread in each]
[thread.join() for thread in each]
"""
HEAD = """\
# A store of a million measurements, and fifty that write to it

Written by `make bench-database`; do not edit. {date}, {machine}. The machine's load was {load:.0f} meanwhile.

## Fifty writers while the server is killed

{processes} processes of {threads} threads, each with a store of its own, append {together} measurements at a time to
one PostgreSQL store (without `fsync`: the server is killed, not the machine), {rows:,} in all. Twice the server is
killed with all that is under way, and started again.

{written}

## Looked for among {count:,}

A real measurement of {samples} samples, copied under the names of {files} files on {devices} devices. Wall-clock time
within a process, connecting to the store included, the median of {rounds}.

| what | {names} |
|---|{rules}|
"""


def looks(count: int) -> dict[str, Callable[[Store], Sequence[object]]]:
    """What a person asks a store for, by the words of the command line."""
    middle, file = bench_store.named(count // 2)["id"], "net_107_fp32.onnx"

    def reported(store: Store, wanted: Filters) -> list[Measurement]:
        return list(from_store(store, wanted).latest)

    return {
        "`store list --latest 20`": lambda store: entries(store, Filters(latest=20)),
        "`store list --device device-1 --latest 20`": lambda store: entries(store, Filters("device-1", latest=20)),
        "`store list --device nowhere`": lambda store: entries(store, Filters("nowhere")),
        "`store list --model FILE --latest 20`, one of 200 files": lambda store: entries(
            store, Filters(model=file, latest=20)
        ),
        "`store list --model lenet5 --latest 20`, which all are": lambda store: entries(
            store, Filters(model="lenet5", latest=20)
        ),
        "`store list --model nothing`": lambda store: entries(store, Filters(model="nothing")),
        "`store list --device device-1 --model FILE`, where it never ran": lambda store: entries(
            store, Filters("device-1", "net_007_fp32.onnx")
        ),
        "`store show ID`, finding it": lambda store: named(store, [middle]),
        "`report --last 100`, reading them": lambda store: reported(store, Filters(latest=100)),
        "`report --device device-1 --last 100`, reading them": lambda store: reported(
            store, Filters("device-1", latest=100)
        ),
    }


def milliseconds(url: str, look: Callable[[Store], Sequence[object]]) -> float:
    """The median of some rounds, each with a store of its own."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        look(Store(url))
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def copied(path: Path, cluster: Cluster) -> str:
    """The tables of a SQLite store in a new database of the server, as they stand; its URL."""
    import sqlite3

    import psycopg

    execute(cluster.url.format("postgres"), "CREATE DATABASE large")
    url = cluster.url.format("large")
    Store(url).check()
    with (
        psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as there,
        sqlite3.connect(path) as here,
        there.cursor() as cursor,
    ):
        for name in bench_store.TABLES:
            read = here.execute(f"SELECT * FROM {name}")
            columns = ", ".join(column[0] for column in read.description)
            with cursor.copy(f"COPY {name} ({columns}) FROM STDIN") as into:
                for row in read:
                    into.write_row(row)
    execute(url, "ANALYZE")
    return url


def written(cluster: Cluster, one: Path, rows: int, folder: Path) -> Iterator[Line]:
    """Rows of fifty writers, the server killed twice: each that was acknowledged must be there once."""
    execute(cluster.url.format("postgres"), "CREATE DATABASE fifty")
    url, each = cluster.url.format("fifty"), rows // WRITERS
    Store(url).check()
    command = [sys.executable, "-c", WRITE, url, str(WRITERS // PROCESSES), str(each), str(TOGETHER), str(one)]
    began, said = time.monotonic(), [folder / f"said-{number}" for number in range(PROCESSES)]
    running_ = [subprocess.Popen(command, cwd=ROOT, stdout=path.open("w")) for path in said]
    chance, killed = random.Random(0), 0
    while any(process.poll() is None for process in running_):
        time.sleep(0.5)
        share = sum(len(path.read_text().split()) for path in said) / rows
        if killed < RESTARTS and share > (killed + chance.uniform(0.6, 1.0)) / (RESTARTS + 1):
            cluster.restart()
            killed += 1
    seconds = time.monotonic() - began
    taken = [id for path in said for id in path.read_text().split()]
    there = Counter(_ids(url))
    twice, lost = sum(count > 1 for count in there.values()), len(set(taken) - set(there))
    told = f"{len(taken):,} acknowledged in {seconds:.0f} s, {len(there):,} there; {lost} lost, {twice} twice"
    is_right = killed == RESTARTS and len(set(taken)) == rows and not lost and not twice
    yield Line(f"{WRITERS} writers, {rows:,} rows, the server killed {killed} times", "each once", told, is_right)


def _ids(url: str) -> Iterator[str]:
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM measurements")
        while some := list(islice(rows, AT_ONCE)):
            yield from (row[0] for row in some)
    engine.dispose()


def main(count: int, rows: int) -> int:
    """Measure, and write the page."""
    facts = edgekit.doctor().machine
    with tempfile.TemporaryDirectory(prefix="edgekit-bench-database-") as name, running() as cluster:
        folder = Path(name)
        bench_store.SAMPLES = SAMPLES
        one = bench_store.template(folder).model_copy(update={"id": new_id()})
        (folder / "one.json").write_text(one.model_dump_json())
        lines = list(written(cluster, folder / "one.json", rows, folder))
        print(*lines, sep="\n", flush=True)
        bench_store.fill(folder / "store.db", one, count)
        stores = {"SQLite": str(folder / "store.db"), "PostgreSQL": copied(folder / "store.db", cluster)}
        found = {what: [milliseconds(url, look) for url in stores.values()] for what, look in looks(count).items()}
    body = "".join(f"| {what} | {' | '.join(f'{one:.0f} ms' for one in each)} |\n" for what, each in found.items())
    said = "\n".join(f"{line.claim}: {line.measured}." for line in lines)
    head = HEAD.format(
        date=datetime.now(timezone.utc).date(),
        machine=f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}",
        load=os.getloadavg()[0], processes=PROCESSES, threads=WRITERS // PROCESSES, together=TOGETHER, rows=rows,
        written=said, count=count, samples=sum(len(run.samples_ns) for run in one.runs), files=bench_store.FILES,
        devices=bench_store.DEVICES, rounds=ROUNDS, names=" | ".join(stores), rules="|".join("--:" for _ in stores),
    )  # fmt: skip
    print(body)
    PAGE.write_text(head + body, encoding="utf-8")
    slow = any(taken > LIMIT_MS for each in found.values() for taken in each)
    return int(slow or not all(line.reached for line in lines))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) if len(sys.argv) == 3 else main(MEASUREMENTS, ROWS))
