"""The executor of fresh processes: results, errors, a process that dies, and nothing left behind."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, as_completed
from pathlib import Path

import pytest

import edgekit
from edgekit.bench.links.stopping import Processes, Stopped
from edgekit.sweeps.workers import Workers
from tests.waiting import PATIENCE


def gone(pid: int) -> bool:
    """Whether a process ends within a while."""
    for _ in range(int(PATIENCE * 20)):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.05)
    return False


def test_results_and_errors_come_back() -> None:
    with Workers(2) as workers:
        futures = [workers.submit(divmod, 7, number) for number in (2, 0, 3)]
        assert len(list(as_completed(futures))) == 3
        assert futures[0].result() == (3, 1) and futures[2].result() == (2, 1)
        with pytest.raises(ZeroDivisionError):
            futures[1].result()


def test_nothing_is_imported_from_the_folder_that_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random", "queue", "pickle", "onnx", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open('{name} was imported', 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    with Workers(1) as workers:
        assert workers.submit(random.Random, 1).result().random() == random.Random(1).random()
        found = workers.submit(importlib.util.find_spec, "edgekit").result()
        assert found is not None and found.origin == edgekit.__file__
    assert not list(tmp_path.glob("*imported"))


def test_work_is_done_in_other_processes_which_print_elsewhere(capfd: pytest.CaptureFixture[str]) -> None:
    with Workers(1) as workers:
        first, second = (workers.submit(os.getpid).result() for _ in range(2))
        workers.submit(print, "between the answers").result()
        workers.submit(os.system, "echo from C").result()
    assert first == second != os.getpid(), "one process does it all"
    assert capfd.readouterr().out == ""
    assert gone(first)


def test_a_process_that_dies_takes_only_its_own_work_along() -> None:
    with Workers(1) as workers:
        before = workers.submit(os.getpid).result()
        with pytest.raises(BrokenExecutor, match="ended with 3"):
            workers.submit(os._exit, 3).result()
        assert workers.submit(os.getpid).result() != before


def test_what_nobody_waits_for_any_more_is_killed_and_nothing_else() -> None:
    with Workers(2) as workers:
        over = Processes()
        with over.scope():
            running = workers.submit(time.sleep, 600)
        other = workers.submit(time.sleep, 1)
        while len(over._running) != 1:
            time.sleep(0.01)
        over.end()
        with pytest.raises(BrokenExecutor, match="ended with -9"):
            running.result()
        other.result()
        with over.scope(), pytest.raises(Stopped):
            workers.submit(os.getpid).result()
        assert workers.submit(os.getpid).result() != os.getpid(), "others are served as before"


def test_an_answer_that_cannot_be_sent_is_told() -> None:
    with Workers(1) as workers:
        with pytest.raises(RuntimeError, match="cannot be sent"):
            workers.submit(open, os.devnull).result()
        assert workers.submit(abs, -1).result() == 1


def test_ending_at_once_leaves_nothing() -> None:
    workers = Workers(1)
    pid = workers.submit(os.getpid).result()
    running, waiting = workers.submit(time.sleep, 600), workers.submit(os.getpid)
    while not running.running():
        time.sleep(0.01)
    workers.shutdown(wait=False)
    assert gone(pid) and waiting.cancelled()
    with pytest.raises(BrokenExecutor):
        running.result()


def test_workers_go_when_their_parent_is_killed() -> None:
    code = """
import os, sys, time
from edgekit.sweeps.workers import Workers
workers = Workers(1)
print(workers.submit(os.getpid).result(), flush=True)
workers.submit(time.sleep, 600).result()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert gone(worker)
