"""The TFLite file as a whole: what is refused, what stands in it, how it is laid out, what writing costs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor, nn

from edgekit.checkpoints.load import load
from edgekit.errors import BackendMissing, UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.tflite.writer import write
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.models import alexnet, densenet, lenet, mobilenet_v1, resnet_cifar, resnet_v2  # noqa: F401 - register
from edgekit.network.spec import variant

MAP = (1, 3, 8, 8)


def model_of(path: Path) -> Any:
    return schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)


def network(name: str, **more: Any) -> Graph:
    """A registered network with random weights that keep its activations alive."""
    point = variant(name, **more)
    module = point.build()
    load(module, point, "random")
    return fold(trace(module.eval(), point.input_shape)).graph


def feed(graph: Graph) -> Tensor:
    return torch.randn(graph.input.shape, generator=torch.Generator().manual_seed(4))


def error(got: Any, want: Any) -> float:
    """The largest error over the largest output."""
    assert np.ptp(want) > 0
    return float(np.abs(got - want).max() / np.abs(want).max())


def agrees(opened: Any, graph: Graph) -> bool:
    """Whether the file is as near to the exact answer as torch's own float32 is, but for the order of its sums."""
    x = feed(graph)
    exact = graph.to(torch.float64).run(x.double()).numpy()
    return error(opened.run(x.numpy()), exact) <= 4 * error(graph.run(x).numpy(), exact) + 1e-6


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU6(), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 5)
    )


# What is refused


class Refused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.LocalResponseNorm(4, beta=0.6)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.special.bessel_j0(self.gate(x))
        return y


def test_all_that_tflite_lacks_is_named_before_anything_is_written(tmp_path: Path) -> None:
    graph = trace(Refused().eval(), MAP)
    with pytest.raises(BackendMissing) as caught:
        write(WriteJob(graph, "fp32"), tmp_path / "a.tflite")
    refused = "gate (lrn): an even window of 4 channels with a beta of 0.6, special_bessel_j0 (special_bessel_j0)"
    message = re.sub(r" \(asked for in test_writer\.py:\d+\)", "", caught.value.message)
    assert message == f"TFLite cannot run {refused}: no such operator"
    assert caught.value.exit_code == 5
    assert "onnx" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_weights_beyond_float16_are_refused(tmp_path: Path, graph_of: Any) -> None:
    layer = nn.Conv2d(3, 4, 1)
    nn.init.constant_(layer.weight, 1e30)
    with pytest.raises(UsageError, match=r"weight of 0 is 1e\+30"):
        write(WriteJob(graph_of(nn.Sequential(layer), MAP), "fp16"), tmp_path / "a.tflite")


def test_operands_beyond_float16_stay_in_float32(open_tflite: Any, graph_of: Any) -> None:
    class Masked(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            low = torch.zeros(64, 64).masked_fill(torch.ones(64, 64).triu(1).bool(), -1e9)
            return (x.flatten(2).mT @ x.flatten(2) + low).softmax(-1)

    graph = graph_of(Masked(), (1, 3, 8, 8))
    assert agrees(open_tflite(graph, "fp16"), graph)


# What stands in the file


@pytest.mark.parametrize(("alpha", "resolution"), [(1.0, 224), (0.5, 160), (0.25, 97)])
def test_mobilenet_is_one_delegated_graph(alpha: float, resolution: int, open_tflite: Any) -> None:
    graph = network("mobilenet", alpha=alpha, resolution=resolution)
    opened = open_tflite(graph)
    assert opened.written.operators == {
        "CONV_2D": 14, "DEPTHWISE_CONV_2D": 13, "FULLY_CONNECTED": 1, "MEAN": 1, "RESHAPE": 1
    }  # fmt: skip
    assert opened.delegated
    assert agrees(opened, graph)


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("lenet5", ("PAD", "TRANSPOSE")),
        ("densenet40_12_cifar", ("PAD", "TRANSPOSE", "MUL")),
        ("alexnet", ("TRANSPOSE", "LOCAL_RESPONSE_NORMALIZATION")),
        ("se_resnet18", ("TRANSPOSE", "PADV2")),
    ],
)
def test_other_families_are_delegated_too(name: str, absent: tuple[str, ...], open_tflite: Any) -> None:
    graph = network(name)
    opened = open_tflite(graph)
    assert not set(absent) & set(opened.written.operators)
    assert opened.delegated
    assert agrees(opened, graph)


def test_half_precision_halves_the_file(open_tflite: Any) -> None:
    graph = network("mobilenet", alpha=0.25, resolution=128)
    full = open_tflite(graph)
    whole = full.path.stat().st_size
    half = open_tflite(graph, "fp16")
    assert half.path.stat().st_size < 0.55 * whole
    assert half.written.operators["DEQUANTIZE"] == 28
    assert half.delegated
    x = feed(graph)
    rounded = replace(graph, params={name: t.half().float() if t.dim() > 1 else t for name, t in graph.params.items()})
    assert error(half.run(x.numpy()), rounded.run(x).numpy()) <= 1e-4 < error(half.run(x.numpy()), graph.run(x).numpy())


def test_the_record_says_what_a_caller_hands_over(open_tflite: Any, graph_of: Any) -> None:
    opened = open_tflite(graph_of(small(), MAP), description="a small one")
    (taken,), (given,) = opened.written.inputs, opened.written.outputs
    assert (taken.name, taken.dtype, taken.shape, taken.layout) == ("input", "float32", (1, 8, 8, 3), "NHWC")
    assert (given.name, given.dtype, given.shape, given.layout) == ("5", "float32", (1, 5), "NC")
    runner = opened.interpreter.get_signature_runner("serving_default")
    assert list(runner.get_input_details()) == ["input"]
    assert list(runner.get_output_details()) == ["5"]


def test_names_lead_back_to_layers(open_tflite: Any, graph_of: Any) -> None:
    model = model_of(open_tflite(graph_of(small(), MAP), description="a small one").path)
    graph = model.subgraphs[0]
    made = [graph.tensors[op.outputs[0]].name.decode() for op in graph.operators]
    assert made == ["0;1", "2;3", "4", "5"]
    assert model.description == b"a small one"
    assert {t.name.decode() for t in graph.tensors} >= {"0/weight", "0/bias", "5/weight"}
    assert len({t.name for t in graph.tensors}) == len(graph.tensors)


# How it is laid out


def test_the_same_network_gives_the_same_bytes(tmp_path: Path, graph_of: Any) -> None:
    graph = graph_of(small(), MAP)
    for name in ("a", "b"):
        write(WriteJob(graph, "fp32"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# Constants


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_weights_that_are_not_contiguous(precision: str, open_tflite: Any, graph_of: Any) -> None:
    layers: list[nn.Conv2d | nn.Linear] = [nn.Conv2d(8, 8, 3, padding=1, groups=8) for _ in range(3)]
    layers.append(nn.Linear(8 * 64, 8))
    torch.manual_seed(1)
    for layer in layers:
        turned = torch.randn_like(layer.weight.data.transpose(0, -1).contiguous())
        layer.weight.data = turned.transpose(0, -1)
        assert not layer.weight.is_contiguous()
    network = nn.Sequential(*layers[:3], nn.Flatten(), layers[3])
    graph = graph_of(network, (1, 8, 8, 8))
    x = feed(graph)
    got = open_tflite(graph, precision).run(x.numpy())
    assert error(got, graph.run(x).numpy()) <= (1e-5 if precision == "fp32" else 3e-3)
