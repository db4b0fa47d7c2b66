"""The client's side of a cluster: who is there, and one call to one worker that comes back or is lost.

Every task is bound to the worker that was chosen for it, and Dask runs none of them a second time by itself: what is
lost is told, and whoever called decides. A scheduler that goes away is waited for, and asked again with a new
connection; its tasks are lost.
"""

from __future__ import annotations

import math
import pickle
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from edgekit.errors import DeviceUnreachable, EdgekitError, in_one_line
from edgekit.exporting.inputs import tools
from edgekit.sweeps.engine import Tell
from edgekit.sweeps.fleet.announcement import Announcement, Roster, roster
from edgekit.sweeps.fleet.connection import Connection, look, quiet
from edgekit.sweeps.fleet.work import AGAIN, Call
from edgekit.util.formatting import counted

LOOK_SECONDS = 1.0  # between two looks at who is there
ANSWER_SECONDS = 10.0  # in which a scheduler must answer such a look; a machine may be busy
PATIENCE_SECONDS = 60.0  # for which a scheduler that went away is waited for
LINE = 200  # characters of what a worker tells, at most
CONTINUE = f"start it again, and {AGAIN}"


class Lost(Exception):
    """A worker went away with what it was told to do, or the scheduler did."""


class SchedulerLost(Lost):
    """The scheduler went away with everything; nobody is to blame for it."""


class Cluster:
    """One scheduler and its workers. Raises what `connection.look` does where the scheduler is not there."""

    def __init__(self, where: Connection) -> None:
        self.where = where
        self.roster = Roster()
        self.since = -math.inf  # when it was reached again after it had gone, in seconds of the monotonic clock
        self.changed: Tell = lambda message: None  # whom to tell what happens
        self._closed = threading.Event()
        self._stopped: EdgekitError | None = None
        self._lock = threading.Condition()
        self._client: Any = None
        self._reach()
        threading.Thread(target=self._watch, daemon=True).start()

    def listen(self, changed: Tell) -> None:
        """Tell of workers that come, go or are refused from now on, and of those that were refused before."""
        self.changed = changed
        for message in self.roster.refused.values():
            changed(message)

    def call(self, address: str, resources: Mapping[str, float], function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function gives on a worker: its value, or the Refusal that stopped it. Raises Lost."""
        client, ended = self.reached(), threading.Event()
        future: Any = None
        try:
            future = client.submit(
                pickle.loads,
                pickle.dumps(Call(function, arguments)),
                key=f"edgekit-{function.__name__}-{uuid.uuid4().hex}",
                pure=False,
                retries=0,
                workers=[address],
                allow_other_workers=False,
                resources=dict(resources) or None,
            )
            future.add_done_callback(lambda _: ended.set())
            self._wait(client, address, ended)
            return pickle.loads(future.result(timeout=ANSWER_SECONDS))[1]
        except Lost:
            raise
        except Exception as error:  # whatever Dask says of a task whose worker or scheduler is gone
            self._refuse_gone(client)
            raise Lost(f"worker {self.name(address)} was lost: {in_one_line(error)}") from error
        finally:
            with suppress(Exception):
                future.release() if ended.is_set() else future.cancel()

    @contextmanager
    def hearing(self, topic: str, say: Callable[[str], None]) -> Iterator[None]:
        """Pass on what workers tell under a topic, during the block, or until the scheduler goes away."""
        client = self.reached()
        with suppress(Exception):
            client.subscribe_topic(topic, lambda event: say(str(event[1])[:LINE]))
        try:
            yield
        finally:
            with suppress(Exception):
                client.unsubscribe_topic(topic)

    def name(self, address: str) -> str:
        """Return what a worker is called."""
        found = self.roster.workers.get(address)
        return found.name if found else address

    def close(self) -> None:
        """End the connection; who waits for something is told that nothing comes any more."""
        self._closed.set()
        with self._lock:
            self._stopped = self._stopped or DeviceUnreachable("the sweep has ended", CONTINUE)
            self._lock.notify_all()
        with suppress(Exception):
            self._client.close(timeout=1)

    def _wait(self, client: Any, address: str, ended: threading.Event) -> None:
        """Wait for a task, as long as its worker and the scheduler are there."""
        while not ended.wait(LOOK_SECONDS):
            self._refuse_gone(client)
            if address not in self.roster.workers:
                raise Lost(f"worker {self.name(address)} went away")
        self._refuse_gone(client)  # which ends all tasks

    def _refuse_gone(self, client: Any) -> None:
        if client is not self._client or client.status != "running":
            raise SchedulerLost(f"the scheduler at {self.where.scheduler} went away")

    # Who is there

    def _reach(self) -> None:
        """Connect anew."""
        from distributed import Client

        quiet()
        found = _run(look(self.where))
        self._client = Client(
            self.where.scheduler,
            security=self.where.security(),
            timeout=ANSWER_SECONDS,
            set_as_default=False,
            heartbeat_interval=5000,
        )
        self._read(found)

    def reached(self) -> Any:
        """Return the client, when there is one that is connected. Raises what ended the waiting for the scheduler."""
        with self._lock:
            self._lock.wait_for(lambda: self._stopped is not None or self._client is not None)
            if self._stopped is not None:
                raise self._stopped
            return self._client

    def _watch(self) -> None:
        """In a thread of its own: look who is there, and connect anew where the scheduler is not."""
        silent_since: float | None = None
        while not self._closed.wait(LOOK_SECONDS):
            try:
                client = self._client
                self._read(client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_SECONDS))
                silent_since = None
            except Exception:
                silent_since = silent_since or time.monotonic()
                gone = self._client.status != "running" or time.monotonic() - silent_since > PATIENCE_SECONDS
                if gone and not self._closed.is_set():
                    self._again()
                    silent_since = None
                if self._stopped is not None:
                    return

    def _again(self) -> None:
        """Wait for the scheduler, and connect anew; give up after a while, which ends the sweep."""
        self.changed(f"the scheduler at {self.where.scheduler} went away: waiting for it")
        with self._lock:
            old, self._client = self._client, None
        self.roster = Roster()
        with suppress(Exception):
            old.close(timeout=1)
        deadline, error = time.monotonic() + PATIENCE_SECONDS, None
        while time.monotonic() < deadline and not self._closed.is_set():
            try:
                self._reach()
                self.since = time.monotonic()
                break
            except EdgekitError as found:
                error = DeviceUnreachable(found.message, CONTINUE)
            self._closed.wait(LOOK_SECONDS)
        stopped = error if self._client is None else None
        self.changed(stopped or f"the scheduler at {self.where.scheduler} is back")
        with self._lock:
            self._stopped = stopped
            self._lock.notify_all()

    def _read(self, info: Mapping[str, Any]) -> None:
        earlier, self.roster = self.roster, roster(info, tools())
        if earlier.workers.keys() != self.roster.workers.keys():
            self.changed(_told(self.roster.workers))
        for address, message in self.roster.refused.items():
            if address not in earlier.refused:
                self.changed(message)


def _told(workers: Mapping[str, Announcement]) -> str:
    slots, devices = sum(one.slots for one in workers.values()), sum(len(one.devices) for one in workers.values())
    return f"{counted(len(workers), 'worker')}: {counted(slots, 'export')} at once, {counted(devices, 'device')}"


def _run(coroutine: Any) -> Any:
    """Run a coroutine to its end in a loop of its own, whatever loop the caller may be in."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as alone:
        return alone.submit(asyncio.run, coroutine).result()
