"""Runs trtexec in a folder of its own, and says how it ended, what it printed and which files it wrote.

Stands alone (Python 3.8, no numpy), beside runner.py, and is asked like the runner: here, or on a device.

    {"argv": ["trtexec", "--loadEngine=...", "--exportTimes=times.json"], "files": ["times.json"]}

Files are named as trtexec sees them from that folder. A stage of a build goes to stderr behind PROGRESS. When stdin
ends, so does this, and trtexec with it.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROGRESS = "PROGRESS "
STAGE = re.compile(r"\[I\] ((?:Start parsing|Finished parsing|Engine built|Starting inference)\b[^.]*)")
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
FOLDER = Path(__file__).resolve().parent


def _runner() -> Any:
    spec = importlib.util.spec_from_file_location("runner", FOLDER / "runner.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["runner"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


RUNNER = _runner()


def run(text: str) -> dict[str, Any]:
    """Run what a job in a line of JSON asks for.

    `files` come back as text, null where there are none. `kept` is a file that outlives this, a timing cache: its
    folder is made, and its sha256 comes back. With `keep` the folder stays until the session ends.
    """
    job = json.loads(text)
    folder = work_folder()
    try:
        if job.get("kept"):
            Path(job["kept"]).expanduser().parent.mkdir(parents=True, exist_ok=True)
        found = _run(job["argv"], folder)
        found["files"] = {name: _text(folder / name) for name in job.get("files", ())}
        found["kept_sha256"] = _sha256(Path(job["kept"]).expanduser()) if job.get("kept") else None
        return {**found, "folder": str(folder)}
    finally:
        if not job.get("keep"):
            shutil.rmtree(str(folder), ignore_errors=True)


def _run(argv: list[str], folder: Path) -> dict[str, Any]:
    sensors, soc, nvml = (RUNNER.beside(name) for name in ("sensors", "soc", "nvml"))
    libc, lines = ctypes.CDLL(None), []
    others, idle, sentinel = nvml.foreign_processes(), nvml.state(), sensors.sentinel()
    before = soc.added(sensors.snapshot(), False)
    with subprocess.Popen(
        argv,
        cwd=str(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: libc.prctl(DIE_WITH_PARENT, signal.SIGKILL),
    ) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            lines.append(line)
            stage = STAGE.search(line)
            if stage:
                print(PROGRESS + stage.group(1), file=sys.stderr, flush=True)
    after = soc.added(sensors.snapshot(), False)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # What trtexec used is ours, too; how long it waited for a processor, nobody tells.
    after["own_cpu_ns"] += round((used.ru_utime + used.ru_stime) * 1e9)
    after["own_waiting_ns"] = before["mhz"] = after["mhz"] = None  # nor what clocks were at in between
    after["involuntary_switches"] += used.ru_nivcsw
    return {
        "code": process.returncode,
        "log": "\n".join(lines),
        "peak_bytes": used.ru_maxrss * 1024 or None,
        "sensed": {
            "before": before,
            "after": after,
            "sentinel_ns": [sentinel, sensors.sentinel()],
            "gpus": [idle, nvml.state()],
            "gpu_others": None if others is None else len(others),
        },
        "found": sensors.settings(),
    }


def work_folder() -> Path:
    """A folder that goes with the session on a device, else one in this machine's place for such."""
    session = FOLDER.parents[1] / "work" / os.environ.get("EDGEKIT_WORK", "")
    is_there = "EDGEKIT_WORK" in os.environ and session.is_dir()
    return Path(tempfile.mkdtemp(prefix="trtexec-", dir=str(session) if is_there else None))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


if __name__ == "__main__":
    RUNNER.main(sys.argv[1:], run)
