"""A forward() that converts among real types is read in one of them, or refused where that moves its answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.errors import UsageError
from edgekit.exporting.module import in_float32
from edgekit.frontend.tracer import trace
from edgekit.frontend.verify import answers, verify
from edgekit.ir.passes.fold_batch_norm import fold


class Half(nn.Module):
    """A network in float16, which brings its input and constants there and its answer back."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.scale = torch.tensor(0.5).half()
        self.half()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x.half().to(dtype=torch.float16) * self.scale) + torch.ones(4, 1, 1, dtype=torch.float16)
        return y.type("torch.HalfTensor").float().to("cpu")


class Cast(nn.Module):
    def __init__(self, by_autocast: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.by_autocast = nn.Conv2d(3, 4, 3), by_autocast

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.by_autocast):
            y: Tensor = self.conv(x)
            return (y if self.by_autocast else y.bfloat16()).float()


def test_a_network_in_another_type_converts_no_more() -> None:
    network, _ = in_float32(Half().eval())
    graph = trace(network, (1, 3, 5, 5))
    assert not [op for op in graph if op.kind == "cast"]
    x = torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(graph.run(x), network(x))
        torch.testing.assert_close(network.double()(x), network(x.double()))


@pytest.mark.parametrize("by_autocast", [False, True], ids=["bfloat16()", "autocast"])
def test_answers_that_another_type_moves_are_refused_with_the_cause(by_autocast: bool) -> None:
    network = Cast(by_autocast).eval()
    x = torch.randn(1, 3, 5, 5).numpy()
    traced = trace(network, (1, 3, 5, 5))
    folded = fold(traced.to(torch.float32)).graph
    want = answers(network, x)
    with pytest.raises(UsageError, match=r"^test_one_type.py:\d+: forward\(\) converts to another type") as caught:
        verify(network, traced, folded, [x], want, [folded.run(torch.from_numpy(x)).numpy()])
    assert "autocast" in caught.value.remedy


def test_a_file_of_a_network_in_half_precision_is_made(tmp_path: Path) -> None:
    result = edgekit.export(Half().eval(), input=(1, 3, 8, 8), format=["onnx"], out=tmp_path)
    assert not result.failed
