"""Networks whose shapes hold a batch of 1: int8 looks at their images one at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import edgekit
from edgekit.frontend.tracer import trace

NETWORKS = """
import torch
from torch import nn
from torch.nn import functional as F


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 16, 8, 8)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.inner = nn.Linear(16, 16)
        self.last = nn.Linear(16, 10)


class Squeezed(Base):
    def forward(self, x):
        return self.last(self.pool(F.relu(self.conv(x))).squeeze()).unsqueeze(0)


class Grouped(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        b, c, h, w = x.shape
        g = x.view(b * 4, c // 4, h, w)
        g = g * torch.sigmoid((g * self.pool(g)).mean(1, keepdim=True))
        return self.last(self.pool(g.view(b, c, h, w)).flatten(1))


class Token(Base):
    def forward(self, x):
        x = self.conv(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.last((x + self.inner(x)).mean(1))


class TokensFirst(Base):
    def forward(self, x):
        x = self.inner(self.conv(x).flatten(2).permute(2, 0, 1)).permute(1, 2, 0)
        return self.last(x.mean(2))


def squeezed(): return Squeezed().eval()
def grouped(): return Grouped().eval()
def token(): return Token().eval()
def tokens_first(): return TokensFirst().eval()
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """80 labeled images of coarse colors."""
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    lines = ["file,class"]
    for index in range(80):
        patches = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
        lines.append(f"{index}.png,{index % 10}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("name", ["squeezed", "grouped", "token", "tokens_first"])
def test_int8_of_a_network_for_one_image(name: str, tmp_path: Path, images: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORKS)
    result = edgekit.export(
        f"{tmp_path / 'net.py'}:{name}",
        input=(1, 3, 32, 32),
        format=["onnx"],
        precision=["int8"],
        data=images,
        out=tmp_path / "out",
    )
    assert not result.failed, [str(failure.error) for failure in result.failed]
    assert any("takes one image at a time" in note for note in result.notes)


class Function(nn.Module):
    """A function that torch has and edgekit has not."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, self.dim) * 2


@pytest.mark.parametrize(
    ("module", "several"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5), nn.Softmax(1)), True),
        (nn.Softmax(0), False),
        (Function(1), True),
        (Function(0), False),
    ],
)
def test_whether_a_graph_takes_several(module: nn.Module, several: bool) -> None:
    assert trace(module.eval(), (1, 3, 8, 8)).takes_several is several
