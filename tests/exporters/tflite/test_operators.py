"""Every kind of operator as LiteRT computes it, against torch, over shapes, strides, paddings and groups."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.exporters.tflite.lowering_table import LOWERINGS
from tests.exporters.kinds import BITS
from tests.exporters.kinds import CASES as KINDS

MAP = (1, 3, 5, 7)
CUBE = (1, 3, 5, 6, 7)
Cases = dict[str, tuple[nn.Module, tuple[int, ...]]]


class By(nn.Module):
    """A network that is one function of its input and its own tensors."""

    def __init__(self, function: Callable[..., Tensor], *own: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        generator = torch.Generator().manual_seed(1)
        self.count = len(own)
        for index, shape in enumerate(own):
            setattr(self, f"own{index}", nn.Parameter(torch.randn(shape, generator=generator)))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *[getattr(self, f"own{index}") for index in range(self.count)])


def convolutions() -> Cases:
    cases: Cases = {
        f"conv {size} k{k} s{s} p{p}": (nn.Conv2d(4, 6, k, s, p), (1, 4, size, size + 1))
        for size, k, s, p in product((7, 8), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2))
        if p <= k // 2 + 1
    }
    return cases | {
        "dilation 2, same": (nn.Conv2d(4, 6, 3, 1, 2, dilation=2), (1, 4, 9, 9)),
        "dilation 3, padded less": (nn.Conv2d(4, 6, 3, 1, 1, dilation=3), (1, 4, 12, 9)),
        "even kernel, same": (nn.Conv2d(4, 6, 4, 1, "same"), (1, 4, 9, 9)),
        "2 groups": (nn.Conv2d(4, 6, 3, 1, 1, groups=2), (1, 4, 9, 9)),
        "4 groups, stride 2, no bias": (nn.Conv2d(8, 8, 3, 2, 1, groups=4, bias=False), (1, 8, 10, 9)),
        "depthwise": (nn.Conv2d(4, 4, 3, 2, 1, groups=4), (1, 4, 9, 9)),
        "depthwise, symmetric padding at stride 2": (nn.Conv2d(4, 4, 3, 2, 1, groups=4), (1, 4, 8, 8)),
        "depthwise, multiplier 3": (nn.Conv2d(4, 12, 3, 1, 1, groups=4), (1, 4, 9, 9)),
        "depthwise, dilation 2": (nn.Conv2d(4, 4, 3, 1, 2, groups=4, dilation=2), (1, 4, 9, 9)),
        "depthwise, two strides": (nn.Conv2d(4, 4, 3, (1, 2), 1, groups=4), (1, 4, 9, 9)),
        "one channel": (nn.Conv2d(1, 1, 3, 1, 1), (1, 1, 9, 9)),
        "1x5": (nn.Conv2d(4, 6, (1, 5), (1, 2), (0, 2)), (1, 4, 9, 13)),
        "TensorFlow's padding": (By(lambda x, w: F.conv2d(F.pad(x, (0, 1, 0, 1)), w, None, 2), (5, 4, 3, 3)),
                                 (1, 4, 8, 8)),
        "asymmetric padding": (By(lambda x, w: F.conv2d(F.pad(x, (0, 1, 2, 0)), w, None, 2), (5, 4, 3, 3)),
                               (1, 4, 9, 9)),
        "1-D chain": (nn.Sequential(nn.Conv1d(4, 6, 3, 2, 1), nn.ReLU(), nn.Conv1d(6, 6, 3, groups=6),
                                    nn.MaxPool1d(2), nn.AvgPool1d(3, 2, 1)), (1, 4, 33)),
        "3-D": (nn.Conv3d(3, 5, 3, 1, 1), CUBE),
        "3-D, stride 2": (nn.Conv3d(3, 5, 3, 2, 1), (1, 3, 6, 6, 7)),
        "3-D, dilation 2": (nn.Conv3d(3, 5, 2, 1, 1, dilation=2), (1, 3, 6, 6, 7)),
        "3-D, frame by frame": (nn.Conv3d(3, 5, (1, 3, 3), 1, (0, 1, 1)), CUBE),
        "3-D, frames that nothing reads": (nn.Conv3d(3, 5, (2, 3, 3), (3, 1, 2)), (1, 3, 6, 6, 7)),
        "3-D, frames alone": (nn.Conv3d(3, 5, (3, 1, 1), 1, (1, 0, 0), bias=False), CUBE),
        "3-D, relu, batch of 2": (nn.Sequential(nn.Conv3d(3, 5, 3, 1, 1), nn.ReLU()), (2, *CUBE[1:])),
        "relu6 fused": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.Conv2d(4, 2, 1), nn.Hardtanh()), MAP),
        "two readers, not fused": (By(lambda x, w: F.relu(F.conv2d(x, w)) + F.conv2d(x, w), (3, 3, 1, 1)), MAP),
        "batch of 2": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(24, 3)), (2, 3, 5, 4)),
    }  # fmt: skip


def transposed() -> Cases:
    whole: Cases = {
        f"transposed k{k} s{s} p{p} o{o} d{d}": (nn.ConvTranspose2d(4, 6, k, s, p, o, dilation=d), (1, 4, 5, 6))
        for k, s, p, o, d in [(2, 2, 0, 0, 1), (3, 2, 1, 1, 1), (4, 2, 1, 0, 1), (3, 2, 1, 0, 1), (3, 1, 1, 0, 1),
                              (3, 2, 0, 1, 1), (2, 3, 0, 0, 1), (2, 3, 0, 2, 1), (5, 2, 2, 1, 1), (3, 2, 1, 1, 2)]
    }  # fmt: skip
    return whole | {
        "transposed, 2 groups": (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), (1, 4, 5, 6)),
        "transposed 1-D": (nn.ConvTranspose1d(4, 6, 3, 2, 1, 1), (1, 4, 5)),
        "transposed and relu": (nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, 1, 1), nn.ReLU()), (1, 4, 5, 6)),
    }


def pooling() -> Cases:
    windows = [(2, 2, 0, False), (3, 2, 1, False), (3, 2, 0, True), (3, 1, 1, False), (2, 2, 1, True), (5, 3, 2, False)]
    cases: Cases = {}
    for size, (k, s, p, ceil) in product((7, 8, 13), windows):
        shape = (1, 3, size, size + 2)
        words = f"{size} k{k} s{s} p{p}{' ceil' if ceil else ''}"
        cases[f"max {words}"] = nn.MaxPool2d(k, s, p, ceil_mode=ceil), shape
        cases[f"max after relu {words}"] = nn.Sequential(nn.ReLU(), nn.MaxPool2d(k, s, p, ceil_mode=ceil)), shape
        cases[f"average {words}"] = nn.AvgPool2d(k, s, p, ceil_mode=ceil), shape
        cases[f"average inside {words}"] = nn.AvgPool2d(k, s, p, ceil_mode=ceil, count_include_pad=False), shape
    return cases | {
        "max of windows padded by infinity, put together": (By(
            lambda x: F.pad(x, (1, 1, 1, 1), value=-torch.inf)[:, :, ::2, 1::2].maximum(x[:, :, :4, :4] - 9)), MAP),
        "unpooled": (By(lambda x: F.max_unpool2d(
            *F.max_pool2d(x, 3, 2, 1, return_indices=True), (3, 3), (2, 2), (1, 1))), MAP),
        "max 3-D": (nn.MaxPool3d(3, 2, 1), CUBE),
        "max 3-D, batch of 2": (nn.MaxPool3d(3, 2, 1), (2, *CUBE[1:])),
        "max 3-D, ceil": (nn.MaxPool3d(2, 2, ceil_mode=True), CUBE),
        "max 3-D, planes only": (nn.MaxPool3d((1, 2, 2), (1, 2, 2)), CUBE),
        "max 3-D, depth only": (nn.MaxPool3d((2, 1, 1), (2, 1, 1)), CUBE),
        "average 3-D": (nn.AvgPool3d(3, 2, 1), CUBE),
        "average 3-D inside": (nn.AvgPool3d(3, 2, 1, count_include_pad=False), CUBE),
        "average with a divisor": (nn.AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=4), MAP),
        "global average": (nn.AdaptiveAvgPool2d(1), MAP),
        "global average 3-D": (nn.AdaptiveAvgPool3d(1), CUBE),
        "uneven average": (nn.AdaptiveAvgPool2d((3, 4)), MAP),
        "uneven average 3-D": (nn.AdaptiveAvgPool3d((2, 3, 2)), (1, 3, 5, 4, 3)),
        "uneven average, flattened": (
            nn.Sequential(nn.AdaptiveAvgPool2d((3, 4)), nn.Flatten(), nn.Linear(36, 7)), MAP),
        "mean of channels": (By(lambda x: x.mean(1)), MAP),
        "mean of rows": (By(lambda x: x.mean(2, keepdim=True)), MAP),
        "mean of all": (By(lambda x: (x * x).mean((1, 2, 3))), (2, 3, 5, 7)),
    }  # fmt: skip


def elementwise() -> Cases:
    kinds: dict[str, nn.Module] = {
        "relu": nn.ReLU(), "relu6": nn.ReLU6(), "hardtanh": nn.Hardtanh(), "clip": nn.Hardtanh(-0.3, 0.7),
        "hardswish": nn.Hardswish(), "hardsigmoid": nn.Hardsigmoid(), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(),
        "silu": nn.SiLU(), "gelu": nn.GELU(), "gelu tanh": nn.GELU("tanh"), "leaky_relu": nn.LeakyReLU(0.2),
        "elu": nn.ELU(), "elu 0.4": nn.ELU(0.4), "prelu": nn.PReLU(3), "prelu of one": nn.PReLU(),
        "softmax": nn.Softmax(1), "log_softmax": nn.LogSoftmax(1),
    }  # fmt: skip
    shapes = ((1, 3), (1, 3, 4), MAP, (1, 3, 2, 3, 2))
    cases: Cases = {f"{name}, {len(s)} axes": (module, s) for (name, module), s in product(kinds.items(), shapes)}
    return cases | {
        "softmax of rows": (nn.Softmax(2), MAP),
        "numbers": (By(lambda x: (x + 1.5) * 2 - 0.5), MAP),
        "number first": (By(lambda x: 1.5 / (2.5 - x.sigmoid())), MAP),
        "own per channel": (By(lambda x, a, b: (a - x) / (b * b + 1), (3, 1, 1), (3, 1, 1)), MAP),
        "own per column": (By(lambda x, a: x + a, (7,)), MAP),
        "own per row": (By(lambda x, a: x * a, (1, 3, 5, 1)), MAP),
        "map by its mean": (By(lambda x: x.mean((2, 3), keepdim=True) * x), MAP),
        "mean of channels first": (By(lambda x: x.mean(1, keepdim=True) - x), MAP),
        "fewer axes": (By(lambda x: x + x.mean((0, 1, 2))), MAP),
        "5 axes": (By(lambda x: x.mean((2, 3, 4), keepdim=True) * x - x.mean(2, keepdim=True)), (1, 3, 5, 4, 2)),
        "3 axes": (By(lambda x, a: x * a + x.mean(2, keepdim=True), (3, 1)), (1, 3, 5)),
        "with itself": (By(lambda x: x * x), MAP),
        "squeeze and excite": (
            By(lambda x, a, b: x * torch.sigmoid(F.linear(F.relu(F.linear(x.mean((2, 3)), a)), b)).view(1, 4, 1, 1),
               (2, 4), (4, 2)), (1, 4, 5, 6)),
        "norm, not folded": (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), MAP),
        "norm before padding": (nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1)), MAP),
        "norm of volumes": (nn.Sequential(nn.BatchNorm3d(3), nn.ReLU()), CUBE),
        "norm of vectors": (nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()), (2, 3)),
        **{f"lrn {n} {beta}": (nn.LocalResponseNorm(n, 0.1, beta, 1.5), (1, 8, 5, 7))
           for n, beta in ((1, 0.75), (4, 0.75), (5, 0.75), (5, 0.5), (3, 1.0), (3, 0.6))},
        "lrn 3-D": (nn.LocalResponseNorm(3, 0.1, 0.75, 2.0), (1, 8, 5, 7, 2)),
        "lrn 1-D": (nn.LocalResponseNorm(3, 0.1, 0.75, 2.0), (1, 8, 5)),
    }  # fmt: skip


def _functions(x: Tensor) -> Tensor:
    """Functions of each element; TFLite lacks some."""
    return F.softplus(x).sqrt().log().sin().neg().exp().reciprocal().atan().erf().abs().rsqrt()


def shapes() -> Cases:
    sizes = product(((10, 14), (7, 9), (3, 4)), (("nearest", None), ("bilinear", False), ("bilinear", True)))
    cases: Cases = {
        f"{mode} {size} corners {corners}": (
            By(lambda x, s=size, m=mode, c=corners: F.interpolate(x, s, mode=m, align_corners=c)), MAP)
        for size, (mode, corners) in sizes
    }  # fmt: skip
    return cases | {
        "resize 1-D": (By(lambda x: F.interpolate(x, scale_factor=2)), (1, 3, 5)),
        "pad": (By(lambda x: F.pad(x, (1, 2, 0, 3))), MAP),
        "pad with 1.5": (By(lambda x: F.pad(x, (1, 2, 0, 3), value=1.5)), MAP),
        "pad and crop": (By(lambda x: F.pad(x, (-1, 2, 1, -2))), MAP),
        "pad channels": (By(lambda x: F.pad(x, (0, 0, 0, 0, 1, 2))), MAP),
        "pad 3-D": (By(lambda x: F.pad(x, (1, 1, 0, 0, 1, 2))), CUBE),
        "flatten": (nn.Flatten(), MAP),
        "flatten, linear": (nn.Sequential(nn.Flatten(), nn.Linear(105, 4)), MAP),
        "flatten, tanh, linear": (nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Tanh(), nn.Linear(105, 4)), MAP),
        "flatten, functions, linear": (By(lambda x, w: F.linear(_functions(x.flatten(1)), w), (4, 105)), MAP),
        "flatten a volume, linear": (nn.Sequential(nn.Flatten(), nn.Linear(630, 4)), CUBE),
        "flatten a signal, linear": (nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(12, 4)), (1, 3, 5)),
        "flatten for two readers": (
            By(lambda x, w: torch.cat([F.linear(x.flatten(1), w), x.flatten(1)], 1), (4, 105)), MAP),
        "sequence": (By(lambda x, w: F.linear(x.flatten(2).transpose(1, 2), w), (4, 3)), MAP),
        "product by an own tensor, turned": (By(lambda x, w: torch.einsum("ni,oij->noj", x, w), (4, 3, 5)), (1, 3)),
        "linear over 4 axes": (nn.Linear(7, 4), MAP),
        "linear over 3 axes": (nn.Linear(7, 4, bias=False), (1, 3, 7)),
        "channel shuffle": (By(lambda x: x.view(1, 2, 4, 5, 6).transpose(1, 2).reshape(1, 8, 5, 6)), (1, 8, 5, 6)),
        "depth to space": (
            By(lambda x: x.view(1, 2, 2, 2, 5, 6).permute(0, 1, 4, 2, 5, 3).reshape(1, 2, 10, 12)), (1, 8, 5, 6)),
        "permute": (By(lambda x: x.permute(0, 2, 3, 1)), MAP),
        "permute, relu": (By(lambda x: F.relu(x.permute(0, 3, 1, 2))), MAP),
        "permute only": (By(lambda x: x.permute(0, 2, 1)), (1, 3, 5)),
        "slices": (By(lambda x: x[:, 1:3, ::2, 1:]), MAP),
        "rows and columns": (By(lambda x: F.pad(x[:, :, ::2, ::3], (0, 0, 0, 0, 1, 2))), MAP),
        "rows from the second": (By(lambda x: x[:, :, 1:4:2] + x[:, :, 2::2]), MAP),
        "chunks": (By(lambda x: torch.cat(torch.chunk(x, 2, 1)[::-1], 1)), (1, 4, 5, 7)),
        "cat of 6": (By(lambda x: torch.cat([x, x * 2, x + 1, x - 1, x * 3, x * x], 1)), MAP),
        "cat of columns": (By(lambda x: torch.cat([x, x * 2], 3)), MAP),
        "growing cats": (By(lambda x: torch.cat([x, x * 2, F.relu(torch.cat([x, x * 2], 1))], 1)), MAP),
        "unsqueeze": (By(lambda x: x.unsqueeze(1) * 2), (1, 3, 5)),
        "squeeze": (By(lambda x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1)), MAP),
        "reshape with the batch": (By(lambda x: x.reshape(3, 35)), MAP),
        "reshape across axes": (By(lambda x: x.reshape(1, 5, 21)), MAP),
        "argmax": (By(lambda x: x.flatten(1).argmax(1)), MAP),
    }  # fmt: skip


CASES: Cases = convolutions() | transposed() | pooling() | elementwise() | shapes()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", CASES)
def test_litert_computes_what_torch_computes(name: str, open_tflite: Any, graph_of: Any) -> None:
    module, shape = CASES[name]
    graph = graph_of(module, shape)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        want = module(x).numpy()
    got = open_tflite(graph).run(x.numpy())
    assert got.shape == want.shape
    assert np.abs(want).max() > 0
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()


def test_no_kind_of_operator_is_left_out(graph_of: Any) -> None:
    left = set(LOWERINGS) - {"constant", "grid_sample"} - {case.kind for case in (KINDS | BITS).values()}
    for name in reversed(CASES):  # a chosen order would be one more thing to keep: nearly all kinds are at the end
        left -= {op.kind for op in graph_of(*CASES[name])} if left else set()
    assert not left


FREE = ["conv 8 k3 s2 p1", "3-D", "rows and columns",
        "1-D chain", "max 3-D", "flatten, tanh, linear", "channel shuffle", "slices", "lrn 3-D",
        "average inside 8 k3 s2 p1", "squeeze", "norm, not folded"]  # fmt: skip


@pytest.mark.parametrize("name", FREE)
def test_the_batch_stays_free(name: str, open_tflite: Any, graph_of: Any) -> None:
    module, shape = CASES[name]
    if name == "channel shuffle":
        module = By(lambda x: x.view(-1, 2, 4, 5, 6).transpose(1, 2).reshape(-1, 8, 5, 6))
    graph = graph_of(module, shape)
    opened = open_tflite(graph, dynamic_batch=True)
    assert opened.written.inputs[0].shape[0] == opened.written.outputs[0].shape[0] == -1
    assert list(opened.interpreter.get_input_details()[0]["shape_signature"])[0] == -1
    for batch in (1, 7):
        x = torch.randn((batch, *shape[1:]), generator=torch.Generator().manual_seed(3))
        want = graph.run(x).numpy()
        assert np.abs(opened.run(x.numpy()) - want).max() <= 1e-5 * np.abs(want).max()
