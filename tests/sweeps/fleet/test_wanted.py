"""What a worker runs for a sweep that is not there any more."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from edgekit.bench.links import stopping
from edgekit.sweeps.fleet import wanted
from tests.waiting import PATIENCE

distributed = pytest.importorskip("distributed")


def pretended(state: str | None = "executing", status: str = "running") -> Any:
    """A worker of Dask with one task (`state` None: with none)."""
    tasks = {} if state is None else {"measure": SimpleNamespace(state=state)}
    state_of_it, called = SimpleNamespace(tasks=tasks), SimpleNamespace(name=status)
    return SimpleNamespace(state=state_of_it, status=called, get_current_task=lambda: "measure")


@pytest.mark.parametrize(
    ("worker", "so"),
    [
        (pretended(), True),
        (pretended("long-running"), True),
        (pretended("cancelled"), False),
        (pretended(None), False),
        (pretended(status="closing"), False),
    ],
)
def test_a_task_is_wanted_as_long_as_dask_runs_it(worker: Any, so: bool) -> None:
    assert wanted.is_wanted(worker, "measure") is so


def test_what_nobody_waits_for_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = pretended()
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    monkeypatch.setattr(wanted, "GLANCE_SECONDS", 0.01)
    with wanted.while_wanted():
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(10**6)"])
        stopping.begun(process)
        stopping.check()
        worker.state.tasks["measure"].state = "cancelled"
        assert process.wait(PATIENCE) < 0
        with pytest.raises(stopping.Stopped):
            stopping.check()
