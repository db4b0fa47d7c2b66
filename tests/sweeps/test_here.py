"""Exports and accuracies on this machine: as many at once as processors and memory allow."""

from __future__ import annotations

import pytest

from edgekit.sweeps.here import Here
from edgekit.sweeps.jobs import EXPORT, Needs, Task
from edgekit.sweeps.queues import Job
from tests.sweeps.simulated import GIGABYTE


def export(processors: int = 1, memory: int = GIGABYTE, alone: bool = False) -> Needs:
    return Needs(processors=processors, memory=memory, alone=alone)


def of(*needs: Needs) -> tuple[Here, dict[str, Job]]:
    """A machine of 2 processors and 4 GB with exports that wait."""
    here, jobs = Here(2, 4 * GIGABYTE), {}
    for key, one in zip("abc", needs, strict=False):
        task = Task(key, EXPORT, key, one)
        jobs[key] = Job(task, 0, None)
        here.count(task, 1)
        here.add(task)
    return here, jobs


def taken(here: Here, jobs: dict[str, Job]) -> list[str]:
    return [job.task.key for job in here.take(jobs)]


@pytest.mark.parametrize(
    ("needs", "first"),
    [
        ([export(), export(), export()], ["a", "b"]),
        ([export(memory=3 * GIGABYTE), export(memory=2 * GIGABYTE)], ["a"]),
        ([export(memory=99 * GIGABYTE, processors=99), export()], ["a"]),
        ([export(alone=True), export(alone=True)], ["a"]),
    ],
)
def test_exports_run_as_far_as_processors_and_memory_go(needs: list[Needs], first: list[str]) -> None:
    here, jobs = of(*needs)
    assert taken(here, jobs) == first == list(here.running) and not here.may_measure
    here.ended(jobs["a"])
    assert taken(here, jobs) == ["abc"[len(first)]]


def test_more_processors_and_memory_take_more_and_fewer_let_what_runs_end() -> None:
    here, jobs = of(export(), export(), export())
    here.resize(1, 4 * GIGABYTE)
    assert taken(here, jobs) == ["a"]
    here.resize(3, 2 * GIGABYTE)
    assert taken(here, jobs) == ["b"] and here.share(Task("d", EXPORT, "d", export(alone=True))) == (3, 2 * GIGABYTE)
    here.resize(1, 4 * GIGABYTE)
    here.ended(jobs["a"])
    assert taken(here, jobs) == [], "another still runs on the only processor"
