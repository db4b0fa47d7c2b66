"""A session on a device that answers wrongly, late, or only in part: its far end is a script of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.links import remote_session
from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.remote_session import FarSession
from edgekit.bench.links.ssh import errors as ssh_errors
from edgekit.errors import DeviceUnreachable, EdgekitError, MeasurementInvalid
from tests.bench.links.pipes import patient

BEGINS = """import io, json, os, sys, time
import numpy as np
sys.stdin.buffer.readline()
os.write(1, json.dumps({"ok": {"inputs": [], "outputs": [], "found": {}}}).encode() + b"\\n")
def file(count):
    stream = io.BytesIO()
    np.save(stream, np.arange(count))
    return stream.getvalue()
def line(*files):
    return json.dumps({"ok": {"sizes": [len(one) for one in files], "ns": 5}}).encode() + b"\\n"
"""


class Board(LocalLink):
    """A link that tells its own end by ssh's exit code."""

    def failure(self, code: int, stderr: str) -> EdgekitError | None:
        return ssh_errors.unreachable(self.name, "host", stderr) if code == 255 else None


def far(folder: Path, code: str) -> FarSession:
    """A session whose far end does this when it was loaded."""
    (folder / "__main__.py").write_text(BEGINS + code)
    (folder / "a.onnx").touch()
    return FarSession(Board("board", folder), folder / "a.onnx", "onnxruntime")


@pytest.mark.parametrize(
    "end", ["line(file(1000)) + file(1000)[:50]", "line(file(9), file(9)) + file(9)", "line(file(1))", "b''"]
)
def test_a_connection_that_is_lost_in_the_middle_of_an_answer(end: str, tmp_path: Path) -> None:
    session = far(tmp_path, f"sys.stdin.buffer.readline()\nos.write(1, {end})\nos._exit(255)")
    with pytest.raises(DeviceUnreachable, match="board .*the connection was lost") as caught:
        session.run([np.zeros(3)])
    session.close()
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("said", ["b''", "b'{\"ok\"'", "line(file(1000))", "line(file(1000)) + file(1000)[:50]"])
def test_silence_ends_the_wait_wherever_it_begins(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = far(tmp_path, f"sys.stdin.buffer.readline()\nos.write(1, {said})\ntime.sleep(10**6)")
    monkeypatch.setattr(remote_session, "ANSWER_SECONDS", 1.0)
    with pytest.raises(MeasurementInvalid, match="no answer from onnxruntime on board in 1 s"):
        session.run([np.zeros(3)])
    session.close()


def test_a_device_that_takes_no_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = far(tmp_path, "time.sleep(10**6)")
    monkeypatch.setattr(remote_session, "ANSWER_SECONDS", 1.0)
    with pytest.raises(MeasurementInvalid, match="no answer from onnxruntime on board in 1 s"):
        session.run([np.zeros(1 << 20)])
    session.close()


def test_an_answer_may_come_in_pieces_for_longer_than_silence_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = """for question in sys.stdin.buffer:
    sys.stdin.buffer.read(sum(json.loads(question)))
    answer = line(file(30), file(70)) + file(30) + file(70)
    for at in range(0, len(answer), 60):
        os.write(1, answer[at : at + 60])
        time.sleep(0.01)
"""
    session = far(tmp_path, pieces)
    waits = patient(monkeypatch)
    for _ in range(2):
        first, second = session.run([np.zeros(3)])
        assert np.array_equal(first, np.arange(30)) and np.array_equal(second, np.arange(70)) and session.last_ns == 5
    assert len(waits) > 20 and set(waits) == {remote_session.ANSWER_SECONDS}, "each piece has all of the time"
    session.close()
