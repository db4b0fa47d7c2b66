from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edgekit.bench.links import local
from edgekit.bench.links.base import FOLDER, ask
from edgekit.bench.links.local import LocalLink
from edgekit.errors import BackendMissing, DeviceUnreachable, EnvironmentRefused, MeasurementInvalid, UsageError
from edgekit.records.runtime import RUNTIMES, Runtime
from tests.paths import ROOT
from tests.waiting import PATIENCE, until

JOB = {"mode": "baseline", "runtime": "probe"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like bench/ondevice."""
    return Path(shutil.copytree(FOLDER, tmp_path / "ondevice", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def link(folder: Path) -> LocalLink:
    return LocalLink(folder=folder)


@pytest.fixture
def probe(folder: Path) -> Iterator[Callable[[str], None]]:
    """Makes a runtime `probe` whose loading is the given code."""
    RUNTIMES.register("probe", Runtime("probe", ("onnx",)))

    def load(code: str) -> None:
        lines = "\n    ".join(code.splitlines())
        (folder / "runtimes" / "probe.py").write_text(f"import os, sys, time\ndef preload():\n    {lines}\n")

    yield load
    RUNTIMES._entries.pop("probe")


def test_each_run_is_a_fresh_process(link: LocalLink, probe: Callable[[str], None]) -> None:
    probe("raise OSError(str(os.getpid()))")
    seen = set()
    for _ in range(2):
        with pytest.raises(BackendMissing) as caught:
            ask(link, JOB, 60)
        seen.add(int(caught.value.message.rsplit(" ", 1)[1]))
    assert len(seen) == 2 and os.getpid() not in seen


def test_a_file_is_copied_whole_or_not_at_all(link: LocalLink, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"made there")
    link.pull(str(tmp_path / "there"), tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"made there"
    with pytest.raises(FileNotFoundError):
        link.pull(str(tmp_path / "gone"), tmp_path / "here")
    assert sorted(path.name for path in tmp_path.glob("*here*")) == ["here", "there"]


def test_a_crash_is_told_with_the_last_line_of_stderr(link: LocalLink, probe: Callable[[str], None]) -> None:
    probe("print('first')\nprint('the arena is torn')\nsys.stdout.flush()\nos.kill(os.getpid(), 11)")
    with pytest.raises(BackendMissing, match="ended by SIGSEGV: the arena is torn\n"):
        ask(link, JOB, 60)
    probe("os._exit(9)")
    with pytest.raises(BackendMissing, match="ended with exit code 9\n"):
        ask(link, JOB, 60)


def test_a_kill_points_at_memory(link: LocalLink, probe: Callable[[str], None]) -> None:
    probe("os.kill(os.getpid(), 9)")
    with pytest.raises(EnvironmentRefused, match="was killed") as caught:
        ask(link, JOB, 60)
    assert "memory" in caught.value.remedy


def runs(folder: Path) -> bool:
    """Whether a process runs what stands in a folder."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder).encode() in entry.read_bytes():
                return True
    return False


def test_a_run_that_takes_too_long_is_ended(link: LocalLink, probe: Callable[[str], None], folder: Path) -> None:
    probe("time.sleep(10**6)")
    with pytest.raises(MeasurementInvalid, match="no answer from probe in 2 s"):
        ask(link, JOB, 2)
    until(lambda: not runs(folder))


def test_a_look_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "ANSWER_SECONDS", 1.0)
    with pytest.raises(DeviceUnreachable, match="this machine did not tell what it has in 1 s"):
        LocalLink().look({"commands": [{"argv": ["sleep", "60"]}]})


@pytest.mark.parametrize(
    ("code", "kind"),
    [("raise ImportError('no libprobe')", BackendMissing), ("raise ValueError('bad file')", UsageError)],
)
def test_what_the_runner_refuses(
    link: LocalLink, probe: Callable[[str], None], code: str, kind: type[Exception]
) -> None:
    probe(code)
    with pytest.raises(kind):
        ask(link, JOB, 60)


WAITS = """
import sys
from pathlib import Path
from edgekit.bench.links.base import ask
from edgekit.bench.links.local import LocalLink
ask(LocalLink(folder=Path(sys.argv[1])), {"mode": "baseline", "runtime": "probe"}, 600)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_runner_goes_when_we_go(
    link: LocalLink, probe: Callable[[str], None], tmp_path: Path, how: signal.Signals
) -> None:
    pid = tmp_path / "pid"
    probe(f"open({str(tmp_path / 'draft')!r}, 'w').write(str(os.getpid()))\n"
          f"os.replace({str(tmp_path / 'draft')!r}, {str(pid)!r})\ntime.sleep(10**6)")  # fmt: skip
    parent = subprocess.Popen([sys.executable, "-c", WAITS, link.tools()], cwd=ROOT, stderr=subprocess.DEVNULL)
    until(pid.exists)
    parent.send_signal(how)
    assert parent.wait(timeout=PATIENCE) != 0
    until(lambda: _gone(int(pid.read_text())))


def _gone(pid: int) -> bool:
    """Whether the process has ended; where nobody reaps orphans it stays as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
