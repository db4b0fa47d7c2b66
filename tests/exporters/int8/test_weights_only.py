"""int8w: files answer as the float network does with its weights rounded, whatever the layers are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.interpreter import OpResolverType as Kernels
from torch import Tensor, nn

from edgekit.errors import UsageError
from edgekit.exporters import FORMATS, WriteJob
from edgekit.exporters.int8.weights_only import weight_facts, weights_only
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from tests.exporters.small_networks import Residual

Build = Callable[[], nn.Module]


class Shared(nn.Module):
    """One weight in a convolution, in its transpose, and in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.conv(x).relu())
        return nn.functional.conv_transpose2d(y, self.conv.weight, stride=2)


class Sequences(nn.Module):
    """A linear layer of three axes, and a layer without an int8 form."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.gru = nn.Linear(6, 8), nn.GRU(8, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.gru(self.inner(x))[0]
        return y


def depthwise() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 16, 3, groups=8), nn.Conv2d(16, 4, 1)
    )


def head() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, groups=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))


def dead() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3))
    with torch.no_grad():
        network[0].weight[1] = 0  # type: ignore[operator]
        network[1].weight[2] *= 1e-20  # type: ignore[index, operator]
    return network


NETWORKS: dict[str, tuple[Build, tuple[int, ...]]] = {
    "depthwise": (depthwise, (1, 3, 9, 9)),
    "grouped": (lambda: nn.Sequential(nn.Conv2d(8, 8, 3, groups=4), Residual(8)), (1, 8, 8, 8)),
    "flattened": (head, (1, 3, 8, 8)),
    "signal": (lambda: nn.Sequential(nn.Conv1d(3, 6, 5, padding=2), nn.ReLU(), nn.Conv1d(6, 2, 1)), (1, 3, 20)),
    "upwards": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, bias=False), (1, 4, 5, 5)),
    "volume": (lambda: nn.Sequential(nn.Conv3d(2, 4, 3), nn.Conv3d(4, 4, 3, groups=2)), (1, 2, 7, 6, 6)),
    "volume upwards": (lambda: nn.ConvTranspose3d(2, 3, 2, stride=2), (1, 2, 3, 4, 4)),
    "shared": (Shared, (1, 4, 6, 6)),
    "sequences": (Sequences, (1, 7, 6)),
    "dead channels": (dead, (1, 3, 6, 6)),
    "a row": (lambda: nn.Linear(12, 3), (12,)),
}


def folded(build: Build, shape: tuple[int, ...]) -> Graph:
    torch.manual_seed(0)
    return fold(trace(build().eval(), shape)).graph


def answer(path: Path, x: Tensor) -> np.ndarray[Any, Any]:
    """What a file gives for torch's x, in torch's axes; TFLite by its reference kernels."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    interpreter = Interpreter(str(path), experimental_op_resolver_type=Kernels.BUILTIN_REF)
    interpreter.allocate_tensors()
    maps = x.dim() > 3
    given = np.moveaxis(x.numpy(), 1, -1) if maps else x.numpy()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.ascontiguousarray(given))
    interpreter.invoke()
    y = np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.moveaxis(y, -1, 1) if y.ndim > 3 else y


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_answers_like_the_rounded_weights(name: str, suffix: str, tmp_path: Path) -> None:
    build, shape = NETWORKS[name]
    graph = folded(build, shape)
    quantized, path = weights_only(graph), tmp_path / f"n{suffix}"
    FORMATS[suffix[1:]].write(WriteJob(quantized.graph, "int8w", quantized), path)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    want, plain = quantized.graph.run(x).numpy(), graph.run(x).numpy()
    got, largest = answer(path, x), np.abs(want).max()
    assert got.shape == want.shape
    assert np.abs(got - want).max() < 1e-5 * largest
    assert 0 < np.abs(got - plain).max() < 0.05 * np.abs(plain).max()


def test_a_weight_is_rounded_along_its_own_channels() -> None:
    graph = folded(*NETWORKS["upwards"])
    (weight,) = weights_only(graph).weights.values()
    real = graph.params[graph.ops[1].params["weight"]].detach()
    assert weight.axis == 1
    assert len(weight.scale) == 3
    steps = weight.along(weight.scale)
    assert bool(((weight.real() - real).abs() <= steps).all())


def test_a_weight_that_layers_share_is_written_once(tmp_path: Path) -> None:
    quantized, path = weights_only(folded(*NETWORKS["shared"])), tmp_path / "n.onnx"
    FORMATS["onnx"].write(WriteJob(quantized.graph, "int8w", quantized), path)
    kinds = [tensor.data_type for tensor in onnx.load(path).graph.initializer if len(tensor.dims) == 4]
    assert kinds.count(onnx.TensorProto.INT8) == 2  # as it is, and along its other axis
    assert sum(node.op_type == "Cast" for node in onnx.load(path).graph.node) == 2


def test_the_manifest_is_told_what_stays_in_float() -> None:
    graph = folded(*NETWORKS["sequences"])
    facts = weight_facts(graph, weights_only(graph))
    assert facts["layers"] == 1
    assert list(facts["float"].values()) == ["gru"]
    assert 0.1 < facts["share"] < 0.3
    assert 35 < facts["snr_db"] < 60


def test_a_weight_that_is_not_finite_is_refused() -> None:
    graph = folded(lambda: nn.Conv2d(1, 1, 1), (1, 1, 2, 2))
    graph.params[graph.ops[1].params["weight"]].detach()[:] = torch.inf
    with pytest.raises(UsageError, match="not finite"):
        weights_only(graph)
