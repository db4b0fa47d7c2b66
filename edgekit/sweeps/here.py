"""Exports and accuracies, which this machine's processors do: whose turn it is, and what room there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgekit.sweeps.jobs import ACCURACY, EXPORT, LATENCY, Task
from edgekit.sweeps.queues import Job, Turns


class Here:
    """This machine. `processors` and `memory` (in bytes) are for exports and accuracies."""

    def __init__(self, processors: int, memory: int) -> None:
        self.processors, self._memory = processors, memory
        self._free_processors, self._free_memory = processors, memory
        self._turns = {EXPORT: Turns(), ACCURACY: Turns()}
        self._left = {EXPORT: 0, LATENCY: 0, ACCURACY: 0}
        self.running: dict[str, Task] = {}  # exports and accuracies, by their keys

    @property
    def may_measure(self) -> bool:
        """Whether nothing else of ours runs here or is to come first."""
        return not self._left[EXPORT] and self._free_processors == self.processors

    def resize(self, processors: int, memory: int) -> None:
        """Have so many processors and so much memory from now on."""
        self._free_processors += processors - self.processors
        self._free_memory += memory - self._memory
        self.processors, self._memory = processors, memory

    def count(self, task: Task, sign: int) -> None:
        """Add a job to those that are left to be done here, or take it off."""
        self._left[task.kind] += sign

    def add(self, task: Task) -> None:
        """An export or an accuracy waits for nothing but room."""
        self._turns[task.kind].add(task.group, task.key)

    def take(self, jobs: Mapping[str, Job]) -> Iterator[Job]:
        """Yield the exports for which there is room, and the accuracies when none of the others is left."""
        kind = EXPORT if self._left[EXPORT] else ACCURACY
        if kind == ACCURACY and self._left[LATENCY]:
            return
        turns = self._turns[kind]
        while turns:
            job = jobs[turns.peek()]
            processors, memory = job.share = self.share(job.task)
            if processors > self._free_processors or memory > self._free_memory:
                return
            turns.take()
            self._free_processors -= processors
            self._free_memory -= memory
            self.running[job.task.key] = job.task
            yield job

    def ended(self, job: Job) -> None:
        """A job is over, and what it had is free again."""
        del self.running[job.task.key]
        self._free_processors += job.share[0]
        self._free_memory += job.share[1]

    def share(self, task: Task) -> tuple[int, int]:
        """Processors and memory for a job; what needs more than there is gets all, and is alone."""
        if task.needs.alone:
            return self.processors, self._memory
        return min(task.needs.processors, self.processors), min(task.needs.memory, self._memory)
