"""Weights: what a file tells of the variant, what is refused, and that the right numbers arrive."""

from __future__ import annotations

import importlib
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.checkpoints import load as weights
from edgekit.checkpoints.pretrained_table import Source
from edgekit.errors import UsageError
from edgekit.network.spec import ModelSpec, Variant, variant
from edgekit.records.preprocessing import TORCHVISION, Preprocessing
from edgekit.util.files import file_sha256

importlib.import_module("edgekit.models")


def build_tiny(resolution: int = 16, classes: int = 4, alpha: float = 1.0) -> nn.Module:
    width = max(1, int(32 * alpha))
    return nn.Sequential(
        nn.Conv2d(3, width, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )


TINY = ModelSpec("tiny", "Test", "", build_tiny, (3, 16, 16), classes=4, alphas=(1.0, 0.5))


def checkpoint(folder: Path, alpha: float = 1.0, classes: int = 4, name: str = "tiny.pth") -> Path:
    path = folder / name
    torch.save(build_with_seed(alpha=alpha, classes=classes).state_dict(), path)
    return path


def build_with_seed(**of: Any) -> nn.Module:
    torch.manual_seed(1)
    return build_tiny(**of)


def loaded(path: Path, model: str | ModelSpec = TINY) -> tuple[nn.Module, Variant, weights.Loaded]:
    point = weights.variant_of(str(path), model)
    network = point.build()
    return network, point, weights.load(network, point, str(path))


def refusal(source: Path | str, model: str | ModelSpec = TINY, **typed: float) -> UsageError:
    with pytest.raises(UsageError) as caught:
        weights.variant_of(str(source), model, **typed)  # type: ignore[arg-type]
    assert "\n" not in caught.value.message + caught.value.remedy
    return caught.value


def test_a_checkpoint_arrives_as_it_is_and_is_recorded(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    network, point, found = loaded(path)
    for name, tensor in torch.load(path, weights_only=True).items():
        assert torch.equal(network.state_dict()[name], tensor)
    assert point == variant(TINY) and found.ranges is None
    assert found.preprocessing == TORCHVISION
    digest = file_sha256(path)
    assert (found.record.origin, found.record.id, found.record.sha256) == ("tiny.pth", digest[:8], digest)
    assert found.record.trained


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.25, 0.3, 0.7, 0.35, 0.03125])
def test_alpha_and_classes_come_from_the_shapes(tmp_path: Path, alpha: float) -> None:
    _, point, _ = loaded(checkpoint(tmp_path, alpha, classes=7))
    assert point.classes == 7
    assert max(1, int(32 * point.alpha)) == max(1, int(32 * alpha))


@pytest.mark.parametrize("alpha", [0.35, 0.3, 0.6])
def test_an_unpublished_alpha_of_mobilenet_is_found(tmp_path: Path, alpha: float) -> None:
    path = tmp_path / "m.pth"
    torch.save(variant("mobilenet", alpha, 64, 10).build().state_dict(), path)
    point = weights.variant_of(str(path), "mobilenet", resolution=64)
    assert (point.alpha, point.classes, point.resolution) == (alpha, 10, 64)


def test_what_was_typed_may_agree_and_must_not_contradict(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 0.5)
    assert weights.variant_of(str(path), TINY, alpha=0.5, classes=4).alpha == 0.5
    assert "--alpha 0.5" in refusal(path, alpha=0.25).remedy
    assert "--classes 4" in refusal(path, classes=9).remedy


def test_a_mismatch_lists_what_differs_and_what_would_fit(tmp_path: Path) -> None:
    point = variant(TINY)
    with pytest.raises(UsageError) as caught:
        weights.load(point.build(), point, str(checkpoint(tmp_path, 0.5, classes=9)))
    assert "7 misshapen (0.weight 16x3x3x3 instead of 32x3x3x3" in caught.value.message
    assert "--alpha 0.5 --classes 9" in caught.value.remedy


