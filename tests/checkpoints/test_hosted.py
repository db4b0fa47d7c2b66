"""MobileNet v1 from TensorFlow: Google's hosted .tflite files and Keras' .h5, beside what LiteRT itself computes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekit.checkpoints import load as weights
from edgekit.errors import UsageError
from edgekit.network.spec import variant
from edgekit.records.preprocessing import TENSORFLOW
from tests.paths import DATA, HOSTED

importlib.import_module("edgekit.models")
KERAS = DATA / "weights" / "mobilenet_0.25_128_keras.h5"


def refusal(source: Path, model: str = "mobilenet", **typed: float) -> UsageError:
    with pytest.raises(UsageError) as caught:
        weights.variant_of(str(source), model, **typed)  # type: ignore[arg-type]
    assert "\n" not in caught.value.message + caught.value.remedy
    return caught.value


def litert(data: bytes, x: np.ndarray) -> np.ndarray:
    """The last tensor that the file computes for one NHWC input."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def rewritten(path: Path, change: Callable[[Any], None]) -> bytes:
    """A .tflite file with something changed in it."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    change(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.data
@pytest.mark.parametrize("alpha", [0.25, 0.5])
@pytest.mark.parametrize("resolution", [128, 224])
def test_a_hosted_file_tells_its_variant_and_preprocessing(alpha: float, resolution: int) -> None:
    path = HOSTED / f"mobilenet_v1_{str(alpha).replace('.', '_')}_{resolution}_quant.tflite"
    point = weights.variant_of(str(path), "mobilenet")
    assert (point.alpha, point.resolution, point.classes) == (alpha, resolution, 1001)
    found = weights.load(point.build(), point, str(path))
    assert found.preprocessing == TENSORFLOW.model_copy(update={"class_offset": 1})
    assert found.record.trained


@pytest.mark.data
def test_the_hosted_float_file_and_the_network_compute_the_same() -> None:
    path = HOSTED / "mobilenet_v1_0_25_224_float.tflite"
    point = weights.variant_of(str(path), "mobilenet")
    network = point.build()
    assert weights.load(network, point, str(path)).ranges is None
    x = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    with torch.no_grad():
        got = network(torch.from_numpy(x).permute(0, 3, 1, 2)).softmax(1).numpy()
    want = litert(path.read_bytes(), x)
    assert np.abs(got - want).max() < 1e-4 * want.max()


@pytest.mark.data
def test_batch_norm_of_a_folded_file_divides_by_exactly_one() -> None:
    path = HOSTED / "mobilenet_v1_0_25_128_quant.tflite"
    point = weights.variant_of(str(path), "mobilenet")
    network = point.build()
    weights.load(network, point, str(path))
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 27
    for norm in norms:
        assert norm.running_var is not None and norm.running_mean is not None
        assert bool((norm.running_var + norm.eps == 1).all()) and bool(
            (norm.running_var.double() + norm.eps == 1).all()
        )
        assert bool((norm.running_mean == 0).all()) and bool((norm.weight == 1).all())


@pytest.mark.data
def test_a_quantized_file_dequantizes_to_the_network_that_it_rounds() -> None:
    path = HOSTED / "mobilenet_v1_0_5_160_quant.tflite"
    point = weights.variant_of(str(path), "mobilenet")
    network = point.build()
    weights.load(network, point, str(path))
    pixels = np.random.default_rng(1).integers(0, 256, (1, 160, 160, 3), np.uint8)
    pixels[0, 40:120, 40:120] //= 3

    def logits_out(model: Any) -> None:  # a rounded softmax would say little
        model.subgraphs[0].outputs = [model.subgraphs[0].operators[-1].inputs[0]]

    codes = litert(rewritten(path, logits_out), pixels)
    with torch.no_grad():
        got = network((torch.from_numpy(pixels).float() - 128).permute(0, 3, 1, 2) / 128).numpy()
    assert np.corrcoef(got.ravel(), codes.ravel().astype(float))[0, 1] > 0.98


@pytest.mark.data
def test_ranges_stand_under_the_operators_that_a_runtime_keeps() -> None:
    path = HOSTED / "mobilenet_v1_0_25_128_quant.tflite"
    point = weights.variant_of(str(path), "mobilenet")
    ranges = weights.load(point.build(), point, str(path)).ranges
    assert ranges is not None and len(ranges) == 1 + 27 + 1 + 1  # input, convolutions, pool, classifier
    assert ranges["x"] == (-1.0, 0.9921875)
    assert ranges["blocks.0.depthwise.act"][0] == 0 and 5.9 < ranges["blocks.0.depthwise.act"][1] < 6.01
    assert ranges["classifier"][0] == pytest.approx(-12.56, abs=0.01)


@pytest.mark.data
def test_typed_values_must_not_contradict_a_hosted_file() -> None:
    path = HOSTED / "mobilenet_v1_0_25_128_quant.tflite"
    assert "--alpha 0.25" in refusal(path, alpha=0.5).remedy
    assert "--res 128" in refusal(path, resolution=224).remedy
    assert "--classes 1001" in refusal(path, classes=1000).remedy
    assert weights.variant_of(str(path), "mobilenet", 0.25, 128, 1001).alpha == 0.25


@pytest.mark.data
@pytest.mark.parametrize("model", ["resnet18", "conv_mobilenet", "lenet5", "mobilenet_v2"])
def test_files_of_mobilenet_are_no_weights_of_another_network(model: str) -> None:
    for path in (HOSTED / "mobilenet_v1_0_25_128_quant.tflite", KERAS):
        refusal(path, model)


@pytest.mark.data
def test_another_network_in_a_tflite_file_is_noticed(tmp_path: Path) -> None:
    source, path = HOSTED / "mobilenet_v1_0_25_224_float.tflite", tmp_path / "other.tflite"

    def without_clipping(model: Any) -> None:
        model.subgraphs[0].operators[3].builtinOptions.fusedActivationFunction = 1  # RELU

    def other_stride(model: Any) -> None:
        options = model.subgraphs[0].operators[3].builtinOptions
        options.strideH = options.strideW = 1

    def fewer(model: Any) -> None:
        del model.subgraphs[0].operators[3:5]

    def with_addition(model: Any) -> None:
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 0  # ADD

    for change in (without_clipping, other_stride, fewer, with_addition):
        path.write_bytes(rewritten(source, change))
        assert "MobileNet v1" in refusal(path).message or "another network" in refusal(path).message


@pytest.mark.data
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.999])
def test_truncated_files_are_refused(tmp_path: Path, part: float) -> None:
    for source in (HOSTED / "mobilenet_v1_0_25_128_quant.tflite", KERAS):
        data = source.read_bytes()
        path = tmp_path / source.name
        path.write_bytes(data[: int(len(data) * part)])
        assert "truncated" in refusal(path).message


@pytest.mark.data
def test_keras_weights_keep_their_batch_norm() -> None:
    import h5py

    point = weights.variant_of(str(KERAS), "mobilenet")
    assert (point.alpha, point.resolution, point.classes) == (0.25, 128, 1000)
    network = point.build()
    found = weights.load(network, point, str(KERAS))
    assert found.preprocessing == TENSORFLOW
    state = network.state_dict()
    with h5py.File(KERAS) as file:
        group = file["model_weights"]
        depthwise = group["conv_dw_3/conv_dw_3/depthwise_kernel:0"][()]
        variance = group["conv_pw_3_bn/conv_pw_3_bn/moving_variance:0"][()]
        classifier = group["conv_preds/conv_preds/kernel:0"][()]
    assert np.array_equal(state["blocks.2.depthwise.conv.weight"].numpy()[:, 0], depthwise[..., 0].transpose(2, 0, 1))
    assert np.array_equal(state["blocks.2.pointwise.bn.running_var"].numpy(), variance)
    assert np.array_equal(state["classifier.weight"].numpy(), classifier[0, 0].T)
    assert {module.eps for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)} == {1e-3}


def test_a_keras_file_without_a_model_around_its_weights_is_read_too(tmp_path: Path) -> None:
    path = keras_file(tmp_path / "weights_only.h5", alpha=0.35, classes=12)
    point = weights.variant_of(str(path), "mobilenet", resolution=96)
    assert (point.alpha, point.resolution, point.classes) == (0.35, 96, 12)
    network = point.build()
    weights.load(network, point, str(path))
    assert bool((network.state_dict()["conv0.bn.running_var"] == 2).all())


def test_a_keras_file_of_something_else_is_refused(tmp_path: Path) -> None:
    import h5py

    assert "no classifier" in refusal(keras_file(tmp_path / "no_top.h5", drop="conv_preds")).message
    assert "gamma" in refusal(keras_file(tmp_path / "part.h5", drop="gamma")).message
    assert "convolutions are missing" in refusal(keras_file(tmp_path / "other.h5", drop="conv_dw_7")).message
    flat = keras_file(tmp_path / "flat.h5")
    with h5py.File(flat, "r+") as file:
        kernel = file["conv_dw_1/conv_dw_1/depthwise_kernel:0"][()]
        del file["conv_dw_1/conv_dw_1/depthwise_kernel:0"]
        file["conv_dw_1/conv_dw_1/depthwise_kernel:0"] = kernel.reshape(3, -1)
    assert "misshapen (blocks.0.depthwise.conv.weight 24x3x1x1" in refusal(flat).message
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    assert "no Keras MobileNet" in refusal(tmp_path / "empty.h5").message


def keras_file(path: Path, alpha: float = 0.25, classes: int = 10, drop: str = "nothing") -> Path:
    """A file in Keras' layout with the shapes of a MobileNet, but for tensors whose name holds `drop`."""
    import h5py

    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in variant("mobilenet", alpha, 64, classes).build().state_dict().items()
    }
    with h5py.File(path, "w") as file:

        def put(layer: str, role: str, shape: tuple[int, ...]) -> None:
            name = f"{layer}/{layer}/{role}:0"
            if drop not in name:
                file[name] = np.full(shape, 2, np.float32)

        layers = {"conv1": "conv0"}
        for block in range(13):
            layers[f"conv_dw_{block + 1}"] = f"blocks.{block}.depthwise"
            layers[f"conv_pw_{block + 1}"] = f"blocks.{block}.pointwise"
        for layer, module in layers.items():
            out, per_group, height, width = shapes[f"{module}.conv.weight"]
            depthwise = "_dw_" in layer
            kernel = (height, width, out, 1) if depthwise else (height, width, per_group, out)
            put(layer, "depthwise_kernel" if depthwise else "kernel", kernel)
            for role in ("gamma", "beta", "moving_mean", "moving_variance"):
                put(f"{layer}_bn", role, (out,))
        put("conv_preds", "kernel", (1, 1, shapes["classifier.weight"][1], classes))
        put("conv_preds", "bias", (classes,))
    return path


