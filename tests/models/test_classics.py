"""AlexNet to C3D: volumes and counts that papers and lectures print, and names that published weights rely on."""

from __future__ import annotations

import pytest
import torch

from edgekit.frontend.tracer import trace
from edgekit.ir.layer_table import LayerTable, table
from edgekit.models.alexnet import lrn
from edgekit.models.fractalnet import Join
from edgekit.network.spec import variant


def counted(name: str, **options: str) -> LayerTable:
    point = variant(name, options=options)
    with torch.device("meta"):
        network = point.build()
    return table(trace(network, point.input_shape))


def weights(name: str) -> int:
    with torch.device("meta"):
        return sum(p.numel() for key, p in variant(name).build().named_parameters() if not key.endswith("bias"))


def volumes(counts: LayerTable) -> list[tuple[int, ...]]:
    """Output shapes of convolutions and pools, each once where it stays."""
    shapes = [row.output_shape[1:] for row in counts.rows if row.op in ("conv", "max_pool")]
    return [shape for index, shape in enumerate(shapes) if not index or shape != shapes[index - 1]]


def test_alexnet_of_2012() -> None:
    counts = counted("alexnet")
    assert (counts.params, round(counts.macs / 1e6, 2)) == (60_965_224, 724.41)
    assert volumes(counts) == [
        (96, 55, 55),
        (96, 27, 27),
        (256, 27, 27),
        (256, 13, 13),
        (384, 13, 13),
        (256, 13, 13),
        (256, 6, 6),
    ]
    order = [row.op for row in counts.rows][1:5]
    assert order == ["conv", "relu", "lrn", "max_pool"]


def test_local_response_normalization_is_the_papers() -> None:
    x = torch.rand(1, 8, 1, 1) * 10
    squares = [sum(float(x[0, j]) ** 2 for j in range(max(0, i - 2), min(8, i + 3))) for i in range(8)]
    wanted = [float(x[0, i]) / (2 + 1e-4 * squares[i]) ** 0.75 for i in range(8)]
    torch.testing.assert_close(lrn()(x).flatten(), torch.tensor(wanted))


def test_alexnet_of_lectures() -> None:
    counts = counted("alexnet_simplified")
    assert (weights("alexnet_simplified"), counts.macs) == (62_367_776, 1_135_256_096)
    assert [row.op for row in counts.rows][1:5] == ["conv", "relu", "max_pool", "lrn"]


def test_zfnet_halves_in_its_second_convolution_too() -> None:
    shapes = volumes(counted("zfnet"))
    assert shapes[:4] == [(96, 110, 110), (96, 55, 55), (256, 26, 26), (256, 13, 13)]
    assert shapes[4:] == [(512, 13, 13), (1024, 13, 13), (512, 13, 13), (512, 6, 6)]


def test_network_in_network() -> None:
    counts = counted("nin")
    assert round(counts.params / 1e6, 1) == 7.6
    assert not [row for row in counts.rows if row.op == "linear"]


@pytest.mark.parametrize(
    ("name", "params", "mmacs"),
    [
        ("alexnet_tv", 61_100_840, 655.57 + 58.62),
        ("vgg11", 132_863_336, 7485.46 + 123.63),
        ("vgg13", 133_047_848, 11184.83 + 123.63),
        ("vgg16", 138_357_544, 15346.63 + 123.63),
        ("vgg19", 143_667_240, 19508.43 + 123.63),
        ("squeezenet1_0", 1_248_424, 818.92),
        ("squeezenet1_1", 1_235_496, 349.15),
        ("densenet121", 7_978_856, 2833.14 + 1.02),
        ("densenet169", 14_149_480, 3359.84),
        ("densenet201", 20_013_928, 4291.37),
        ("googlenet_bn", 6_624_904, 1497.35 + 1.02),
        ("mobilenet_v2", 3_504_872, 300.77),
        ("mnasnet", 4_383_312, 314.42),
        ("efficientnet_b0", 5_288_548, 385.81),
        ("resnext101_32x8d", 88_791_336, 16414.02),
        ("inception_v3", 23_834_568, 5713.22),
        ("wrn28_10_cifar", 36_479_194, 5243.33),
    ],
)
def test_independent_counts(name: str, params: int, mmacs: float) -> None:
    counts = counted(name)
    assert counts.params == params
    assert counts.macs / 1e6 == pytest.approx(mmacs, abs=0.011)


def test_vgg16_activations() -> None:
    counts = counted("vgg16")
    assert counts.activation_elements == 15_237_608
    assert round(counts.activation_elements * 4 / 2**20) == 58  # MiB in fp32; lectures print 96 MB


def test_c3d() -> None:
    counts = counted("c3d")
    assert round(counts.params / 1e6, 1) == 78.4
    assert counts.activation_elements == 28_265_573
    pools = [row.output_shape[2:] for row in counts.rows if row.op == "max_pool"]
    assert pools == [(16, 56, 56), (8, 28, 28), (4, 14, 14), (2, 7, 7), (1, 4, 4)]


def test_googlenet_of_the_paper() -> None:
    counts = counted("googlenet")
    assert (counts.params, counts.macs) == (6_998_552, 1_582_671_872)
    modules = [row.output_shape[1:] for row in counts.rows if row.op == "cat"]
    assert modules == [
        (256, 28, 28),
        (480, 28, 28),
        *[(512, 14, 14)] * 3,
        (528, 14, 14),
        (832, 14, 14),
        (832, 7, 7),
        (1024, 7, 7),
    ]


