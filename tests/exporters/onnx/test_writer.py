"""Every operator's ONNX form computes what torch computes, at every opset that is promised."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import edgekit
from edgekit.errors import EnvironmentRefused, GateFailed, UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.onnx.ops import CONVERTERS
from edgekit.exporters.onnx.writer import write
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.util import apart

SHAPE = (2, 6, 9, 8)


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Own(nn.Module):
    """Arithmetic with a tensor of its own, on both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(6, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return (self.gain - x * self.gain) / (x.sigmoid() + 1.5) + 2 / (x.sigmoid() + self.gain)


def per_position() -> nn.Module:
    linear = nn.Linear(8, 5)
    return nn.Sequential(linear, Function(lambda x: x.transpose(1, 2)), nn.Linear(6, 3, bias=False))


OPERATORS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv": (lambda: nn.Conv2d(6, 4, 3, stride=2, padding=(1, 2), dilation=2), SHAPE),
    "conv same": (lambda: nn.Conv2d(6, 6, 4, padding="same", groups=3, bias=False), SHAPE),
    "conv after pad": (lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(6, 4, 3, stride=2)), SHAPE),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, padding=1), (2, 4, 11)),
    "conv3d": (lambda: nn.Conv3d(3, 4, 3, padding=1), (1, 3, 5, 6, 7)),
    "conv transpose": (lambda: nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, groups=2), SHAPE),
    "linear": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(6 * 72, 5)), SHAPE),
    "linear per position": (per_position, (2, 6, 8)),
    "batch norm": (lambda: nn.BatchNorm2d(6), SHAPE),
    "batch norm without affine": (lambda: nn.BatchNorm2d(6, affine=False), SHAPE),
    "max pool": (lambda: nn.MaxPool2d(3, 2, padding=1), SHAPE),
    "max pool ceil": (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), SHAPE),
    "max pool dilated": (lambda: nn.MaxPool2d(2, 1, dilation=2), SHAPE),
    "max pool with wide padding": (
        lambda: nn.Sequential(nn.ConstantPad2d((3, 0, 3, 0), -math.inf), nn.MaxPool2d(2, 1)),
        SHAPE,
    ),
    "max pool after zeros": (lambda: nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2)), SHAPE),
    "padded max pool after zeros": (lambda: nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2, padding=1)), SHAPE),
    "avg pool after zeros": (
        lambda: nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)),
        SHAPE,
    ),
    "max pool 3d": (lambda: nn.MaxPool3d(2), (1, 3, 4, 6, 6)),
    "avg pool": (lambda: nn.AvgPool2d(3, 2, padding=1), SHAPE),
    "avg pool without padding": (lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), SHAPE),
    "avg pool ceil": (lambda: nn.AvgPool2d(2, 2, ceil_mode=True), SHAPE),
    "avg pool with a divisor": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=4), SHAPE),
    "global average": (lambda: nn.AdaptiveAvgPool2d(1), SHAPE),
    "mean of space": (lambda: Function(lambda x: x.mean((2, 3))), SHAPE),
    "mean of channels": (lambda: Function(lambda x: x.mean(1, keepdim=True)), SHAPE),
    "adaptive average": (lambda: nn.AdaptiveAvgPool2d((3, 2)), SHAPE),
    "adaptive average of uneven windows": (lambda: nn.AdaptiveAvgPool2d((5, 7)), SHAPE),
    "adaptive average of fewer values than means": (lambda: nn.AdaptiveAvgPool3d((2, 3, 9)), (1, 2, 3, 2, 4)),
    "lrn": (lambda: nn.LocalResponseNorm(5, alpha=0.1, k=2.0), SHAPE),
    "lrn even": (lambda: nn.LocalResponseNorm(4, alpha=0.1), SHAPE),
    "relu": (nn.ReLU, SHAPE),
    "relu6": (nn.ReLU6, SHAPE),
    "clip above": (lambda: Function(lambda x: x.clamp(max=0.3)), SHAPE),
    "clip below": (lambda: Function(lambda x: x.clamp(min=0.3)), SHAPE),
    "hardswish": (nn.Hardswish, SHAPE),
    "hardsigmoid": (nn.Hardsigmoid, SHAPE),
    "sigmoid": (nn.Sigmoid, SHAPE),
    "tanh": (nn.Tanh, SHAPE),
    "silu": (nn.SiLU, SHAPE),
    "gelu": (nn.GELU, SHAPE),
    "gelu tanh": (lambda: nn.GELU("tanh"), SHAPE),
    "leaky relu": (lambda: nn.LeakyReLU(0.2), SHAPE),
    "elu": (lambda: nn.ELU(0.7), SHAPE),
    "prelu": (lambda: nn.PReLU(6), SHAPE),
    "softmax": (lambda: nn.Softmax(1), SHAPE),
    "log softmax": (lambda: nn.LogSoftmax(-1), SHAPE),
    "arithmetic": (Own, SHAPE),
    "add": (lambda: Function(lambda x: x + F.relu(x) - x * 0.5 + 1.0), SHAPE),
    "cat": (lambda: Function(lambda x: torch.cat([x, x.tanh()], 1)), SHAPE),
    "pad": (lambda: nn.ConstantPad2d((1, 2, 0, 1), 0.5), SHAPE),
    "reshape": (lambda: Function(lambda x: x.reshape(-1, 3, 2 * 72)), SHAPE),
    "channel shuffle": (lambda: Function(lambda x: x.view(-1, 2, 3, 9, 8).transpose(1, 2).flatten(1, 2)), SHAPE),
    "slice": (lambda: Function(lambda x: x[:, 1:5:2, :, 3:]), SHAPE),
    "split": (lambda: Function(lambda x: torch.cat(x.chunk(3, 1)[::-1], 1)), SHAPE),
    "upsample": (lambda: nn.Upsample(scale_factor=2), SHAPE),
    "upsample by an inexact ratio": (lambda: nn.Upsample(size=(14, 8)), (2, 6, 20, 8)),
    "upsample bilinear by an inexact ratio": (lambda: nn.Upsample(size=(14, 11), mode="bilinear"), (2, 6, 20, 8)),
    "upsample by two inexact ratios": (lambda: nn.Upsample(size=(32, 16)), (1, 2, 14, 14)),
    "upsample bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), SHAPE),
    "upsample corners": (lambda: nn.Upsample(scale_factor=3, mode="bilinear", align_corners=True), SHAPE),
    "anything else": (lambda: Function(lambda x: torch.sqrt(torch.abs(x) + 1.0)), SHAPE),
    "a module of its own": (lambda: nn.GroupNorm(2, 6), SHAPE),
    "without a form in half precision": (nn.CELU, SHAPE),
    "an epsilon below float16": (lambda: Function(lambda x: F.normalize(x.relu() * (x > 9), dim=1) + x), SHAPE),
    "cast to float": (lambda: nn.Sequential(Function(lambda x: x.float()), nn.Conv2d(6, 4, 1)), SHAPE),
}


