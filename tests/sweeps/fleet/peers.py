"""A real cluster on loopback: Dask's scheduler, workers and sweeps, each a process that can be stopped and killed.

What workers do is pretended: a file of some bytes, and a measurement that was taken before. All that decides, sends,
keeps and continues is the product's own.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edgekit.device.target import Identity
from edgekit.records.manifest import manifest_path
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.sweeps.engine import Judging, Timing
from edgekit.sweeps.export import Job, Made
from edgekit.sweeps.fleet import files, work, worker
from edgekit.sweeps.plan import Plan
from tests.paths import ROOT
from tests.reporting.conftest import accuracy, manifest, measurement
from tests.waiting import free_port, until

PAUSE = "EDGEKIT_TEST_PAUSE"  # seconds that a pretended job takes
HELD = "held"  # in the folder of the peers: as long as it is there, no pretended job ends
SERVED = "serves"  # in what a worker says when it is there
STARTED = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.sweeps.fleet.peers import main; main()"


def main() -> None:
    """Run a command in a process that pretends the work; `scheduler` runs Dask's."""
    pretend(Plan, "_check_variants", lambda plan: None)  # it needs torch, and seconds
    if sys.argv[1] == "worker":
        pretend(worker, "Workers", ThreadPoolExecutor)
        pretend(work, "_made", made)
        pretend(work, "measured", measured)
        pretend(work, "judged", judged)
        pretend(files, "_shared", lambda one: None)  # as on another machine, where the sweep's paths lead to nothing
        pretend(work, "identity", lambda name: Identity((name,), {"onnxruntime": "1.0"}))
    from edgekit.cli.main import main as command

    sys.exit(command(sys.argv[1:]))


def pretend(owner: Any, name: str, value: Any) -> None:
    """Set an attribute that is there."""
    assert hasattr(owner, name)
    setattr(owner, name, value)


def pause() -> None:
    """Take the time of a job, and wait as long as the file HELD is there."""
    time.sleep(float(os.environ.get(PAUSE, "0.1")))
    until(lambda: not Path(HELD).exists())


def made(job: Job, home: Path | None) -> tuple[Made, ...]:
    """A file of some bytes for each that is wanted, with its manifest."""
    pause()
    name = "_".join(map(str, (one for one in job.point if one is not None)))
    found = []
    for file in job.files:
        path = job.grid.out / name / f"{name}_{file.precision}.{file.format}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.sha256(file.key.encode()).digest() * 1000)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        told = manifest(name, format=file.format, precision=file.precision).model_copy(
            update={"file": path.name, "sha256": sha256, "bytes": path.stat().st_size}
        )
        manifest_path(path).write_text(told.model_dump_json())
        found.append(Made(file, path, sha256, name, True, told.macs, fresh=True))
    return tuple(found)


def measured(wanted: Timing, say: Callable[[str], None]) -> Measurement:
    """A measurement that was taken before, under an id of its own; a file in the cache counts that it was taken."""
    say("process 1 of 1 there")
    pause()
    told = manifest(wanted.made.variant or "", format=wanted.made.file.format)
    taken = measurement(told, sha256=wanted.made.sha256, device=wanted.device, threads=wanted.how.threads)
    unique = hashlib.sha256(os.urandom(16)).hexdigest()[:16]
    return taken.model_copy(update={"id": unique, "session": wanted.session})


def judged(wanted: Judging) -> dict[str, Accuracy]:
    """An accuracy for each file, of as many images as there are; all of them have arrived."""
    pause()
    images = [path for path in wanted.data.rglob("*.png") if path.read_bytes()]
    return {
        sha256: accuracy(manifest(path.stem), n=len(images), sha256=sha256)
        for path, sha256 in wanted.files.items()
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    }


