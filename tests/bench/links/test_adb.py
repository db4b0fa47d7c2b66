from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edgekit.bench.links.adb import ROOT, AdbLink
from edgekit.errors import BackendMissing, DeviceUnreachable, EnvironmentRefused
from tests.bench.adb_peer import Peer
from tests.bench.adb_server import Phones, make_phones
from tests.waiting import until

phones = pytest.fixture(make_phones)


@pytest.fixture
def phone(phones: Phones) -> Peer:
    return phones()


@pytest.fixture
def link(phone: Peer) -> Iterator[AdbLink]:
    found = AdbLink("pixel", phone.serial)
    yield found
    found.close()


def there(phone: Peer, name: str = "") -> Path:
    return Path(phone.inside(f"{ROOT}/{name}"))


def test_output_and_exit_codes_come_back(link: AdbLink) -> None:
    done = link.run("echo out; echo err >&2; exit 3")
    assert (done.code, done.stdout, done.stderr) == (3, b"out\n", "err\n")
    assert link.run("printf 'no end'").stdout == b"no end"
    assert link.run("false").code == 1


def test_a_phone_without_exit_codes(phones: Phones) -> None:
    phone = phones(features="cmd")
    link = AdbLink("old", phone.serial)
    done = link.run("echo out; (exit 3)")
    assert (done.code, done.stdout) == (3, b"out\n")
    link.close()


def test_the_exit_code_cannot_be_printed(link: AdbLink) -> None:
    done = link.run("echo __edgekit_rc=7; (exit 2)")
    assert (done.code, done.stdout) == (2, b"__edgekit_rc=7\n")


@pytest.mark.parametrize("word", ["two words", "a'b", 'a"b', "$(touch evil)", "`x`", "a\nb", "*", "é", "", "-s", "\\n"])
def test_arguments_arrive_as_they_are(link: AdbLink, word: str) -> None:
    answer = link.look({"commands": [{"argv": ["printf", "%s|", word, "end"]}]})["commands"][0]
    assert answer == {"code": 0, "out": f"{word}|end|", "err": ""}
    done = subprocess.run(link.argv(["printf", "%s", word]), capture_output=True, check=True)
    assert done.stdout.decode() == word


