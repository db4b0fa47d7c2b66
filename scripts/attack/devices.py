"""The part of `make attack` that kills commands which use a device, and asks the device what they left there.

A phone with a real adbd, shell and benchmark_model (tests/bench/adbd.py), and this machine behind a real OpenSSH
server. After a kill no process of ours may run there, and after the next contact no folder of ours may be there either.
`python -m scripts.attack.devices 600 phone` takes ten minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgekit.bench.links.adb import ROOT, AdbLink
from edgekit.bench.links.ssh.link import SshLink
from edgekit.device import android
from edgekit.storage.store import Store
from scripts.attack.kills import LEAVE, Field, Scene, asked, attack, exported, records, run
from scripts.phone_tool import TOOL
from tests.bench import ssh_server
from tests.bench.adbd import Phone, furnish, system
from tests.bench.ssh_server import marked
from tests.waiting import free_port, until

SHORT = {"processes": 2, "min_seconds": 0.1}  # of a phone's measurement: what is killed is the way there and back
Holds = Callable[[], Iterator[str]]


@contextmanager
def phone(folder: Path) -> Iterator[Scene]:
    """`bench` on a phone. Raises LookupError where there can be none here."""
    if not TOOL.is_file():
        raise LookupError("no benchmark_model was built here: make phone-tool")
    os.environ |= {"HOME": str(folder), "ANDROID_ADB_SERVER_PORT": str(free_port())}
    android.SHORT["quick"] = SHORT
    found = Phone(folder / "phone", system())
    furnish(found)
    row = {"link": "adb", "serial": found.serial, "runtimes": ["benchmark_model"], "benchmark_model": str(TOOL)}

    def left() -> Iterator[str]:
        yield from (f"{line} still runs there" for line in lasting(found.processes))
        link, work = AdbLink("phone", found.serial), Path(found.inside(f"{ROOT}/work"))
        link.run("true")
        yield from (f"{path.name} is left there" for path in work.iterdir() if path.name != link.session)
        link.close()
        yield from (f"{path.name} is left of the next session" for path in work.iterdir())

    try:
        subprocess.run(["adb", "start-server"], check=True, capture_output=True)  # else a command would start it
        yield scene(folder, "phone", row, "tflite", left)
    finally:
        found.stop()
        subprocess.run(["adb", "kill-server"], check=False, capture_output=True)


@contextmanager
def board(folder: Path) -> Iterator[Scene]:
    """`bench` on a machine behind sshd. Raises LookupError where there can be none here."""
    reason = ssh_server.missing()
    if reason:
        raise LookupError(reason)
    server = ssh_server.make(folder / "ssh")
    os.environ["EDGEKIT_SSH_CONFIG"] = str(folder / "ssh/config")
    server.start()
    row = {"link": "ssh", "host": "board", "runtimes": ["onnxruntime"], "python": sys.executable}

    def left() -> Iterator[str]:
        yield from (f"process {pid} still runs there" for pid in lasting(lambda: marked(server)))
        link = SshLink("board", "board", sys.executable, str(server.root))
        link.look({})
        yield from (f"{name} is left there" for name in server.work() if name != link.session)
        ssh_server.disconnect(link)  # the connection, too: it would last for a minute, and seem to be left here
        yield from (f"{name} is left of the next session" for name in lasting(server.work))

    try:
        yield scene(folder, "board", {**row, "folder": str(server.root)}, "onnx", left)
    finally:
        server.stop()


def scene(folder: Path, name: str, row: Mapping[str, object], kind: str, left: Holds) -> Scene:
    """Measuring a small file of this format on a device with this entry."""
    devices, store, log = folder / "devices.yaml", Store(str(folder / "store.db")), folder / "log"
    devices.write_text(json.dumps({"devices": {name: row}}))
    argv = ["bench", str(exported(folder / "a", kind, log)), "--device", name, "--devices", str(devices)]
    argv += ["--preset", "quick", "--store", store.url, "--json"]
    begin = time.monotonic()
    if run(argv, log) not in (0, 6):
        raise LookupError(log.read_text(errors="replace")[-300:])
    seconds, kept = time.monotonic() - begin, [1]

    def more() -> list[str]:
        kept[0] = len(store.measurements())
        return argv

    def holds() -> Iterator[str]:
        yield from records(store, lambda: kept[0])
        yield from left()

    return Scene(name, more, holds, seconds, fills=False)


def lasting(found: Callable[[], Sequence[object]]) -> Sequence[object]:
    """What is still found when what ends at once has had its time."""
    try:
        until(lambda: not found(), LEAVE)
    except AssertionError:
        return found()
    return []


SCENES = {"phone": phone, "board": board}


def main(arguments: Sequence[str]) -> int:
    """Attack on each device that can be had here; 1 where something was found."""
    seconds, names = asked(arguments)
    if set(names) - set(SCENES):
        sys.exit(f"choose of {', '.join(SCENES)}")
    with tempfile.TemporaryDirectory(prefix="edgekit-attack-") as scratch, ExitStack() as open_scenes:
        scenes = []
        for name in names or SCENES:
            (Path(scratch) / name).mkdir()
            try:
                scenes.append(open_scenes.enter_context(SCENES[name](Path(scratch) / name)))
            except LookupError as error:
                print(f"left out: {name}: {error}", flush=True)
        return int(bool(attack(seconds, scenes, Field(Path(scratch)))))


if __name__ == "__main__":
    import torch  # noqa: F401  once, for every fork

    sys.exit(main(sys.argv[1:]))
