"""devices.yaml: the machines that a measurement can run on, and what is on them.

Found at --devices, $EDGEKIT_DEVICES, ./devices.yaml or ~/.config/edgekit/devices.yaml, in this order. `local`, this
machine, is always there.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.bench.links.adb import AdbLink
from edgekit.device.android_check import check_phone
from edgekit.device.android_download import Fetched, fetch
from edgekit.device.config import LOCAL, AnyDevice
from edgekit.device.config import AdbDevice as AdbDevice
from edgekit.device.config import LocalDevice as LocalDevice
from edgekit.device.config import SshDevice as SshDevice
from edgekit.device.config_file import parse as parse
from edgekit.device.link import open_link
from edgekit.device.linux_check import Check, check_device
from edgekit.errors import BackendMissing, UsageError, nearest
from edgekit.util.download import Progress

CONFIG = Path("~/.config/edgekit/devices.yaml")


@dataclass(frozen=True)
class DeviceList:
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
        """What `edgekit devices --json` prints."""
        rows = [{"name": name, **device.model_dump(mode="json")} for name, device in self.devices.items()]
        document: dict[str, Any] = {"file": str(self.file) if self.file else None, "devices": rows}
        if self.tool is not None:
            document["tool"] = {**asdict(self.tool), "path": str(self.tool.path)}
        return document | {"check": asdict(self.check)} if self.check else document


def devices(
    check: str | None = None, devices: Path | None = None, tool: str | None = None, progress: Progress | None = None
) -> DeviceList:
    """The devices of devices.yaml; with `check`, also what is there on the device of that name.

    With `tool`, "litert" or "classic", Google's benchmark_model for phones is fetched into the cache. Raises UsageError
    for a broken file or an unknown name, DeviceUnreachable for a device that does not answer, BackendMissing for one
    without Python, or without adb.
    """
    found = load(devices)
    if tool is not None:
        return DeviceList(found.devices, found.file, tool=fetch(tool, progress))
    if check is None:
        return found
    device = found[check]
    with open_link(check, device) as link:
        if isinstance(device, AdbDevice) and isinstance(link, AdbLink):
            return DeviceList(found.devices, found.file, check_phone(device, link))
        return DeviceList(found.devices, found.file, check_device(device, link))


def load(path: Path | None = None) -> DeviceList:
    """The devices of the first file that is there; a file that was asked for must be."""
    asked = path or (Path(os.environ["EDGEKIT_DEVICES"]) if os.environ.get("EDGEKIT_DEVICES") else None)
    if asked is None:
        asked = next((place for place in (Path("devices.yaml"), CONFIG.expanduser()) if place.is_file()), None)
    if asked is None:
        return DeviceList({"local": LOCAL}, None)
    try:
        text = asked.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{asked} cannot be read: {error}", "give another file with --devices") from error
    found = parse(text, str(asked))
    return DeviceList(found if "local" in found else {"local": LOCAL, **found}, asked)
