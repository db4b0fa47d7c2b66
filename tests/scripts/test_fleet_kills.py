"""The trial of `scripts.fleet.kills`, once for the scheduler and once for the sweep."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.fleet import kills
from tests.sweeps.fleet.conftest import peers as peers
from tests.sweeps.fleet.peers import HELD, Peers


@pytest.mark.parametrize("victim", ["scheduler", "client"])
def test_every_row_is_there_once_whatever_was_killed(
    peers: Peers, tmp_path: Path, victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job ends before the kill."""
    held, kill = peers.folder / HELD, kills.VICTIMS[victim]
    held.touch()

    def kill_and_go_on(peers: Peers, sweep: subprocess.Popen[bytes]) -> None:
        kill(peers, sweep)
        held.unlink()

    monkeypatch.setitem(kills.VICTIMS, victim, kill_and_go_on)
    found = kills.trial(peers, tmp_path / "out", victim, 0.0)
    assert (found.lost, found.doubled) == (0, 0) and found.runs > (victim == "client")
