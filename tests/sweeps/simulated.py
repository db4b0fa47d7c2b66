"""A simulated laboratory: devices that come and go, jobs that fail, and a clock that the simulation turns."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edgekit.sweeps.jobs import EXPORT, LATENCY, End, Needs, Start, Task
from edgekit.sweeps.queues import Patience
from edgekit.sweeps.scheduler import AWAY, BROKEN, DONE, LOST, Scheduler

GIGABYTE = 10**9


@dataclass
class Lab:
    """Devices with times at which they are away, and jobs that always fail, or take their device down."""

    devices: int
    seed: int = 0
    leave: float = 0.0  # the chance that a device goes away while it runs a job
    fail: float = 0.0  # that a job fails where it runs, and not elsewhere
    broken: frozenset[str] = frozenset()  # jobs that fail everywhere
    deadly: frozenset[str] = frozenset()  # jobs that take devices down
    bad: frozenset[str] = frozenset()  # devices on which everything fails
    dead: frozenset[str] = frozenset()  # devices that never answer
    patience: Patience = field(default_factory=Patience)
    ran: Counter[str] = field(default_factory=Counter)  # how often each device did a job
    begun: Counter[str] = field(default_factory=Counter)
    idle: list[str] = field(default_factory=list)  # devices that stood idle beside a job for them

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.names = [f"d{index}" for index in range(self.devices)]
        self._back: dict[str, float] = {}  # when a device that is away will answer again

    def run(self, tasks: Sequence[Task], look: bool = False) -> list[End]:
        """Run all jobs, and return how they ended. `look`: see after each step that nobody is idle in vain."""
        scheduler = Scheduler(tasks, {name: name for name in self.names}, 4, 8 * GIGABYTE, self.patience)
        now, running, ends = 0.0, list[tuple[float, int, Start, str, bool]](), list[End]()
        busy: set[str] = set()
        number = 0
        while scheduler.left:
            for start in scheduler.start(now):
                where = start.device or f"here {start.task.key}"
                assert where not in busy, f"{where} runs two jobs"
                busy.add(where)
                self.begun[start.task.key] += 1
                number += 1
                seconds, outcome = self._outcome(start, now)
                heapq.heappush(running, (now + seconds, number, start, outcome, False))
            if look:
                self._see(scheduler, busy)
            assert running or scheduler.next_time() is not None or not scheduler.left, "nothing will ever happen"
            times = [running[0][0]] if running else []
            times += [scheduler.next_time() or now] if scheduler.next_time() is not None else []
            now = max(now, min(times, default=now))
            while running and running[0][0] <= now:
                _, _, start, outcome, _ = heapq.heappop(running)
                busy.discard(start.device or f"here {start.task.key}")
                scheduler.ended(start, outcome, now, why=f"{outcome} on {start.device}")
                self.ran[start.device or "here"] += outcome == DONE
            ends += scheduler.over()
        return ends

    def _outcome(self, start: Start, now: float) -> tuple[float, str]:
        """Seconds that it takes, and how it ends."""
        device, key = start.device, start.task.key
        if device is None:
            return start.task.seconds, BROKEN if key in self.broken else DONE
        if device in self.dead or self._back.get(device, 0.0) > now:
            return 1.0, AWAY
        if key in self.deadly or self.random.random() < self.leave:
            self._back[device] = now + self.random.uniform(1, 30)
            return 0.5 * start.task.seconds, LOST
        failed = key in self.broken or device in self.bad or self.random.random() < self.fail
        return start.task.seconds, BROKEN if failed else DONE

    def _see(self, scheduler: Scheduler, busy: set[str]) -> None:
        for device in scheduler.devices.values():
            waits = any(queue.jobs or any(device.address not in one for one in queue.again) for queue in device.queues)
            if device.is_free and waits:
                self.idle.append(device.address)


def jobs(count: int, lab: Lab, pool: int = 10, exports: int = 0) -> Iterator[Task]:
    """Measurements: half of them for one device, half for a pool; some wait for an export."""
    draw = random.Random(lab.seed)
    for index in range(exports):
        yield Task(f"e{index}", EXPORT, "", Needs(processors=1, memory=GIGABYTE), (), f"n{index % 7}", 2.0)
    for index in range(count):
        first = draw.randrange(lab.devices)
        size = min(pool, lab.devices) if index % 2 else 1
        start = first - first % size
        after = (f"e{index % exports}",) if exports else ()
        needs = Needs(devices=tuple(lab.names[start : start + size]))
        yield Task(f"j{index}", LATENCY, "", needs, after, f"n{index % 7}", draw.uniform(5, 15))
