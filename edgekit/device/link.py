"""The link to a device of devices.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from edgekit.bench.links.adb import AdbLink
from edgekit.bench.links.base import Link
from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.ssh.link import ROOT, SshLink
from edgekit.device.config import AnyDevice, LocalDevice, SshDevice


@contextmanager
def open_link(name: str, device: AnyDevice) -> Iterator[Link]:
    """The way to a device, ended with the block. Nothing is reached before it is used."""
    link = make_link(name, device)
    try:
        yield link
    finally:
        link.close()


def make_link(name: str, device: AnyDevice) -> Link:
    """The same, to be closed by the caller."""
    if isinstance(device, LocalDevice):
        return LocalLink(name)
    if isinstance(device, SshDevice):
        return SshLink(name, device.host, device.python, _own(device.folder) if device.folder else ROOT)
    return AdbLink(name, device.serial)


def _own(folder: str) -> str:
    """A folder of edgekit's own name: the one that is named may have other things in it."""
    path = PurePosixPath(folder)
    return str(path if path.name == "edgekit" else path / "edgekit")
