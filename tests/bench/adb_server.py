"""An adb server of a test's own, and phones on it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench.adb_peer import Peer
from tests.waiting import free_port

Phones = Callable[..., Peer]


def make_phones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Phones]:
    """Makes phones on an adb server of this test's own."""
    if shutil.which("adb") is None:
        pytest.skip("no adb here (Debian: adb)")
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    made: list[Peer] = []

    def make(**options: object) -> Peer:
        made.append(Peer(tmp_path / f"phone{len(made)}", **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for phone in made:
        phone.unplug()
    subprocess.run(["adb", "kill-server"], capture_output=True, check=False)