class Peers:
    """A scheduler, and workers by their names, with files in a folder of their own."""

    def __init__(self, folder: Path, pause_seconds: float = 0.05, protocol: str = "tcp", *more: str) -> None:
        self.folder, self.more = folder, more  # what workers are started with, too
        self.address = f"{protocol}://127.0.0.1:{free_port()}"
        self.environment = {**os.environ, PAUSE: str(pause_seconds), "OMP_NUM_THREADS": "1"}
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.devices: dict[str, tuple[str, ...]] = {}  # of each worker, by its name

    def start_scheduler(self, *more: str) -> None:
        """Start it, and wait until it listens."""
        port = self.address.rpartition(":")[2]
        usual = ("--host", "127.0.0.1", "--port", port, "--no-dashboard", "--no-show", *more)
        arguments = [sys.executable, "-m", "distributed.cli.dask_scheduler", *usual]
        self.scheduler = self._process(arguments, "scheduler", self.folder, {})
        until(lambda: _listens(int(port)))

    def start_worker(self, name: str, *devices: str, wait: bool = True, **environment: str) -> None:
        """Start a worker with devices."""
        self.devices[name] = devices
        room = described(self.folder / f"{name}.yaml", *devices)
        arguments = ["worker", "--scheduler", self.address, "--name", name, "--devices", str(room), "--jobs", "2"]
        arguments += self.more
        cache = {"EDGEKIT_CACHE": str(self.folder / f"cache-{name}")}
        self.workers[name] = self._process(pretending(*arguments), name, self.folder, {**cache, **environment})
        if wait:
            self.wait_for(name)

    def wait_for(self, name: str) -> None:
        """Wait until a worker serves."""
        until(lambda: SERVED in self.said(name))

    def said(self, name: str) -> str:
        """What a process has said since it was started last."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def sweep(self, out: Path, *more: str) -> subprocess.Popen[bytes]:
        """Begin a sweep of 4 variants, each measured in two ways on every device, with what a person would type.

        Its result goes into a file.
        """
        names = [name for own in self.devices.values() for name in own]
        devices = described(self.folder / "devices.yaml", *names)
        arguments = [
            *("sweep", "mobilenet", "--alpha", "0.25,0.5", "--res", "96,128", "--format", "onnx", "--threads", "1,2"),
            *("--device", ",".join(names), "--devices", str(devices), "--engine", "dask", "--scheduler", self.address),
            *("--out", str(out / "out"), "--store", f"sqlite:///{out}/s.db", "--json", "--continue", *more),
        ]
        cache = {"EDGEKIT_CACHE": str(out / "cache")}
        return self._process(pretending(*arguments), "sweep", out, cache, stdout=out / "result.json")

    def stop(self) -> None:
        """End all of them."""
        for process in (*self.workers.values(), *([self.scheduler] if self.scheduler else [])):
            end(process)

    def _process(
        self,
        arguments: list[str],
        name: str,
        folder: Path,
        more: dict[str, str] | None = None,
        stdout: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("wb") as log, (stdout or Path(os.devnull)).open("wb") as result:
            environment = self.environment | (more or {})
            return subprocess.Popen(
                arguments, stdout=result, stderr=log, env=environment, cwd=folder, start_new_session=True
            )


def described(path: Path, *devices: str) -> Path:
    """Write a devices.yaml of boards that nobody reaches."""
    entries = {device: {"link": "ssh", "host": device, "runtimes": ["onnxruntime"]} for device in devices}
    path.write_text(json.dumps({"devices": entries}))
    return path


def pretending(*arguments: str) -> list[str]:
    """The command line of such a process."""
    return [sys.executable, "-c", STARTED, *arguments]


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, stopped or not."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def stored(path: Path) -> tuple[int, int]:
    """Of the store of a sweep: how many measurements there are, and how many different jobs they are of."""
    from edgekit.storage.store import Store

    found = Store(f"sqlite:///{path}").measurements() if path.exists() else []
    return len(found), len({(one.sha256, one.device, one.protocol.threads) for one in found})
