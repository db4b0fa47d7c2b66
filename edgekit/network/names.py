"""How a network is named: one of the zoo by its name, the user's own by where it is. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path

# Files of other programs that are read as networks, and what reads them: open_source(path, input shapes).
SOURCES = {
    ".onnx": "edgekit.importers.onnx.reader:open_source",
    ".tflite": "edgekit.importers.tflite.reader:open_source",
    **dict.fromkeys((".keras", ".h5", ".hdf5"), "edgekit.importers.keras.reader:open_source"),
}
OWN_FILES = (".py", ".pt2", *SOURCES)

# Files of weights alone, and the format of each.
CHECKPOINTS = {
    **dict.fromkeys((".pth", ".pt", ".th", ".pth.tar", ".ckpt", ".bin"), "torch"),
    ".safetensors": "safetensors",
    ".npz": "npz",
}


def is_own_name(model: str) -> bool:
    """Whether the name is FILE.py:function, PACKAGE.MODULE:function, FILE.pt2, FILE.onnx, FILE.tflite or FILE.keras."""
    return ":" in model or model.endswith(OWN_FILES)


def called(model: str) -> str:
    """Return what a network is called in the names of its files.

    That of a user's own is called like its file, `mynet` for mynet.py:build, or like the function of a package.
    """
    if not is_own_name(model):
        return model
    place, _, function = (model, "", "") if model.endswith(OWN_FILES) else model.rpartition(":")
    return re.sub(r"\W+", "_", Path(place).stem if place.endswith(OWN_FILES) else function)


def is_source(model: str) -> bool:
    """Whether the name is a file of another program: FILE.onnx, FILE.tflite or FILE.keras."""
    return Path(model).suffix in SOURCES
