"""What sweeps are given: weights, images to calibrate with, and images with classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ALPHAS = (0.25, 0.5)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights for two widths, images to calibrate with, and other images with classes."""
    torch, image = pytest.importorskip("torch"), pytest.importorskip("PIL.Image")
    from edgekit.checkpoints.random import fill
    from edgekit.network.spec import variant
    from edgekit.network.user_model import find

    folder = tmp_path_factory.mktemp("given")
    (folder / "weights").mkdir()
    for alpha in ALPHAS:
        point = variant(find("mobilenet", None), alpha, 32)
        network = point.build()
        fill(network, point.input_shape, 0)
        torch.save(network.state_dict(), folder / "weights" / f"mobilenet_{alpha}.pth")
    random = np.random.default_rng(0)
    for name, number in (("calibration", 8), ("test", 6)):
        (folder / name).mkdir()
        for index in range(number):
            pixels = random.integers(0, 256, (40, 40, 3), np.uint8)
            image.fromarray(pixels).save(folder / name / f"{index}.png")
    rows = "".join(f"{index}.png,{index}\n" for index in range(6))
    (folder / "test" / "labels.csv").write_text(f"file,class\n{rows}")
    return folder
