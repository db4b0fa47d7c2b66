"""Where files are run to see what they answer: in a process of their own here, or on a device, by bench/infer.py.

Never in this process: a file may crash its runtime, or not end.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgekit.bench.links.adb import AdbLink
from edgekit.bench.links.base import Link
from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.remote_session import FarSession
from edgekit.device.android import Phone
from edgekit.device.android_check import NAME, check_phone
from edgekit.device.config import AdbDevice, AnyDevice
from edgekit.device.linux_check import check_device
from edgekit.errors import BackendMissing, UsageError
from edgekit.records.runtime import Session, choose
from edgekit.tensorrt.compatibility import refuse_elsewhere


class Place:
    """A device, the link to it, and how files are to be run there; what is opened is closed with `opened`."""

    def __init__(
        self,
        device: AnyDevice,
        link: Link,
        opened: ExitStack,
        runtime: str | None,
        threads: int,
        delegate: str | None = None,
    ) -> None:
        self.link = link
        self._device, self._opened = device, opened
        self._runtime, self._threads, self._delegate = runtime, threads, delegate
        self._facts: dict[str, Any] | None = None

    def open(self, path: Path) -> tuple[str, Session, dict[str, Any]]:
        """The runtime's name, an open session, and what is found there. Raises BackendMissing or UsageError."""
        here = isinstance(self.link, LocalLink)
        chosen = choose(path, self._runtime, None if here else self._device.runtimes, here).name
        if chosen == "null":
            raise UsageError("the null runtime answers nothing that could be right", "leave --runtime out")
        if isinstance(self._device, AdbDevice) and isinstance(self.link, AdbLink):
            return self._on_phone(self._device, self.link, path, chosen)
        if not here:
            refuse_elsewhere(path, chosen, self.link)
            if self._facts is None:
                self._facts = check_device(self._device, self.link).facts()
        far = FarSession(self.link, path, chosen, self._threads, self._delegate)
        self._opened.callback(far.close)
        return chosen, far, {**far.found, **({} if here else {"device": self._facts})}

    def _on_phone(
        self, device: AdbDevice, link: AdbLink, path: Path, chosen: str
    ) -> tuple[str, Session, dict[str, Any]]:
        """The session's own `found`, which is complete after the first images."""
        if chosen != NAME:
            raise BackendMissing(f"{link.name} is a phone, and {chosen} does not run there", "leave --runtime out")
        if self._facts is None:
            self._facts = check_phone(device, link).facts()
        session = Phone(device, link).open_session(path, self._threads, self._delegate)
        session.found["device"] = self._facts
        return chosen, session, session.found