def test_one_bad_tensor_is_told_of_the_alpha_that_the_others_have(tmp_path: Path) -> None:
    state, path = variant("mobilenet", 0.25, 64, 10).build().state_dict(), tmp_path / "m.pth"
    state["blocks.5.pointwise.conv.weight"] = state["blocks.5.pointwise.conv.weight"][:-1].clone()
    torch.save(state, path)
    message = refusal(path, "mobilenet").message
    assert "does not fit mobilenet_0.25_224_c10: 1 misshapen (blocks.5.pointwise.conv.weight 127x64x1x1" in message


def test_missing_and_unexpected_keys_are_named_and_nothing_is_changed(tmp_path: Path) -> None:
    state = build_tiny().state_dict()
    state["extra.weight"] = state.pop("5.weight")
    path = tmp_path / "w.pt"
    torch.save(state, path)
    point = variant(TINY)
    network = point.build()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(UsageError, match=r"1 missing \(5.weight\); 1 unexpected \(extra.weight\)"):
        weights.load(network, point, str(path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_network_that_the_file_fits_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.pth"
    torch.save(variant("resnet20_cifar", classes=5).build().state_dict(), path)
    assert "resnet20_cifar" in refusal(path, "mobilenet").remedy


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "ema", "model_ema"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_wrappers_and_prefixes_of_training_scripts_are_taken_off(tmp_path: Path, wrapper: str, prefix: str) -> None:
    state = build_tiny().state_dict()
    path = tmp_path / "w.th"
    torch.save({wrapper: {prefix + name: value for name, value in state.items()}, "epoch": 3}, path)
    network, _, _ = loaded(path)
    assert torch.equal(network.state_dict()["5.weight"], state["5.weight"])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".pth", ".pth.tar", ".ckpt", ".bin"])
def test_other_precisions_and_transposed_tensors_arrive_contiguous_in_float32(
    kind: torch.dtype, suffix: str, tmp_path: Path
) -> None:
    state = build_tiny().state_dict()
    state["5.weight"] = state["5.weight"].to(kind).t().contiguous().t()
    path = tmp_path / f"w{suffix}"
    torch.save(state, path)
    weight = loaded(path)[0].state_dict()["5.weight"]
    assert weight.dtype == torch.float32 and weight.is_contiguous()
    assert torch.equal(weight, state["5.weight"].float())


def test_safetensors_and_npz_load_by_the_same_names(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = build_tiny().state_dict()
    save_file(state, tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", **{name: value.numpy() for name, value in state.items()})
    for name in ("w.safetensors", "w.npz"):
        assert torch.equal(loaded(tmp_path / name)[0].state_dict()["0.weight"], state["0.weight"])


class _Runs:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_does_not_run(tmp_path: Path, zipped: bool) -> None:
    path, proof = tmp_path / "evil.pth", tmp_path / "it_ran"
    content = {"0.weight": torch.zeros(1), "x": _Runs(proof)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert "would run code" in refusal(path).message
    path.write_bytes(pickle.dumps(_Runs(proof)))
    refusal(path)
    np.savez(tmp_path / "evil.npz", x=np.array([_Runs(proof)], dtype=object))
    assert "would run code" in refusal(tmp_path / "evil.npz").message
    assert not proof.exists()


@pytest.mark.parametrize("suffix", [".pth", ".th", ".safetensors", ".npz", ".tflite", ".h5"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello\n" * 40, id="text"),
        pytest.param(b"\x80\x02", id="pickle"),
        pytest.param(b"PK\x03\x04" + b"\0" * 60, id="zip"),
        pytest.param(b"\0\0\0\0TFL3" + b"\xff" * 60, id="tflite"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + b"\0" * 60, id="hdf5"),
    ],
)
def test_rubbish_is_refused_in_every_format(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    refusal(path, "mobilenet")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, part: float) -> None:
    for new in (True, False):
        path = tmp_path / "w.pth"
        torch.save(build_tiny().state_dict(), path, _use_new_zipfile_serialization=new)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * part)])
        assert "truncated" in refusal(path).message


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    numbers = build_with_seed().state_dict()["5.weight"].numpy().tobytes()
    data = path.read_bytes()
    assert data.count(numbers) == 1
    path.write_bytes(data.replace(numbers, bytes([numbers[0] ^ 1]) + numbers[1:]))
    assert "Bad CRC-32" in refusal(path).message