def test_single_inception_modules() -> None:
    """Lectures print 358 million for the reduced module: they count its 3x3 twice."""
    naive, reduced, first = (counted(name) for name in ("inception_naive", "inception_module", "inception_3a"))
    assert naive.macs == 854_196_224
    assert reduced.macs == 271_351_808
    three = next(row.macs for row in reduced.rows if row.kind == "conv 3x3")
    assert round((reduced.macs + three) / 1e6) == 358
    assert (weights("inception_3a"), first.params, first.macs) == (163_328, 163_696, 128_049_152)
    simple = counted("inception_simple")  # no pooling, and no 1x1 behind it
    assert (simple.params, simple.macs) == (163_696 - (192 * 32 + 32), 128_049_152 - 192 * 32 * 28 * 28)
    assert [row.op for row in simple.rows].count("max_pool") == 0


def test_overfeats_fast_model() -> None:
    counts = counted("overfeat")
    assert (counts.params, counts.macs) == (145_920_872, 2_801_403_904)
    assert volumes(counts) == [
        (96, 56, 56),
        (96, 28, 28),
        (256, 24, 24),
        (256, 12, 12),
        (512, 12, 12),
        (1024, 12, 12),
        (1024, 6, 6),
    ]


def test_bn_inception_sizes() -> None:
    modules = [row.output_shape[1:] for row in counted("inception_bn").rows if row.op == "cat"]
    assert modules == [
        (256, 28, 28),
        (320, 28, 28),
        (576, 14, 14),
        *[(576, 14, 14)] * 4,
        (1024, 7, 7),
        *[(1024, 7, 7)] * 2,
    ]


@pytest.mark.parametrize("name", ["inception_v2", "inception_v3"])
def test_factorised_inception_sizes(name: str) -> None:
    counts = counted(name)
    modules = [row.output_shape[1:] for row in counts.rows if row.op == "cat"]
    assert modules[-8:] == [
        (768, 17, 17),
        (768, 17, 17),
        (768, 17, 17),
        (768, 17, 17),
        (768, 17, 17),
        (1280, 8, 8),
        (2048, 8, 8),
        (2048, 8, 8),
    ]
    assert counts.params < 25e6  # as the paper says
    assert ("conv 5x5" in counts.shares("macs")) == (name == "inception_v3")


def test_densenet_has_121_normalizations() -> None:
    with torch.device("meta"):
        network = variant("densenet121").build()
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules()) == 121


def test_a_join_is_a_mean_and_drops_some_but_never_all_in_training() -> None:
    maps = [torch.full((1, 2, 3, 3), value) for value in (1.0, 2.0, 6.0)]
    join = Join().eval()
    assert torch.equal(join(*maps), maps[0] * 3)
    assert torch.equal(join(*maps[:2]), maps[0] * 1.5)
    join.train()
    means = {1.0, 2.0, 6.0, 1.5, 3.5, 4.0, 3.0}  # of every choice of at least one
    seen = {float(join(*maps).mean()) for _ in range(400)}
    assert 3.0 in seen and len(seen) > 1
    assert seen <= means


def test_fractalnets_deepest_column_is_twenty_convolutions() -> None:
    deepest, whole = counted("fractalnet", columns="deepest"), counted("fractalnet")
    assert sum(row.op == "conv" for row in deepest.rows) == 20
    assert sum(row.op == "conv" for row in whole.rows) == 35
    assert not [row for row in deepest.rows if row.op in ("add", "div")]


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [
        ("alexnet_tv", "features.10.weight", (256, 256, 3, 3)),
        ("vgg16", "features.28.weight", (512, 512, 3, 3)),
        ("vgg16_bn", "features.41.running_mean", (512,)),
        ("vgg16", "classifier.6.weight", (1000, 4096)),
        ("googlenet_bn", "inception4e.branch3.1.conv.weight", (128, 32, 3, 3)),
        ("googlenet_bn", "aux2.fc1.weight", (1024, 2048)),
        ("inception_v3", "Mixed_7c.branch3x3dbl_3b.conv.weight", (384, 384, 3, 1)),
        ("inception_v3", "AuxLogits.conv1.conv.weight", (768, 128, 5, 5)),
        ("densenet121", "features.denseblock4.denselayer16.conv2.weight", (32, 128, 3, 3)),
        ("densenet121", "features.transition3.conv.weight", (512, 1024, 1, 1)),
        ("squeezenet1_0", "features.12.expand3x3.weight", (256, 64, 3, 3)),
        ("squeezenet1_1", "classifier.1.weight", (1000, 512, 1, 1)),
        ("mobilenet_v2", "features.17.conv.2.weight", (320, 960, 1, 1)),
        ("mobilenet_v2", "features.1.conv.0.0.weight", (32, 1, 3, 3)),
        ("mnasnet", "layers.12.3.layers.3.weight", (1152, 1, 5, 5)),
        ("efficientnet_b0", "features.7.0.block.2.fc1.weight", (48, 1152, 1, 1)),
    ],
)
def test_names_are_those_of_published_weights(name: str, key: str, shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        assert tuple(variant(name).build().state_dict()[key].shape) == shape
