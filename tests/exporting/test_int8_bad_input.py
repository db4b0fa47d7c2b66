"""What a careless user hands to an int8 export, end to end: refused in words, or exported and still right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.errors import EdgekitError, GateFailed, UsageError
from edgekit.exporting.result import ExportResult

HEAD = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1)
    )
    with torch.no_grad():
        {change}
    return network.eval()
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def folder(tmp_path: Path, draw: Callable[[int], np.ndarray], n: int = 8, name: str = "{0}.png") -> Path:
    for index in range(n):
        path = tmp_path / "images" / name.format(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(index)).save(path)
    return tmp_path / "images"


def noise(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def one_color(index: int) -> np.ndarray:
    return np.full((16, 16, 3), 30 * index, np.uint8)


def export(tmp_path: Path, images: Path, change: str = "pass", source: str | None = None) -> ExportResult:
    path = tmp_path / "net.py"
    path.write_text(source or HEAD.format(change=change))
    return edgekit.export(
        f"{path}:build",
        input=(1, 3, 16, 16),
        format=["tflite", "onnx"],
        precision=["int8"],
        data=images,
        out=tmp_path / "out",
    )


@pytest.mark.parametrize(
    ("draw", "name", "note"),
    [
        (one_color, "{0}.png", "8 of 8 calibration images show one color only"),
        (noise, "{0}.png", "only 8 calibration images"),
        (noise, "n01440764/{0}.png", "all calibration images are of one class (n01440764)"),
    ],
)
def test_poor_sets_are_used_and_said(draw: Callable[[int], np.ndarray], name: str, note: str, tmp_path: Path) -> None:
    result = export(tmp_path, folder(tmp_path, draw, name=name))
    assert any(note in line for line in result.notes)
    assert len(result.artifacts) == 2 and not result.failed


def test_an_image_twice_counts_once(tmp_path: Path) -> None:
    result = export(tmp_path, folder(tmp_path, lambda index: noise(index // 2)))
    assert any("4 calibration images were left out" in line for line in result.notes)
    manifest = result.artifacts[0].manifest
    assert manifest and manifest.calibration and manifest.calibration.n == 4


@pytest.mark.parametrize(
    "change",
    [
        "network[0].weight[0] = 0; network[0].bias[0] = 0",  # a dead channel
        "network[2].weight[0] = 1e-30; network[2].bias[0] = 3.0",  # a bias beyond int32 at its own scale
        "network[2].weight *= 1e12; network[4].weight /= 1e12",
        "network[2].weight = network[2].weight; network[3] = network[1]",  # one module at two places
    ],
)
def test_odd_weights_are_exported_and_agree(change: str, tmp_path: Path) -> None:
    result = export(tmp_path, folder(tmp_path, noise), change)
    assert not result.failed, [str(failure.error) for failure in result.failed]
    for artifact in result.artifacts:
        assert artifact.manifest and (artifact.manifest.parity.snr_db or 99) > 20


@pytest.mark.parametrize(
    "change",
    [
        "network[2].weight *= 1e38; network[2].weight *= 10",  # infinite
        "network[2].weight[0] = float('nan')",
        "network[0].weight *= 1e20; network[2].weight *= 1e25",  # finite weights, infinite activations
        "network[2].weight *= 1e-30",  # nothing of the image reaches the output
        "network[2].weight *= 1e30; network[4].weight /= 1e30",  # beyond what scales can hold
    ],
)
def test_values_that_no_int8_file_can_hold_are_refused_in_words(change: str, tmp_path: Path) -> None:
    with pytest.raises(
        (UsageError, GateFailed), match=r"finite|differs from the network|does not vary|signal-to-noise"
    ):
        result = export(tmp_path, folder(tmp_path, noise), change)
        raise result.failed[0].error
    assert not list((tmp_path / "out").rglob("*.tflite")) and not list((tmp_path / "out").rglob("*.onnx"))


SPECIAL = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        {body}


def build():
    return Network().eval()
"""


def test_a_weight_that_two_layers_share(tmp_path: Path) -> None:
    result = export(
        tmp_path, folder(tmp_path, noise), source=SPECIAL.format(body="return self.conv(self.conv(x).relu())")
    )
    assert len(result.artifacts) == 2
    assert all(artifact.manifest and (artifact.manifest.parity.snr_db or 0) > 20 for artifact in result.artifacts)


def test_an_operator_that_tflite_lacks_is_named_and_the_other_file_is_made(tmp_path: Path) -> None:
    body = "return torch.det(self.conv(x)[..., :4, :4])"
    result = export(tmp_path, folder(tmp_path, noise), source=SPECIAL.format(body=body))
    assert [failure.part["format"] for failure in result.failed] == ["tflite"]
    assert "det): no such" in result.failed[0].error.message
    assert not list((tmp_path / "out").rglob("*.tflite")) and list((tmp_path / "out").rglob("*.onnx"))


def test_a_shape_that_depends_on_values_is_refused(tmp_path: Path) -> None:
    body = "return self.conv(x)[self.conv(x) > 0]"
    with pytest.raises(EdgekitError):
        result = export(tmp_path, folder(tmp_path, noise), source=SPECIAL.format(body=body))
        raise result.failed[0].error


def test_an_output_that_is_the_input_proves_itself_or_is_refused(tmp_path: Path) -> None:
    try:
        result = export(tmp_path, folder(tmp_path, noise), source=SPECIAL.format(body="return x"))
    except EdgekitError:
        return
    for artifact in result.artifacts:
        assert artifact.manifest and (artifact.manifest.parity.snr_db or 99) > 20
