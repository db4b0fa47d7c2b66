"""Keras' own files (scripts/keras_samples.py), beside what Keras itself answers."""

from __future__ import annotations

import copy
import importlib
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.checkpoints import load as weights
from edgekit.errors import UsageError
from edgekit.network.spec import Variant, variant
from edgekit.network.user_model import find
from edgekit.records.preprocessing import TENSORFLOW
from tests.checkpoints.test_hosted import keras_file
from tests.paths import ROOT

h5py = pytest.importorskip("h5py")
importlib.import_module("edgekit.models")

SAMPLES = ROOT / "tests" / "samples" / "keras"
FILES = sorted(path.name.removesuffix(".xz") for path in SAMPLES.glob("*.xz"))
ALPHA = 1 / 32
ANSWERS = json.loads((SAMPLES / "answers.json").read_text())["answers"]


def unpacked(name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(lzma.decompress((SAMPLES / f"{name}.xz").read_bytes()))
    return path


def loaded(path: Path, **typed: Any) -> tuple[nn.Module, Variant, weights.Loaded]:
    point = weights.variant_of(str(path), "mobilenet", ALPHA, **typed)
    network = point.build()
    return network, point, weights.load(network, point, str(path))


def refusal(path: Path, model: str = "mobilenet", **typed: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        weights.variant_of(str(path), model, ALPHA if model == "mobilenet" else None, **typed)
    assert "\n" not in caught.value.message + caught.value.remedy and caught.value.remedy
    return caught.value


def answered(network: nn.Module, found: weights.Loaded) -> torch.Tensor:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    x = (pixels - np.float32(found.preprocessing.mean[0])) / np.float32(found.preprocessing.std[0])
    with torch.no_grad():
        out: torch.Tensor = network(torch.from_numpy(x).permute(0, 3, 1, 2).contiguous())
    return out.double()


@pytest.mark.parametrize("name", FILES)
def test_the_network_answers_as_keras_does(name: str, tmp_path: Path) -> None:
    network, point, found = loaded(unpacked(name, tmp_path), resolution=32)
    assert (point.resolution, point.classes) == (32, 3) and found.record.trained
    want = torch.tensor(ANSWERS[name.partition(".")[0]], dtype=torch.float64)
    got = answered(network, found)
    if not name.startswith("transferred"):  # the others end in softmax
        want, got = want.log(), got.log_softmax(1)
    assert (got - want).abs().max() < 2e-5 * want.abs().max()


def test_what_a_file_does_not_tell_is_said(tmp_path: Path) -> None:
    alone = loaded(unpacked("convolutional_head.weights.h5", tmp_path), resolution=32)[2]
    whole = loaded(unpacked("convolutional_head.keras", tmp_path))[2]
    with_scale = loaded(unpacked("transferred.keras", tmp_path))[2]
    assert alone.preprocessing == whole.preprocessing == TENSORFLOW
    assert alone.assumed and whole.assumed and not with_scale.assumed
    assert ["no configuration" in note for note in alone.notes] == [True] and whole.notes == ()
    assert with_scale.notes == () and with_scale.preprocessing.mean == (128.0,) * 3
    assert with_scale.preprocessing.std == (64.0,) * 3


def test_epsilon_is_taken_over(tmp_path: Path) -> None:
    network, _, _ = loaded(unpacked("transferred.h5", tmp_path))
    assert {module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == {2e-2}


Config = dict[str, Any]


def layers(config: Config, kind: str) -> list[Config]:
    """The settings of every layer of a kind, in an inner model too."""
    found = []
    for entry in config["config"]["layers"]:
        if entry["class_name"] in ("Functional", "Sequential"):
            found += layers(entry, kind)
        elif entry["class_name"] == kind:
            found.append(entry["config"])
    return found


def changed(folder: Path, change: Callable[[Config], object], name: str = "transferred") -> Path:
    """A .keras file whose configuration is another."""
    path = unpacked(f"{name}.keras", folder)
    with zipfile.ZipFile(path) as archive:
        parts = {member: archive.read(member) for member in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in parts.items():
            archive.writestr(member, json.dumps(config) if member == "config.json" else data)
    return path


def another_class(config: Config) -> None:
    config["class_name"] = "MyModel"


def of_class(kind: str, other: str, index: int = 0) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        found: list[Config] = []

        def look(model: Config) -> None:
            for entry in model["config"]["layers"]:
                if entry["class_name"] == "Functional":
                    look(entry)
                elif entry["class_name"] == kind:
                    found.append(entry)

        look(config)
        found[index]["class_name"] = other

    return change


def second_source(config: Config) -> None:
    nodes = config["config"]["layers"][-1]["inbound_nodes"][0]["args"]
    nodes.append(nodes[0])


WRONG: dict[str, tuple[Callable[[Config], object], str]] = {
    "ReLU without an end": (
        lambda c: layers(c, "ReLU")[4].update(max_value=None),
        r"its layer re_lu_4 \(ReLU\) computes relu where blocks.1.pointwise.act computes clip, so",
    ),
    "another end": (lambda c: layers(c, "ReLU")[0].update(max_value=1.0), "has max 1.0 where conv0.act has 6.0"),
    "a leak": (lambda c: layers(c, "ReLU")[0].update(negative_slope=0.1), "computes leaky_relu"),
    "pixels without a scale": (lambda c: layers(c, "Rescaling")[0].update(scale=0.0), "scales its pixels by 0"),
    "a stride": (
        lambda c: layers(c, "DepthwiseConv2D")[3].update(strides=[1, 1]),
        r"depthwise_conv2d_3 \(DepthwiseConv2D\) has stride 1x1 where blocks.3.depthwise.conv has 2x2",
    ),
    "a dilation": (lambda c: layers(c, "DepthwiseConv2D")[0].update(dilation_rate=[2, 2]), "has dilation 2x2"),
    "zeros on both sides": (
        lambda c: layers(c, "ZeroPadding2D")[0].update(padding=[[1, 1], [1, 1]]),
        r"pads its input of 16x16 by \(\(1, 1\), \(1, 1\)\), where blocks.1.depthwise",
    ),
    "an activation in a layer": (lambda c: layers(c, "Conv2D")[2].update(activation="relu"), "conv2d_2 .* computes"),
    "an activation of one's own": (
        lambda c: layers(c, "Conv2D")[2].update(activation={"class_name": "function", "config": "mine"}),
        "computes activation mine",
    ),
    "a pool": (of_class("GlobalAveragePooling2D", "GlobalMaxPooling2D"), "of the class GlobalMaxPooling2D"),
    "a layer of one's own": (of_class("Dropout", "My>Attention"), "the layer dropout of the class My>Attention"),
    "another model": (another_class, "a model of the class MyModel, whose layers only its code knows"),
    "a join": (second_source, "is no chain of layers: it forks or joins at dense"),
    "fewer layers": (lambda c: c["config"]["layers"].pop(), "has no classifier"),
    "two sides": (
        lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 32, 64, 3]), "32x64, which are not",
    ),
    "no layers": (lambda c: c.update(config={}), "no readable Keras configuration"),
    "a number as a layer": (lambda c: c["config"]["layers"].insert(0, 7), "no readable Keras configuration"),
    "a bias that is not there": (
        lambda c: layers(c, "Conv2D")[1].update(use_bias=True), "lacks bias of its layer conv2d_1",
    ),
    "a scale that is not there": (
        lambda c: layers(c, "BatchNormalization")[1].update(scale=True), "lacks moving_variance of its layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_model_that_computes_something_else_is_refused(name: str, tmp_path: Path) -> None:
    change, cause = WRONG[name]
    with pytest.raises(UsageError, match=cause) as caught:
        weights.variant_of(str(changed(tmp_path, change)), "mobilenet", ALPHA)
    assert "\n" not in caught.value.message and caught.value.remedy


def test_sizes_that_are_left_open_are_judged_at_the_one_that_is_asked_for(tmp_path: Path) -> None:
    def left_open(config: Config) -> None:
        for one in layers(config, "InputLayer"):
            one.update(batch_shape=[None, None, None, 3])

    path = changed(tmp_path, left_open)
    assert loaded(path, resolution=64)[1].resolution == 64
    error = refusal(path, resolution=100)  # 25 pixels: Keras' zeros on one side leave 12, and SAME 13
    assert "pads its input of 25x25" in error.message and "a multiple of 32" in error.remedy


def test_operations_of_keras_2_prepare_pixels_too(tmp_path: Path) -> None:
    def operations(config: Config) -> None:
        first = config["config"]["layers"][2]
        assert first["class_name"] == "Rescaling"
        source, name = config["config"]["layers"][1]["config"]["name"], first["config"]["name"]
        one = {"class_name": "TFOpLambda", "name": "one", "config": {"name": "one", "function": "math.truediv"},
               "inbound_nodes": [[source, 0, 0, {"y": 64.0, "name": None}]]}  # fmt: skip
        other = {"class_name": "TFOpLambda", "name": name, "config": {"name": name, "function": "math.subtract"},
                 "inbound_nodes": [["one", 0, 0, {"y": 2.0, "name": None}]]}  # fmt: skip
        config["config"]["layers"][2:3] = [one, other]

    network, _, found = loaded(changed(tmp_path, operations))
    assert found.preprocessing.mean == (128.0,) * 3 and found.preprocessing.std == (64.0,) * 3
    assert torch.allclose(answered(network, found), torch.tensor(ANSWERS["transferred"]).double(), atol=1e-3)


@pytest.mark.parametrize("model", ["resnet18", "conv_mobilenet", "vgg16", "mobilenet_v2"])
def test_another_network_is_not_filled(model: str, tmp_path: Path) -> None:
    assert model in refusal(unpacked("sequential.keras", tmp_path), model).message


def test_a_flattened_map_lies_as_torch_has_it(tmp_path: Path) -> None:
    """Keras flattens (H, W, C), torch (C, H, W)."""
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(3, 4, 3), nn.Linear(4 * 3 * 3, 5)
    own = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), linear).eval()
    with h5py.File(tmp_path / "w.h5", "w") as file:
        kernel = conv.weight.detach().permute(2, 3, 1, 0)
        dense = linear.weight.detach().reshape(5, 4, 3, 3).permute(2, 3, 1, 0).reshape(36, 5)
        for name, tensor in {
            "conv2d/conv2d/kernel:0": kernel,
            "conv2d/conv2d/bias:0": conv.get_parameter("bias").detach(),
            "dense/dense/kernel:0": dense,
            "dense/dense/bias:0": linear.bias.detach(),
        }.items():
            file[name] = tensor.numpy()
        file.create_group("flatten").attrs["weight_names"] = np.empty(0)
        file.attrs["layer_names"] = [b"conv2d", b"flatten", b"dense"]
        for name in ("conv2d", "dense"):
            file[name].attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
    again = copy.deepcopy(own)
    for parameter in again.parameters():
        nn.init.zeros_(parameter)
    weights.load(again, variant(find(again, (1, 3, 8, 8))), str(tmp_path / "w.h5"))
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(again(x), own(x))


def test_a_file_without_a_top_fits_a_network_without_one(tmp_path: Path) -> None:
    path = keras_file(tmp_path / "no_top.h5", drop="conv_preds")
    with pytest.raises(UsageError, match="has no classifier") as caught:
        weights.variant_of(str(path), "mobilenet", 0.25)
    assert "bring the network without one as FILE.py:function" in caught.value.remedy
    whole = variant("mobilenet", 0.25, 64).build()
    body = nn.Sequential(whole.get_submodule("conv0"), whole.get_submodule("blocks")).eval()
    weights.load(body, variant(find(body, (1, 3, 64, 64))), str(path))
    assert all(bool((tensor == 2).all()) for name, tensor in body.state_dict().items() if tensor.is_floating_point())


# Archives that were made to do harm


def zipped(path: Path, parts: list[tuple[str, bytes]], way: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", way) as archive:
        for name, data in parts:
            archive.writestr(name, data)
    return path


def parts_of(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(unpacked("transferred.keras", folder)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    parts, path = parts_of(tmp_path), tmp_path / "w.keras"
    config, arrays = parts["config.json"], parts["model.weights.h5"]
    cases = {
        "no config.json": [("model.weights.h5", arrays)],
        "no model.weights.h5": [("config.json", config), ("../model.weights.h5", arrays)],
        "2 config.json": [("config.json", config)] * 2 + [("model.weights.h5", arrays)],
        "no readable HDF5": [("config.json", config), ("model.weights.h5", b"rubbish")],
        "no readable Keras configuration": [("config.json", b"{" * 9999), ("model.weights.h5", arrays)],
    }
    for cause, content in cases.items():
        assert cause in refusal(zipped(path, content)).message
    bomb = [("config.json", config), ("model.weights.h5", bytes(1 << 26))]
    assert "packed again" in refusal(zipped(path, bomb, zipfile.ZIP_DEFLATED)).message
    assert not (tmp_path.parent / "model.weights.h5").exists()
    path.write_bytes(unpacked("transferred.keras", tmp_path).read_bytes()[:5000])
    assert "no readable .keras" in refusal(path).message


def with_arrays(folder: Path, change: Callable[[Any], object]) -> Path:
    parts = parts_of(folder)
    content = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        change(file)
    return zipped(folder / "w.keras", [("config.json", parts["config.json"]), ("model.weights.h5", content.getvalue())])


KERNEL = "layers/dense/vars/0"


def external(file: Any) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (32, 3), np.uint8, external=[(b"/etc/hostname", 0, 96)])


def virtual(file: Any) -> None:
    del file[KERNEL]
    layout = h5py.VirtualLayout((32, 3), np.float32)
    layout[:] = h5py.VirtualSource("/etc/hostname", "bias", (32, 3))
    file.create_virtual_dataset(KERNEL, layout)


def linked(file: Any) -> None:
    del file[KERNEL]
    file[KERNEL] = h5py.ExternalLink("/etc/hostname", "/x")


def huge(file: Any) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (32, 1 << 40), np.float32, chunks=(32, 1 << 20), compression="gzip")


@pytest.mark.parametrize(("attack", "cause"), [
    (external, "from elsewhere"), (virtual, "from elsewhere"), (linked, "lacks kernel"), (huge, "numbers or more"),
])  # fmt: skip
def test_arrays_in_an_archive_are_its_own_and_no_larger_than_needed(
    attack: Callable[[Any], object], cause: str, tmp_path: Path
) -> None:
    assert cause in refusal(with_arrays(tmp_path, attack)).message
