"""A network of a user's own, and images for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

SHAPE = (1, 3, 32, 32)
NETWORK = '''
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    """Not in the zoo: a residual, a branch, a normalization before a convolution, a head over a flattened map."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.pre = nn.BatchNorm2d(8)
        self.point = nn.Conv2d(8, 8, 1)
        self.left, self.right = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 3, padding=1)
        self.head = nn.Linear(8 * 8 * 8, 10)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.2, 2)
                nn.init.uniform_(module.weight, -1.5, 1.5)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(self.norm(self.depthwise(x)) + x)
        x = self.point(self.pre(x))
        x = torch.cat([torch.sigmoid(self.left(x)), F.hardswish(self.right(x))], 1)
        x = F.max_pool2d(x, 3, 2, 1)
        return self.head(x.view(x.size(0), -1))


def build():
    return Net()


def not_a_module():
    return 3


def fails():
    raise RuntimeError("no such table")


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class TwoOutputs(nn.Module):
    def forward(self, x):
        return x * 2, x


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


class Determinant(nn.Module):
    """An operator that TFLite has no form for."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return torch.det(self.conv(x)[..., :4, :4])


class TokensFirst(nn.Module):
    """The batch is not in the first place everywhere."""

    def __init__(self):
        super().__init__()
        self.conv, self.linear, self.head = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, x):
        x = self.linear(self.conv(x).flatten(2).permute(2, 0, 1)).permute(1, 2, 0)
        return self.head(x.mean(2))


class Prefixed(nn.Module):
    """A token of its own in front, expanded to the batch of the trace."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 10)
        self.token = nn.Parameter(torch.randn(1, 1, 16))

    def forward(self, x):
        x = self.conv(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.head(x.mean(1))


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 10)

    def forward(self, x):
        x = self.head(x.mean((2, 3)))
        return x - x.mean(0, keepdim=True) * 0.5


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 32)
        nn.init.zeros_(self.conv.weight)

    def forward(self, x):
        return self.conv(x).flatten(1)
'''


@pytest.fixture
def network(tmp_path: Path) -> str:
    path = tmp_path / "mynet.py"
    path.write_text(NETWORK)
    return str(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(24):
        coarse = image.fromarray(random.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        coarse.resize((48, 40), image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def files(folder: Path) -> list[str]:
    """Every visible file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
