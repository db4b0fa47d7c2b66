"""adb's own program and its server: which phones they see, which of these is meant, and whether it is ready."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Sequence

from edgekit.bench.android import dumpsys
from edgekit.bench.links.base import Done, start
from edgekit.errors import BackendMissing, DeviceUnreachable

ANSWER_SECONDS = 60.0
LISTED = "see `adb devices -l`"
STATES = {
    "unauthorized": ("does not trust this computer", "unlock it and accept the question for USB debugging"),
    "authorizing": ("does not trust this computer yet", "unlock it and accept the question for USB debugging"),
    "offline": ("is offline", "unplug it and plug it in again, then `adb reconnect`"),
    "no permissions": ("may not be opened by this user", "install udev rules: android-sdk-platform-tools-common"),
}


def program() -> str:
    """Return the path of adb. Raises BackendMissing without it."""
    found = shutil.which("adb")
    if found is None:
        raise BackendMissing("adb is not installed", "install Android's platform tools (Debian: apt install adb)")
    return found


def ask(arguments: Sequence[str], name: str, seconds: float = ANSWER_SECONDS) -> Done:
    """Return what adb says. Raises BackendMissing without it, DeviceUnreachable where it says nothing in time."""
    with start([program(), *arguments], subprocess.DEVNULL) as process:
        try:
            stdout, stderr = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise DeviceUnreachable(
                f"adb gave no answer in {seconds:.0f} s for {name}", "try `adb kill-server`, and the cable"
            ) from error
        finally:
            process.kill()
    return Done(process.returncode, stdout, stderr.decode(errors="replace"))


def last_words(done: Done) -> str:
    """Return the end of what a command said of its failure, on one line."""
    return " ".join((done.stderr or done.stdout.decode(errors="replace")).split())[-200:]


def _must(arguments: Sequence[str], name: str) -> Done:
    done = ask(arguments, name)
    if done.code:
        raise DeviceUnreachable(f"adb failed: {last_words(done)}", "try `adb kill-server`")
    return done


def find(name: str, wished: str | None) -> str:
    """Return the serial of the phone `name`: the wished one, or the only one.

    Raises DeviceUnreachable for one that is not there or not ready.
    """
    _serve(name)
    if wished and state_of(name, wished) is None and re.fullmatch(r"[\w.\-\[\]:]+:\d+", wished):
        _must(["connect", wished], name)
    listed = _listed(name)
    wished = wished or (next(iter(listed)) if len(listed) == 1 else None)
    if wished is None and not listed:
        raise DeviceUnreachable(f"no phone is connected, for {name}", f"plug it in, enable USB debugging and {LISTED}")
    if wished is None:
        raise DeviceUnreachable(
            f"{len(listed)} phones are connected, and nothing says which is {name}: {', '.join(listed)}",
            "write its `serial:` into devices.yaml, or set ANDROID_SERIAL",
        )
    if listed.get(wished) != "device":
        raise not_ready(name, wished, listed.get(wished))
    return wished


def _serve(name: str) -> None:
    """See that adb's server runs; of two that start it at once, one fails."""
    for _ in range(2):
        if ask(["start-server"], name).code == 0:
            return
        time.sleep(0.5)
    _must(["start-server"], name)


def _listed(name: str) -> dict[str, str]:
    """The state of each phone that adb sees, by its serial number."""
    return dumpsys.seen(_must(["devices", "-l"], name).stdout.decode(errors="replace"))


def state_of(name: str, serial: str) -> str | None:
    """Return the state that adb sees a phone in; None where it does not see it."""
    return _listed(name).get(serial)


def not_ready(name: str, serial: str, state: str | None) -> DeviceUnreachable:
    """Return the error for a phone in any state but `device`."""
    if state is None:
        return DeviceUnreachable(f"{name} ({serial}) is not connected", f"plug it in, wake it and {LISTED}")
    cause, remedy = STATES.get(state, (f"is in state '{state}'", "start Android on it"))
    return DeviceUnreachable(f"{name} ({serial}) {cause}", remedy)
