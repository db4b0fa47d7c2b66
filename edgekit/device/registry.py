"""devices.yaml: the machines that a measurement can run on, and what is on them.

Found at --devices, $EDGEKIT_DEVICES, ./devices.yaml or ~/.config/edgekit/devices.yaml, in this order. `local`, this
machine, is always there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgekit.bench.links.adb import AdbLink
from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.ssh.link import ROOT, SshLink
from edgekit.device.android import AndroidTarget
from edgekit.device.android_download import Fetched, fetch
from edgekit.device.check import Check
from edgekit.device.config import LOCAL, AnyDevice
from edgekit.device.config import AdbDevice as AdbDevice
from edgekit.device.config import LocalDevice as LocalDevice
from edgekit.device.config import SshDevice as SshDevice
from edgekit.device.config_file import parse as parse
from edgekit.device.jetson import JetsonTarget
from edgekit.device.linux import LinuxTarget
from edgekit.device.target import Target
from edgekit.errors import BackendMissing, UsageError, nearest
from edgekit.util.download import Progress
from edgekit.util.tabled import Tabled
from edgekit.util.text_file import text_of

CONFIG = Path("~/.config/edgekit/devices.yaml")


@dataclass(frozen=True, repr=False)
class DeviceList(Tabled):
    """The devices of one file (None: only what is built in), and what a check of one of them found."""

    devices: dict[str, AnyDevice]
    file: Path | None
    check: Check | None = None
    tool: Fetched | None = None

    def __getitem__(self, name: str) -> AnyDevice:
        if name not in self.devices:
            raise UsageError(
                f"there is no device '{name}' in {self.file or 'the built-in list'}{nearest(name, self.devices)}",
                f"choose one of: {', '.join(self.devices)}; or add it to devices.yaml",
            )
        return self.devices[name]

    @property
    def exit_code(self) -> int:
        """5 where the device that was checked cannot run what its entry names; nobody wrote what is built in."""
        if self.check is None or self.devices[self.check.name] is LOCAL:
            return 0
        return 0 if all(runtime.version for runtime in self.check.runtimes) else BackendMissing.exit_code

    def to_json(self) -> dict[str, Any]:
        """Return what `edgekit devices --json` prints."""
        rows = [{"name": name, **device.model_dump(mode="json")} for name, device in self.devices.items()]
        document: dict[str, Any] = {"file": str(self.file) if self.file else None, "devices": rows}
        if self.tool is not None:
            document["tool"] = {**asdict(self.tool), "path": str(self.tool.path)}
        return document | {"check": asdict(self.check)} if self.check else document


def devices(
    check: str | None = None, devices: Path | None = None, tool: str | None = None, progress: Progress | None = None
) -> DeviceList:
    """Return the devices of devices.yaml; with `check`, also what is there on the device of that name.

    With `tool`, "litert" or "classic", Google's benchmark_model for phones is fetched into the cache. Raises UsageError
    for a broken file or an unknown name, DeviceUnreachable for a device that does not answer, BackendMissing for one
    without Python, or without adb.
    """
    found = load(devices)
    if tool is not None:
        return DeviceList(found.devices, found.file, tool=fetch(tool, progress))
    if check is None:
        return found
    with open_target(check, found[check]) as target:
        return DeviceList(found.devices, found.file, target.check(load=True))


def load(path: Path | None = None) -> DeviceList:
    """Return the devices of the first file that is there; a file that was asked for must be."""
    asked = path or (Path(os.environ["EDGEKIT_DEVICES"]) if os.environ.get("EDGEKIT_DEVICES") else None)
    if asked is None:
        asked = next((place for place in (Path("devices.yaml"), CONFIG.expanduser()) if place.is_file()), None)
    if asked is None:
        return DeviceList({"local": LOCAL}, None)
    try:
        text = text_of(asked)
    except (OSError, ValueError) as error:
        raise UsageError(f"{asked} cannot be read: {error}", "give another file with --devices") from error
    found = parse(text, str(asked))
    return DeviceList(found if "local" in found else {"local": LOCAL, **found}, asked)


def _local(name: str, device: Any, power_mode: str | None) -> Target:
    return LinuxTarget(device, LocalLink(name), power_mode)


def _ssh(name: str, device: Any, power_mode: str | None) -> Target:
    link = SshLink(name, device.host, device.python, _own(device.folder) if device.folder else ROOT)
    return JetsonTarget(device, link, power_mode) if device.is_jetson else LinuxTarget(device, link, power_mode)


def _adb(name: str, device: Any, power_mode: str | None) -> Target:
    return AndroidTarget(device, AdbLink(name, device.serial), power_mode)


# How the device of an entry is used, by the entry's link.
TARGETS: dict[str, Callable[[str, Any, str | None], Target]] = {
    "local": _local,
    "ssh": _ssh,
    "adb": _adb,
}


@contextmanager
def open_target(name: str, device: AnyDevice, power_mode: str | None = None) -> Iterator[Target]:
    """Use a device until the end of the block. Nothing is reached before it is asked.

    Raises UsageError for a power mode that its entry does not allow.
    """
    target = TARGETS[device.link](name, device, power_mode)
    try:
        yield target
    finally:
        target.close()


def _own(folder: str) -> str:
    """A folder of edgekit's own name: the one that is named may have other things in it."""
    path = PurePosixPath(folder)
    return str(path if path.name == "edgekit" else path / "edgekit")
