"""Ends a task of a worker when nobody waits for it any more, so that its device is free at once.

That is so when its sweep was interrupted or killed, of which the scheduler tells the worker, and when the scheduler
itself went away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgekit.bench.links.stopping import Processes

GLANCE_SECONDS = 0.5  # between two looks
RUNS = ("executing", "long-running")  # states of a task of Dask that is wanted


@contextmanager
def while_wanted() -> Iterator[None]:
    """Run the block for the task of this thread: its processes are killed, and it raises Stopped, when that is over."""
    still, processes, over = still_wanted(), Processes(), threading.Event()

    def watch() -> None:
        while not over.wait(GLANCE_SECONDS):
            if not still():
                processes.end()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        with processes.scope():
            yield
    finally:
        over.set()


def telling(topic: str) -> Callable[[str], None]:
    """Return what tells whoever listens to a topic of the scheduler what happens in the task of this thread."""
    from distributed import get_worker

    worker = get_worker()
    return lambda message: worker.log_event(topic, message)


def still_wanted() -> Callable[[], bool]:
    """Return what tells from any thread whether somebody waits for the task of this thread."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    return lambda: is_wanted(worker, key)


def is_wanted(worker: Any, key: Any) -> bool:
    """Whether somebody waits for a task that a worker of Dask runs."""
    task = worker.state.tasks.get(key)
    return worker.status.name == "running" and task is not None and task.state in RUNS
