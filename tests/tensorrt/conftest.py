"""What the tests over ssh share."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bench.links.ssh import connection as ssh_connection
from edgekit.records.measurement import PRESETS


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder to work in; `--preset quick` is the module's SHORT."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EDGEKIT_STORE", f"sqlite:///{folder / 'edgekit.db'}")
    monkeypatch.delenv("EDGEKIT_DEVICES", raising=False)
    monkeypatch.setitem(PRESETS, "quick", request.module.SHORT)
    monkeypatch.setattr(ssh_connection, "PAUSE_SECONDS", 0.01)
    return folder