def graph_of(name: str) -> Graph:
    torch.manual_seed(0)
    build, shape = OPERATORS[name]
    return trace(nn.Sequential(build()).eval(), shape)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    """Within `tolerance` of the largest finite value; infinities must be the same."""
    scale = float(expected[expected.isfinite()].abs().max())
    torch.testing.assert_close(actual, expected, rtol=0.0, atol=tolerance * scale)


def run(path: Path, x: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return torch.from_numpy(np.asarray(output))


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    ).eval()


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize("name", OPERATORS)
def test_operator_equals_torch(name: str, opset: int, tmp_path: Path) -> None:
    graph = graph_of(name)
    written = write(WriteJob(graph, "fp32", opset=opset), tmp_path / "n.onnx")
    torch.manual_seed(1)
    x = torch.randn(graph.input.shape)
    for given in (x, -x.abs() - 1) if "after zeros" in name else (x,):
        assert_close(run(tmp_path / "n.onnx", given), graph.run(given), 1e-5)
    assert written.outputs[0].shape == graph[graph.output].shape


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_with_a_free_batch(name: str, tmp_path: Path) -> None:
    graph = graph_of(name)
    written = write(WriteJob(graph, "fp32", dynamic_batch=True), tmp_path / "n.onnx")
    assert written.inputs[0].shape == (-1, *graph.input.shape[1:])
    for batch in (1, 7):
        torch.manual_seed(1)
        x = torch.randn(batch, *graph.input.shape[1:])
        expected = graph.run(x)
        assert_close(run(tmp_path / "n.onnx", x), expected, 1e-5)


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_in_half_precision(name: str, tmp_path: Path) -> None:
    graph = graph_of(name)
    written = write(WriteJob(graph, "fp16"), tmp_path / "n.onnx")
    torch.manual_seed(1)
    x = torch.randn(graph.input.shape)
    expected = graph.run(x)
    assert_close(run(tmp_path / "n.onnx", x), expected, 1e-2)
    assert (written.inputs[0].dtype, written.outputs[0].dtype) == ("float32", "float32")
    constants = onnx.load(tmp_path / "n.onnx").graph.initializer
    assert onnx.TensorProto.FLOAT not in {tensor.data_type for tensor in constants if tensor.name in graph.params}


