"""How a network is named: one of the zoo by its name, the user's own by where it is. Imports no torch."""

from __future__ import annotations

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


def is_source(model: str) -> bool:
    """Whether the name is a file of another program: FILE.onnx, FILE.tflite or FILE.keras."""
    return Path(model).suffix in SOURCES
