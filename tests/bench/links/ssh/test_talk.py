from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgekit.bench.links.ssh import talk as talks
from edgekit.bench.links.ssh.talk import Talk, exactly, is_whole
from edgekit.errors import DeviceUnreachable
from tests.bench.links.pipes import patient
from tests.waiting import PATIENCE

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


def talk(started: list[subprocess.Popen[bytes]], code: str, seconds: float = PATIENCE) -> Talk:
    return Talk(python(started, code), "there", seconds)


def test_a_question_is_answered_with_a_line_and_bytes_and_then_the_next_one(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    code = """import hashlib
for line in sys.stdin.buffer:
    body = sys.stdin.buffer.read(int(line))
    digest = hashlib.sha256(body).hexdigest().encode()
    sys.stdout.buffer.write(b'%d\\n' % len(body) + body + digest)
    sys.stdout.buffer.flush()
sys.exit(3)"""
    far = talk(started, code)
    for body in (BODY, b"", MORE):
        far.say([b"%d\n" % len(body), body])
        assert far.line() == b"%d" % len(body)
        assert far.take(tmp_path / "draft", len(body)) and (tmp_path / "draft").read_bytes() == body
    assert far.end().code == 3


def test_what_it_says_at_its_end(started: list[subprocess.Popen[bytes]]) -> None:
    far = talk(started, "print('half', end=''); print('why', file=sys.stderr); sys.exit(3)")
    far.say([MORE])
    assert far.line() is None and far.line() is None
    done = far.end()
    assert (done.code, done.stderr) == (3, "why\n")


@pytest.mark.parametrize(
    ("code", "ask"),
    [
        ("time.sleep(10**6)", lambda far, draft: far.say([MORE])),
        ("time.sleep(10**6)", lambda far, draft: far.line()),
        ("print('half', end=''); time.sleep(10**6)", lambda far, draft: far.line()),
        ("print('begun'); time.sleep(10**6)", lambda far, draft: far.take(draft, 100)),
        ("time.sleep(10**6)", lambda far, draft: far.end()),
    ],
    ids=["takes nothing", "says nothing", "half a line", "half a file", "does not end"],
)
def test_silence_ends_a_talk_and_its_process(
    code: str, ask: Callable[[Talk, Path], object], started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    far = talk(started, code, 0.5)
    with pytest.raises(DeviceUnreachable, match="there gave no answer in 0 s"):
        ask(far, tmp_path / "draft")
    assert far.process.wait(PATIENCE) != 0


def test_what_flows_may_take_longer_than_silence_may(
    started: list[subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "for _ in range(8): time.sleep(0.02); sys.stdin.buffer.read(1 << 17)\nprint('taken')\n"
    code += "for part in 'abcdefgh': time.sleep(0.02); print(part * 9, end='')"
    waits, far = patient(monkeypatch), talk(started, code, 1.2)
    far.say([MORE])
    assert far.line() == b"taken" and not far.take(tmp_path / "draft", 8)
    assert (tmp_path / "draft").read_bytes() == b"aaaaaaaa"
    assert len(waits) > 5 and set(waits) == {1.2}, "each piece has all of the time"


def test_a_line_without_an_end_is_none(started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talks, "LINE_BYTES", 1 << 20)
    far = talk(started, "while True: print('x' * 9999, end='')")
    assert far.line() is None and far.end().code != 0


def test_a_place_that_takes_no_file_ends_the_talk(started: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    far = talk(started, "print('x' * 99); sys.stdin.read()")
    with pytest.raises(OSError, match="No such file"):
        far.take(tmp_path / "no folder" / "draft", 10)
    assert far.process.wait(PATIENCE) != 0


@pytest.mark.parametrize(("held", "size"), [(b"abc", 3), (b"abc", 5), (b"", 2), (b"abc", 2), (b"", 0)])
def test_exactly_so_many_bytes_of_a_file_are_sent(held: bytes, size: int) -> None:
    assert b"".join(exactly(io.BytesIO(held), size)) == held[:size] + bytes(max(0, size - len(held)))


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
