"""The ssh link against a real server: what arrives, what is refused, and what is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgekit.bench import link_ssh, ssh_connection
from edgekit.bench.link import FOLDER, ask, call
from edgekit.bench.link_ssh import SshLink
from edgekit.errors import BackendMissing, DeviceUnreachable, EdgekitError, EnvironmentRefused, UsageError

if TYPE_CHECKING:
    from tests.bench.conftest import Server

ROOT = Path(__file__).resolve().parents[2]
NASTY = "two words 'and' \"quotes\" $(touch injected) `touch injected`; * \\ &\n-x"
LONG = {"mode": "baseline", "runtime": "stuck"}
# It holds Python's lock: not even the runner's own watcher can end it.
STUCK = """import ctypes
from pathlib import Path
def preload():
    Path(__file__).with_name("stuck").touch()
    ctypes.PyDLL(None).sleep(60)
"""


@pytest.fixture
def board(server: Server) -> SshLink:
    return server.link()


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    """A folder like bench/, with a runtime that never answers."""
    folder = tmp_path / "bench"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "runtime_stuck.py").write_text(STUCK)
    return folder


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_connection, "PAUSE_SECONDS", 0.01)


def marked(server: Server) -> list[int]:
    """The processes of edgekit's sessions that have a folder there, or had one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        ours = any(variable.startswith(b"PATH=") and str(server.folder).encode() in variable for variable in variables)
        if ours and any(variable.startswith(b"EDGEKIT_WORK=") for variable in variables):
            found.append(int(entry.parent.name))
    return found


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def test_the_runner_answers_and_nothing_is_left(server: Server, board: SshLink) -> None:
    found = ask(board, {"mode": "baseline", "runtime": "null"}, 60)
    assert found["peak_bytes"] > 2**20
    assert len(server.work()) == 1
    board.close()
    assert not server.work() and not marked(server)
    assert server.connections() == 1


def test_arguments_arrive_as_they_are(server: Server, board: SshLink, tmp_path: Path) -> None:
    script = "import sys; sys.stdout.write(repr(sys.argv[1:]))"
    words = [NASTY, "", "-n", "~", "$HOME", "*", "ä", "\t"]
    done = call(board, [sys.executable, "-c", script, *words], b"", 60, "python")
    assert done.stdout.decode() == repr(words)
    assert not list(tmp_path.rglob("injected")) and not Path("~/injected").expanduser().exists()


def test_files_and_folders_of_any_name(server: Server, tmp_path: Path) -> None:
    path = tmp_path / f"{NASTY}.onnx".replace("/", "")
    path.write_bytes(os.urandom(3_000_000))
    board = server.link(root=str(server.folder / NASTY))
    try:
        there = Path(board.place(path))
        assert there.read_bytes() == path.read_bytes()
        assert there.parents[1] == server.folder / NASTY
        board.pull(str(there), tmp_path / "back\n$(x)")
        assert (tmp_path / "back\n$(x)").read_bytes() == path.read_bytes()
    finally:
        board.disconnect()


def test_a_file_goes_over_once(server: Server, board: SshLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(os.urandom(1_000_000))
    there = Path(board.place(path))
    inode = there.stat().st_ino
    (tmp_path / "other name.onnx").write_bytes(path.read_bytes())

    def no_put(*_: object) -> str:
        raise AssertionError("it went over again")

    with monkeypatch.context() as patch:
        patch.setattr(SshLink, "_put", no_put)
        assert server.link().place(tmp_path / "other name.onnx") == str(there)
    assert there.stat().st_ino == inode
    with there.open("r+b") as stream:  # same size, other bytes
        stream.write(b"damaged")
    assert Path(server.link().place(path)).read_bytes() == path.read_bytes()
    path.write_bytes(b"changed")
    assert Path(board.place(path)).read_bytes() == b"changed"


def test_a_file_that_changes_on_its_way_is_not_kept(server: Server, board: SshLink, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"x" * 100)
    board.tools()
    with pytest.raises(DeviceUnreachable, match="other bytes arrived"):
        board._put(path, "0" * 64, ".onnx", 100)
    with pytest.raises(DeviceUnreachable, match="ended 5 bytes too early"):
        board._put(path, "0" * 64, ".onnx", 105)
    assert not list((server.root / "files").iterdir())


def test_what_was_not_used_for_long_is_removed(server: Server, board: SshLink, tmp_path: Path) -> None:
    old, fresh = tmp_path / "old.onnx", tmp_path / "fresh.onnx"
    old.write_bytes(b"old")
    fresh.write_bytes(b"fresh")
    places = [Path(board.place(path)) for path in (old, fresh)]
    os.utime(places[0], (0, 0))
    board.close()
    board.look({})
    assert [place.exists() for place in places] == [False, True]


def test_one_connection_serves_commands_in_a_row_and_side_by_side(server: Server) -> None:
    links = [server.link() for _ in range(4)]
    threads = [threading.Thread(target=link.look, args=({},)) for link in links]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.work()) == 4  # each its own folder
    for link in links:
        link.close()
    for _ in range(3):
        again = server.link()
        again.look({})
        again.close()
    assert server.connections() == 1 and not server.work()
    links[0].disconnect()


