"""What a device is to a sweep: what a latency depends on, as the device itself tells it before anything is measured."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.bench import sensors
from edgekit.bench.android import dumpsys
from edgekit.bench.links.adb import AdbLink
from edgekit.bench.links.base import Link
from edgekit.device.android_check import IDENTITY, NAME, host_of, parts, program
from edgekit.device.config import AdbDevice, AnyDevice, LocalDevice, SshDevice
from edgekit.device.link import open_link
from edgekit.device.linux_check import NVPMODEL, mode_of
from edgekit.records.runtime import RUNTIMES, Runtime
from edgekit.util.files import file_sha256

MACHINE_ID, CPUINFO, BOARD = "/etc/machine-id", "/proc/cpuinfo", "/proc/device-tree/model"


@dataclass(frozen=True)
class Identity:
    """A device: which one it is and how it stands, and the versions of the packages and programs it measures with."""

    facts: tuple[str | None, ...]
    versions: Mapping[str, str | None]

    def version(self, runtime: Runtime) -> str | None:
        """That of a runtime there; None where it is missing, or has none."""
        names = (*runtime.packages, runtime.name)
        return next((self.versions[name] for name in names if self.versions.get(name)), None)


def identify(name: str, device: AnyDevice) -> Identity:
    """Ask a device who it is, in one short connection. Raises DeviceUnreachable, and BackendMissing as `bench` does."""
    if isinstance(device, LocalDevice):
        versions = {runtime.name: runtime.version for _, runtime in RUNTIMES.items()}
        return Identity((sensors.host(), platform.machine()), versions)
    with open_link(name, device) as link:
        if isinstance(device, AdbDevice) and isinstance(link, AdbLink):
            return _phone(device, link)
        return _board(device, link)


def _board(device: AnyDevice, link: Link) -> Identity:
    packages = sorted({package for _, runtime in RUNTIMES.items() for package in runtime.packages})
    has_modes = isinstance(device, SshDevice) and device.sensors == "jetson"
    commands = [{"argv": NVPMODEL}] if has_modes else []
    seen = link.look({"files": [MACHINE_ID, CPUINFO, BOARD], "packages": packages, "commands": commands})
    mode = mode_of(seen["commands"][0]) if has_modes else None
    return Identity((_host(seen), seen["system"][4], mode), seen["packages"])


def _host(seen: Mapping[str, Any]) -> str:
    """Eight hex digits for a board, by what bench/sensors.py makes them of there."""
    told = seen["files"].get(MACHINE_ID, "")
    named = re.search(r"^model name[^:]*:(.*)", seen["files"].get(CPUINFO, ""), re.MULTILINE)
    processor = named.group(1).strip() if named else seen["files"].get(BOARD, "")
    return sensors.anonymous(told if re.fullmatch("[0-9a-f]{32}", told) else seen["system"][1], processor)


def _phone(device: AdbDevice, link: AdbLink) -> Identity:
    which = host_of(dumpsys.properties(parts(link, IDENTITY[:1])[0]))
    digest = file_sha256(program(device, link))  # benchmark_model tells no version
    return Identity((which, device.cores), {NAME: digest})
