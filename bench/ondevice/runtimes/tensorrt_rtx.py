"""TensorRT for RTX: runs the .engine files that it built, on an NVIDIA GPU from Ampere on.

Its Python package is TensorRT's under another name, so that tensorrt.py drives it. It compiles kernels for the GPU when
an engine is loaded.
"""

from __future__ import annotations

from typing import Any

from .. import engines
from . import tensorrt


def preload() -> None:
    """Import the runtime and open nothing: the baseline of the memory figure."""
    engines.load(engines.RTX)


def open_session(path: str, options: dict[str, Any]) -> tensorrt.Session:
    """Open an engine; as tensorrt.open_session does."""
    return tensorrt.open_with(engines.RTX, path, options)
