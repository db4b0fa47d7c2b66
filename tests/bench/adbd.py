"""Phones whose shell and adbd are real: Debian's adbd (Android's source), mksh and toybox, as on a phone.

Each lives in namespaces of its own: its processes are its own, its adbd listens to nobody but our cable, and its files
lie in a folder of the test. What no machine without Android has is a script: getprop, dumpsys and settings.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.debian import Release, cached, inside
from tests.paths import sample
from tests.waiting import PATIENCE, free_port, until

RELEASE, PACKAGES = "trixie", ("adbd", "mksh", "toybox")
FORWARD = Path(__file__).with_name("adbd_forward.py")
NAMESPACES = ("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child")
OWN = ("bin", "data/local/tmp", "sys", "tmp")  # folders of one phone
# $1 the system, $2 the phone's folder, $3 the descriptor of the cable's socket, $4 of its end, $5 Python, $6 the cable.
# The first process ends with the test, however that ends, and everything in the namespaces with it.
BOOT = r"""set -e
mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"
for own in data sys tmp; do mount --bind "$2/$own" "$1/$own"; done
mount --bind "$2" "$1/phone"; mount --rbind / "$1/host"
chroot "$1" /usr/bin/ifconfig lo up
"$5" "$6" "$3" "$4" "$2/most_bytes" &
exec env -i PATH=/phone/bin:/usr/bin:/usr/sbin PHONE=/phone HOME=/ SHELL=/bin/sh \
  chroot "$1" /usr/sbin/adbd </dev/null &
read -r end || :
"""


def system() -> Path:
    """Return the folder of what all phones share. Raises LookupError where it cannot be had or used here."""
    if shutil.which("unshare") is None or subprocess.run([*_namespaces(), "true"], capture_output=True).returncode:
        raise LookupError("no namespaces for a phone here: neither root nor a user may make them")
    return cached(f"adbd-{RELEASE}", _furnish)


def _namespaces() -> list[str]:
    return [*NAMESPACES, *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]


def _furnish(root: Path) -> None:
    """Android's shell under the name that adbd calls, toybox's tools under theirs, and the folders of a phone."""
    Release(RELEASE, root.parent / "apt").unpack(PACKAGES, root)
    (root / "usr/bin/sh").symlink_to("mksh")
    toybox = [*inside(root), "/usr/bin/toybox"]
    for name in subprocess.run(toybox, capture_output=True, text=True, check=True).stdout.split():
        if not (root / "usr/bin" / name).is_symlink():
            (root / "usr/bin" / name).symlink_to("toybox")
    for folder in ("dev", "proc", "sys", "tmp", "data", "phone", "host", "etc"):
        (root / folder).mkdir(exist_ok=True)


class Phone:
    """One phone. `folder` is its file system as a test sees it, `serial` what adb calls it."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        for name in OWN:
            (folder / name).mkdir(parents=True)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._server.getsockname()[1]}"
        listening = self._server.fileno()
        end, self._cable = os.pipe()
        words = [str(root), str(folder), str(listening), str(end), sys.executable, str(FORWARD)]
        with (folder / "adbd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*_namespaces(), "sh", "-c", BOOT, "boot", *words],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(listening, end),
            )
        os.close(end)
        self._wait()

    def _wait(self) -> None:
        def is_there() -> bool:
            said = (self.folder / "adbd.log").read_text(errors="replace")
            assert self._process.poll() is None, said
            return "adbd started" in said

        until(is_there)

    def script(self, name: str, text: str) -> Path:
        """A program that its shell finds."""
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def inside(self, text: str) -> str:
        """The same with this machine's paths."""
        return text.replace("/data/local/tmp", f"{self.folder}/data/local/tmp")

    def processes(self) -> list[str]:
        """The command lines of what runs there, but for the phone's own."""
        found, there = [], Path(f"/proc/{self._process.pid}/ns/pid_for_children").readlink()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (entry / "ns/pid").readlink() == there:
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    found.append(" ".join(words).strip())
        own = ("/usr/sbin/adbd", "sh -c set -e", sys.executable)
        return [line for line in found if line and not line.startswith(own)]

    def unplug(self) -> None:
        """End every connection at once, and take no other."""
        if self._cable >= 0:
            os.close(self._cable)
            self._cable = -1
            self._server.close()

    def unplug_after(self, count: int) -> None:
        """Let the cable break when so many more bytes have come from the computer on one connection."""
        (self.folder / "most_bytes").write_text(str(count))

    def stop(self) -> None:
        """End it with all that runs there."""
        self.unplug()
        self._process.communicate(timeout=PATIENCE)


def furnish(phone: Phone) -> None:
    """Let it tell what real phones told: what it is, how warm, and that it is this machine's processor."""
    told = {
        "properties": sample("getprop_pixel8pro.txt") + f"[ro.product.cpu.abilist]: [{platform.machine()}]\n",
        "thermalservice": sample("dumpsys_thermalservice_xiaomi13tpro_android16.txt"),
        "battery": sample("dumpsys_battery.txt"),
        "meminfo": sample("dumpsys_meminfo_pid_android13_appsummary.txt"),
    }
    for name, text in told.items():
        (phone.folder / name).write_text(text)
    phone.script("getprop", "#!/bin/sh\ncat /phone/properties\n")
    phone.script("dumpsys", "#!/bin/sh\ncat /phone/$1\n")
    phone.script("settings", "#!/bin/sh\necho 0\n")


def make_phones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Phone]]:
    """Makes phones on an adb server of this test's own."""
    if shutil.which("adb") is None:
        pytest.skip("no adb here (Debian: adb)")
    try:
        root = system()
    except LookupError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    made: list[Phone] = []

    def make() -> Phone:
        made.append(Phone(tmp_path / f"phone{len(made)}", root))
        return made[-1]

    yield make
    for phone in made:
        phone.stop()
    subprocess.run(["adb", "kill-server"], capture_output=True, check=False)
