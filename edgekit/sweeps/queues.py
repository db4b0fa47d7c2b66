"""The jobs that wait for the same devices, and the devices: what a scheduler decides with."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from edgekit.sweeps.jobs import ACCURACY, EXPORT, LATENCY, Task

GUESS_WEIGHS = 0.25  # as much as a quarter of a job that was done: a busy machine takes several times the guess


class Turns:
    """Jobs in a fair order: networks take turns, and the jobs of one network keep their order."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, deque[str]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, group: str, key: str, first: bool = False) -> None:
        """Put a job at the end of its network's, or before all others."""
        jobs = self._groups.setdefault(group, deque())
        if first:
            jobs.appendleft(key)
            self._groups.move_to_end(group, last=False)
        else:
            jobs.append(key)
        self._count += 1

    def take(self) -> str:
        """Return the next job, and let its network come last. There must be one."""
        group, jobs = next(iter(self._groups.items()))
        key = jobs.popleft()
        self._count -= 1
        if jobs:
            self._groups.move_to_end(group)
        else:
            del self._groups[group]
        return key

    def peek(self) -> str:
        """Return what `take` would. There must be one."""
        return next(iter(self._groups.values()))[0]

    def each(self) -> Iterator[str]:
        """Return every job."""
        return (key for jobs in self._groups.values() for key in jobs)

    def only(self, stays: Callable[[str], bool]) -> Turns:
        """Return the jobs that stay, in their order."""
        found = Turns()
        for group, jobs in self._groups.items():
            for key in filter(stays, jobs):
                found.add(group, key)
        return found


@dataclass(frozen=True)
class Patience:
    """How long a device is waited for: pauses in seconds that double, and how many of them."""

    first: float = 2.0
    most: float = 300.0
    never_seen: int = 5  # of a device that has not answered yet: about a minute
    seen: int = 10  # of one that has: about 14 minutes
    alone: int = 2  # of one that has not, when there is nothing else to wait for: 6 seconds

    def pause(self, silent: int) -> float:
        """Return how long the pause is after so many times without an answer."""
        return float(min(self.first * 2.0 ** min(silent - 1, 64), self.most))


@dataclass
class Device:
    """One machine: what it runs, and how it has answered.

    `silent` counts how often in a row it did not answer; `blamed`: how many jobs failed on it and not on a twin.
    """

    address: str
    running: str | None = None
    paused: bool = False
    until: float = 0.0  # when the pause ends
    gone: bool = False  # it was given up
    answered: bool = False
    silent: int = 0
    blamed: int = 0
    why: object = None  # what was said when it did not answer
    queues: list[Queue] = field(default_factory=list)

    @property
    def is_free(self) -> bool:
        """Whether it could begin something."""
        return self.running is None and not self.paused and not self.gone

    @property
    def is_wanted(self) -> bool:
        """Whether jobs wait that it may take."""
        return any(queue.jobs or queue.again for queue in self.queues)


@dataclass
class Queue:
    """The jobs that any of some devices may take. `again`: those that failed on some of them, by these."""

    members: frozenset[str]
    jobs: Turns = field(default_factory=Turns)
    again: dict[frozenset[str], Turns] = field(default_factory=dict)
    free: dict[str, None] = field(default_factory=dict)  # members that could begin something
    left: int = 0  # members that were not given up
    seconds: float = 0.0  # guessed, of all jobs that are left, also of those that wait for others

    def take(self, address: str) -> str | None:
        """Return the next job for a device; None where there is none for it."""
        for failed, jobs in self.again.items():
            if address not in failed:
                key = jobs.take()
                if not jobs:
                    del self.again[failed]
                return key
        return self.jobs.take() if self.jobs else None

    def may_take(self) -> Iterator[str]:
        """Yield the free devices that would find a job, as few as are needed to see one."""
        if self.jobs:
            yield from self.free
        for failed in self.again:
            yield from (address for address in self.free if address not in failed)


@dataclass
class Job:
    """Where a job stands. `waits`: for how many others; `queue` is None for a job on processors."""

    task: Task
    waits: int
    queue: Queue | None
    expected: tuple[int, int] = (0, 0)  # processors and bytes of memory, as was thought before
    share: tuple[int, int] = (0, 0)  # what it has while it runs
    attempt: int = 0
    losses: int = 0
    failed_on: frozenset[str] = frozenset()
    over: bool = False
    device: str | None = None  # where it runs
    since: float = 0.0  # when it began


class Pace:
    """What jobs of a kind take, against what was guessed, which soon weighs little."""

    def __init__(self) -> None:
        self._jobs = 0
        self._guessed = self._taken = self._least = 0.0

    def at_least(self, guessed: float, so_far: float) -> None:
        """A job that was guessed to take so many seconds has run for so many, and is not over."""
        self._least = max(self._least, so_far / guessed) if guessed else self._least

    def seen(self, guessed: float, taken: float) -> None:
        """A job that was guessed to take so many seconds took so many."""
        self._jobs, self._least = self._jobs + 1, 0.0
        self._guessed += guessed
        self._taken += taken

    def of(self, guessed: float) -> float:
        """Return how long what was guessed so will take."""
        trust = self._jobs / (self._jobs + GUESS_WEIGHS)
        ratio = self._taken / self._guessed if self._guessed else 1.0
        return guessed * max(trust * ratio + 1 - trust, self._least)


class Remaining:
    """The seconds that jobs still take: what was guessed of those that are left, and what such jobs have taken."""

    def __init__(self) -> None:
        self._paces = {kind: Pace() for kind in (EXPORT, LATENCY, ACCURACY)}
        self._here = {EXPORT: 0.0, ACCURACY: 0.0}  # guessed, times the processors that they take

    def count(self, job: Job, sign: int) -> None:
        """Add the guessed seconds of a job to those that are left, or take them off."""
        if job.queue is not None:
            job.queue.seconds += sign * job.task.seconds
        else:
            self._here[job.task.kind] += sign * job.task.seconds * max(job.expected[0], 1)

    def took(self, task: Task, seconds: float) -> None:
        """A job took so long."""
        self._paces[task.kind].seen(task.seconds, seconds)

    def runs(self, task: Task, seconds: float) -> None:
        """A job has run for so long, and is not over."""
        self._paces[task.kind].at_least(task.seconds, seconds)

    def of(self, task: Task) -> float:
        """Return how long a job will take."""
        return self._paces[task.kind].of(task.seconds)

    def on_devices(self, guessed: float) -> float:
        """Return how long latencies will take that were guessed to take so long."""
        return self._paces[LATENCY].of(guessed)

    def here(self) -> float:
        """Return the seconds of a processor that exports and accuracies will take."""
        return sum(self._paces[kind].of(seconds) for kind, seconds in self._here.items())
