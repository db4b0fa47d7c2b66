"""What torch.jit.script hides: it is seen a level deeper, and what is seen nowhere never passes for a constant."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace

SHAPE = (2, 4, 6, 6)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    @torch.jit.script
    def gated(x: Tensor, weight: Tensor) -> Tensor:
        y = torch.conv2d(x, weight, padding=[1, 1])
        y[:, 0] = y[:, 1] * 2
        return (y * torch.sigmoid(y) + y.mean([2, 3], keepdim=True)).relu_().view(x.size(0), -1).softmax(1)


class Scripted(nn.Module):
    def __init__(self, last: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3))
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = gated(x * 2, self.weight)
        return y if self.last else y * 3


@pytest.mark.parametrize("last", [True, False])
def test_a_scripted_function_is_looked_into(last: bool) -> None:
    torch.manual_seed(0)
    module, x = Scripted(last).double().eval(), torch.randn(SHAPE, dtype=torch.float64)
    graph = trace(module, SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(graph.run(x), module(x), rtol=1e-9, atol=1e-12)
    assert {"conv", "sigmoid", "mean", "softmax"} <= {op.kind for op in graph}


def test_a_scripted_layer_normalizes_as_any_other_does() -> None:
    inside = nn.Sequential(nn.Conv2d(4, 3, 1), nn.BatchNorm2d(3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = nn.Sequential(torch.jit.script(inside), nn.ReLU()).eval()
    assert [op.kind for op in trace(module, SHAPE)] == ["input", "conv", "batch_norm", "relu"]


class FromNowhere(nn.Module):
    """Keeps what an earlier run made."""

    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = x * 2
        return x + self.kept


def test_a_tensor_that_no_call_made_is_no_constant() -> None:
    module = FromNowhere().eval()
    trace(module, SHAPE)
    with pytest.raises(UsageError, match=r"test_beneath.py:\d+: add reads a tensor that no call of torch's"):
        trace(module, SHAPE)
