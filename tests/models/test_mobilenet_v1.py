"""MobileNet v1: widths, TensorFlow's padding, the paper's and TF-slim's figures, and names that weights rely on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.frontend.tracer import trace
from edgekit.ir.layer_table import LayerTable, table
from edgekit.models.mobilenet_v1 import STAGES, MobileNetV1, mobilenet
from edgekit.network.spec import variant


def counted(name: str, alpha: float | None = None, resolution: int | None = None) -> LayerTable:
    point = variant(name, alpha, resolution)
    with torch.device("meta"):
        network = point.build()
    return table(trace(network, point.input_shape))


def test_the_papers_network() -> None:
    counts = counted("mobilenet")
    assert (counts.params, counts.macs) == (4_231_976, 568_740_352)
    assert round(100 * counts.shares("macs")["conv 1x1"], 2) == 94.86


def test_the_twin_of_full_convolutions_counts_with_its_classifier() -> None:
    """Table 4 prints 4866 million for this one, without the classifier's 1,024,000."""
    counts = counted("conv_mobilenet")
    assert counts.macs == 4_867_293_184
    assert round((counts.macs - 1_024_000) / 1e6) == 4866
    assert round(counts.params / 1e6, 1) == 29.3


@pytest.mark.parametrize(
    ("alpha", "resolution", "mmacs", "params"),
    [
        (1.0, 224, 568.74, 4_231_976),
        (1.0, 192, 418.12, 4_231_976),
        (1.0, 160, 290.68, 4_231_976),
        (1.0, 128, 186.40, 4_231_976),
        (0.75, 224, 325.40, 2_585_560),
        (0.75, 192, 239.27, 2_585_560),
        (0.75, 160, 166.40, 2_585_560),
        (0.75, 128, 106.77, 2_585_560),
        (0.5, 224, 149.50, 1_331_592),
        (0.5, 192, 109.97, 1_331_592),
        (0.5, 160, 76.52, 1_331_592),
        (0.5, 128, 49.16, 1_331_592),
        (0.25, 224, 41.03, 470_072),
        (0.25, 192, 30.21, 470_072),
        (0.25, 160, 21.06, 470_072),
        (0.25, 128, 13.57, 470_072),
    ],
)
def test_the_grid(alpha: float, resolution: int, mmacs: float, params: int) -> None:
    counts = counted("mobilenet", alpha, resolution)
    assert round(counts.macs / 1e6, 2) == mmacs
    assert counts.params == params


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.33, 0.6])
def test_any_width_is_cut_down_to_whole_channels(alpha: float) -> None:
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in mobilenet(64, 10, alpha).state_dict().items()}
    widths = [max(1, int(width * alpha)) for width in (32, *(width for width, _ in STAGES))]
    assert shapes["conv0.conv.weight"] == (widths[0], 3, 3, 3)
    for index in range(13):
        assert shapes[f"blocks.{index}.depthwise.conv.weight"] == (widths[index], 1, 3, 3)
        assert shapes[f"blocks.{index}.pointwise.conv.weight"] == (widths[index + 1], widths[index], 1, 1)
        assert shapes[f"blocks.{index}.pointwise.bn.running_var"] == (widths[index + 1],)
    assert shapes["classifier.weight"] == (10, widths[-1])


def tensorflow_same(x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """The arithmetic of SAME written out: output ceil(in / stride), the odd zero at the bottom and right."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        needed = max((-(-size // stride) - 1) * stride + weight.shape[2] - size, 0)
        pads += [needed // 2, needed - needed // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)


@pytest.mark.parametrize("resolution", [32, 33, 97, 100, 161])
def test_outputs_equal_tensorflows_arithmetic_at_odd_sizes(resolution: int) -> None:
    torch.manual_seed(0)
    network = MobileNetV1(resolution, 5, 0.25).eval()
    own = dict(network.named_parameters())
    for weight in (value for value in own.values() if value.dim() == 4):
        torch.nn.init.kaiming_normal_(weight)  # torch's own weights die out with depth
    x = y = torch.randn(2, 3, resolution, resolution)

    def layer(y: Tensor, name: str, stride: int) -> Tensor:
        weight = own[f"{name}.conv.weight"]
        return tensorflow_same(y, weight, stride, y.shape[1] // weight.shape[1]).div((1 + 1e-3) ** 0.5).clamp(0, 6)

    with torch.no_grad():
        y = layer(y, "conv0", 2)
        for index, (_, stride) in enumerate(STAGES):
            y = layer(layer(y, f"blocks.{index}.depthwise", stride), f"blocks.{index}.pointwise", 1)
        y = F.linear(y.mean((2, 3)), own["classifier.weight"], own["classifier.bias"])
        assert (y[0] - y[1]).abs().max() > 0.02 * y.abs().max()  # it sees its input
        torch.testing.assert_close(network(x), y, rtol=1e-4, atol=1e-5)


def test_every_stage_has_the_size_that_tensorflow_gives_it() -> None:
    point = variant("mobilenet", resolution=100)
    with torch.device("meta"):
        rows = table(trace(point.build(), point.input_shape)).rows
    sizes = [row.output_shape[2] for row in rows if row.name.endswith("depthwise.conv")]
    assert sizes == [50, 25, 25, 13, 13, 7, 7, 7, 7, 7, 7, 4, 4]
