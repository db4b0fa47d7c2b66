from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.bench.links.ssh.process import arriving, begun, ended, is_whole
from edgekit.errors import DeviceUnreachable

BODY = bytes(range(256)) * 4
MORE = bytes(1 << 20)  # than a pipe holds


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes that a test starts; they end with it."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def python(started: list[subprocess.Popen[bytes]], code: str) -> subprocess.Popen[bytes]:
    """A process with pipes, as a link has it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started.append(subprocess.Popen([sys.executable, "-uc", f"import sys, time\n{code}"], **pipes))  # type: ignore[call-overload]
    return started[-1]


def test_what_goes_in_comes_out(started: list[subprocess.Popen[bytes]]) -> None:
    done = ended(python(started, "print(sys.stdin.read()[::-1]); sys.exit(3)"), [b"a", b"bc"], "there", 20)
    assert (done.code, done.stdout) == (3, b"cba\n")


def test_a_process_that_does_not_end_is_killed(started: list[subprocess.Popen[bytes]]) -> None:
    process = python(started, "time.sleep(60)")
    with pytest.raises(DeviceUnreachable, match="there gave no answer in 1 s"):
        ended(process, [], "there", 1)
    assert process.wait(10) != 0


def test_a_process_that_takes_nothing_is_killed(started: list[subprocess.Popen[bytes]]) -> None:
    with pytest.raises(DeviceUnreachable, match="there gave no answer in 1 s"):
        ended(python(started, "time.sleep(6)"), [MORE], "there", 1)
    with pytest.raises(DeviceUnreachable, match="there gave no answer in 1 s"):
        list(arriving(python(started, "time.sleep(6)"), [MORE], "there", 1))
    with pytest.raises(DeviceUnreachable, match="there gave no answer in 1 s"):
        begun(python(started, "time.sleep(6)"), [MORE], "there", 1)


def test_a_process_that_takes_slowly_is_fed_longer_than_silence_may(started: list[subprocess.Popen[bytes]]) -> None:
    code = "found = 0\nfor _ in range(16): time.sleep(0.2); found += len(sys.stdin.buffer.read(1 << 16))\nprint(found)"
    assert ended(python(started, code), [MORE], "there", 2).stdout == b"%d\n" % len(MORE)


def test_a_process_that_stays_says_a_line(started: list[subprocess.Popen[bytes]]) -> None:
    stays = python(started, "print(sys.stdin.buffer.read(2)); sys.stdin.read()")
    assert begun(stays, [b"a", b"b"], "there", 20) == b"b'ab'" and stays.poll() is None
    dies = python(started, "print('half', end=''); print('why', file=sys.stderr); sys.exit(3)")
    assert begun(dies, [MORE], "there", 20) == b""
    done = ended(dies, [], "there", 20)
    assert (done.code, done.stderr) == (3, "why\n")


def test_half_a_line_and_then_silence(started: list[subprocess.Popen[bytes]]) -> None:
    process = python(started, "print('half', end=''); time.sleep(6)")
    with pytest.raises(DeviceUnreachable, match="there gave no answer in 1 s"):
        begun(process, [], "there", 1)
    assert process.wait(10) != 0


def test_a_slow_file_arrives_though_all_of_it_takes_longer_than_silence_may(
    started: list[subprocess.Popen[bytes]],
) -> None:
    process = python(started, "for part in 'abcdef':\n    time.sleep(0.4); print(part, end='')")
    start = time.monotonic()
    assert b"".join(arriving(process, [], "there", 1.5)) == b"abcdef" and time.monotonic() - start > 1.5


def test_silence_ends_a_file(started: list[subprocess.Popen[bytes]]) -> None:
    process = python(started, "print('begun'); time.sleep(60)")
    with pytest.raises(DeviceUnreachable, match="gave no answer"):
        list(arriving(process, [], "there", 1))
    assert process.wait(10) != 0


@pytest.mark.parametrize("cut", [1, 7, 1000, len(BODY) + 64])
def test_a_file_and_its_hash_may_be_cut_anywhere(cut: int, tmp_path: Path) -> None:
    sent = BODY + hashlib.sha256(BODY).hexdigest().encode()
    blocks = [sent[at : at + cut] for at in range(0, len(sent), cut)]
    assert is_whole(tmp_path / "draft", blocks, len(BODY)) and (tmp_path / "draft").read_bytes() == BODY


@pytest.mark.parametrize(
    "sent",
    [b"", BODY, BODY[:-1] + hashlib.sha256(BODY).hexdigest().encode(), BODY + hashlib.sha256(b"").hexdigest().encode()],
)
def test_what_is_short_or_wrong_is_not_whole(sent: bytes, tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "draft", [sent], len(BODY))