@pytest.mark.data
def test_cifar_weights_of_another_trainer_recognize_cifar() -> None:
    from PIL import Image

    path = DATA / "weights" / "resnet20_cifar10.th"
    point = weights.variant_of(str(path), "resnet20_cifar")
    network = point.build()
    scale = weights.load(network, point, str(path)).preprocessing
    rows = np.asarray(Image.open(DATA / "cifar10" / "test_1000.png"))[:200].reshape(200, 32, 32, 3).astype(np.float32)
    labels = [int(line) for line in (DATA / "cifar10" / "test_1000_labels.txt").read_text().split()[:200]]
    x = torch.from_numpy((rows - np.array(scale.mean, np.float32)) / np.array(scale.std, np.float32)).permute(
        0, 3, 1, 2
    )
    with torch.no_grad():
        right = network(x.contiguous()).argmax(1).numpy() == np.array(labels)
    assert right.mean() >= 0.88


@pytest.mark.data
def test_squeezenet_of_deep_compression_fits() -> None:
    path = DATA / "weights" / "squeezenet_1.0_deep_compression.npz"
    point = weights.variant_of(str(path), "squeezenet1_0")
    network = point.build()
    found = weights.load(network, point, str(path))
    assert point.resolution == 227 and found.preprocessing.channels == "BGR"
    with np.load(path) as archive:
        wanted = {name: archive[name] for name in ("conv1_w", "fire5_expand3x3_w", "fire9_squeeze1x1_b", "conv10_w")}
    state = network.state_dict()
    for name, key in zip(wanted, ("0", "7.expand3x3", "12.squeeze", "classifier.1"), strict=True):
        prefix = "" if key.startswith("classifier") else "features."
        role = "weight" if name.endswith("_w") else "bias"
        assert np.array_equal(state[f"{prefix}{key}.{role}"].numpy(), wanted[name])
