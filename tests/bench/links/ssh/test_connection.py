from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.bench.links.ssh import connection as ssh_connection
from edgekit.bench.links.ssh.link import SshLink
from edgekit.errors import DeviceUnreachable

HANGS = """#!/bin/sh
case "$*" in {answers}) echo hostname board; exit 0;; esac
sleep 6; true
"""


@pytest.mark.parametrize("answers", ["nothing", "*-G*", "*-G*|*-N*"])
def test_an_ssh_that_hangs_is_not_waited_for(answers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text(HANGS.format(answers=answers))
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(ssh_connection, "TELL_SECONDS", 0.5, raising=False)
    monkeypatch.setattr(ssh_connection, "PAUSE_SECONDS", 0.01)
    with pytest.raises(DeviceUnreachable, match="board .*cannot be reached"):
        SshLink("board", "board").look({})
