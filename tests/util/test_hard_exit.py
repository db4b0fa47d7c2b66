from __future__ import annotations

import os
import threading
from types import ModuleType

import pytest

from edgekit.errors import HardExit, first_line
from edgekit.util.hard_exit import told_hard_exits


def test_it_raises_what_a_handler_of_exits_catches() -> None:
    before = os._exit
    with pytest.raises(SystemExit) as caught, told_hard_exits():
        os._exit(0)
    assert isinstance(caught.value, HardExit) and first_line(caught.value) == "it calls os._exit(0)"
    assert os._exit is before


@pytest.mark.parametrize("elsewhere", [(os, "getpid"), (threading, "get_ident")], ids=["forked", "another thread"])
def test_others_end_as_they_ask(elsewhere: tuple[ModuleType, str], monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with told_hard_exits():
        monkeypatch.setattr(*elsewhere, lambda: -1)
        os._exit(3)
    assert ended == [3]
