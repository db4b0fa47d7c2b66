"""What the zoo refuses, in one line of cause and one of remedy, before anything long."""

from __future__ import annotations

import pytest

import edgekit
from edgekit.errors import UsageError
from edgekit.spec import MODELS, variant


@pytest.mark.parametrize(
    ("name", "resolution", "layer"),
    [
        ("nin", 38, "features.20 (max_pool)"),
        ("alexnet_tv", 62, "features.12 (max_pool)"),
        ("inception_v3", 74, ""),
    ],
)
def test_too_few_pixels_name_the_layer_that_runs_out(name: str, resolution: int, layer: str) -> None:
    with pytest.raises(UsageError, match=f"not {resolution}: layer ") as caught:
        edgekit.summary(name, res=resolution)
    assert layer in caught.value.message
    assert str(MODELS[name].resolution) in (caught.value.remedy or "")


def test_below_the_least_of_all_no_network_is_built() -> None:
    with pytest.raises(UsageError, match="32 to 2048 for densenet121, not 31$"):
        edgekit.summary("densenet121", res=31)


@pytest.mark.parametrize("name", ["alexnet", "lenet5", "c3d", "fractalnet"])
def test_a_classifier_that_fixes_the_resolution_says_so(name: str) -> None:
    with pytest.raises(UsageError, match="fixes its resolution at"):
        edgekit.summary(name, res=MODELS[name].resolution + 32)


def test_an_adaptive_pool_takes_other_resolutions() -> None:
    assert edgekit.summary("vgg11", res=64).input_shape == (1, 3, 64, 64)


@pytest.mark.parametrize("name", ["resnet18", "vgg16", "c3d"])
def test_alpha_for_a_network_without_one(name: str) -> None:
    with pytest.raises(UsageError, match="has no width multiplier"):
        edgekit.summary(name, alpha=0.5)


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("resnet18", (1, 3, 16, 112, 112), r"resnet18 takes images \(1x3x224x224\), not volumes"),
        ("c3d", (1, 3, 112, 112), r"c3d takes volumes, such as video \(1x3x16x112x112\), not images \(1x3x112x112\)"),
        ("vgg16", (1, 3), r"not that \(1x3\)"),
        ("mobilenet", (1, 3, 160, 160), "knows its own"),
    ],
)
def test_volumes_and_images_are_told_apart(name: str, shape: tuple[int, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        edgekit.summary(name, input=shape)


def test_every_least_resolution_is_one_that_works() -> None:
    assert all(variant(name, resolution=max(MODELS[name].min_resolution, 32)) for name in ("nin", "alexnet_tv"))
