"""SIGKILL on our side at any moment: after its next contact the device has nothing of ours, and its power mode."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgekit.bench.links.adb import AdbLink
from edgekit.bench.links.base import FOLDER
from edgekit.device import jetson as jetson_target
from edgekit.device.config import SshDevice
from edgekit.errors import DeviceUnreachable
from tests.bench.adb_peer import Peer
from tests.bench.adb_server import Phones, make_phones
from tests.bench.ssh_server import hang_up
from tests.device.test_jetson import MODES, NVPMODEL
from tests.paths import ROOT
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server

phones = pytest.fixture(make_phones)
# As the real one: what it starts has neither our mark nor our process group.
SUDO = '#!/bin/sh\n[ "$1" = -n ] && shift\nexec env -u EDGEKIT_WORK setsid -w "$@"\n'
# Everything that a benchmark does there: a power mode, files, a runner, a session that answers.
WORKS = """
import sys
from pathlib import Path
from contextlib import closing
from edgekit.device import jetson
from edgekit.bench.links.ssh.link import SshLink
from edgekit.device.config import SshDevice
python, root, conf, file = sys.argv[1:]
jetson.MODES = conf
device = SshDevice(link="ssh", host="board", runtimes=("null",), sensors="jetson", power_modes=("15W", "25W"))
link = SshLink("board", "board", python, root)
with closing(jetson.JetsonTarget(device, link, "25W")) as board:
    link.place(Path(file))
    board.ask({"mode": "baseline", "runtime": "null"}, 60)
    board.ask({"mode": "latency", "runtime": "null", "min_seconds": 0.3, "warmup_max_seconds": 0.1}, 60)
link.close()
"""


@pytest.fixture
def jetson(server: Server) -> Path:
    """The folder in which the server keeps its power mode: 0, which is 15W. It changes slowly, and back at once."""
    folder = server.folder / "nvpmodel"
    folder.mkdir()
    (folder / "nvpmodel.conf").write_text(MODES)
    (folder / "mode").write_text("0\n")
    slow = NVPMODEL.replace("  -m)\n", '  -m)\n    if [ "$2" = 1 ]; then touch begun; sleep 1; fi\n')
    server.script("nvpmodel", slow.format(folder=folder))
    server.script("sudo", SUDO)
    return folder


@pytest.fixture
def works(server: Server, jetson: Path, tmp_path: Path) -> Iterator[list[str]]:
    """The command that does it all."""
    (tmp_path / "a.onnx").write_bytes(random.Random(0).randbytes(300_000))
    arguments = [sys.executable, str(server.root), str(jetson / "nvpmodel.conf"), str(tmp_path / "a.onnx")]
    yield [sys.executable, "-c", WORKS, *arguments]


def ours(server: Server) -> list[int]:
    """Every process that a session of this server has started and that still runs, whatever it calls itself."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            variables = entry.read_bytes().split(b"\0")
            path = [variable for variable in variables if variable.startswith(b"PATH=")]
            comm = (entry.parent / "comm").read_text()
            if any(str(server.folder).encode() in variable for variable in path) and not comm.startswith("sshd"):
                found.append(int(entry.parent.name))
    return found


def assert_as_before(server: Server, jetson: Path) -> None:
    link = server.link()
    link.look({})
    assert (jetson / "mode").read_text().split() == ["0"]
    assert len(server.work()) == 1  # the session that looks
    link.close()
    until(lambda: not ours(server) and not server.work())
    assert (jetson / "mode").read_text().split() == ["0"]


def test_killed_at_any_moment(server: Server, jetson: Path, works: list[str]) -> None:
    begin = time.monotonic()
    subprocess.run(works, cwd=ROOT, check=True)
    whole = time.monotonic() - begin
    assert_as_before(server, jetson)
    assert (jetson / "history").read_text().split() == ["1", "0"]
    moments = random.Random(20).sample(range(5, 100), 3)
    for percent in moments:
        process = subprocess.Popen(works, cwd=ROOT, stderr=subprocess.DEVNULL)
        time.sleep(whole * percent / 100)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert_as_before(server, jetson)