def test_a_checkpoint_that_was_saved_without_sums_is_taken(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        path = checkpoint(tmp_path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert loaded(path)[2].record.trained


def test_other_wrong_paths_are_told_apart(tmp_path: Path) -> None:
    assert "do not exist" in refusal(tmp_path / "none.pth").message
    assert "directory" in refusal(tmp_path).message
    (tmp_path / "w.caffemodel").write_bytes(b"x")
    assert "no kind of weights" in refusal(tmp_path / "w.caffemodel").message
    (tmp_path / "w.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    assert "git-lfs" in refusal(tmp_path / "w.pth").message
    (tmp_path / "w.pth").write_text("<!DOCTYPE html><html>404</html>")
    assert "web page" in refusal(tmp_path / "w.pth").message
    (tmp_path / "w.pth").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 64)
    assert "content is hdf5" in refusal(tmp_path / "w.pth").message
    assert "a file of your own" in refusal("pretrained").remedy
    refusal("random:")
    refusal("random:-1")


def build_with_aux(resolution: int = 16, classes: int = 4) -> nn.Module:
    parts = {"aux1": nn.Conv2d(3, 4, 3), "AuxLogits": nn.Conv2d(4, 4, 3), "pool": nn.AdaptiveAvgPool2d(1)}
    return nn.Sequential(OrderedDict(**parts, flat=nn.Flatten(), fc=nn.Linear(4, classes)))


def test_layers_of_ones_own_called_like_auxiliary_heads_get_their_weights(tmp_path: Path) -> None:
    spec = ModelSpec("named", "Test", "", build_with_aux, (3, 16, 16), classes=4)
    state, path = build_with_aux().state_dict(), tmp_path / "w.pth"
    torch.save(state, path)
    network, _, _ = loaded(path, spec)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("heads", [True, False])
def test_googlenet_needs_no_auxiliary_heads(tmp_path: Path, heads: bool) -> None:
    point, path = variant("googlenet", classes=3), tmp_path / "g.pth"
    state = point.build().state_dict()
    torch.save({name: value for name, value in state.items() if heads or not name.startswith("aux")}, path)
    network, found, _ = loaded(path, "googlenet")
    assert found == point and torch.equal(network.state_dict()["fc.weight"], state["fc.weight"])
    assert "googlenet" in refusal(path, "lenet5").remedy


def test_a_network_without_a_classifier_takes_weights_and_is_suggested(tmp_path: Path) -> None:
    point, path = variant("inception_3a"), tmp_path / "w.pth"
    state = point.build().state_dict()
    torch.save(state, path)
    network, found, _ = loaded(path, "inception_3a")
    assert found == point
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert refusal(path, "inception_module").remedy == "the file fits inception_3a"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_none_are_refused(tmp_path: Path, value: float) -> None:
    state = build_tiny().state_dict()
    state["5.weight"] = state["5.weight"].double()
    state["5.weight"][1, 1] = value
    path = tmp_path / "w.pth"
    torch.save(state, path)
    with pytest.raises(UsageError, match="not finite, first in 5.weight"):
        loaded(path)


KINDS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sparse": lambda weight: weight.to_sparse(),
    "no": lambda weight: weight.to("meta"),
    "complex64": lambda weight: weight.to(torch.complex64),
    "int8": lambda weight: weight.to(torch.int8),
    "float8_e4m3fn": lambda weight: weight.to(torch.float8_e4m3fn),
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_numbers_are_refused(tmp_path: Path, kind: str) -> None:
    state, path = build_tiny().state_dict(), tmp_path / "w.pth"
    for name in ("5.weight", "1.running_var"):
        torch.save(state | {name: KINDS[kind](state[name])}, path)
        with pytest.raises(UsageError, match=f"holds {kind}\\w* numbers in {name}"):
            loaded(path)


@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")
@pytest.mark.filterwarnings("ignore:.*quantization:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*TypedStorage:UserWarning")
def test_quantized_tensors_are_refused(tmp_path: Path) -> None:
    state, path = build_tiny().state_dict(), tmp_path / "w.pth"
    torch.save(state | {"5.weight": torch.quantize_per_tensor(state["5.weight"], 0.01, 0, torch.qint8)}, path)
    with pytest.raises(UsageError, match="holds qint8 numbers in 5.weight"):
        loaded(path)


def test_what_an_npz_can_hold_and_torch_cannot_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "long.npz", a=np.zeros(3, np.longdouble))
    assert "which torch has not" in refusal(tmp_path / "long.npz").message
    checkpoint(tmp_path).rename(tmp_path / "w.npz")
    assert "which is no array" in refusal(tmp_path / "w.npz").message


def test_a_checkpoint_of_anything_but_tensors_is_refused(tmp_path: Path) -> None:
    for content in ([1, 2], {"a": 1}, {}, torch.zeros(3)):
        path = tmp_path / "w.pth"
        torch.save(content, path)
        refusal(path)


def build_squeezenet_names(resolution: int = 224, classes: int = 1000) -> nn.Module:
    return nn.ModuleDict({"classifier": nn.Sequential(nn.Dropout(), nn.Conv2d(3, classes, 1))})


def test_caffe_names_of_squeezenet_bring_their_preprocessing(tmp_path: Path) -> None:
    spec = ModelSpec("squeeze", "Test", "", build_squeezenet_names, (3, 224, 224))
    weight, bias = np.ones((1000, 3, 1, 1), np.float32), np.arange(1000, dtype=np.float32)
    np.savez(tmp_path / "s.npz", conv10_w=weight, conv10_b=bias)
    network, point, found = loaded(tmp_path / "s.npz", spec)
    assert point.resolution == 227
    assert found.preprocessing == Preprocessing(channels="BGR", mean=(104, 117, 123), std=(1, 1, 1))
    assert torch.equal(network.state_dict()["classifier.1.bias"], torch.from_numpy(bias))


def build_strided(resolution: int = 16, classes: int = 4, stride: str = "3x3", width: str = "wide") -> nn.Module:
    first, second = (1, 2) if stride == "3x3" else (2, 1)
    channels = 6 if width == "wide" else 4
    layers = (nn.Conv2d(3, channels, 1, first), nn.Conv2d(channels, 5, 3, second, 1), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(5, classes))


STRIDED = ModelSpec(
    *("strided", "Test", "", build_strided, (3, 16, 16)),
    classes=4,
    options={"stride": ("3x3", "1x1"), "width": ("wide", "narrow")},
)


def test_what_names_and_shapes_do_not_tell_is_said(tmp_path: Path) -> None:
    torch.save(build_strided().state_dict(), tmp_path / "w.pth")
    (note,) = loaded(tmp_path / "w.pth", STRIDED)[2].notes
    assert note.startswith("w.pth does not tell its stride: stride 3x3 is taken") and "--option stride=1x1" in note
    assert loaded(checkpoint(tmp_path))[2].notes == ()


def test_an_option_that_shapes_tell_is_named(tmp_path: Path) -> None:
    torch.save(build_strided(width="narrow").state_dict(), tmp_path / "w.pth")
    assert refusal(tmp_path / "w.pth", STRIDED).remedy == "the file fits with --option width=narrow"


def test_a_published_file_is_known_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.pth"
    torch.save(build_strided().state_dict(), path)
    preprocessing = Preprocessing(crop_fraction=0.5)
    digits = file_sha256(path)[:8]
    source = Source("strided", "strided", "", digits, "", preprocessing, 4, options={"stride": "3x3"})
    monkeypatch.setattr(weights, "SOURCES", (source,))
    found = loaded(path, STRIDED)[2]
    assert found.notes == () and found.preprocessing == preprocessing
    with pytest.raises(
        UsageError, match="stride=1x1 contradicts the weights mine.pth, which were trained with"
    ) as caught:
        weights.variant_of(str(path), STRIDED, options={"stride": "1x1"})
    assert "--option stride=3x3" in (caught.value.remedy or "")
