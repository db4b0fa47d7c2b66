"""Networks that cannot be followed: one error each, with its line in forward() and a remedy, and nothing printed."""

from __future__ import annotations

import io
import operator
import pickle
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace

SHAPE = (1, 4, 6, 6)


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor, Calls], Any]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(4, 1, 1))
        self.norm = nn.BatchNorm2d(4)
        self.convolution = nn.Conv2d(4, 2, 1)
        self.table: dict[str, Tensor] = {}
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, self)


def sets_a_weight(x: Tensor, m: Calls) -> Tensor:
    m.weight[0] = x.mean()
    return x * 2


KEY: Any = "image"
HERE = r"^test_bad_input.py:\d+: "
FUNCTIONS: dict[str, tuple[Callable[[Tensor, Calls], Any], str]] = {
    "a branch": (lambda x, m: x if x.mean() > 0 else -x, HERE + r"forward\(\) asks for the values .*\(bool\)"),
    "an assertion": (
        lambda x, m: x * torch.isfinite(x).all().item(),
        HERE + r"forward\(\) asks for the values .*\(item\)",
    ),
    "out= of another size": (
        lambda x, m: torch.add(x, 1, out=torch.empty(1, 4, 9, 9)),
        HERE + r"add writes a result of \(1, 4, 6, 6\) into a tensor of \(1, 4, 9, 9\)",
    ),
    "a number": (lambda x, m: x * float(x.max()), HERE + r"forward\(\) asks for the values .*\(float\)"),
    "a size": (lambda x, m: x[: int(x.argmax())], HERE + r"forward\(\) asks for the values .*\(int\)"),
    "lengths of sequences": (
        lambda x, m: nn.utils.rnn.pack_padded_sequence(x[:, 0], torch.tensor([6]), batch_first=True),
        HERE + r"forward\(\) packs sequences by their lengths",
    ),
    "a mask": (lambda x, m: x[x > 0], HERE + r"forward\(\) takes elements by a mask .*, and the output depends on how"),
    "nonzero": (lambda x, m: x.nonzero(), HERE + r"forward\(\) asks for the values .*\(nonzero\)"),
    "numpy": (lambda x, m: torch.from_numpy(x.detach().cpu().numpy()), HERE + r"forward\(\) asks for .*\(numpy\)"),
    "numpy's function": (lambda x, m: torch.tensor(np.asarray(x)), HERE + r"forward\(\) asks for .*\(array\)"),
    "numpy's file": (lambda x, m: np.save(io.BytesIO(), x), HERE + r"forward\(\) asks for .*\(array\)"),
    "torch's file": (lambda x, m: torch.save(x, io.BytesIO()), HERE + r"forward\(\) saves a tensor"),
    "pickle": (lambda x, m: pickle.dumps(x), HERE + r"forward\(\) saves a tensor"),
    "a file that is not there": (lambda x, m: Path("none/such").read_text(), HERE + "Calls fails: .*No such file"),
    "random numbers": (lambda x, m: x + torch.randn(6), HERE + r"forward\(\) draws random numbers \(randn\)"),
    "random numbers like it": (lambda x, m: x + torch.rand_like(x), HERE + r"forward\(\) draws random numbers"),
    "random numbers in place": (lambda x, m: x + torch.empty(6).uniform_(), HERE + r"forward\(\) draws .*\(uniform_\)"),
    "a generator of its own": (
        lambda x, m: x + torch.rand(6, generator=m.generator),
        HERE + r"forward\(\) draws random numbers \(rand\)",
    ),
    "random numbers that it keeps": (
        lambda x, m: (
            x + m.table.setdefault("noise", torch.randn(6)) if "noise" not in m.table else x + m.table["noise"]
        ),
        HERE + r"forward\(\) draws random numbers \(randn\)",
    ),
    "dropout that is always on": (lambda x, m: F.dropout(x), HERE + "dropout drops at random, in eval mode too"),
    "its own parameters": (lambda x, m: x * m.weight.add_(1), HERE + r"forward\(\) changes weight, which belongs to"),
    "its own parameters, by index": (sets_a_weight, "changes weight"),
    "a layer in training mode": (lambda x, m: m.norm.train()(x), HERE + "layer norm is in training mode"),
    "nothing": (lambda x, m: None, "the network returns nothing, not a tensor"),
    "a string": (lambda x, m: "a", "the network returns str 'a', not a tensor"),
    "a number of Python's": (lambda x, m: 7, "int 7, not a tensor"),
    "a tuple of nothing": (lambda x, m: (), "the network returns tuple of nothing"),
    "a number without axes": (lambda x, m: x.mean(), "one number without axes"),
    "a parameter": (lambda x, m: (x * 2, m.weight), "output output_1 .* does not depend on the input"),
    "its input": (lambda x, m: {"a": x * 2, "b": x}, "output b of the network is the input x"),
    "two outputs of one name": (lambda x, m: {"a": [x * 2], "a.0": x * 3}, "two outputs of the network are called a.0"),
    "a wrong shape": (lambda x, m: x.view(7, -1), HERE + r"layer view cannot take an input of \(1, 4, 6, 6\): shape"),
    "two types of numbers": (
        lambda x, m: m.convolution(x.half()),
        HERE + "layer convolution .* cannot take an input of .* should be the same",
    ),
    "a key": (lambda x, m: operator.getitem(x, KEY), HERE + r"forward\(\) asks a tensor for 'image', as if"),
    "a gradient": (
        lambda x, m: torch.autograd.grad(m.convolution(x).sum(), x)[0],
        HERE + r"forward\(\) asks for gradients, which no file has",
    ),
    "a map over rows": (
        lambda x, m: torch.vmap(torch.sin)(x),
        HERE + r"forward\(\) runs torch.vmap over a tensor that depends on the input",
    ),
    "a map of a layer over rows": (
        lambda x, m: torch.vmap(m.convolution)(x),
        HERE + r"forward\(\) runs torch.vmap over a tensor that depends on the input",
    ),
    "rows that an encoder leaves out": (
        lambda x, m: nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, batch_first=True), 1).eval()(
            x[:, 0], src_key_padding_mask=x[:, 0, :, 0] > 0
        ),
        HERE + r"nn.TransformerEncoder leaves out what src_key_padding_mask says",
    ),
    "a word that torch does not know": (
        lambda x, m: F.mse_loss(x, x * 2, reduction="no"),
        HERE + r"layer mse_loss \(mse_loss\) cannot take .*no is not a valid value for reduction",
    ),
    "an index": (lambda x, m: x[:, 9], HERE + r"layer getitem .*: index 9 is out of range for axis 1 of size 4"),
    "no such method": (lambda x, m: m.no_such_method(x), HERE + "Calls fails: .*no_such_method"),  # type: ignore[operator]
    "an error of its own": (lambda x, m: m.table["no such key"], HERE + "Calls fails: 'no such key'"),
    "no end": (lambda x, m: m(x), "Calls calls itself without end"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_refused_with_its_line(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    function, cause = FUNCTIONS[name]
    with pytest.raises(UsageError, match=cause) as caught:
        trace(Calls(function).eval(), SHAPE)
    assert caught.value.remedy and "\n" not in caught.value.message
    assert capfd.readouterr() == ("", "")


class ByName(nn.Module):
    def forward(self, *, image: Tensor) -> Tensor:
        return image * 2


class Two(nn.Module):
    def forward(self, image: Tensor, state: Tensor, scale: float = 2.0) -> Tensor:
        return image * scale + state.mean()


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: nn.Module = torch.jit.script(nn.ReLU())
    return made


@pytest.mark.parametrize(
    ("module", "shapes", "cause"),
    [
        (ByName(), [SHAPE], r"forward\(\) takes image by keyword only"),
        (Two(), [SHAPE], r"the network needs more than one input \(image, state\)"),
        (Two(), [SHAPE] * 4, r"forward\(\) takes 3 inputs \(image, state, scale\), not 4"),
        (scripted(), [SHAPE], "is TorchScript"),
        (nn.Sequential(nn.ReLU()).train(), [SHAPE], "is in training mode"),
        (nn.Conv2d(3, 4, 3), [SHAPE], r"layer 0 .* cannot take an input of \(1, 4, 6, 6\)"),
    ],
    ids=["by keyword", "too few shapes", "too many shapes", "TorchScript", "training", "another shape"],
)
def test_a_module_that_cannot_be_called_so_is_refused(module: nn.Module, shapes: Any, cause: str) -> None:
    training = module.training and isinstance(module, nn.Sequential)
    with pytest.raises(UsageError, match=cause) as caught:
        trace(module if training or isinstance(module, torch.jit.ScriptModule) else module.eval(), *shapes)
    assert caught.value.remedy


def test_what_forward_prints_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    def prints(x: Tensor, m: Calls) -> Tensor:
        print("shape", x.shape, x)
        return x * 2

    trace(Calls(prints).eval(), SHAPE)
    printed = capsys.readouterr()
    assert printed.out == "" and "shape torch.Size([1, 4, 6, 6]) tensor of (1, 4, 6, 6)" in printed.err


def test_channels_that_come_last_are_named() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()).eval()
    with pytest.raises(UsageError) as caught:
        trace(network, (1, 28, 28, 1))
    assert caught.value.remedy.startswith("channels come first, as in --input 1,1,28,28; or give the input shape")
    with pytest.raises(UsageError) as caught:
        trace(network, (1, 3, 28, 28))
    assert caught.value.remedy.startswith("give the input shape that the network was made for")


def test_a_long_loop_is_only_long() -> None:
    def loops(x: Tensor, m: Calls) -> Tensor:
        for _ in range(10_000):
            x = x + 1
        return x

    assert len(trace(Calls(loops).eval(), SHAPE).ops) == 10_001


def test_pythons_random_numbers_are_pythons_affair() -> None:
    graph = trace(Calls(lambda x, m: x * random.random()).eval(), SHAPE)
    assert [op.kind for op in graph] == ["input", "mul"]  # the proof finds that the answers differ


@pytest.mark.parametrize("shape", [(1, 2**63 - 1, 32, 32), (1, 2**21, 2**20, 1), (1, 10**30)])
def test_an_input_that_no_machine_holds(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="is larger than any machine's memory") as caught:
        trace(nn.ReLU().eval(), shape)
    assert "--input" in caught.value.remedy
