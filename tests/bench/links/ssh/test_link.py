"""The ssh link against a real server: what arrives there, and that nothing is left."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgekit.bench.links.base import FOLDER, ask, call
from edgekit.bench.links.ssh.link import SshLink
from edgekit.device.config import SshDevice
from edgekit.device.registry import TARGETS
from edgekit.errors import BackendMissing, DeviceUnreachable, EdgekitError, EnvironmentRefused
from tests.bench.ssh_server import disconnect, marked

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server

NASTY = "two words 'and' \"quotes\" $(touch injected) `touch injected`; * \\ &\n-x"


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
        disconnect(board)


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


def test_whatever_is_asked_is_answered_by_one_process_there(server: Server, board: SshLink, tmp_path: Path) -> None:
    """A board that starts another Python for each question is busy with that."""
    path = tmp_path / "a.onnx"
    path.write_bytes(os.urandom(3_000_000))
    there = board.place(path)
    board.tools()
    board.undo([{"argv": ["touch", str(tmp_path / "undone")]}])
    assert board.look({"commands": [{"argv": ["echo", "x"]}]})["commands"][0]["out"] == "x\n"
    board.pull(there, tmp_path / "back")
    board.undone()
    assert (tmp_path / "back").read_bytes() == path.read_bytes() and (tmp_path / "undone").exists()
    assert server.log.count("Starting session") == 1


def test_a_question_that_kills_what_answers_ends_the_session(server: Server, board: SshLink) -> None:
    """As where memory ends: the next question finds another session, and nothing is left of the first."""
    board.look({})
    with pytest.raises(EnvironmentRefused, match="`no such verb` failed on board"):
        board._verb("no such verb")
    board.look({})
    assert len(server.work()) == 1 and server.log.count("Starting session") == 2


def test_a_folder_goes_over_file_by_file(server: Server, board: SshLink, tmp_path: Path) -> None:
    folder = tmp_path / "two 'words'.twin"
    for name in ("a.onnx", f"in/{NASTY}".replace("`touch injected`", "").replace("/x", "")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.urandom(1000))

    def contents(of: Path) -> dict[str, bytes]:
        return {str(path.relative_to(of)): path.read_bytes() for path in of.rglob("*") if path.is_file()}

    there = Path(board.place(folder))
    assert contents(there) == contents(folder) and there.name == folder.name
    assert board.place(folder) == str(there)
    (folder / "a.onnx").write_bytes(b"changed")
    assert contents(Path(board.place(folder))) == contents(folder)
    board.close()
    assert contents(Path(board.place(folder))) == contents(folder), "in the folder of the new session"
    board.close()
    assert not server.work() and len(list((server.root / "files").iterdir())) == 3


def test_a_file_that_changes_on_its_way_is_not_kept(server: Server, board: SshLink, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"x" * 100)
    board.tools()
    with pytest.raises(DeviceUnreachable, match="other bytes arrived"):
        board._put(path, "0" * 64, ".onnx", 100)
    with pytest.raises(DeviceUnreachable, match="other bytes arrived"):
        board._put(path, "0" * 64, ".onnx", 105)
    assert not list((server.root / "files").iterdir())


def test_what_is_compiled_there_is_compiled_whole(server: Server) -> None:
    """On a full disk Python itself leaves half of a compiled file, and fails on it ever after."""
    link = server.link()
    (compiled,) = Path(link.tools()).rglob("runner.*.pyc")
    compiled.write_bytes(compiled.read_bytes()[:100])
    link.close()
    again = server.link()
    assert compiled.is_relative_to(again.tools()) and not compiled.exists()
    assert ask(again, {"mode": "baseline", "runtime": "null"}, 60)["peak_bytes"]
    assert not compiled.exists()  # what runs there writes none
    again.close()
    assert server.link().tools() and compiled.stat().st_size > 100


def test_two_sessions_bring_the_same_tools_at_once(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER), "session", str(tmp_path), "tools"]
    # Each looks for the tools when their zip has ended; they are slow to write, so that all have found none.
    for trial in range(2):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for index in range(1000):
                archive.writestr(f"{index}.py", str(trial))
        body, digest = stream.getvalue(), hashlib.sha256(stream.getvalue()).hexdigest()[:16]
        several = []
        with ExitStack() as ends:
            for session in "abc":
                (tmp_path / "work" / f"{session}{trial}").mkdir(parents=True)
                argv = [*command, f"{session}{trial}", digest]
                process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                several.append(ends.enter_context(process))
            pipes = [(one.stdin, one.stdout) for one in several if one.stdin and one.stdout]
            for stdin, _ in pipes:
                stdin.write(body)
            for stdin, _ in pipes:
                stdin.close()
            answers = [json.loads(stdout.read()) for _, stdout in pipes]
        assert answers == [{"ok": {"path": str(tmp_path / "tools" / digest)}}] * 3


def test_what_was_not_used_for_long_is_removed(server: Server, board: SshLink, tmp_path: Path) -> None:
    old, fresh = tmp_path / "old.onnx", tmp_path / "fresh.onnx"
    old.write_bytes(b"old")
    fresh.write_bytes(b"fresh")
    places = [Path(board.place(path)) for path in (old, fresh)]
    os.utime(places[0], (0, 0))
    board.close()
    board.look({})
    assert [place.exists() for place in places] == [False, True]


def test_what_is_not_edgekits_own_is_left_alone(server: Server, board: SshLink, tmp_path: Path) -> None:
    names = ("work/my thesis/chapter.tex", "work/notes.txt", "work/" + "a" * 31 + "/x", "files/photo.jpg", "lock",
             "tools/crosstool/gcc", "files/" + "a" * 64 + "/x")  # fmt: skip
    theirs = [server.root / name for name in names]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
        os.utime(path, (0, 0))
        os.utime(path.parent, (0, 0))
    board.tools()
    board.close()
    board.look({})
    disconnect(board)
    assert [path.read_text() for path in theirs] == ["precious"] * len(theirs)
    assert not list((server.root / "work").glob("*/lock"))


def test_a_folder_of_the_users_gets_one_of_edgekits_own(server: Server, tmp_path: Path) -> None:
    ssd = tmp_path / "ssd"
    ssd.mkdir()
    for folder in (ssd, ssd / "edgekit"):
        link = TARGETS["ssh"](
            "board", SshDevice(link="ssh", host="board", runtimes=("null",), folder=str(folder)), None
        ).link
        assert isinstance(link, SshLink)
        link.look({})
        disconnect(link)
        assert [path.name for path in ssd.iterdir()] == ["edgekit"]
        assert sorted(path.name for path in (ssd / "edgekit").iterdir()) == ["lock", "work"]


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
    disconnect(links[0])


def test_a_device_behind_a_jump_host(server: Server) -> None:
    with (server.folder / "config").open("a") as stream:
        stream.write(
            f"Host hidden\n  ProxyJump board\n  HostName 127.0.0.1\n  Port {server.port}\n  IdentitiesOnly yes\n"
            f"  IdentityFile {server.folder / 'own_key'}\n  UserKnownHostsFile {server.folder / 'known_hosts'}\n"
        )
    hidden = server.link(host="hidden")
    assert hidden.look({})["cpus"] and ask(hidden, {"mode": "baseline", "runtime": "null"}, 60)
    assert server.connections() == 2


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
        disconnect(board)


def test_a_death_by_a_signal_is_not_a_lost_connection(server: Server, board: SshLink) -> None:
    done = call(board, ["sh", "-c", "kill -SEGV $$"], b"", 60, "sh")
    assert done.code == 128 + signal.SIGSEGV and board.failure(done.code, done.stderr) is None
