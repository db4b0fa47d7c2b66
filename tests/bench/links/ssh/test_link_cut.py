"""The ssh link when the way to the device is cut or slow, when its clock is wrong, or when its shell talks."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgekit.bench.links.base import Done, ask, parsed
from edgekit.bench.links.remote_session import FarSession
from edgekit.bench.links.ssh import connection as ssh_connection
from edgekit.errors import BackendMissing, DeviceUnreachable, EdgekitError, EnvironmentRefused
from tests.bench.ssh_server import disconnect, hang_up
from tests.waiting import until

if TYPE_CHECKING:
    from edgekit.bench.links.ssh.link import SshLink
    from tests.bench.ssh_server import Server

BASELINE = {"mode": "baseline", "runtime": "null"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_connection, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that says nothing for some seconds is gone."""
    monkeypatch.setattr(ssh_connection, "ALIVE", ("ServerAliveInterval=1", "ServerAliveCountMax=4"))


def serving(server: Server) -> list[int]:
    """The server's own processes, without what they started for sessions."""
    assert server.process is not None
    found, waiting = [], [server.process.pid]
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
                found.append(pid)
                waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def sleeper(server: Server) -> list[int]:
    """The processes named `edgekit-sleeper` that run there."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(server.folder / "bin" / "edgekit-sleeper").encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
    return found


def test_a_server_that_stops_in_the_middle_is_unreachable_and_the_next_contact_cleans_up(
    server: Server, attentive: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script("edgekit-sleeper", "#!/bin/sh\nwhile :; do sleep 1; done\n")
    board = server.link()
    board.look({})

    def freeze() -> None:
        until(lambda: bool(sleeper(server)))
        for pid in serving(server):
            os.kill(pid, signal.SIGSTOP)

    frozen = serving(server)
    freezer = threading.Thread(target=freeze)
    freezer.start()
    with monkeypatch.context() as brief, pytest.raises(DeviceUnreachable) as caught:
        brief.setattr(ssh_connection, "MASTER", ("ControlMaster=yes", "ConnectTimeout=1"))  # nothing answers
        board.look({"commands": [{"argv": ["edgekit-sleeper"], "seconds": 300}]})
    freezer.join()
    assert caught.value.exit_code == 4 and "board" in caught.value.message and "\n" not in caught.value.message
    assert sleeper(server)  # the device has not noticed
    for pid in {*frozen, *serving(server)}:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL if pid != server.process.pid else signal.SIGCONT)  # type: ignore[union-attr]
    again = server.link()
    again.look({})
    until(lambda: not sleeper(server) and len(server.work()) == 1)


@pytest.fixture
def distance(server: Server, tmp_path: Path) -> Iterator[str]:
    """A network namespace with the server in it, on a wire that can be cut; the name of our end of the wire."""
    names = {"space": f"ek{os.getpid()}", "ours": f"eka{os.getpid()}", "theirs": f"ekb{os.getpid()}"}
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace needs root and iproute2")

    def ip(*words: str) -> int:
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode

    if ip("netns", "add", names["space"]) or ip(
        "link", "add", names["ours"], "type", "veth", "peer", "name", names["theirs"], "netns", names["space"]
    ):
        ip("netns", "del", names["space"])
        pytest.skip("no network namespace can be made here")
    here, there = "10.197.3.1", "10.197.3.2"
    ip("addr", "add", f"{here}/30", "dev", names["ours"])
    ip("link", "set", names["ours"], "up")
    inside = ("netns", "exec", names["space"], "ip")
    ip(*inside, "addr", "add", f"{there}/30", "dev", names["theirs"])
    ip(*inside, "link", "set", names["theirs"], "up")
    server.stop()
    config, known = server.folder / "config", server.folder / "known_hosts"
    config.write_text(config.read_text().replace("127.0.0.1", there))
    known.write_text(known.read_text().replace("127.0.0.1", there))
    server.move(there, ("ip", "netns", "exec", names["space"]))
    server.start()
    yield names["ours"]
    for link in server.links:
        disconnect(link)
    server.stop()
    ip("netns", "del", names["space"])
    ip("link", "del", names["ours"])


def test_a_wire_that_is_cut(server: Server, distance: str, attentive: None) -> None:
    """Packets are dropped both ways, and nobody is told: as when a cable is pulled."""
    server.script("edgekit-sleeper", "#!/bin/sh\nwhile :; do sleep 1; done\n")
    board = server.link()
    board.look({})

    def cut() -> None:
        until(lambda: bool(sleeper(server)))
        subprocess.run(["ip", "link", "set", distance, "down"], check=True)

    cutter = threading.Thread(target=cut)
    cutter.start()
    with pytest.raises(DeviceUnreachable) as caught:
        board.look({"commands": [{"argv": ["edgekit-sleeper"], "seconds": 300}]})
    cutter.join()
    assert caught.value.exit_code == 4 and sleeper(server)
    subprocess.run(["ip", "link", "set", distance, "up"], check=True)
    again = server.link()
    until(lambda: reaches(again))
    until(lambda: not sleeper(server) and len(server.work()) == 1)


def reaches(link: SshLink) -> bool:
    link._lost = None
    try:
        link.look({})
    except DeviceUnreachable:
        return False
    return True


def test_the_same_process_ends_what_it_began_over_a_connection_that_was_cut(server: Server) -> None:
    """Its owner lives, so that only the link itself can know that the session is over."""
    board = server.link()
    board.look({})
    (first,) = server.work()
    for pid in serving(server)[1:]:
        os.kill(pid, signal.SIGSTOP)  # the device does not see the end of the connection
    frozen = [pid for pid in serving(server) if server.process and pid != server.process.pid]
    hang_up(board)
    until(lambda: not board._alive)
    board.look({})
    assert len(server.work()) == 1 and server.work() != [first]
    for pid in frozen:
        os.kill(pid, signal.SIGKILL)


def test_a_device_that_answers_slowly_is_waited_for(server: Server) -> None:
    server.script("slow", f'#!/bin/sh\nsleep 1\nexec {sys.executable} "$@"\n')
    board = server.link(python="slow")
    assert ask(board, BASELINE, 120)["peak_bytes"] > 2**20
    assert server.connections() == 1


SKEWED = """import time
real, real_ns = time.time, time.time_ns
time.time = lambda: real() + {seconds}
time.time_ns = lambda: real_ns() + {seconds} * 10**9
"""


@pytest.mark.parametrize("seconds", [10**9, -(10**9)])
def test_a_clock_that_is_wrong_or_was_set(server: Server, tmp_path: Path, seconds: int) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(os.urandom(1000))
    first = server.link()
    there = Path(first.place(path))  # before the clock was set
    (server.folder / "sitecustomize.py").write_text(SKEWED.format(seconds=seconds))
    server.stop()
    server.environment["PYTHONPATH"] = str(server.folder)
    server.start()
    skewed = server.link()
    assert skewed.place(path) == str(there) and there.read_bytes() == path.read_bytes()
    assert ask(skewed, BASELINE, 120)["peak_bytes"] > 2**20
    second = server.link()
    second.look({})
    assert there.exists()  # it looks unused for decades, and is in use
    second.close()
    skewed.close()
    until(lambda: not server.work())


@pytest.mark.parametrize(
    "said", [b"", b"5", b"[]", b"null", b'"ok"', b'{"ok"', b"{}", b'{"error": 5}', b"Welcome!\n{}", b"[" * 100_000]
)
def test_what_is_no_answer(said: bytes) -> None:
    assert parsed(said) is None
    assert parsed(b'{"ok": null}') == {"ok": None}


@pytest.mark.parametrize(
    "greeting", ["5", "[]", "{}", '{"ok": true}', '{"ok": {}}', '{"ok": [1]}', "Welcome to the board!"]
)
def test_a_python_that_says_something_else(server: Server, greeting: str) -> None:
    server.script("talker", f"#!/bin/sh\necho 'edgekit 3.11.0'\necho '{greeting}'\n")
    with pytest.raises(EdgekitError) as caught:
        server.link(python="talker").look({})
    assert isinstance(caught.value, (EnvironmentRefused, DeviceUnreachable, BackendMissing))
    assert "\n" not in caught.value.message and "board" in caught.value.message


def test_a_session_that_says_something_else(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"x")
    server.script(
        "talker",
        f'#!/bin/sh\ncase "$*" in *" infer") echo \'[1, 2]\'; exec sleep 600;; esac\nexec {sys.executable} "$@"\n',
    )
    with pytest.raises(BackendMissing, match="board"):
        FarSession(server.link(python="talker"), path, "onnxruntime")


def test_an_unreachable_device_is_one_line(server: Server) -> None:
    board = server.link()
    error = board.failure(255, "@@@@@@\nConnection to 127.0.0.1 closed by remote host.\n")
    assert error is not None and error.exit_code == 4 and "\n" not in error.message
    assert board.failure(1, "x") is None and json.dumps(Done(1, b"", "").code) == "1"
