"""Keras files for the tests of their reader: the samples of scripts/keras_samples.py, and the same with changes."""

from __future__ import annotations

import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekit.importers.keras.reader import open_source
from edgekit.importers.source import Given, Source
from tests.paths import ROOT

SAMPLES = ROOT / "tests" / "samples" / "keras" / "networks"
ANSWERS = json.loads((SAMPLES / "answers.json").read_text())["answers"]
Config = dict[str, Any]


def unpacked(name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(lzma.decompress((SAMPLES / f"{name}.xz").read_bytes()))
    return path


def opened(name: str, folder: Path, given: Given = None) -> Source:
    return open_source(unpacked(name, folder), given)


def changed(folder: Path, change: Callable[[Config], object], name: str = "residual", version: str = "3.0.0") -> Path:
    """A .keras file whose configuration is another."""
    path = unpacked(f"{name}.keras", folder)
    with zipfile.ZipFile(path) as archive:
        parts = {member: archive.read(member) for member in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts |= {
        "config.json": json.dumps(config).encode(),
        "metadata.json": json.dumps({"keras_version": version}).encode(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in parts.items():
            archive.writestr(member, data)
    return path


def layer(config: Config, kind: str, index: int = 0) -> Config:
    """An entry of a kind, in the outermost model."""
    found: Config = [one for one in config["config"]["layers"] if one["class_name"] == kind][index]
    return found


def examples(source: Source) -> list[Tensor]:
    """What Keras was given, as torch has it."""
    found = []
    first = "channels_first" in source.path.name
    size, middle = (64.0, 128.0) if "residual" in source.path.name else (1.0, 0.0)  # it takes pixels
    for shape in source.shapes.values():
        is_map = len(shape) in (4, 5) and not first
        own = (1, *shape[2:], shape[1]) if is_map else shape
        x = np.random.default_rng(1).normal(size=own)
        x = (x * size + middle).astype(np.float32)
        found.append(torch.from_numpy(np.moveaxis(x, -1, 1).copy() if is_map else x))
    return found


def answers(source: Source) -> dict[str, Tensor]:
    """What the network gives, with the file's axes."""
    with torch.no_grad():
        found: dict[str, Tensor] = source.build().eval()(*examples(source))
    return {name: y.movedim(1, -1) if y.dim() in (4, 5) else y for name, y in found.items()}


def wanted(name: str) -> list[Tensor]:
    """What Keras answered, in the order of the names where the outputs have some."""
    found = ANSWERS[name]
    return [torch.tensor(found[key]) for key in sorted(found)]


def old_form(config: Config) -> None:
    """The calls as Keras 2 writes them."""

    def tensor(value: Any) -> Any:
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            return list(value["config"]["keras_history"])
        return value

    for entry in config["config"]["layers"]:
        if entry["class_name"] in ("Functional",):
            old_form(entry)
        calls = []
        for node in entry.get("inbound_nodes", []):
            first, *more = node["args"]
            several = first if isinstance(first, list) else [first]
            kwargs = {"y": more[0], "name": None} if more else {}
            calls.append([[*tensor(one), kwargs] for one in several])
        entry["inbound_nodes"] = calls
        entry.pop("module", None)
