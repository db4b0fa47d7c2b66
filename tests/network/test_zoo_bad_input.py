"""What the zoo refuses, in one line of cause and one of remedy, before anything long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.errors import UsageError
from edgekit.network.spec import MODELS, variant


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
    with pytest.raises(UsageError, match="32 to 2048 for densenet121, not 31\n"):
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


USERS = """
from torch import nn
def images(): return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
def volumes(): return nn.Sequential(nn.Conv3d(3, 8, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 4))
def four(): return nn.Sequential(nn.Conv2d(4, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
def pooled(): return nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 4))
"""


@pytest.mark.parametrize(
    ("build", "shape", "told"),
    [
        ("images", (1, 3, 8, 32, 32), r"layer 0 is a 2-D convolution and cannot take an input of \(1, 3, 8, 32, 32\)"),
        ("volumes", (1, 3, 32, 32), r"layer 0 is a 3-D convolution and cannot take an input of \(1, 3, 32, 32\)"),
        ("pooled", (1, 3, 4, 8, 8), "does not run on an input of 1x3x4x8x8: "),
    ],
)
def test_a_network_of_the_users_own_in_other_dimensions(
    tmp_path: Path, build: str, shape: tuple[int, ...], told: str
) -> None:
    (tmp_path / "own.py").write_text(USERS)
    with pytest.raises(UsageError, match=told):
        edgekit.export(f"{tmp_path / 'own.py'}:{build}", input=shape, format=["tflite"], out=tmp_path)


def test_a_network_of_the_users_own_need_not_be_square(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(USERS)
    own = f"{tmp_path / 'own.py'}:images"
    assert edgekit.summary(own, input=(1, 3, 32, 48)).input_shape == (1, 3, 32, 48)
    made = edgekit.export(own, input=(1, 3, 32, 48), format=["tflite"], out=tmp_path)
    assert made.artifacts[0].manifest and made.artifacts[0].manifest.inputs[0].shape == (1, 32, 48, 3)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"alpha": 0.5}, "--alpha: only networks of the zoo"),
        ({"res": 64, "classes": 7}, "--res and --classes: only networks of the zoo"),
        ({"options": {"pool": "max"}}, "has no option 'pool'"),
        ({"input": None}, "needs an input shape"),
        ({"input": ()}, "an input has a batch and at most 4 more axes, all above 0, not none\n"),
        ({"input": (5,)}, "a batch of 1, not 5\n"),
        ({"input": (1, 3)}, r"cannot take an input of \(1, 3\)\n"),
        ({"input": (1, 3, 0, 32)}, "all above 0, not 1x3x0x32\n"),
        ({"input": (1, 3, 4, 4, 4, 4)}, "at most 4 more axes"),
        ({"input": (2, 3, 32, 32)}, "a batch of 1, not 2\n"),
    ],
)
def test_what_a_network_of_the_users_own_does_not_take(tmp_path: Path, asked: dict[str, Any], told: str) -> None:
    (tmp_path / "own.py").write_text(USERS)
    own = f"{tmp_path / 'own.py'}:images"
    for verb, more in ((edgekit.summary, {}), (edgekit.export, {"out": tmp_path / "out"})):
        with pytest.raises(UsageError, match=told) as caught:
            verb(own, **{"input": (1, 3, 32, 32), **asked, **more})
        assert caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_an_input_of_channels_that_no_image_has(tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")
    (tmp_path / "own.py").write_text(USERS)
    own = f"{tmp_path / 'own.py'}:four"
    asked: dict[str, Any] = {"input": (1, 4, 32, 32), "out": tmp_path / "out"}
    made = edgekit.export(own, **asked)
    assert len(made.artifacts) == 2 and any("no image has 4 channels" in note for note in made.notes)
    (tmp_path / "images").mkdir()
    Image.new("RGB", (40, 40), "red").save(tmp_path / "images" / "0.png")
    (tmp_path / "images" / "labels.csv").write_text("file,class\n0.png,0\n")
    for one in made.artifacts:
        with pytest.raises(UsageError, match="takes 4 channels"):
            edgekit.eval([one.path], data=tmp_path / "images", store=f"sqlite:///{tmp_path}/store.db")
    (tmp_path / "gray.yaml").write_text("channels: L\n")
    with pytest.raises(UsageError, match="prepares images of 1 channels, and own_32 takes 4") as caught:
        edgekit.export(own, preprocess=tmp_path / "gray.yaml", **asked)
    assert caught.value.remedy == "write `channels: RGBA` in it, or leave `channels` out"
    made = edgekit.export(own, preprocess={"mean": 100}, format="onnx", **asked)
    manifest = made.artifacts[0].manifest
    assert manifest is not None and manifest.preprocessing.channels == "RGBA"
