"""The adb link to a real adbd, with the shell and tools of a phone: what a double of them cannot show."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgekit.bench.links.adb import ROOT, AdbLink
from edgekit.errors import DeviceUnreachable, EnvironmentRefused
from tests.bench.adbd import Phone, make_phones
from tests.waiting import until

pytestmark = pytest.mark.slow
phones = pytest.fixture(make_phones)
KILLS = 3


@pytest.fixture
def phone(phones: Callable[[], Phone]) -> Phone:
    return phones()


@pytest.fixture
def link(phone: Phone) -> Iterator[AdbLink]:
    found = AdbLink("pixel", phone.serial)
    yield found
    found.close()
    assert list(Path(phone.inside(f"{ROOT}/work")).iterdir()) == []
    until(lambda: phone.processes() == [])


def test_what_runs_long_ends_when_it_is_done(phone: Phone, link: AdbLink) -> None:
    done = link.tended("echo out; echo err >&2; exit 5", 600)
    assert (done.code, done.stdout, done.stderr) == (5, b"out\n", "err\n")
    assert phone.processes() == []
    done = link.tended("sleep 61 & echo begun", 600)
    assert (done.code, done.stdout) == (0, b"begun\n") and phone.processes() == []


def test_what_runs_long_ends_when_it_takes_too_long(phone: Phone, link: AdbLink) -> None:
    with pytest.raises(DeviceUnreachable, match="no answer in 1 s"):
        link.tended("sleep 61 & sleep 62", 1)
    until(lambda: phone.processes() == [])


@pytest.mark.parametrize("word", ["a'b", 'a"b', "$(touch evil)", "`x`", "a\nb", "é", "", "\\n", "$x"])
def test_arguments_arrive_as_they_are(link: AdbLink, word: str) -> None:
    answer = link.look({"commands": [{"argv": ["printf", "%s|", word, "end"]}]})["commands"][0]
    assert answer == {"code": 0, "out": f"{word}|end|", "err": ""}


def test_a_file_is_pushed_once_and_comes_back(phone: Phone, link: AdbLink, tmp_path: Path) -> None:
    path = tmp_path / "a'b;$(x) é.tflite"
    path.write_bytes(os.urandom(300_000))
    there = link.place(path)
    before = Path(phone.inside(there)).stat().st_ino
    assert AdbLink.place(link, path) == there and Path(phone.inside(there)).stat().st_ino == before
    link.pull(there, tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == path.read_bytes()
    Path(phone.inside(there)).write_bytes(b"damaged")
    again = AdbLink("pixel", phone.serial)
    assert again.place(path) == there and Path(phone.inside(there)).read_bytes() == path.read_bytes()
    again.close()


def test_two_phones(phones: Callable[[], Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    both = [phones(), phones()]
    for phone in both:
        link = AdbLink(phone.serial, phone.serial)
        link.run(f"echo {phone.serial} > /data/local/tmp/name")
        link.close()
    for phone in both:
        assert (phone.folder / "data/local/tmp/name").read_text() == f"{phone.serial}\n"
    with pytest.raises(DeviceUnreachable, match="2 phones are connected, and nothing says which is any"):
        AdbLink("any").run("true")


def test_unplugged_while_it_works(phone: Phone) -> None:
    link = AdbLink("pixel", phone.serial)

    def when_it_runs() -> None:
        until(lambda: "sleep 62" in phone.processes())
        phone.unplug()

    threading.Thread(target=when_it_runs).start()
    with pytest.raises(DeviceUnreachable, match="the connection .*was lost") as caught:
        link.tended("sleep 61 & sleep 62", 600)
    assert caught.value.exit_code == 4
    until(lambda: phone.processes() == [])


def test_unplugged_while_a_file_is_pushed(phone: Phone, tmp_path: Path) -> None:
    link = AdbLink("pixel", phone.serial)
    link.run("true")
    (tmp_path / "large").write_bytes(bytes(100_000_000))
    phone.unplug_after(1_000_000)
    with pytest.raises(DeviceUnreachable):
        link.place(tmp_path / "large")


def test_a_full_phone(phones: Callable[[], Phone], tmp_path: Path) -> None:
    small = tmp_path / "phone0" / "data"
    small.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small file system can be mounted here")
    try:
        link = AdbLink("pixel", phones().serial)
        (tmp_path / "large").write_bytes(bytes(3_000_000))
        with pytest.raises(EnvironmentRefused) as caught:
            link.place(tmp_path / "large")
        assert caught.value.message == f"no space on pixel in {ROOT}: remote write failed: No space left on device"
        link.close()
        assert not [path for path in (small / "local/tmp/edgekit").rglob("*") if path.is_file()]
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


HOLDER = """
import sys
from pathlib import Path
from edgekit.bench.links.adb import AdbLink
link = AdbLink("pixel", sys.argv[1])
link.place(Path(sys.argv[2]))
print("ready", flush=True)
link.tended("sleep 61 & sh -c 'sleep 62; true'", 600)
"""


def test_killed_at_any_moment(phone: Phone, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(10_000_000))
    command = [sys.executable, "-c", HOLDER, phone.serial, str(file)]
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    whole = time.monotonic() - begin
    chance = random.Random(1)
    for moment in (whole + 0.2, *(whole * chance.uniform(0.05, 1.2) for _ in range(KILLS))):
        time.sleep(max(0.0, begin + moment - time.monotonic()))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        link = AdbLink("pixel", phone.serial)
        link.run("true")
        until(lambda: phone.processes() == [])
        assert len(list(Path(phone.inside(f"{ROOT}/work")).iterdir())) == 1
        link.close()
        file.write_bytes(chance.randbytes(10_000_000))  # to be pushed again
        begin = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.send_signal(signal.SIGKILL)
    process.communicate()
