"""Where the files of an export are proved and timed, and where its engines are built."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edgekit.device.linux import LinuxTarget
from edgekit.device.target import Opened, Target
from edgekit.exporting.not_run import open_built_from
from edgekit.records.formats import FORMATS
from edgekit.tensorrt.orders import Builder


@dataclass(frozen=True)
class Site:
    """This machine, or a device of devices.yaml.

    `builder` builds TensorRT engines there; None where none are asked for.
    """

    target: Target
    builder: Builder | None = None

    @property
    def name(self) -> str:
        """The device's name."""
        return self.target.name

    @property
    def verifier(self) -> Target:
        """Where files answer, to be compared: there, or here where no Python runs files."""
        return self.target if self.target.has_runner else LinuxTarget()

    def runtime(self, format: str) -> str | None:
        """Return what runs a format there; None: the usual one."""
        return self.builder.runtime if FORMATS[format].is_built and self.builder is not None else None

    def not_run(self, format: str) -> str | None:
        """Return why a file of that format cannot be run there; None where it can."""
        return self.builder.not_run if FORMATS[format].is_built and self.builder is not None else None

    def open(self, path: Path, format: str, opened: ExitStack) -> Opened:
        """A file that is open where it is proved, until `opened` ends; of an engine that cannot be run, its source."""
        if self.not_run(format) is not None:
            found = open_built_from(path)
        else:
            found = self.verifier.open_session(path, self.runtime(format) if self.target.has_runner else None)
        opened.callback(found.close)
        return found