def test_killed_while_the_power_mode_is_being_changed(server: Server, jetson: Path, works: list[str]) -> None:
    process = subprocess.Popen(works, cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: (jetson / "begun").exists())
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert_as_before(server, jetson)
    assert (jetson / "history").read_text().split()[-1] == "0"


HOLDER = """
import sys
from pathlib import Path
from edgekit.bench.links.base import FOLDER
from edgekit.bench.links.adb import AdbLink
from edgekit.device.config import SshDevice
from edgekit.errors import DeviceUnreachable
link = AdbLink("pixel", sys.argv[1])
link.place(Path(sys.argv[2]))
link.tended(f"sh -c 'echo $$ > {link.work}/pid; exec sleep {sys.argv[3]}'", 600)
"""


SLEEP = f"1000.{os.getpid()}"  # seconds that no other process sleeps


def sleepers() -> list[int]:
    """The processes that HOLDER starts."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if entry.read_bytes() == f"sleep\0{SLEEP}\0".encode():
                found.append(int(entry.parent.name))
    return found


def test_a_phone_when_killed_at_any_moment(phones: Phones, tmp_path: Path) -> None:
    phone: Peer = phones()
    file = tmp_path / "large"
    file.write_bytes(random.Random(0).randbytes(3_000_000))
    command = [sys.executable, "-c", HOLDER, phone.serial, str(file), SLEEP]
    begin = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: bool(sleepers()))
    whole = time.monotonic() - begin
    for percent in (100, 35, 60, 85):
        process.send_signal(signal.SIGKILL)
        process.wait()
        link = AdbLink("pixel", phone.serial)
        link.run("true")
        until(lambda: not sleepers())
        assert len(list(Path(phone.inside("/data/local/tmp/edgekit/work")).iterdir())) == 1
        link.close()
        assert list(Path(phone.inside("/data/local/tmp/edgekit/work")).iterdir()) == []
        if percent != 85:
            process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
            time.sleep(whole * {100: 35, 35: 60, 60: 85}[percent] / 100)


def test_a_connection_that_is_lost_while_the_power_mode_is_set(
    server: Server, jetson: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as that: the link connects again, and the new session knows nothing of the change."""
    monkeypatch.setattr(jetson_target, "MODES", str(jetson / "nvpmodel.conf"))
    device = SshDevice(link="ssh", host="board", runtimes=("null",), sensors="jetson", power_modes=("15W", "25W"))
    link = server.link()

    def lose() -> None:
        until(lambda: (jetson / "begun").exists())
        hang_up(link)

    loser = threading.Thread(target=lose)
    loser.start()
    with (
        closing(jetson_target.JetsonTarget(device, link, "25W")) as board,
        pytest.raises(DeviceUnreachable, match="lost") as caught,
    ):
        board.facts()
    loser.join()
    assert caught.value.exit_code == 4
    link.close()
    assert_as_before(server, jetson)


@pytest.mark.parametrize("gone", ["before it has begun", "while it begins"])
def test_a_session_whose_owner_is_gone_before_it_has_begun_leaves_no_folder(gone: str, tmp_path: Path) -> None:
    name, read, write = "0" * 32, *os.pipe()
    command = [sys.executable, str(FOLDER), "session", str(tmp_path), "tend", name, "{}"]
    if gone == "while it begins":
        (tmp_path / "work" / ("f" * 32)).mkdir(parents=True)  # of a session that was killed
    os.close(read)  # nobody reads its answer
    nothing = subprocess.DEVNULL
    subprocess.run(command, stdin=nothing, stdout=write, stderr=nothing, check=False, timeout=PATIENCE)
    os.close(write)
    assert list((tmp_path / "work").iterdir()) == []