def test_a_normalization_that_no_layer_takes_equals_torch(tmp_path: Path) -> None:
    network = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU())
    for name, values in network.state_dict().items():
        if not name.endswith("tracked"):
            nn.init.uniform_(values, 0.5, 2.0)
    graph = fold(trace(network.eval(), SHAPE)).graph
    write(WriteJob(graph, "fp32"), tmp_path / "n.onnx")
    assert "scale" in {op.kind for op in graph}
    x = torch.randn(SHAPE)
    with torch.no_grad():
        assert_close(run(tmp_path / "n.onnx", x), network(x), 1e-5)


def test_a_resize_that_takes_the_same_places_stays_one(tmp_path: Path) -> None:
    for size in ((18, 16), (13, 8), (3, 4)):
        graph = trace(nn.Sequential(nn.Upsample(size=size)).eval(), SHAPE)
        assert write(WriteJob(graph, "fp32"), tmp_path / "n.onnx").operators == {"Resize": 1}


def test_padding_belongs_to_its_operator(tmp_path: Path) -> None:
    for name in ("conv after pad", "conv same", "max pool ceil", "avg pool ceil"):
        assert "Pad" not in write(WriteJob(graph_of(name), "fp32"), tmp_path / "n.onnx").operators


def test_names_are_those_of_the_layers(tmp_path: Path) -> None:
    folded = fold(trace(small_network(), (1, 3, 8, 8))).graph
    written = write(WriteJob(folded, "fp32", description="a test"), tmp_path / "n.onnx")
    model = onnx.load(tmp_path / "n.onnx")
    assert [node.name for node in model.graph.node] == [op.name for op in folded.ops[1:]]
    assert set(folded.params) <= {tensor.name for tensor in model.graph.initializer}
    assert (model.graph.input[0].name, model.graph.output[0].name) == (folded.input.name, folded.output)
    assert "BatchNormalization" not in written.operators
    assert (model.producer_name, model.doc_string, model.ir_version) == ("edgekit", "a test", 8)


def test_the_file_is_whole_and_always_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in ("a", "b"):
        folded = fold(trace(small_network(), (1, 3, 8, 8))).graph
        write(WriteJob(folded, "fp32"), tmp_path / folder / "n.onnx")
    onnx.checker.check_model(str(tmp_path / "a" / "n.onnx"), full_check=True)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["n.onnx"]
    assert (tmp_path / "a" / "n.onnx").read_bytes() == (tmp_path / "b" / "n.onnx").read_bytes()


