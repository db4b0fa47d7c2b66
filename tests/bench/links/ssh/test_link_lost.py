"""The ssh link against a real server: what happens on the device when we, or the way to it, are gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgekit.bench.links.base import FOLDER, ask
from edgekit.bench.links.ssh import connection as ssh_connection
from edgekit.bench.links.ssh import link as link_ssh
from edgekit.bench.links.ssh.link import SshLink
from edgekit.errors import DeviceUnreachable, EnvironmentRefused
from tests.bench.ssh_server import disconnect, hang_up, marked
from tests.paths import ROOT
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server

LONG = {"mode": "baseline", "runtime": "stuck"}
# It holds Python's lock: not even the runner's own watcher can end it.
STUCK = """import ctypes
from pathlib import Path
def preload():
    Path(__file__).with_name("stuck").touch()
    ctypes.PyDLL(None).sleep(1000)
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_connection, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    """A folder like bench/ondevice, with a runtime that never answers."""
    folder = tmp_path / "ondevice"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "runtimes" / "stuck.py").write_text(STUCK)
    return folder


def runs(name: str, server: Server) -> bool:
    """Whether a session of this server runs that command of the device side."""
    for pid in marked(server):
        try:
            if f"\0{name}\0".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


MEASURES = f"""
import sys
from pathlib import Path
from edgekit.bench.links.ssh import link as link_ssh
from edgekit.bench.links.base import ask
from edgekit.bench.links.ssh.link import SshLink
link_ssh.FOLDER = Path(sys.argv[3])
board = SshLink("board", "board", sys.executable, sys.argv[1])
board.undo([{{"argv": ["touch", sys.argv[2]]}}])
ask(board, {LONG!r}, 600)
"""


@pytest.fixture
def victim(server: Server, stuck: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that measures there, and has something to undo."""
    command = [sys.executable, "-c", MEASURES, str(server.root), str(tmp_path / "undone"), str(stuck)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: any(server.root.glob("tools/*/runtimes/stuck")))
    yield process
    process.kill()
    process.wait()


def test_the_server_is_killed_while_it_measures(
    server: Server, board: SshLink, stuck: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_ssh, "FOLDER", stuck)
    board.tools()

    def kill() -> None:
        until(lambda: any(server.root.glob("tools/*/runtimes/stuck")))
        server.stop()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(DeviceUnreachable) as caught:
        ask(board, LONG, PATIENCE)
    killer.join()
    assert caught.value.exit_code == 4
    until(lambda: not marked(server))
    until(lambda: not server.work())
    with pytest.raises(DeviceUnreachable):
        board.look({})
    with pytest.raises(DeviceUnreachable):  # and is not waited for again
        board.look({})
    server.start()
    again = server.link()
    assert ask(again, {"mode": "baseline", "runtime": "null"}, 60)
    disconnect(again)


def test_a_connection_that_was_lost_in_between_is_made_again(server: Server, board: SshLink, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"x")
    board.tools()
    server.stop()
    server.start()
    assert Path(board.place(path)).read_bytes() == b"x"
    assert server.connections() == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_we_are_killed_the_device_ends_the_session_itself(
    server: Server, victim: subprocess.Popen[bytes], tmp_path: Path, how: signal.Signals
) -> None:
    victim.send_signal(how)
    assert victim.wait(timeout=PATIENCE) != 0
    until(lambda: not marked(server) and not server.work())
    assert (tmp_path / "undone").exists()


def test_when_the_device_could_not_end_it_the_next_contact_does(
    server: Server, victim: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    victim.send_signal(signal.SIGSTOP)  # it must not hear of it, and undo it itself
    for pid in marked(server):
        with suppress(OSError):  # it has ended meanwhile
            if b"tend" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
    victim.kill()
    victim.wait()
    assert len(server.work()) == 1 and not (tmp_path / "undone").exists()
    board = server.link()
    board.look({})
    assert (tmp_path / "undone").exists() and len(server.work()) == 1 and not runs("run", server)
    disconnect(board)
    assert not server.work()


def test_when_the_device_did_not_notice_the_next_contact_ends_it(
    server: Server, victim: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """As when a cable is pulled: its side of the connection stays open."""
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    frozen = [int(pid) for pid in children]
    frozen += [
        int(pid) for child in children for pid in Path(f"/proc/{child}/task/{child}/children").read_text().split()
    ]
    frozen = [pid for pid in frozen if Path(f"/proc/{pid}/comm").read_text().startswith("sshd")]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    victim.kill()
    victim.wait()
    link = server.link()
    link._connection._control = link._connection._control_path()
    hang_up(link)
    assert runs("run", server)
    link.look({})
    assert (tmp_path / "undone").exists() and len(server.work()) == 1 and not runs("run", server)
    disconnect(link)
    for pid in frozen:
        os.kill(pid, signal.SIGKILL)


def test_another_session_that_lives_is_left_alone(server: Server, victim: subprocess.Popen[bytes]) -> None:
    board = server.link()
    board.look({})
    assert len(server.work()) == 2 and runs("run", server)
    board.close()
    assert len(server.work()) == 1 and victim.poll() is None


def test_what_cannot_be_undone_is_said_until_it_can_be(server: Server, board: SshLink, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    board.undo([{"argv": ["test", "-e", str(gate)]}])
    with pytest.raises(EnvironmentRefused, match="could not be put back"):
        board.undone()
    board.close()
    assert len(server.work()) == 1
    with pytest.raises(EnvironmentRefused, match="could not be put back") as caught:
        server.link().look({})
    assert str(gate) in caught.value.message
    gate.touch()
    server.link().look({})


def test_undoing_is_checked_by_what_the_device_says_then(server: Server, board: SshLink) -> None:
    check = {"check": {"argv": ["echo", "MAXN_SUPER"]}, "expect": "MAXN\n"}
    board.undo([{"argv": ["true"], **check}])
    with pytest.raises(EnvironmentRefused):
        board.undone()
    (path,) = (server.root / "work").glob("*/undo.json")
    path.unlink()
