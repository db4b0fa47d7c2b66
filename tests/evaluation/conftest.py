"""Ten pictures of three colors, and their evaluation into a store of its own."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.evaluation.command import eval
from tests.evaluation.files import COLORS


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten pictures: red, green and blue in turn; the last is green and labeled blue."""
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = []
    for index in range(10):
        color = 1 if index == 9 else index % 3
        pixels = np.clip(np.array(COLORS[color]) + random.integers(-5, 6, (8, 8, 3)), 0, 255).astype(np.uint8)
        image.fromarray(pixels).save(folder / f"{index}.png")
        rows.append((f"{index}.png", 2 if index == 9 else color))
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "class"), *rows])
    return folder


@pytest.fixture
def evaluate(pictures: Path, tmp_path: Path) -> Callable[..., Any]:
    """eval on the ten pictures, into a store of its own."""

    def call(*artifacts: Path, **options: Any) -> Any:
        return eval(artifacts, **{"data": pictures, "store": str(tmp_path / "store.db"), **options})

    return call
