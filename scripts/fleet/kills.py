"""`python -m scripts.fleet.kills`: a sweep on a real Dask cluster, part of which is killed at a random moment.

A scheduler, workers with a device each, and a sweep of 4 variants measured in 2 ways on every device, all of them
processes on loopback; what workers do is pretended (tests/sweeps/fleet/peers.py). In turn the scheduler, one of the
workers and the sweep are killed with SIGKILL, and the scheduler, through which everything travels, is stopped for a
while as a network is that hangs. What was killed is started again. At the end every row must be there once: `lost`
counts rows that are missing, `doubled` records of one row beyond the first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.sweeps.fleet.announcement import KEY
from edgekit.sweeps.fleet.connection import Connection, look
from tests.sweeps.fleet.peers import Peers, stored
from tests.waiting import until

ROWS_EACH = 8  # of a device: 4 variants in 2 ways
STOPPED_SECONDS, AWAY_SECONDS, WORK_SECONDS = 3.0, 1.0, 4.0
MOST_RUNS = 4  # of one sweep, with what continues it


@dataclass(frozen=True)
class Trial:
    """One sweep in which something was killed. `runs`: how often it was begun, its continuations, too."""

    victim: str
    moment: float  # seconds after its first job began
    runs: int
    lost: int
    doubled: int
    seconds: float


def trial(peers: Peers, out: Path, victim: str, moment: float) -> Trial:
    """Sweep, kill something, and continue until all is done."""
    out.mkdir()
    began, sweep, runs = time.monotonic(), peers.sweep(out), 1
    until(lambda: "exporting" in (out / "sweep.log").read_text() or sweep.poll() is not None)
    time.sleep(moment)
    VICTIMS[victim](peers, sweep)
    while sweep.wait() != 0 and runs < MOST_RUNS:
        sweep, runs = peers.sweep(out), runs + 1
    cells = json.loads((out / "result.json").read_text() or "{}").get("cells", [])
    done = sum(cell["status"] in ("done", "cached") for cell in cells)
    records, jobs = stored(out / "s.db")
    gather(peers)
    rows = ROWS_EACH * len(peers.devices)
    return Trial(victim, moment, runs, rows - min(done, jobs), records - jobs, time.monotonic() - began)


def _scheduler(peers: Peers, sweep: subprocess.Popen[bytes]) -> None:
    assert peers.scheduler is not None
    peers.scheduler.kill()
    peers.scheduler.wait()
    time.sleep(AWAY_SECONDS)
    peers.start_scheduler()


def _worker(peers: Peers, sweep: subprocess.Popen[bytes]) -> None:
    name = random.choice(list(peers.workers))
    peers.workers[name].kill()
    peers.workers[name].wait()
    peers.start_worker(name, *peers.devices[name])


def _network(peers: Peers, sweep: subprocess.Popen[bytes]) -> None:
    assert peers.scheduler is not None
    peers.scheduler.send_signal(signal.SIGSTOP)
    time.sleep(STOPPED_SECONDS)
    peers.scheduler.send_signal(signal.SIGCONT)


def _client(peers: Peers, sweep: subprocess.Popen[bytes]) -> None:
    sweep.kill()


VICTIMS: dict[str, Callable[[Peers, subprocess.Popen[bytes]], None]] = {
    "scheduler": _scheduler,
    "worker": _worker,
    "network": _network,
    "client": _client,
}


def gather(peers: Peers) -> None:
    """Wait until all workers are with the scheduler; start those that have ended."""
    for name, worker in list(peers.workers.items()):
        if worker.poll() is not None:
            peers.start_worker(name, *peers.devices[name])
    until(lambda: names(peers) == set(peers.workers))


def names(peers: Peers) -> set[str]:
    """What the workers are called that the scheduler knows."""
    try:
        info = asyncio.run(look(Connection(peers.address)))
    except EdgekitError:
        return set()
    return {worker[KEY]["name"] for worker in info["workers"].values() if KEY in worker}


def main() -> int:
    """Run the trials, print a line for each kind, and fail where a row is lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    found: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="edgekit-kills-") as scratch:
        peers = Peers(Path(scratch), pause_seconds=0.2)
        try:
            peers.start_scheduler()
            for number in range(1, arguments.workers + 1):
                peers.start_worker(f"worker-{number}", f"pi-{number}")
            for number in range(arguments.trials):
                victim = list(VICTIMS)[number % len(VICTIMS)]
                found.append(trial(peers, Path(scratch) / str(number), victim, random.uniform(0, WORK_SECONDS)))
                print(found[-1], flush=True)
        finally:
            peers.stop()
    for victim in VICTIMS:
        own = [one for one in found if one.victim == victim]
        again = sum(one.runs > 1 for one in own)
        lost, doubled = sum(one.lost for one in own), sum(one.doubled for one in own)
        print(f"{victim}: {len(own)} trials, {again} continued, {lost} rows lost, {doubled} doubled")
    return 1 if any(one.lost or one.doubled for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
