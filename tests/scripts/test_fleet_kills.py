"""The trial of `scripts.fleet.kills`, once for the scheduler and once for the sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.fleet.kills import trial
from tests.sweeps.fleet.conftest import peers as peers
from tests.sweeps.fleet.peers import Peers


@pytest.mark.parametrize("victim", ["scheduler", "client"])
def test_every_row_is_there_once_whatever_was_killed(peers: Peers, tmp_path: Path, victim: str) -> None:
    found = trial(peers, tmp_path / "out", victim, 0.3)
    assert (found.lost, found.doubled) == (0, 0) and found.runs > (victim == "client")
