from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.bench.links.ssh import connection as ssh_connection
from edgekit.bench.links.ssh.link import SshLink
from edgekit.errors import DeviceUnreachable
from tests.waiting import until

HANGS = """#!/bin/sh
case "$*" in {answers}) echo hostname board; exit 0;; esac
sleep 60; true
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


# The first that connects reads from a pipe that nobody writes to; the next one is refused.
SLOW = """#!/bin/sh
case " $* " in
*" -G "*) echo 'hostname of {folder}'; exit;;
*" -O "*) exit 255;;
esac
[ -e '{folder}/begun' ] && exit 255
echo $$ > '{folder}/begun'
read never < '{folder}/pipe'
"""
CONNECTS = "from edgekit.bench.links.ssh.link import SshLink; SshLink('board', 'board').look({})"


def test_what_connects_for_a_command_that_was_killed_is_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ssh").write_text(SLOW.format(folder=tmp_path))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with subprocess.Popen([sys.executable, "-c", CONNECTS]) as killed:
        until(lambda: (tmp_path / "begun").exists() and bool((tmp_path / "begun").read_text().strip()))
        killed.kill()
    pid = int((tmp_path / "begun").read_text())
    assert b"-N" in Path(f"/proc/{pid}/cmdline").read_bytes()
    monkeypatch.setattr(ssh_connection, "ATTEMPTS", 1)
    with pytest.raises(DeviceUnreachable):
        SshLink("board", "board").look({})
    until(lambda: not Path(f"/proc/{pid}").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())
