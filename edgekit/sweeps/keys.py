"""What decides whether a cell must be done again: keys over the content of everything that goes into it.

A key of an export covers every option that the file heeds, the bytes of weights, images and other files, and the
versions of all tools, edgekit's own source among them. A key of a measurement covers the file's bytes, the device, the
runtime's version there and the protocol; one of an accuracy covers the file's bytes, the runtime's version, and the
images' bytes and labels.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from edgekit.data import calibration, images
from edgekit.data.images import Sample
from edgekit.device.target import Identity
from edgekit.exporting.inputs import Inputs, add_sources, tools
from edgekit.exporting.options import ExportOptions
from edgekit.network.names import OWN_FILES, called
from edgekit.records.artifact import content_of
from edgekit.records.measurement import Protocol
from edgekit.records.runtime import Runtime
from edgekit.sweeps.grid.axes import How
from edgekit.sweeps.grid.fields import Grid
from edgekit.sweeps.weights import Source
from edgekit.util.files import file_sha256

ELSEWHERE = ("weights", "data", "out")  # where what matters of these stands in a key, or nothing does
ASKED = ("provider", "delegate", "power_mode")  # of a measurement, where they were asked for


class Keys:
    """The inputs of every key of one sweep; folders of images are read once."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def of_export(self, asked: ExportOptions, weights: Source) -> Inputs:
        """Return what one file is made from."""
        given = {name: value for name, value in asked.given().items() if name not in ELSEWHERE}
        found: dict[str, Any] = {
            "model": identity_of(str(asked.model)),
            "asked": {name: file_sha256(value) if isinstance(value, Path) else value for name, value in given.items()},
            "weights": weights.identity,
            "tools": tools(),
        }
        if asked.has_int8 and asked.data is not None:
            found["images"] = self.calibrated_on if asked.max_drop is None else self.labeled_for_drop
        return found

    def of_measurement(
        self, sha256: str, device: str, identity: Identity, runtime: Runtime, protocol: Protocol, how: How
    ) -> Inputs:
        """Return what a latency depends on, as far as it can be known beforehand."""
        asked = {name: value for name in ASKED if (value := getattr(how, name)) is not None}
        return {
            "sha256": sha256,
            "device": [device, *identity.facts],
            "runtime": [runtime.name, identity.version(runtime)],
            "protocol": protocol.model_dump(mode="json"),
            **asked,
        }

    def of_accuracy(self, sha256: str, runtime: Runtime) -> Inputs:
        """Return what an accuracy depends on."""
        return {"sha256": sha256, "runtime": [runtime.name, runtime.version], "images": self.evaluated_on}

    @cached_property
    def calibrated_on(self) -> str | None:
        """A digest of the images that a calibration may choose; it chooses by name, and passes over equal ones."""
        data = self.grid.export.data
        return _images(calibration.first(Path(data), 2 * calibration.DEFAULT_N, seed=0)) if data else None

    @cached_property
    def labeled_for_drop(self) -> str | None:
        """A digest of all images with their labels: --max-drop judges on those that the calibration leaves."""
        data = self.grid.export.data
        return _images(images.labeled(Path(data))) if data else None

    @cached_property
    def evaluated_on(self) -> str | None:
        """A digest of the labeled images. Raises UsageError as `edgekit.data.images.labeled` does."""
        return _images(self._labeled) if self.grid.eval else None

    @property
    def images_evaluated(self) -> int:
        """How many there are."""
        return len(self._labeled)

    @cached_property
    def _labeled(self) -> tuple[Sample, ...]:
        return images.labeled(self.grid.eval, by_name=self.grid.export.labels is not None) if self.grid.eval else ()


def _images(samples: Iterable[Sample]) -> str:
    files: dict[Path, str] = {}
    digest = hashlib.sha256()
    for sample in samples:
        if sample.path not in files:
            files[sample.path] = file_sha256(sample.path)
        digest.update(f"{sample.name}\0{sample.label}\0{sample.row}\0{files[sample.path]}\n".encode(errors="replace"))
    return digest.hexdigest()


def identity_of(name: str) -> str:
    """A network of the zoo by its name, a user's own by the bytes of its files, or of the package that it is in.

    What its own file is called goes into it, too: two networks of equal bytes have files of different names.
    """
    place, _, function = name.rpartition(":") if not name.endswith(OWN_FILES) else (name, "", "")
    if place.endswith(OWN_FILES):
        return f"{called(name)}:{content_of(Path(place)).sha256}:{function}" if Path(place).is_file() else name
    return f"{_sources(place)}:{name}" if place else name


def _sources(module: str) -> str:
    """A digest of all files of the outermost package that a module is in; nothing of it is imported."""
    digest = hashlib.sha256()
    outermost = module.partition(".")[0]
    add_sources(digest, outermost, PathFinder.find_spec(outermost, [str(Path.cwd()), *sys.path]))
    return digest.hexdigest()
