"""Decides which job runs where and when: pure, deterministic, and told the time.

It starts nothing itself. Whoever runs the jobs asks `start` what may begin now, and tells with `ended` how each of them
ended. Each device runs one job at a time. On this machine exports come first, as many at once as processors and memory
allow; then it measures, and nothing else of ours runs on it; then accuracies.

A device that does not answer is asked again after pauses that grow, and its jobs go to its twins meanwhile. A job that
fails on a device is tried on a twin. A job with which devices go away, and one that fails on several, is its own
fault; a device that fails what its twins do is the device's, and it pauses like one that does not answer.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence

from edgekit.sweeps.here import Here
from edgekit.sweeps.jobs import End, Start, Task
from edgekit.sweeps.queues import Device, Job, Patience, Queue, Remaining, Turns

HERE = "local"  # the address of this machine
DONE, BROKEN, AWAY, LOST = "done", "failed", "away", "lost"  # how a job ended; away: before it began
TWINS = 3  # devices on which a job is tried that fails
LOSSES = 2  # times that a device may go away with a job
BLAMED = 3  # jobs that failed on a device and not on its twins, after which it pauses


class Scheduler:
    """The jobs of one sweep. `addresses` has the machine of each device by its name; memory is in bytes."""

    def __init__(
        self,
        tasks: Sequence[Task],
        addresses: Mapping[str, str],
        processors: int,
        memory: int,
        patience: Patience | None = None,
    ) -> None:
        self.devices = {address: Device(address) for address in addresses.values()}
        self._addresses = addresses
        self._patience = patience or Patience()
        self.here = Here(processors, memory)
        self._queues: dict[frozenset[str], Queue] = {}
        self._running = 0  # jobs that have begun, everywhere
        self._pauses: list[tuple[float, str]] = []
        self._look_at: dict[str, None] = {}  # devices that may find something to do
        self._ended: list[End] = []
        self._jobs: dict[str, Job] = {}
        self._next: dict[str, list[str]] = {}  # jobs that wait, by what they wait for
        self._time = Remaining()
        self.left = len(tasks)
        for task in tasks:
            self._add(task)
        for address in self.devices:
            self._freed(address)
        for job in self._jobs.values():
            if not job.waits:
                self._ready(job)

    def _add(self, task: Task) -> None:
        queue = self._queue(task) if task.needs.devices else None
        self._jobs[task.key] = Job(task, len(task.after), queue, self.here.share(task))
        for key in task.after:
            self._next.setdefault(key, []).append(task.key)
        self._time.count(self._jobs[task.key], 1)
        if queue is None or HERE in queue.members:
            self.here.count(task, 1)

    def _queue(self, task: Task) -> Queue:
        members = frozenset(self._addresses[name] for name in task.needs.devices)
        if members not in self._queues:
            self._queues[members] = queue = Queue(members, left=len(members))
            for address in members:
                self.devices[address].queues.append(queue)
                self.devices[address].queues.sort(key=lambda one: len(one.members))  # first what only few can do
        return self._queues[members]

    # What is asked

    def start(self, now: float) -> list[Start]:
        """Return the jobs that may begin now; they count as begun."""
        found = self._startable(now)
        if not found and not self._running and self._give_up_absent():
            found = self._startable(now)
        return found

    def _startable(self, now: float) -> list[Start]:
        while self._pauses and self._pauses[0][0] <= now:
            address = heapq.heappop(self._pauses)[1]
            self.devices[address].paused = False
            self._freed(address)
        found = list(self._starts_here(now))
        while self._look_at:
            address = next(iter(self._look_at))
            del self._look_at[address]
            found += self._start_on(self.devices[address], now)
        return found

    def next_time(self) -> float | None:
        """Return when a device is to be asked again; None where none pauses."""
        return self._pauses[0][0] if self._pauses else None

    def over(self) -> list[End]:
        """Return the jobs that are over since it was last asked."""
        found, self._ended = self._ended, []
        return found

    def at_work(self, address: str) -> tuple[Task, float, float]:
        """Return what a device runs, since when, and how many seconds such a job takes. It must run something."""
        job = self._jobs[self.devices[address].running or ""]
        return job.task, job.since, self._time.of(job.task)

    def running(self, now: float) -> list[tuple[Task, float]]:
        """Return the jobs that run, and for how many seconds; what takes longer than guessed corrects the guesses."""
        keys = [*self.here.running, *(device.running for device in self.devices.values() if device.running)]
        found = [(self._jobs[key].task, now - self._jobs[key].since) for key in keys]
        for task, seconds in found:
            self._time.runs(task, seconds)
        return found

    # What is told

    def ended(self, started: Start, outcome: str, now: float, why: object = None) -> None:
        """Tell how a job ended; what is told of an earlier attempt than the last changes nothing."""
        job = self._jobs[started.task.key]
        if job.over or job.attempt != started.attempt or job.device is None:
            return
        address, job.device = job.device, None
        self._running -= 1
        if outcome == DONE:
            self._time.took(job.task, now - job.since)
        if job.queue is None:
            self.here.ended(job)
            self._finish(job, outcome, why)
        else:
            device = self.devices[address]
            device.running = None
            {DONE: self._did, BROKEN: self._failed, AWAY: self._silent, LOST: self._silent}[outcome](
                job, device, outcome, now, why
            )
            if device.is_free:
                self._freed(address)

    def drop(self, key: str) -> None:
        """Take out a job that still waits for another, before it is told that the other has ended in vain."""
        job = self._jobs[key]
        assert job.waits and not job.over, "only what waits can be dropped"
        self._finish(job, BROKEN, None, told=False)

    # How jobs end

    def _did(self, job: Job, device: Device, outcome: str, now: float, why: object) -> None:
        device.answered, device.silent = True, 0
        self._finish(job, outcome, why)
        for address in job.failed_on:
            self._blame(self.devices[address], now, why)

    def _blame(self, device: Device, now: float, why: object) -> None:
        """A job was done that had failed on this device."""
        device.blamed += 1
        if device.blamed >= BLAMED and device.is_free:
            device.blamed = 0
            self._pause(device, now, device.why)

    def _failed(self, job: Job, device: Device, outcome: str, now: float, why: object) -> None:
        device.answered, device.why = True, why
        assert job.queue is not None
        job.failed_on |= {device.address}
        others = [one for one in job.queue.members - job.failed_on if not self.devices[one].gone]
        if not others or len(job.failed_on) >= TWINS:
            self._finish(job, outcome, why)
        else:
            self._ready(job)

    def _silent(self, job: Job, device: Device, outcome: str, now: float, why: object) -> None:
        job.losses += outcome == LOST
        device.answered |= outcome == LOST
        if job.losses >= LOSSES:
            self._finish(job, outcome, why)
        else:
            self._ready(job, first=True)
        self._pause(device, now, why)

    def _pause(self, device: Device, now: float, why: object) -> None:
        device.silent, device.why = device.silent + 1, why
        for queue in device.queues:
            queue.free.pop(device.address, None)
        most = self._patience.seen if device.answered else self._patience.never_seen
        if device.silent > most:
            self._give_up(device)
        else:
            device.paused, device.until = True, now + self._patience.pause(device.silent)
            heapq.heappush(self._pauses, (device.until, device.address))

    def _give_up_absent(self) -> bool:
        """Give up devices that have never answered, where nothing else is left to wait for; whether there were any."""
        pausing = [self.devices[address] for _, address in self._pauses]
        absent = [one for one in pausing if not one.answered and one.silent > self._patience.alone]
        if not absent or any(one.answered and one.is_wanted for one in pausing):
            return False
        for device in absent:
            self._give_up(device)
        self._pauses = [one for one in self._pauses if not self.devices[one[1]].gone]
        heapq.heapify(self._pauses)
        return True

    def _give_up(self, device: Device) -> None:
        device.gone = True
        for queue in device.queues:
            queue.left -= 1
            waiting = list(queue.jobs.each()) if not queue.left else []
            waiting += [
                key
                for failed, jobs in queue.again.items()
                if all(self.devices[one].gone for one in queue.members - failed)
                for key in jobs.each()
            ]
            for key in waiting:
                self._finish(self._jobs[key], AWAY, device.why)
            self._forget_over(queue)

    def _forget_over(self, queue: Queue) -> None:
        """Rebuild what waits in a queue without the jobs that are over."""
        queue.jobs = queue.jobs.only(lambda key: not self._jobs[key].over)
        kept = {failed: jobs.only(lambda key: not self._jobs[key].over) for failed, jobs in queue.again.items()}
        queue.again = {failed: jobs for failed, jobs in kept.items() if jobs}

    def _finish(self, job: Job, outcome: str, why: object, told: bool = True) -> None:
        task, job.over = job.task, True
        self.left -= 1
        self._time.count(job, -1)
        if job.queue is None or HERE in job.queue.members:
            self.here.count(task, -1)
            self._look_at.update(dict.fromkeys([HERE] if HERE in self.devices else []))
        if told:
            self._ended.append(End(task, outcome, job.attempt, why))
        for key in self._next.pop(task.key, ()):
            after = self._jobs[key]
            after.waits -= 1
            if not after.waits and not after.over:
                self._ready(after)

    # How jobs begin

    def _ready(self, job: Job, first: bool = False) -> None:
        """A job waits for nothing but its place."""
        task, queue = job.task, job.queue
        if queue is None:
            self.here.add(task)
            return
        may_be_stuck = job.failed_on or not queue.left
        if may_be_stuck and all(self.devices[one].gone for one in queue.members - job.failed_on):
            self._finish(job, AWAY, self.devices[min(queue.members)].why)
            return
        jobs = queue.again.setdefault(job.failed_on, Turns()) if job.failed_on else queue.jobs
        jobs.add(task.group, task.key, first)
        self._look_for(queue)

    def _look_for(self, queue: Queue) -> None:
        """See to it that a free device looks at a queue that has a job for it."""
        address = next(queue.may_take(), None)
        if address is not None:
            self._look_at[address] = None

    def _freed(self, address: str) -> None:
        device = self.devices[address]
        for queue in device.queues:
            queue.free[address] = None
        self._look_at[address] = None

    def _start_on(self, device: Device, now: float) -> Iterator[Start]:
        if not device.is_free or (device.address == HERE and not self.here.may_measure):
            return
        for queue in device.queues:
            key = queue.take(device.address)
            if key is None:
                continue
            device.running = key
            for other in device.queues:
                other.free.pop(device.address, None)
                self._look_for(other)
            yield self._begun(self._jobs[key], device.address, now)
            return

    def _starts_here(self, now: float) -> Iterator[Start]:
        """The exports and accuracies for which there is room."""
        if HERE not in self.devices or self.devices[HERE].running is None:
            yield from (self._begun(job, HERE, now) for job in self.here.take(self._jobs))

    def _begun(self, job: Job, address: str, now: float) -> Start:
        job.attempt += 1
        self._running += 1
        job.device, job.since = address, now
        names = (name for name in job.task.needs.devices if self._addresses[name] == address)
        return Start(job.task, job.attempt, next(names, None))

    def seconds_left(self) -> float:
        """Return what is left of the time, by what each device still has to do, and what such jobs have taken."""
        loads = {HERE: self._time.here() / self.here.processors}
        for queue in self._queues.values():
            able = [one for one in queue.members if not self.devices[one].gone]
            for address in able:
                loads[address] = loads.get(address, 0.0) + self._time.on_devices(queue.seconds) / len(able)
        return max(loads.values())