@pytest.mark.parametrize("name", ["a'b;$(x) é.tflite", "-n.tf lite"])
def test_a_file_is_pushed_once(phone: Peer, link: AdbLink, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(os.urandom(300_000))
    placed = link.place(path)
    assert Path(phone.inside(placed)).read_bytes() == path.read_bytes()
    assert link.place(path) == placed
    link.close()
    again = AdbLink("pixel", phone.serial)
    assert again.place(path) == placed and len(phone.pushed) == 1
    Path(phone.inside(placed)).write_bytes(b"damaged")
    again.close()
    assert AdbLink("pixel", phone.serial).place(path) == placed and len(phone.pushed) == 2
    assert Path(phone.inside(placed)).read_bytes() == path.read_bytes()


def test_a_folder_is_pushed_file_by_file(phone: Peer, link: AdbLink, tmp_path: Path) -> None:
    folder = tmp_path / "two 'words'.twin"
    for name in ("a.tflite", "in/-n $(x).bin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.urandom(1000))
    placed = link.place(folder)
    for name in ("a.tflite", "in/-n $(x).bin"):
        done = link.run(f"cat {shlex.quote(f'{placed}/{name}')}")
        assert done.stdout == (folder / name).read_bytes()
    assert link.place(folder) == placed and len(phone.pushed) == 2
    link.close()
    assert list(there(phone, "work").iterdir()) == []


def test_a_file_comes_back(phone: Peer, link: AdbLink, tmp_path: Path) -> None:
    there(phone).mkdir(parents=True, exist_ok=True)
    there(phone, "answer").write_bytes(os.urandom(100_000))
    link.pull(f"{ROOT}/answer", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == there(phone, "answer").read_bytes()


def test_a_file_that_comes_back_in_part_leaves_nothing(
    link: AdbLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(arguments: list[str], seconds: float) -> None:
        Path(arguments[-1]).write_bytes(b"half")
        raise DeviceUnreachable("the connection was lost", "see its cable")

    link.begin()
    with monkeypatch.context() as broken, pytest.raises(DeviceUnreachable, match="the connection was lost"):
        broken.setattr(link, "_adb", lost)
        link.pull(f"{ROOT}/answer", tmp_path / "here")
    assert list(tmp_path.glob("here*")) == []


def test_nothing_of_a_session_stays(phone: Peer, link: AdbLink) -> None:
    assert there(phone, f"work/{link.work.rpartition('/')[2]}/owner").is_file()
    link.close()
    assert list(there(phone, "work").iterdir()) == []


def test_two_phones_at_once(phones: Phones) -> None:
    links = [AdbLink(f"phone-{index}", phones().serial) for index in range(2)]
    said: dict[str, bytes] = {}
    workers = [
        threading.Thread(target=lambda link=link: said.update({link.name: link.run("sleep 0.2; echo $PHONE").stdout}))
        for link in links
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert said["phone-0"].endswith(b"phone0\n") and said["phone-1"].endswith(b"phone1\n")
    with pytest.raises(DeviceUnreachable, match="2 phones are connected, and nothing says which is any") as caught:
        AdbLink("any").run("true")
    assert "serial" in caught.value.remedy
    for link in links:
        link.close()


def test_the_only_phone_needs_no_serial(phone: Peer, link: AdbLink, monkeypatch: pytest.MonkeyPatch) -> None:
    link.run("true")
    AdbLink("any").run("true")
    monkeypatch.setenv("ANDROID_SERIAL", "elsewhere")
    with pytest.raises(DeviceUnreachable, match=r"any \(elsewhere\) is not connected"):
        AdbLink("any").run("true")


def test_unplugged_while_it_works(phone: Peer, link: AdbLink) -> None:
    link.run("true")

    def when_it_runs() -> None:
        until(lambda: any("sleep 120" in command for command in phone.commands))
        phone.unplug()

    threading.Thread(target=when_it_runs).start()
    with pytest.raises(DeviceUnreachable, match="the connection .*was lost") as caught:
        link.run("echo begun; sleep 120; echo done")
    assert caught.value.exit_code == 4 and caught.value.remedy


def test_unplugged_while_a_file_is_pushed(phone: Peer, link: AdbLink, tmp_path: Path) -> None:
    link.run("true")
    (tmp_path / "large").write_bytes(bytes(30_000_000))
    phone.most_bytes = 1_000_000
    with pytest.raises(DeviceUnreachable):
        link.place(tmp_path / "large")


def sleepers(phone: Peer) -> list[int]:
    """The processes called `sleep` that a phone's commands have started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_its = f"PHONE={phone.folder}\0" in (entry / "environ").read_text()
            if is_its and (entry / "comm").read_text() == "sleep\n":
                found.append(int(entry.name))
    return found


def test_what_runs_long_ends_when_it_takes_too_long(phone: Peer, link: AdbLink) -> None:
    with pytest.raises(DeviceUnreachable, match="no answer in 1 s"):
        link.tended("sleep 1000 & sleep 1001", 1)
    until(lambda: not sleepers(phone))


def test_the_exit_code_of_what_runs_long(link: AdbLink) -> None:
    done = link.tended("echo out; echo err >&2; exit 5", 600)
    assert (done.code, done.stdout, done.stderr) == (5, b"out\n", "err\n")


HOLDER = """
import sys
from edgekit.bench.links.adb import AdbLink
link = AdbLink("pixel", sys.argv[1])
print(link.work, flush=True)
link.tended(f"echo $$ > {link.work}/pid; sleep 600", 600)
"""


def test_killed_on_our_side(phone: Peer) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, phone.serial], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    work = Path(phone.inside(holder.stdout.readline().strip()))
    until(lambda: (work / "pid").is_file() and (work / "pid").read_text().strip() != "")
    pid = int((work / "pid").read_text())
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert work.is_dir()
    link = AdbLink("pixel", phone.serial)
    link.run("true")
    assert not work.exists()
    link.close()


def test_another_session_is_left_alone(phone: Peer, link: AdbLink) -> None:
    link.run("true")
    other = AdbLink("pixel", phone.serial)
    other.run("true")
    assert len(list(there(phone, "work").iterdir())) == 2
    other.close()
    assert link.run(f"cat {link.work}/owner").code == 0


def test_a_full_phone(phone: Peer, link: AdbLink, tmp_path: Path) -> None:
    link.run("true")
    phone.script("sha256sum", "#!/bin/sh\nexit 1\n")
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(DeviceUnreachable, match="did not reach pixel whole"):
        link.place(tmp_path / "x")
    phone.script("mkdir", "#!/bin/sh\necho 'mkdir: No space left on device' >&2\nexit 1\n")
    with pytest.raises(EnvironmentRefused, match="no space on pixel"):
        AdbLink("pixel", phone.serial).run("true")


def test_no_runner_on_a_phone() -> None:
    with pytest.raises(BackendMissing, match="only benchmark_model runs there"):
        AdbLink("pixel").tools()