def config(server: Server, *changes: tuple[str, str]) -> None:
    path = server.folder / "config"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def other_key(server: Server, name: str) -> Path:
    path = server.folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def refusal(server: Server) -> EdgekitError:
    with pytest.raises(EdgekitError) as caught:
        server.link().look({})
    assert "\n" not in caught.value.message and "board" in caught.value.message
    return caught.value


def test_a_host_key_that_changed(server: Server) -> None:
    key = other_key(server, "another").with_suffix(".pub").read_text().split()
    (server.folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {key[0]} {key[1]}\n")
    error = refusal(server)
    assert error.exit_code == 4 and "host key is not the one that is known" in error.message
    assert server.connections() == 0


def test_a_host_key_that_is_not_known_is_not_accepted(server: Server) -> None:
    (server.folder / "known_hosts").write_text("")
    config(server, ("IdentitiesOnly yes", "IdentitiesOnly yes\n  StrictHostKeyChecking no"))
    error = refusal(server)
    assert error.exit_code == 4 and "not known here" in error.message and "ssh board" in error.remedy
    assert (server.folder / "known_hosts").read_text() == ""


def test_a_key_that_is_not_accepted(server: Server) -> None:
    config(server, (str(server.folder / "own_key"), str(other_key(server, "stranger"))))
    error = refusal(server)
    assert (
        error.exit_code == 4 and "does not accept any of your keys" in error.message and "ssh-copy-id" in error.remedy
    )


def test_a_server_that_is_down_or_nowhere(server: Server) -> None:
    server.stop()
    error = refusal(server)
    assert error.exit_code == 4 and "refused" in error.message
    config(server, ("HostName 127.0.0.1", "HostName no-such-host.invalid"))
    error = refusal(server)
    assert error.exit_code == 4 and "no machine of that name" in error.message


def test_a_server_that_takes_the_call_and_says_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(ssh_connection, "MASTER", ("ControlMaster=yes", "ControlPersist=5", "ConnectTimeout=1"))
    monkeypatch.setattr(ssh_connection, "ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config(server, (f"Port {server.port}", f"Port {silent.getsockname()[1]}"))
        error = refusal(server)
    assert error.exit_code == 4 and "timed out" in error.message


def test_a_wrong_configuration(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    config(server, ("IdentitiesOnly yes", "IdentitiesOnlly yes"))
    assert "configuration is wrong" in refusal(server).message
    monkeypatch.setenv("EDGEKIT_SSH_CONFIG", "/no/such/file")
    with pytest.raises(UsageError, match="EDGEKIT_SSH_CONFIG"):
        server.link().look({})


def test_a_device_behind_a_jump_host(server: Server) -> None:
    with (server.folder / "config").open("a") as stream:
        stream.write(
            f"Host hidden\n  ProxyJump board\n  HostName 127.0.0.1\n  Port {server.port}\n  IdentitiesOnly yes\n"
            f"  IdentityFile {server.folder / 'own_key'}\n  UserKnownHostsFile {server.folder / 'known_hosts'}\n"
        )
    hidden = server.link(host="hidden")
    assert hidden.look({})["cpus"] and ask(hidden, {"mode": "baseline", "runtime": "null"}, 60)
    assert server.connections() == 2


def test_a_device_without_python(server: Server) -> None:
    with pytest.raises(
        BackendMissing, match="board has no Python: `no such python` ended with exit code 127"
    ) as caught:
        server.link(python="no such python").look({})
    assert "python:" in caught.value.remedy


def test_a_device_with_an_old_python(server: Server) -> None:
    server.script("python3.6", "#!/bin/sh\nprintf 'edgekit 3.6.15'\n")
    with pytest.raises(BackendMissing, match="is Python 3.6.15, and the runner needs 3.8"):
        server.link(python="python3.6").look({})


@pytest.mark.parametrize("version", ["2.7.18", "3.6.15", "3.7.16"])
def test_real_old_pythons_are_told_apart(server: Server, version: str) -> None:
    python = Path(f"~/.pyenv/versions/{version}/bin/python").expanduser()
    if not python.exists():
        pytest.skip(f"no Python {version} here")
    with pytest.raises(BackendMissing, match=f"is Python {version}, and"):
        server.link(python=str(python)).look({})


def test_the_oldest_python_that_is_supported(server: Server, tmp_path: Path) -> None:
    python = Path("~/.pyenv/versions/3.8.18/bin/python").expanduser()
    if not python.exists():
        pytest.skip("no Python 3.8 here")
    board = server.link(python=str(python))
    try:
        path = tmp_path / "a.onnx"
        path.write_bytes(b"x")
        assert Path(board.place(path)).read_bytes() == b"x"
        assert board.look({})["python"].startswith("3.8.")
        with pytest.raises(EdgekitError) as caught:  # it has no numpy, and says so itself
            ask(board, {"mode": "baseline", "runtime": "null"}, 60)
        assert isinstance(caught.value, BackendMissing) and "numpy" in caught.value.message
    finally:
        board.disconnect()


def test_a_folder_that_cannot_be_written(server: Server) -> None:
    (server.folder / "file").write_text("")
    with pytest.raises(EnvironmentRefused, match="board refuses") as caught:
        server.link(root=str(server.folder / "file" / "below")).look({})
    assert "folder:" in caught.value.remedy


def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small file system can be mounted here")
    board = server.link(root=str(small / "edgekit"))
    try:
        path = tmp_path / "a.onnx"
        path.write_bytes(os.urandom(3_000_000))
        with pytest.raises(EnvironmentRefused, match="no space on board") as caught:
            board.place(path)
        assert caught.value.exit_code == 7
        assert not list((small / "edgekit" / "files").iterdir())
        path.write_bytes(b"small")
        assert Path(board.place(path)).read_bytes() == b"small"
    finally:
        board.close()
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_death_by_a_signal_is_not_a_lost_connection(server: Server, board: SshLink) -> None:
    done = call(board, ["sh", "-c", "kill -SEGV $$"], b"", 60, "sh")
    assert done.code == 128 + signal.SIGSEGV and board.failure(done.code, done.stderr) is None


def test_the_server_is_killed_while_it_measures(
    server: Server, board: SshLink, stuck: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_ssh, "FOLDER", stuck)
    board.tools()

    def kill() -> None:
        until(lambda: any(server.root.glob("tools/*/stuck")))
        server.stop()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(DeviceUnreachable) as caught:
        ask(board, LONG, 60)
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
    again.disconnect()


def test_a_connection_that_was_lost_in_between_is_made_again(server: Server, board: SshLink, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"x")
    board.tools()
    server.stop()
    server.start()
    assert Path(board.place(path)).read_bytes() == b"x"
    assert server.connections() == 2


def runs(name: str, server: Server) -> bool:
    """Whether a session of this server runs a program of that name."""
    for pid in marked(server):
        try:
            if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


MEASURES = f"""
import sys
from pathlib import Path
from edgekit.bench import link_ssh
from edgekit.bench.link import ask
from edgekit.bench.link_ssh import SshLink
link_ssh.FOLDER = Path(sys.argv[3])
board = SshLink("board", "board", sys.executable, sys.argv[1])
board.undo([{{"argv": ["touch", sys.argv[2]]}}])
ask(board, {LONG!r}, 60)
"""


@pytest.fixture
def victim(server: Server, stuck: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that measures there, and has something to undo."""
    command = [sys.executable, "-c", MEASURES, str(server.root), str(tmp_path / "undone"), str(stuck)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: any(server.root.glob("tools/*/stuck")))
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_we_are_killed_the_device_ends_the_session_itself(
    server: Server, victim: subprocess.Popen[bytes], tmp_path: Path, how: signal.Signals
) -> None:
    victim.send_signal(how)
    assert victim.wait(timeout=30) != 0
    until(lambda: not marked(server) and not server.work())
    assert (tmp_path / "undone").exists()


def test_when_the_device_could_not_end_it_the_next_contact_does(
    server: Server, victim: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    for pid in marked(server):
        with suppress(OSError):  # it has ended meanwhile
            if b"tend" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
    victim.kill()
    victim.wait()
    assert len(server.work()) == 1 and not (tmp_path / "undone").exists() and runs("runner.py", server)
    board = server.link()
    board.look({})
    assert (tmp_path / "undone").exists() and len(server.work()) == 1 and not runs("runner.py", server)
    board.disconnect()
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
    link._connection.exit()
    assert runs("runner.py", server)
    link.look({})
    assert (tmp_path / "undone").exists() and len(server.work()) == 1 and not runs("runner.py", server)
    link.disconnect()
    for pid in frozen:
        os.kill(pid, signal.SIGKILL)


def test_another_session_that_lives_is_left_alone(server: Server, victim: subprocess.Popen[bytes]) -> None:
    board = server.link()
    board.look({})
    assert len(server.work()) == 2 and runs("runner.py", server)
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


def test_a_device_that_never_answers(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_ssh, "ANSWER_SECONDS", 1.0)
    server.script("slow", "#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(DeviceUnreachable, match="no answer in 1 s"):
        server.link(python="slow").look({})
