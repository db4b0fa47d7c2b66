"""Residual networks: independent counts, the paper's, names that published weights rely on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from edgekit.frontend.tracer import trace
from edgekit.ir.layer_table import LayerTable, table
from edgekit.models.resnet_cifar import BasicBlock
from edgekit.network.spec import variant
from tests.paths import DATA

CHECKPOINT = DATA / "weights" / "resnet20_cifar10.th"


def counted(name: str, **options: str) -> LayerTable:
    point = variant(name, options=options)
    with torch.device("meta"):
        network = point.build()
    return table(trace(network, point.input_shape))


def mmacs(counts: LayerTable, op: str) -> float:
    return round(sum(row.macs for row in counts.rows if row.op == op) / 1e6, 2)


@pytest.mark.parametrize(
    ("name", "params", "conv_mmacs", "linear_mmacs"),
    [
        ("resnet18", 11_689_512, 1813.56, 0.51),
        ("resnet34", 21_797_672, 3663.25, 0.51),
        ("resnet50", 25_557_032, 4087.14, 2.05),
        ("resnet101", 44_549_160, 7799.36, 2.05),
        ("resnet152", 60_192_808, 11511.58, 2.05),
        ("resnext50_32x4d", 25_028_904, 4228.43, 2.05),
        ("wide_resnet50_2", 68_883_240, 11395.97, 2.05),
        ("se_resnet50", 28_088_024, 4089.65, 2.05),
    ],
)
def test_independent_counts(name: str, params: int, conv_mmacs: float, linear_mmacs: float) -> None:
    counts = counted(name)
    assert counts.params == params
    assert (mmacs(counts, "conv"), mmacs(counts, "linear")) == (conv_mmacs, linear_mmacs)


@pytest.mark.parametrize(
    ("name", "printed", "exact"),
    [("resnet50", 3.8, 3.858), ("resnet101", 7.6, 7.570), ("resnet152", 11.3, 11.282)],
)
def test_the_paper_counted_with_the_stride_in_the_1x1(name: str, printed: float, exact: float) -> None:
    """Its 3.8 is cut off, not rounded."""
    macs = counted(name, stride="1x1").macs / 1e9
    assert round(macs, 3) == exact
    assert abs(macs - printed) < 0.06
    assert counted(name, stride="1x1").params == counted(name).params


@pytest.mark.parametrize(("name", "printed"), [("plain18", 1.8), ("plain34", 3.6), ("resnet18", 1.8)])
def test_the_papers_multiply_adds(name: str, printed: float) -> None:
    assert round(counted(name).macs / 1e9, 1) == printed


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [
        ("resnet18", "layer4.1.conv2.weight", (512, 512, 3, 3)),
        ("resnet50", "layer4.2.conv3.weight", (2048, 512, 1, 1)),
        ("resnet50", "layer2.0.downsample.1.running_mean", (512,)),
        ("resnext50_32x4d", "layer1.0.conv2.weight", (128, 4, 3, 3)),
        ("wide_resnet50_2", "layer3.0.conv1.weight", (512, 512, 1, 1)),
        ("se_resnet50", "layer1.0.se.fc1.weight", (16, 256, 1, 1)),
        ("resnet20_cifar", "layer3.2.bn2.running_var", (64,)),
        ("resnet20_cifar", "linear.weight", (10, 64)),
    ],
)
def test_names_are_those_of_published_weights(name: str, key: str, shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        assert tuple(variant(name).build().state_dict()[key].shape) == shape


@pytest.mark.data
def test_a_published_cifar_checkpoint_fits() -> None:
    content = torch.load(CHECKPOINT, weights_only=True, map_location="cpu")
    weights = {name.removeprefix("module."): value for name, value in content["state_dict"].items()}
    variant("resnet20_cifar").build().load_state_dict(weights)


def test_the_shortcut_without_parameters_puts_zeros_around_the_old_channels() -> None:
    x = torch.randn(1, 16, 4, 4)
    y = BasicBlock(16, 32, 2).shortcut(x)
    assert y.shape == (1, 32, 2, 2)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any() and not y[:, 24:].any()


def test_at_inference_a_branch_is_scaled_by_its_survival() -> None:
    torch.manual_seed(0)
    always, half = BasicBlock(4, 4, 1).eval(), BasicBlock(4, 4, 1, survival=0.5).eval()
    half.load_state_dict(always.state_dict())

    def branch(block: BasicBlock, x: Tensor) -> Tensor:
        with torch.no_grad():
            out: Tensor = block(x + 100) - (x + 100)  # far from the last ReLU's zero
        return out

    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(branch(half, x), branch(always, x) / 2, rtol=1e-3, atol=1e-3)


def test_survival_falls_evenly_to_one_half() -> None:
    network = variant("resnet110_stochastic_cifar").build()
    survival = [block.survival for block in network.modules() if isinstance(block, BasicBlock)]
    assert len(survival) == 54
    assert survival[-1] == 0.5
    assert survival == sorted(survival, reverse=True)
    assert survival[0] == pytest.approx(1 - 0.5 / 54)