def test_weights_that_are_not_contiguous(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    for layer in network:
        layer.weight = nn.Parameter(torch.randn(3, 3, 4, 4).permute(3, 2, 0, 1))
    graph = trace(network.eval(), (1, 4, 9, 9))
    write(WriteJob(graph, "fp32"), tmp_path / "n.onnx")
    x = torch.randn(1, 4, 9, 9)
    assert torch.allclose(run(tmp_path / "n.onnx", x), graph.run(x), atol=1e-5)


def test_a_weight_that_two_layers_share_is_written_once(tmp_path: Path) -> None:
    layer = nn.Conv2d(4, 4, 3, padding=1)
    graph = trace(nn.Sequential(layer, nn.ReLU(), layer).eval(), (1, 4, 9, 9))
    write(WriteJob(graph, "fp32"), tmp_path / "n.onnx")
    names = [tensor.name for tensor in onnx.load(tmp_path / "n.onnx").graph.initializer]
    assert len(names) == len(set(names)) == 2


@pytest.mark.parametrize("opset", [0, 12, 21])
def test_an_opset_outside_the_range_is_refused(opset: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"opset {opset}"):
        write(WriteJob(graph_of("relu"), "fp32", opset=opset), tmp_path / "n.onnx")


def test_an_operator_that_onnx_lacks_is_named(tmp_path: Path) -> None:
    graph = trace(Function(lambda x: torch.special.bessel_j0(x)).eval(), SHAPE)
    with pytest.raises(UsageError, match="special_bessel_j0"):
        write(WriteJob(graph, "fp32"), tmp_path / "n.onnx")
    assert not list(tmp_path.iterdir())


def test_an_operator_that_torch_writes_wrongly_is_named(tmp_path: Path) -> None:
    pool = torch.ops.aten.avg_pool2d.default  # torch's exporter leaves its divisor out
    call = Op("y", "call", ("x",), (2, 6, 4, 4), attrs={"label": "avg_pool2d", "function": lambda x: pool(
        x, [2, 2], divisor_override=3)})  # fmt: skip
    graph = Graph((Op("x", "input", (), SHAPE), call), {"y": "y"}, {})
    for precision in ("fp32", "fp16"):
        with pytest.raises(UsageError, match="avg_pool2d.*other values than torch"):
            write(WriteJob(graph, precision), tmp_path / "n.onnx")
    assert not list(tmp_path.glob("*.onnx"))


def test_an_operator_whose_file_crashes_what_runs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "CHILD", "import os\nos.kill(os.getpid(), 11)")
    call = Op("y", "call", ("x",), SHAPE, attrs={"label": "cosine", "function": torch.cos})
    with pytest.raises(UsageError, match="'cosine' has no form in ONNX: what runs it ended with -11"):
        write(WriteJob(Graph((Op("x", "input", (), SHAPE), call), {"y": "y"}, {}), "fp32"), tmp_path / "n.onnx")


def test_what_the_checker_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONVERTERS, "relu", lambda e, op, x, own, out: e.node("Relu", [*x, *x], out, op.name))
    graph = graph_of("relu")
    with pytest.raises(GateFailed, match=f"Name: {graph.output} OpType: Relu"):
        write(WriteJob(graph, "fp32"), tmp_path / "n.onnx")


def test_float16_cannot_hold_every_weight(tmp_path: Path) -> None:
    layer = nn.Conv2d(6, 2, 1)
    with torch.no_grad():
        layer.weight[0, 0] = 1e5
    with pytest.raises(UsageError, match="weight"):
        write(WriteJob(trace(layer.eval(), SHAPE), "fp16"), tmp_path / "n.onnx")


def test_integer_io_needs_int8(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="uint8"):
        write(WriteJob(graph_of("relu"), "fp32", io="uint8"), tmp_path / "n.onnx")


def test_a_reshaped_batch_cannot_be_free(tmp_path: Path) -> None:
    graph = trace(Function(lambda x: x.reshape(4, 3, 72)).eval(), SHAPE)
    with pytest.raises(UsageError, match="reshapes the batch"):
        write(WriteJob(graph, "fp32", dynamic_batch=True), tmp_path / "n.onnx")


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises((EnvironmentRefused, UsageError)):
        write(WriteJob(graph_of("relu"), "fp32"), tmp_path / "missing" / "n.onnx")


WEIGHT = torch.linspace(-1, 1, 30).reshape(5, 6)
IN_FRONT: dict[str, Callable[[Tensor], Tensor]] = {
    "an axis in front of the batch": lambda x: F.linear(x.transpose(0, 1), WEIGHT),
    "behind other moves": lambda x: F.linear(x[:, 1:].reshape(1, 4, 12)[..., :6].permute(1, 0, 2), WEIGHT),
    "before a product": lambda x: torch.matmul(x.transpose(0, 1), WEIGHT.t()),
    "of several windows": lambda x: F.linear(x.reshape(3, 3, 6).transpose(0, 1), WEIGHT),
}


@pytest.mark.parametrize("case", IN_FRONT)
def test_float16_files_with_a_moved_batch_do_not_crash_onnxruntime(case: str, tmp_path: Path) -> None:
    """It does where it joins a Transpose of the batch with a MatMul; so the file is opened by another process."""
    found = edgekit.export(
        Function(IN_FRONT[case]).eval(), input=(1, 9, 6), format="onnx", precision="fp16", out=tmp_path
    )
    assert not found.failed
