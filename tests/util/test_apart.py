"""Functions in processes of their own: what they return and refuse, and how they may end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edgekit.errors import BackendMissing, EdgekitError, GateFailed, UsageError
from edgekit.util.apart import NoAnswer, call
from tests.waiting import PATIENCE, until

FUNCTIONS = """
import os, sys, time
from edgekit.errors import BackendMissing, GateFailed, UsageError
KINDS = {kind.__name__: kind for kind in (BackendMissing, GateFailed, UsageError)}
def both(*texts):
    print("printed between")
    os.write(1, b"from C too")
    return [os.getpid(), *texts]
def refuse(kind): raise KINDS[kind]("a cause", "a remedy")
def crash(): os.kill(os.getpid(), 11)
def leave(): sys.exit("it fell over")
def wait(path):
    open(path, "w").write(str(os.getpid()))
    time.sleep(10**6)
"""


@pytest.fixture(autouse=True)
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that processes find where this one does."""
    (tmp_path / "functions_apart.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_what_a_function_returns_comes_back_and_what_it_prints_does_not() -> None:
    pid, *texts = call("functions_apart:both", "a\nb", "\udc80'", seconds=PATIENCE)
    assert pid != os.getpid() and texts == ["a\nb", "\udc80'"]


@pytest.mark.parametrize("kind", [BackendMissing, GateFailed, UsageError])
def test_our_errors_come_back_as_they_are(kind: type[EdgekitError]) -> None:
    with pytest.raises(kind, match="a cause") as caught:
        call("functions_apart:refuse", kind.__name__, seconds=PATIENCE)
    assert type(caught.value) is kind and caught.value.remedy == "a remedy"


@pytest.mark.parametrize(
    ("name", "cause"),
    [("crash", "ended with -11"), ("leave", "ended with 1: it fell over"), ("none", "AttributeError")],
)
def test_a_process_that_dies_is_told(name: str, cause: str) -> None:
    with pytest.raises(NoAnswer, match=cause):
        call(f"functions_apart:{name}", seconds=PATIENCE)


def test_a_process_that_does_not_end_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    for seconds in (1, 10, 100):  # as many as the function takes to be there
        with pytest.raises(NoAnswer, match=f"gave no answer in {seconds} s"):
            call("functions_apart:wait", str(pid), seconds=seconds)
        if pid.exists() and pid.read_text():
            break
    assert not Path(f"/proc/{pid.read_text()}").exists()


def test_it_ends_when_whoever_asked_is_killed(tmp_path: Path) -> None:
    code = f"from edgekit.util.apart import call; call('functions_apart:wait', {str(tmp_path / 'pid')!r}, seconds=600)"
    asking = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)})
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    asking.send_signal(signal.SIGKILL)
    asking.wait()
    until(lambda: not any(str(tmp_path).encode() in told for told in command_lines()))


def command_lines() -> Iterator[bytes]:
    """Yield that of each process; it is empty where one has ended."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


def test_it_imports_nothing_from_the_folder_that_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "json.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path / "here")
    assert call("functions_apart:both", seconds=PATIENCE)
