"""The measuring half of a sweep: latency one file at a time on a device that does nothing else, and accuracy.

The engine takes them. Here is what was known before, and what is kept: a record's id is written down before it is
stored, so that whatever ends the sweep between the two, no record is there twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property

from edgekit.device.registry import DeviceList
from edgekit.device.target import Identity
from edgekit.errors import DeviceUnreachable, EdgekitError, EnvironmentRefused, Refusal, UsageError
from edgekit.exporting.inputs import Inputs, key
from edgekit.records.measurement import INVALID, PRESETS, Accuracy, Measurement, Protocol
from edgekit.records.record import new_id
from edgekit.records.runtime import choose
from edgekit.storage.keeping import Keeper
from edgekit.storage.store import Store
from edgekit.sweeps.engine import Engine, Judging, Say, Timing
from edgekit.sweeps.export import Made, refused
from edgekit.sweeps.grid.axes import How
from edgekit.sweeps.grid.fields import Grid
from edgekit.sweeps.journal import Journal
from edgekit.sweeps.keys import Keys
from edgekit.sweeps.scheduler import AWAY, BROKEN, DONE, LOST

UNTRAINED = "random weights: only the latency means anything"
NOISE = "calibrated on noise: only the latency means anything"


@dataclass(frozen=True)
class Measured:
    """The latency of a file on a device (`fresh`: taken just now), or why there is none."""

    measurement: Measurement | None = None
    fresh: bool = False
    refusal: Refusal | None = None
    outcome: str = DONE  # for the scheduler
    device: str | None = None  # where it was tried

    @property
    def is_void(self) -> bool:
        """Whether it is an invalid one of an earlier run, which is still to be taken again."""
        return self.measurement is not None and self.measurement.verdict == INVALID and not self.fresh


@dataclass(frozen=True)
class Judged:
    """The accuracy of a file (`fresh`: found just now), or why there is none; a refusal where that is a failure."""

    accuracy: Accuracy | None = None
    fresh: bool = False
    reason: str | None = None
    refusal: Refusal | None = None


class Measuring:
    """Takes what a sweep asks for, and remembers it in the journal and the store."""

    def __init__(
        self, grid: Grid, keys: Keys, journal: Journal, store: Store, known: DeviceList, engine: Engine
    ) -> None:
        self.grid = grid
        self.keys = keys
        self.journal = journal
        self.store = store
        self.keeper = Keeper(store)
        self.known = known
        self.engine = engine
        self._forgotten: EnvironmentRefused | None = None
        self._identities: dict[str, Identity] = {}  # by the device's name

    def protocol(self, how: How) -> Protocol:
        """Return how a measurement is made."""
        return PRESETS[self.grid.preset].model_copy(update={"threads": how.threads, "batch": how.batch})

    def latency(self, made: Made, how: How, name: str, say: Say) -> Measured:
        """Measure one file on one device, unless that was done; nothing else of ours runs on it meanwhile."""
        assert made.path is not None and made.sha256 is not None
        earlier = self.known_latency(made, how)
        if earlier is not None:
            return Measured(earlier, device=name)
        answered = False
        try:
            with self.engine.alone(name, lambda: say("waiting for another sweep on this device")):
                inputs = self._latency_inputs(made, how, name)
                answered = True
                known = self._known(inputs)
                if known is not None and known.verdict != INVALID:
                    return Measured(known, device=name)
                wanted = Timing(made, how, name, self.grid.preset, self.session, self.known.file)
                measurement = self.engine.measure(wanted, say)
                _refuse_another(made, measurement)
                self._keep("latency", inputs, measurement)
        except DeviceUnreachable as error:
            self._identities.pop(name, None)  # it is asked again who it is
            return Measured(refusal=refused(error), outcome=LOST if answered else AWAY, device=name)
        except Exception as error:  # it must not end the other cells
            return Measured(refusal=refused(error), outcome=BROKEN, device=name)
        return Measured(measurement, fresh=True, device=name)

    def meet(self) -> None:
        """Ask every device who it is, all at once, where something may have been measured before."""
        if not self.grid.devices or not self.journal.holds("latency"):
            return
        with ThreadPoolExecutor(len(self.grid.devices)) as pool:
            for asked in [pool.submit(self._identity, name) for name in self.grid.devices]:
                with suppress(EdgekitError):
                    asked.result()

    def _keep(self, kind: str, inputs: Inputs, record: Measurement | Accuracy) -> None:
        """Write down that it was taken, so that it is not taken again, and store it."""
        with self.going_on():
            self.journal.put(kind, key(inputs), inputs, id=record.id)
        self.keeper.append(record)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """What cannot be written inside is told at the end: the rest is measured, and what was taken is kept."""
        try:
            yield
        except EnvironmentRefused as error:
            self._forgotten = self._forgotten or error

    @property
    def refusal(self) -> EnvironmentRefused | None:
        """Where the records are, if the store refused them, or what else could not be written."""
        return self.keeper.refusal or self._forgotten

    def known_latency(self, made: Made, how: How, or_invalid: bool = False) -> Measurement | None:
        """The measurement that was taken of this file in just this way, on any device of the pool, if it may be used.

        With `or_invalid`, one that may not, too. None also of devices that did not say who they are: a plan needs no
        device, and `latency` asks again.
        """
        for name in self.grid.pools[how.device] if how.device is not None else ():
            with suppress(EdgekitError):
                known = self._known(self._latency_inputs(made, how, name)) if name in self._identities else None
                if known is not None and (or_invalid or known.verdict != INVALID):
                    return known
        return None

    def _latency_inputs(self, made: Made, how: How, name: str) -> Inputs:
        assert made.path is not None and made.sha256 is not None
        runtimes = self.known[name].runtimes
        runtime = choose(made.path, how.runtime, runtimes, here=self.engine.is_here(name))
        return self.keys.of_measurement(made.sha256, name, self._identity(name), runtime, self.protocol(how), how)

    def _identity(self, name: str) -> Identity:
        """Who the device is, asked once; a device that did not answer is asked again."""
        if name not in self._identities:
            self._identities[name] = self.engine.identity(name)
        return self._identities[name]

    def _known(self, inputs: Inputs) -> Measurement | None:
        entry = self.journal.get("latency", key(inputs))
        found = self.store.measurements([str(entry.get("id"))]) if entry else []
        return found[0] if found else None

    @cached_property
    def session(self) -> str:
        """The command that the measurements belong to: a sweep that goes on is still the one that was begun."""
        models = self.grid.model  # others may share the folder
        inputs = {"model": models[0] if len(models) == 1 else models}
        entry = self.journal.get("session", key(inputs))
        if entry is not None:
            return str(entry.get("id"))
        session = new_id()
        self.journal.put("session", key(inputs), inputs, id=session)
        return session

    def accuracies(self, files: Sequence[Made], runtime: str | None, say: Say) -> dict[str, Judged]:
        """Return the accuracy of each file by its sha256, on the same images; they are decoded once."""
        found = self.known_accuracies(files, runtime)
        wanted = {made.sha256: made for made in files if made.sha256 is not None and made.sha256 not in found}
        return found | self._judge(wanted, runtime, say) if wanted else found

    def known_accuracies(self, files: Sequence[Made], runtime: str | None) -> dict[str, Judged]:
        """Return the accuracies that are known, and those that would say nothing, by the files' sha256."""
        found: dict[str, Judged] = {}
        for made in files:
            reason = self.meaningless(made)
            known = None if reason else self.known_accuracy(made, runtime)
            if made.sha256 is not None and (reason or known):
                found[made.sha256] = Judged(known, reason=reason)
        return found

    def known_accuracy(self, made: Made, runtime: str | None) -> Accuracy | None:
        """Return what was found for this file on just these images."""
        try:
            entry = self.journal.get("accuracy", key(self._accuracy_inputs(made, runtime)))
        except EdgekitError:
            return None
        found = self.store.accuracies([str(entry.get("id"))]) if entry else []
        return found[0] if found else None

    def meaningless(self, made: Made) -> str | None:
        """Return why the accuracy of a file would say nothing."""
        if not made.trained:
            return UNTRAINED
        return NOISE if made.file.precision == "int8" and self.grid.export.synthetic_calibration else None

    def _accuracy_inputs(self, made: Made, runtime: str | None) -> Inputs:
        assert made.path is not None and made.sha256 is not None
        return self.keys.of_accuracy(made.sha256, choose(made.path, runtime))

    def _judge(self, wanted: dict[str, Made], runtime: str | None, say: Say) -> dict[str, Judged]:
        assert self.grid.eval is not None
        paths = {made.path: sha256 for sha256, made in wanted.items() if made.path}
        say(f"evaluating {next(iter(wanted.values())).variant}")
        try:
            found = self.engine.judge(Judging(paths, runtime, self.grid.eval, max(self.grid.threads)))
        except EdgekitError as error:  # it must not end the other cells
            found = dict.fromkeys(wanted, refused(error))
        return {sha256: self._judged(wanted[sha256], runtime, one) for sha256, one in found.items()}

    def _judged(self, made: Made, runtime: str | None, found: Accuracy | Refusal) -> Judged:
        if isinstance(found, Refusal):
            return _failed(found)
        try:
            _refuse_another(made, found)
        except UsageError as error:
            return _failed(refused(error))
        self._keep("accuracy", self._accuracy_inputs(made, runtime), found)
        return Judged(found, fresh=True)


def _refuse_another(made: Made, found: Measurement | Accuracy) -> None:
    """A number of another file than the one that was planned for is not this cell's."""
    if found.sha256 != made.sha256:
        raise UsageError(f"{made.path} was exported again by somebody else meanwhile", "sweep again")


def _failed(refusal: Refusal) -> Judged:
    return Judged(reason=refusal.message, refusal=refusal)
