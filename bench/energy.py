"""The energy pass: what tegrastats says while the device idles, and while it makes one inference after the other.

Stands alone (Python 3.8), beside runner.py, and is asked like it. A pass of its own, because reading the rails takes
time from what is measured. Nothing is worked out here: the lines go back with their times.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

INTERVAL_MS = 200
WARM_SECONDS = 1.0
PLACES = ("/usr/bin", "/usr/sbin", "/sbin", "/home/nvidia")  # of tegrastats; not all are on a session's PATH


def _runner() -> Any:
    spec = importlib.util.spec_from_file_location("runner", Path(__file__).resolve().with_name("runner.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["runner"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


RUNNER = _runner()


def measure(text: str) -> dict[str, Any]:
    """The lines of tegrastats with their times in nanoseconds, the two stretches, and the inferences in the second."""
    wish = json.loads(text)
    idle_seconds, busy_seconds = wish.pop("idle_seconds"), wish.pop("busy_seconds")
    job = RUNNER.parse(json.dumps({**wish, "mode": "memory"}))
    command = shutil.which("tegrastats", path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))
    if command is None:
        raise RuntimeError("there is no tegrastats")
    module = RUNNER.loaded(job.runtime)
    session = module.open_session(job.artifact, RUNNER.options(job))
    step = session.prepare(RUNNER.make_inputs(session.inputs, job.seed))
    RUNNER.take(step, WARM_SECONDS, 3, job.max_seconds)
    lines: list[tuple[int, str]] = []
    with subprocess.Popen([command, "--interval", str(INTERVAL_MS)], stdout=subprocess.PIPE) as process:
        try:
            reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
            reader.start()
            begin = time.perf_counter_ns()
            time.sleep(idle_seconds)
            middle = time.perf_counter_ns()
            count, end = 0, middle + int(busy_seconds * 1e9)
            while time.perf_counter_ns() < end:
                step()
                count += 1
            stop = time.perf_counter_ns()
        finally:
            process.kill()
        reader.join(timeout=5)
    return {"lines": lines, "idle": [begin, middle], "busy": [middle, stop], "inferences": count}


def _read(stream: Any, lines: list[tuple[int, str]]) -> None:
    for line in stream:
        lines.append((time.perf_counter_ns(), line.decode(errors="replace").rstrip("\n")))


if __name__ == "__main__":
    RUNNER.main(sys.argv[1:], measure)
