"""From files to measurements: fresh processes one after the other, or interleaved, with cool-down and a memory pass."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edgekit.bench.links import stopping
from edgekit.device.linux import LinuxTarget
from edgekit.device.target import Target
from edgekit.errors import EdgekitError
from edgekit.measure import verdict
from edgekit.measure.found import emulated, plain, remarks
from edgekit.measure.profile import ON_GPU, profile
from edgekit.records.artifact import Artifact, in_use
from edgekit.records.measurement import Measurement, Memory, ProcessRun, Protocol, Snapshot
from edgekit.records.record import new_id, now
from edgekit.records.roofline import Peaks, Profile
from edgekit.records.runtime import Runtime
from edgekit.stats import energy
from edgekit.util.formatting import span

MEMORY_METHOD = "VmHWM of a separate process: highest resident size, loading included"
ARENA_UNTOLD = "this runtime does not tell it"
LOAD_SECONDS = 300.0  # how long opening a file and one inference may take, beside what the protocol allows
TURN_SECONDS = 0.01  # far shorter than what disturbs a machine, long against switching between files
IDLE_SECONDS = 2.0  # the counters of packages move once in a millisecond
WARMER = 3.0  # degrees above the start at which the next process may begin
LOOK_SECONDS, LOOK_AWAY_SECONDS = 0.5, 5.0  # between two looks while it cools; over a link a look itself costs heat
# What concerns the parent alone; everything else of the protocol goes to the runner.
PARENT = {"preset", "processes", "cooldown_seconds", "sustained_seconds"}

# (what is going on, steps done, steps in all)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BenchTask:
    """One file to be measured in one way."""

    artifact: Artifact
    runtime: Runtime
    protocol: Protocol
    device: str
    provider: str | None
    delegate: str | None
    profile: bool = False

    @property
    def steps(self) -> int:
        """How many processes will be started."""
        return self.protocol.processes + 1 + self.profile

    @property
    def longest(self) -> float:
        """How many seconds one process may take."""
        return LOAD_SECONDS + 3 * self.protocol.max_seconds

    def job(self, mode: str) -> dict[str, Any]:
        """Return what the runner is asked for."""
        fields = self.protocol.model_dump(exclude=PARENT)
        names = {"runtime": self.runtime.name, "artifact": str(self.artifact.path.absolute())}
        return {"mode": mode, **names, "provider": self.provider, "delegate": self.delegate, **fields}


@dataclass(frozen=True)
class Cut:
    """Why the measurement of a load of `asked` seconds ended early, and after how many seconds."""

    seconds: float
    asked: float
    reason: str

    @property
    def words(self) -> str | None:
        """What this says against the latency; None where the load itself was whole, and what follows it is missing."""
        if self.seconds >= self.asked:
            return None
        return f"the load was cut after {span(self.seconds)} of {span(self.asked)}: {self.reason}"


class MeasuringSession:
    """Measures one process at a time on a device (None: this machine).

    Counts the steps, and remembers each runtime's baseline, the machine's peaks and the first heat. `session` is the id
    of the command that all of it belongs to (None: one of its own).
    """

    def __init__(
        self,
        total: int,
        progress: Progress | None = None,
        target: Target | None = None,
        session: str | None = None,
    ) -> None:
        self._target: Target = target or LinuxTarget()
        self._progress = progress
        self._total = total
        self._session = session or new_id()
        self._baselines: dict[str, tuple[int | None, str | None]] = {}
        self._roofs: dict[int, Peaks] = {}
        self._heat: float | None = None
        self._heat_known = False
        self._pause: tuple[Snapshot, Snapshot] | None = None
        self._facts: dict[str, Any] = {}  # of the device, when it last answered
        self.done = 0

    def measure(self, task: BenchTask) -> Measurement:
        """Measure one file, its processes one after the other. Raises what the runner refuses or dies of."""
        patience = Patience(task.protocol.cooldown_seconds)
        count = task.protocol.processes
        with in_use(task.artifact):
            answers = [self._process(task, patience, f"process {index + 1} of {count}") for index in range(count)]
            return self.recorded(task, answers)

    def interleave(self, tasks: Sequence[BenchTask], seed: int = 0) -> list[Measurement]:
        """Several files in blocks, each in a new random order, so that what changes with time meets all of them alike.

        A block is one fresh process in which they take turns; where a runtime cannot, it is one process for each.
        Raises what the runner refuses or dies of.
        """
        order, block_of = random.Random(seed), self._interleaved if self._can_interleave(tasks) else self._processes
        patience, blocks = Patience(tasks[0].protocol.cooldown_seconds), tasks[0].protocol.processes
        answers: list[list[dict[str, Any]]] = [[] for _ in tasks]
        with in_use(*(task.artifact for task in tasks)):
            for block in range(blocks):
                places = list(range(len(tasks)))
                order.shuffle(places)
                found = block_of([tasks[place] for place in places], patience, f"block {block + 1} of {blocks}")
                for position, (place, answer) in enumerate(zip(places, found, strict=True)):
                    answer.update(block=block, position=position)
                    answers[place].append(answer)
            return [self.recorded(task, found) for task, found in zip(tasks, answers, strict=True)]

    def window(self, task: BenchTask) -> dict[str, Any]:
        """Return what one process answers that begins at once, however warm the device is. Raises as `measure`."""
        answer = self._target.ask(task.job("latency"), task.longest)
        self._facts = self._target.facts()  # known since it was asked
        return answer

    def _can_interleave(self, tasks: Sequence[BenchTask]) -> bool:
        return self._target.has_runner and all(task.runtime.by_steps for task in tasks)

    def _processes(self, tasks: Sequence[BenchTask], patience: Patience, what: str) -> list[dict[str, Any]]:
        return [self._process(task, patience, what) for task in tasks]

    def _interleaved(self, tasks: Sequence[BenchTask], patience: Patience, what: str) -> list[dict[str, Any]]:
        hot = self._cooled(patience)
        for task in tasks:
            self._say(task, what)
        jobs = [task.job("latency") for task in tasks]
        job = {"runtime": jobs[0]["runtime"], "jobs": jobs, "turn_seconds": TURN_SECONDS}
        found = self._target.ask(job, sum(task.longest for task in tasks), "interleave")["answers"]
        return [_with_heat(answer, hot) for answer in found]

    def _cooled(self, patience: Patience) -> bool | None:
        """Wait until the device is as cool as before the first process; True where it is still hot."""
        self._target.facts()  # before the first process: in the right power mode
        if not self._heat_known:
            self._heat, self._heat_known = self._target.hottest(), True
        pause = LOOK_SECONDS if self._target.is_local else LOOK_AWAY_SECONDS
        return patience.cool_down(self._heat, self._target.hottest, pause)

    def _process(self, task: BenchTask, patience: Patience, what: str) -> dict[str, Any]:
        hot = self._cooled(patience)
        self._say(task, what)
        return _with_heat(self._target.ask(task.job("latency"), task.longest), hot)

    def _memory(self, task: BenchTask) -> Memory:
        """The memory pass: a process of its own, because reading it must not disturb the times."""
        self._say(task, "memory")
        name = task.runtime.name
        if name not in self._baselines:
            alone, why = self._peak(task.job("baseline"), task.protocol)
            self._baselines[name] = alone.get("peak_bytes"), why
        baseline, baseline_reason = self._baselines[name]
        found, reason = self._peak(task.job("memory"), task.protocol)
        details = task.artifact.manifest.details if task.artifact.manifest else {}
        return Memory(
            peak_bytes=found.get("peak_bytes"),
            pss_bytes=found.get("pss_bytes"),
            baseline_bytes=baseline,
            baseline_reason=baseline_reason,
            ideal_bytes=details.get("ideal_memory_bytes"),
            arena_bytes=found.get("arena_bytes"),
            arena_method=found.get("arena_method"),
            arena_reason=None if found.get("arena_bytes") else found.get("arena_reason", ARENA_UNTOLD),
            method=found.get("method", MEMORY_METHOD),
            reason=reason,
            gpu_bytes=found.get("gpu_bytes"),
            gpu_method=found.get("gpu_method"),
            unified_bytes=found.get("unified_bytes"),
            unified_method=found.get("unified_method"),
        )

    def _peak(self, job: Mapping[str, Any], protocol: Protocol) -> tuple[dict[str, Any], str | None]:
        try:
            found = self._target.ask(job, LOAD_SECONDS + protocol.max_seconds)
        except EdgekitError as error:
            return {}, error.message
        silent = found.get("reason") or "this system has no VmHWM in /proc/self/status"
        return found, None if found["peak_bytes"] is not None else silent

    def _profile(self, task: BenchTask) -> Profile | None:
        """The profile pass, where it was asked for: a process of its own, because a profiler takes time."""
        if not task.profile:
            return None
        self._say(task, "profile")
        seconds = LOAD_SECONDS + task.protocol.max_seconds
        try:
            found = self._target.ask(task.job("memory"), seconds, "profile")
            return profile(found, task.artifact.manifest, task.protocol.batch, self._peaks(task, seconds))
        except EdgekitError as error:
            return Profile(reasons=(error.message,))

    def _peaks(self, task: BenchTask, seconds: float) -> Peaks | None:
        """What the machine reaches at best with as many threads, measured once; None for a GPU."""
        if task.runtime.name in ON_GPU:
            return None
        threads = task.protocol.threads
        if threads not in self._roofs:
            job = {"runtime": task.runtime.name, "threads": threads}
            self._roofs[threads] = Peaks(**self._target.ask(job, seconds, "peaks"))
        return self._roofs[threads]

    def _beside(self, task: BenchTask) -> dict[str, Any]:
        """What a device that is not this machine tells of itself, and what passes of their own find."""
        facts, found = self._target.facts(), {}
        for name, find in self._target.passes(task.job("memory")).items():
            self._say(task, name)
            self.done -= 1  # not among the steps that were announced
            found[name] = find(LOAD_SECONDS + task.protocol.max_seconds)
        return {**({"device": facts} if facts else {}), **found}

    def _known(self, cut: Cut) -> dict[str, Any]:
        """What is known of the device without asking it, and when the load was cut."""
        facts = {"device": self._facts} if self._facts else {}
        return {**facts, "cut": {"seconds": cut.seconds, "reason": cut.reason}}

    def _idle(self, runs: Sequence[ProcessRun]) -> tuple[Snapshot, Snapshot] | None:
        """What a machine whose packages count energy does in a pause, looked at once; None of any other."""
        if self._pause is None and any(run.sensed and run.sensed.after.package_uj for run in runs):
            job = {"runtime": "null", "seconds": IDLE_SECONDS}
            with suppress(EdgekitError):  # then only the gross energy is known
                self._pause = energy.from_answer(self._target.ask(job, LOAD_SECONDS, "idle"))
        return self._pause

    def say(self, what: str, done: int) -> None:
        """Tell how far the whole is: `done` of the total."""
        self.done = done
        if self._progress:
            self._progress(what, done, self._total)

    def _say(self, task: BenchTask, what: str) -> None:
        stopping.check()
        label = f"{task.artifact.path.name} on {task.runtime.name}, batch {task.protocol.batch}"
        self.say(f"{label}: {what}", self.done)
        self.done += 1

    def recorded(self, task: BenchTask, answers: Sequence[dict[str, Any]], cut: Cut | None = None) -> Measurement:
        """Return the measurement of what its processes answered, with the passes beside.

        Raises where its file has changed.

        Of a load that was `cut` there are no passes: nothing more is asked of the device, which may be gone.
        """
        artifact, beside = task.artifact, self._beside(task) if cut is None else self._known(cut)
        found = plain({**answers[0]["found"], **beside, "path": str(artifact.path)})
        untold = found.pop("no_energy", None)
        runs = tuple(
            ProcessRun(**{key: value for key, value in answer.items() if key != "found"}) for answer in answers
        )
        if "energy" not in found:
            found["energy"] = energy.of_runs(runs, untold, None if cut else self._idle(runs))
        threads = found.get("threads") or task.protocol.threads
        sustained, early = task.protocol.sustained_seconds is not None, cut.words if cut else None
        judged = verdict.assess(runs, threads, found.get("virtual"), emulated(found), sustained, early)
        if cut is None:
            memory, layers = self._memory(task), self._profile(task)
        else:
            memory, layers = Memory.unknown(f"there was no pass for it: {cut.reason}"), None
        held = artifact.still()  # last of all, so that no pass saw another file
        if cut is None:
            stopping.check()  # passes beside may end in vain and leave a measurement
        return Measurement(
            id=new_id(),
            created=now(),
            session=self._session,
            artifact=artifact.path.name,
            sha256=held.sha256,
            bytes=held.bytes,
            format=artifact.format,
            manifest=artifact.manifest.for_records() if artifact.manifest else None,
            device=task.device,
            runtime=task.runtime.name,
            protocol=task.protocol,
            runs=runs,
            memory=memory,
            found=found,
            verdict=judged.word,
            reasons=(*judged.reasons, *remarks(found)),
            profile=layers,
        )


class Patience:
    """How long one file may still wait for a cooler device."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def cool_down(
        self, start: float | None, heat: Callable[[], float | None] | None = None, pause: float = LOOK_SECONDS
    ) -> bool | None:
        """Wait until the device is as cool as at the `start`; True where it is still hot, None without a sensor."""
        read = heat or LinuxTarget().hottest
        if start is None:
            return None
        while (now := read()) is not None and now > start + WARMER:
            if self._left <= 0:
                return True
            stopping.check()
            time.sleep(pause)
            self._left -= pause
        return False


def _with_heat(answer: dict[str, Any], hot: bool | None) -> dict[str, Any]:
    """The device's own answer, which knows what it lacks, and whether the device was hot."""
    answer["hot"] = hot
    return answer
