"""Runs trtexec in a folder of its own, and says how it ended, what it printed and which files it wrote.

    {"argv": ["trtexec", "--loadEngine=...", "--exportTimes=times.json"], "files": ["times.json"]}

Files are named as trtexec sees them from that folder. A stage of a build goes to stderr (`protocol.say`). When stdin
ends, so does this, and trtexec with it.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import re
import resource
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from .protocol import answer_job, guarded, say
from .sensors import linux, nvidia_smi, tegra
from .work_folder import make_folder

STAGE = re.compile(r"\[I\] ((?:Start parsing|Finished parsing|Engine built|Starting inference)\b[^.]*)")
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def run(text: str) -> dict[str, Any]:
    """Run what a job in a line of JSON asks for.

    `files` come back as text, null where there are none. `kept` is a file that outlives this, a timing cache: its
    folder is made, and its sha256 comes back. With `keep` the folder stays until the session ends.
    """
    job = json.loads(text)
    folder = make_folder("trtexec-")
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
    libc, lines = ctypes.CDLL(None), []
    others, idle, sentinel = nvidia_smi.foreign_processes(), nvidia_smi.state(), linux.sentinel()
    before = tegra.added(linux.snapshot(), False)
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
                say(stage.group(1))
    after = tegra.added(linux.snapshot(), False)
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
            "sentinel_ns": [sentinel, linux.sentinel()],
            "gpus": [idle, nvidia_smi.state()],
            "gpu_others": None if others is None else len(others),
        },
        "found": linux.settings(),
    }


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


def main(arguments: list[str]) -> None:
    """Answer a job."""
    answer_job(arguments, lambda text: guarded(run, text))
