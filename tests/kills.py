"""Stops at the changes that a process makes to the file system: to look what is there, or to end it with SIGKILL."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree")


def arm(step: int) -> None:
    """Kill this process before its `step`-th change to the file system, counted from 0."""
    left = step

    def count() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    before_each_change(count)


def before_each_change(act: Callable[[], object]) -> None:
    """Do something before every change that this process makes to the file system from now on, but for its own."""
    is_acting = False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal is_acting
        if not is_acting and (event in CHANGES or (event == "open" and _writes(arguments))):
            is_acting = True
            try:
                act()
            finally:
                is_acting = False

    sys.addaudithook(watch)


def _writes(arguments: tuple[Any, ...]) -> bool:
    return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)) and not str(arguments[0]).startswith("/dev/")


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a fork that is killed at a step; False where it was done before."""
    child = os.fork()
    if child == 0:
        arm(step)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0, "the work failed"
    return os.WIFSIGNALED(status)
