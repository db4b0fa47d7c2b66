"""How a network is named: one of the zoo by its name, the user's own by where it is. Imports no torch."""

from __future__ import annotations

from pathlib import Path

SOURCES = (".onnx", ".tflite")  # files of other programs that are read as networks
OWN_FILES = (".py", ".pt2", *SOURCES)


def is_own_name(model: str) -> bool:
    """Whether the name is FILE.py:function, PACKAGE.MODULE:function, FILE.pt2, FILE.onnx or FILE.tflite."""
    return ":" in model or model.endswith(OWN_FILES)


def is_source(model: str) -> bool:
    """Whether the name is a file of another program: FILE.onnx or FILE.tflite."""
    return Path(model).suffix in SOURCES
