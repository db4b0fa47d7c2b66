"""Image files of noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")


def pixels(seed: int = 0, size: int = 8) -> NDArray[np.uint8]:
    """A square of noise."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def write(path: Path, seed: int = 0, **options: Any) -> Path:
    """An image file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(path, **options)
    return path
