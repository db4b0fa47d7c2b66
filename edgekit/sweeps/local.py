"""The engine of a sweep on this machine: exports in processes of our own, devices over their links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import AbstractContextManager
from functools import cached_property

from edgekit.device.registry import DeviceList, open_target
from edgekit.device.target import Identity
from edgekit.errors import Refusal
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.sweeps.engine import Judging, Room, Say, Tell, Timing
from edgekit.sweeps.export import Job, Made, failed, refused, run_here
from edgekit.sweeps.journal import device as locked_device
from edgekit.sweeps.taking import judged, measured
from edgekit.sweeps.workers import Workers, memory, processors

DIED = Refusal("environment", "the process that exported it died", "see whether memory ran out", 7)


class Local:
    """Exports `at_once` variants in fresh processes, or gives them to an `executor`."""

    where = "this machine"

    def __init__(self, known: DeviceList, at_once: int, executor: Executor | None = None) -> None:
        self._known, self._at_once, self._given = known, at_once, executor
        self._processes = at_once
        self._pending: set[Future[tuple[Made, ...]]] = set()

    @cached_property
    def room(self) -> Room:
        """This machine; what is left of its processors by their share for each export is not counted."""
        return Room(max(1, processors() // self._at_once) * self._at_once, memory(), self._at_once)

    def is_here(self, device: str) -> bool:
        """Whether a device is this machine."""
        return self._known[device].is_local

    def address(self, device: str) -> str:
        """Return the address that its entry has."""
        return self._known[device].address

    def alone(self, device: str, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Hold the lock of its address."""
        return locked_device(self.address(device), measuring=True, waiting=waiting)

    def identity(self, device: str) -> Identity:
        """Ask it over its link."""
        with open_target(device, self._known[device]) as target:
            return target.identity()

    def export(self, job: Job) -> tuple[Made, ...]:
        """Have a process make the files; that it died is the reason of each of them."""
        future = self._executor.submit(run_here, job)
        self._pending.add(future)
        try:
            return future.result()
        except (CancelledError, BrokenExecutor):
            return failed(job, DIED)
        except Exception as error:
            return failed(job, refused(error))
        finally:
            self._pending.discard(future)

    def measure(self, wanted: Timing, say: Say) -> Measurement:
        """Measure over the device's link."""
        return measured(wanted, say)

    def judge(self, wanted: Judging) -> Mapping[str, Accuracy | Refusal]:
        """Evaluate on this machine, while nothing is measured on it."""
        return judged(wanted)

    def begin(self, exports: int, tell: Tell) -> None:
        """Start no more processes than there are exports; nothing comes or goes."""
        self._processes = max(1, min(self._at_once, exports))

    def close(self) -> None:
        """Cancel what waits, and end the processes."""
        for future in list(self._pending):
            future.cancel()
        if self._given is None and "_executor" in self.__dict__:
            own = self._executor
            assert isinstance(own, Workers)
            own.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _executor(self) -> Executor:
        return self._given or Workers(self._processes)
