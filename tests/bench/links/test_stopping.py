"""Ending what threads have begun on links."""

from __future__ import annotations

import sys
import threading

import pytest

from edgekit.bench.links.base import call
from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.stopping import Processes, Stopped, check
from tests.waiting import PATIENCE

ENDLESS = [sys.executable, "-c", "import time; time.sleep(10**6)"]


def test_a_process_that_runs_is_killed_at_once() -> None:
    own, ended = Processes(), threading.Event()

    def work() -> None:
        with own.scope():
            assert call(LocalLink(), ENDLESS, b"", 300.0, "it").code == -9
        ended.set()

    threading.Thread(target=work, daemon=True).start()
    while not own._running:
        ended.wait(0.01)
    own.end()
    assert ended.wait(PATIENCE)


def test_nothing_begins_after_the_end_and_other_commands_go_on() -> None:
    own = Processes()
    own.end()
    check()
    with own.scope(), pytest.raises(Stopped):
        check()
    with own.scope(), pytest.raises(Stopped):
        call(LocalLink(), ENDLESS, b"", 300.0, "it")
    assert call(LocalLink(), [sys.executable, "-c", "print(1)"], b"", 300.0, "it").stdout == b"1\n"
