"""Sections of `make bench-self` about many devices: deciding what runs where, and twenty boards at once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.bench_helpers import Line
from tests.bench.ssh_server import Server, make

EDGEKIT = [sys.executable, "-m", "edgekit"]
SIZES, DEVICES = (1_000, 10_000, 100_000), 1_000
BOARDS, ALONE, PAUSE_MS = 20, 3, 400
SPEEDUP, NEAR = 15.0, 0.01
# The simulated laboratory's own work is in the time, too.
SIMULATE = """
import json, sys, time
from pathlib import Path
from edgekit.bench.ondevice.footprint import kilobytes
from tests.sweeps.simulated import Lab, jobs
lab = Lab(int(sys.argv[2]), leave=0.01, fail=0.01, dead=frozenset({"d7"}))
status = Path("/proc/self/status")
before = kilobytes(status, "VmHWM:")
tasks = list(jobs(int(sys.argv[1]), lab))
began = time.process_time()
ends = lab.run(tasks)
assert len({end.task.key for end in ends}) == len(ends) == len(tasks), "a job was lost or done twice"
idle = [name for name in lab.names if not lab.ran[name] and name != "d7"]
assert not idle or len(tasks) < 10 * len(lab.names), f"{idle} did nothing"
taken = time.process_time() - began
print(json.dumps([taken, kilobytes(status, "VmHWM:") - before]))
"""


def scheduling(data: Path, scratch: Path) -> Iterator[Line]:
    """Jobs over 1,000 devices that come and go, 1 % of them failing: processor time and memory for each job."""
    for count in SIZES:
        command = [sys.executable, "-c", SIMULATE, str(count), str(DEVICES)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, size = json.loads(done.stdout)
        each = 1000 * seconds / count
        found = f"{each:.3f} ms, {size / 1000 / count:.2f} kB a job"
        yield Line(f"{count:,} jobs over {DEVICES:,} simulated devices", "< 1 ms a job", found, each < 1)


def boards(data: Path, scratch: Path) -> Iterator[Line]:
    """Twenty sshd on loopback whose null runtime pauses for a known time, against one after the other."""
    servers = [_server(scratch / f"board-{index}") for index in range(BOARDS)]
    try:
        environment = _described(servers, scratch)
        usual = ["lenet5", "--format", "onnx", "--runtime", "null", "--preset", "quick", "--store", "boards.db"]
        _swept([*usual[:3], "--export-only"], scratch, environment)
        alone, medians = 0.0, []
        for index in range(ALONE):
            took, found = _swept([*usual, "--continue", "--device", f"board-{index}"], scratch, environment)
            alone += took
            medians += found
        names = ",".join(f"board-{index}" for index in range(BOARDS))
        fresh = [*usual[:-1], "together.db", "--continue", "--device", names]
        together, found = _swept(fresh, scratch, environment)
    finally:
        for server in servers:
            server.stop()
    ratio = alone / ALONE * BOARDS / together
    told = f"{ratio:.1f} x: {together:.0f} s, against {BOARDS} x {alone / ALONE:.0f} s (of {ALONE} alone)"
    yield Line(f"{BOARDS} boards at once", f">= {SPEEDUP:.0f} x", told, ratio >= SPEEDUP)
    usual_median = sum(medians) / len(medians)
    worst = max(abs(one / usual_median - 1) for one in found)
    told = f"{100 * worst:.2f} % at most, of {len(found)}; {usual_median:.1f} ms alone"
    yield Line("their medians beside those alone", f"< {100 * NEAR:.0f} %", told, len(found) == BOARDS and worst < NEAR)


def _server(folder: Path) -> Server:
    """A board with a home of its own: what the ~/.bashrc of this machine's user starts is no board's work."""
    server = make(folder)
    home = folder / "home"
    home.mkdir()
    server.environment = {"EDGEKIT_NULL_MS": str(PAUSE_MS), "HOME": str(home)}
    server.start()
    return server


def _described(servers: list[Server], folder: Path) -> dict[str, str]:
    """devices.yaml and one configuration of ssh for all of them; the environment that names both."""
    texts = [(server.folder / "config").read_text() for server in servers]
    texts = [re.sub("^Host board$", f"Host board-{index}", text, flags=re.M) for index, text in enumerate(texts)]
    (folder / "config").write_text("".join(texts))
    entries = {
        f"board-{index}": {
            "link": "ssh",
            "host": f"board-{index}",
            "runtimes": ["onnxruntime", "null"],
            "python": sys.executable,
            "folder": str(server.root),
        }
        for index, server in enumerate(servers)
    }
    (folder / "devices.yaml").write_text(json.dumps({"devices": entries}))
    cache = {"EDGEKIT_CACHE": str(folder / "cache"), "EDGEKIT_DEVICES": str(folder / "devices.yaml")}
    return {**os.environ, **cache, "EDGEKIT_SSH_CONFIG": str(folder / "config")}


def _swept(arguments: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, list[float]]:
    """Seconds of a sweep as a process, and the medians that it found, in milliseconds."""
    began = time.perf_counter()
    command = [*EDGEKIT, "sweep", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    took = time.perf_counter() - began
    cells = json.loads(done.stdout)["cells"]
    assert all(cell["status"] in ("done", "cached") for cell in cells), done.stdout
    return took, [cell["measurement"]["median_ms"] for cell in cells if cell["measurement"]]
