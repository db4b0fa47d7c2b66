"""Every way in which a user's network can be unfit: its place, one remedy, exit code 2, and no other word."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgekit
from edgekit.errors import EdgekitError

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

HEAD = """
import random
import numpy as np
import torch
from torch import nn


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.register_buffer("count", torch.zeros(()))
        self.calls = 0


class Net(Base):
    def forward(self, {arguments}):
        y = self.conv({input})
"""
LINE = HEAD.count("\n") + 1  # where what a case does begins
DEF = LINE - 2
CASES: dict[str, tuple[str, int, str]] = {
    # what forward() does with y, the line that is named, and what is said of it
    "a branch by values": ("return y if y.mean() > 0 else -y", LINE, "asks for the values"),
    "a size by values": ("return y[:, : int(y.sum())]", LINE, "asks for the values"),
    "values that it would take from an error": (
        "try:\n    a = y.mean().item()\nexcept Exception:\n    a = 1.0\nreturn y * a", LINE + 1, "asks for the values",
    ),
    "numpy": ("return torch.from_numpy(np.tanh(y.detach().numpy()))", LINE, r"asks for the values .*\(numpy\)"),
    "torch's random numbers": ("return y + torch.randn(4, 6, 6)", LINE, "draws random numbers"),
    "Python's random numbers": ("return y * random.random()", DEF, "Net answers the same input differently each time"),
    "numpy's random numbers": ("return y * float(np.random.rand())", DEF, "answers the same input differently"),
    "its own parameter": ("self.scale.data.mul_(1.1)\nreturn y * self.scale", LINE, "forward.. changes scale"),
    "its own buffer": ("self.count += 1\nreturn y * self.count", LINE, "changes count"),
    "another buffer": ("self.count = self.count + 1\nreturn y * self.count", DEF, "changes count"),
    "a buffer from the input": ("self.count.copy_(y.mean())\nreturn y", LINE, "changes count"),
    "a count of calls": ("self.calls += 1\nreturn y * self.calls", DEF, "answers the same input differently"),
    "a second output later": (
        "self.calls += 1\nreturn y if self.calls == 1 else (y, y * 2)", DEF, "answers the same input differently",
    ),
    "nothing": ("pass", DEF, "the network returns nothing"),
    "a string": ("return 'cat'", DEF, "the network returns str 'cat'"),
    "a number": ("return 3.0", DEF, "the network returns float 3.0"),
    "no elements": ("return y[:, :0]", DEF, r"a tensor without elements, of shape \(1, 0, 6, 6\)"),
    "its input": ("return x", DEF, "the network returns its input x unchanged"),
    "its input among others": ("return {'y': y, 'x': x}", DEF, "output x of the network is the input x"),
    "two outputs of one name": ("return {'a': [y, y + 1], 'a.1': y * 2}", DEF, "two outputs .* are called a.1"),
    "a parameter": ("return y, self.scale", DEF, "output_1 of the network is a tensor that does not depend"),
    "a parameter alone": ("return self.scale", DEF, "does not depend on the input"),
    "a layer in training mode": ("return self.norm.train()(y)", LINE, "layer norm is in training mode"),
    "another size": ("return y.view(1, 100, -1)", LINE, "layer view cannot take an input of"),
    "an error of its own": ("raise ValueError('two\\nlines')", LINE, "Net fails: two"),
    "itself": ("return self.forward(x)", DEF, "Net calls itself without end"),
    "another device": ("return self.conv(x.cuda())", LINE, "does not run on an input of 1x3x8x8"),
    "no end of axes": ("return y.sum()", DEF, "one number without axes"),
}  # fmt: skip
if torch.cuda.is_available():
    del CASES["another device"]


def written(folder: Path, does: str, arguments: str = "x", input: str = "x", build: str = "return Net().eval()") -> str:
    lines = "".join(f"        {line}\n" for line in does.split("\n"))
    head = HEAD.format(arguments=arguments, input=input)
    (folder / "net.py").write_text(f"{head}{lines}\n\ndef build():\n    {build}\n")
    return f"{folder / 'net.py'}:build"


def refused(folder: Path, capfd: pytest.CaptureFixture[str], model: str, input: edgekit.Input = (1, 3, 8, 8)) -> str:
    with pytest.raises(EdgekitError) as caught:
        edgekit.export(model, input=input, format=["onnx"], out=folder / "out")
    assert caught.value.exit_code == 2 and caught.value.remedy
    assert "\n" not in caught.value.message + caught.value.remedy
    assert capfd.readouterr() == ("", "") and not list((folder / "out").glob("*/*"))
    return caught.value.message


@pytest.mark.parametrize("name", CASES)
def test_an_unfit_forward_is_refused_with_its_line(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    does, line, cause = CASES[name]
    message = refused(tmp_path, capfd, written(tmp_path, does))
    assert message.startswith(f"net.py:{line}: "), message
    with pytest.raises(AssertionError, match=cause):
        raise AssertionError(message)


BUILT = {
    "a class": ("return Net", "returns the class Net"),
    "nothing": ("pass", "returns NoneType"),
    "a scripted module": ("return torch.jit.script(nn.ReLU())", "is TorchScript"),
    "a traced module": ("return torch.jit.trace(nn.ReLU(), torch.ones(1))", "is TorchScript"),
    "no values": ("return Net().to('meta').eval()", "have no values"),
    "an error": ("raise KeyError('no such key')", "fails: KeyError: 'no such key'"),
    "an argument": ("return Base(7)", "fails: TypeError"),
    "a module without forward": ("return Base()", 'is missing the required "forward" function'),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BUILT)
def test_what_a_function_builds_is_a_network_with_values(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build, cause = BUILT[name]
    assert cause in refused(tmp_path, capfd, written(tmp_path, "return y", build=build))


ARGUMENTS = {
    "by keyword": ("*, image", "image", (1, 3, 8, 8), f"net.py:{DEF}: forward() takes image by keyword only"),
    "one of two": ("x, state", "x", (1, 3, 8, 8), f"net.py:{DEF}: the network needs more than one input (x, state)"),
    "three of two": ("x, state", "x", [(1, 3, 8, 8)] * 3, "forward() takes 2 inputs (x, state), not 3"),
    "another name": ("x", "x", {"image": (1, 3, 8, 8)}, "forward() of Net takes x, not image"),
    "another order": (
        "x, state", "x", {"state": (1, 5), "x": (1, 3, 8, 8)}, "forward() of Net takes x, state, not state, x",
    ),
    "other channels": ("x", "x", (1, 5, 8, 8), f"net.py:{LINE - 1}: layer conv (conv) cannot take an input of"),
    "too small": ("x", "x", (1, 3, 2, 2), f"net.py:{LINE - 1}: layer conv"),
    "another rank": ("x", "x", (1, 3), f"net.py:{LINE - 1}: layer conv is a 2-D convolution"),
    "a batch": ("x", "x", (4, 3, 8, 8), "a file is made for a batch of 1, not 4"),
    "no batch": ("x", "x", (3, 8, 8), "a file is made for a batch of 1, not 3"),
    "a size of nothing": ("x", "x", (1, 3, 0, 8), "all above 0, not 1x3x0x8"),
    "no shape": ("x", "x", None, "net.py:build needs an input shape"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_inputs_must_be_those_of_forward(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, used, shapes, cause = ARGUMENTS[name]
    assert cause in refused(tmp_path, capfd, written(tmp_path, "return y", arguments, used), shapes)


def test_what_torch_prints_of_an_operator_that_onnx_lacks_is_not_seen(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = written(tmp_path, "return torch.lgamma(y)")
    (failure,) = edgekit.export(model, input=(1, 3, 8, 8), format=["onnx"], out=tmp_path / "out").failed
    assert failure.error.exit_code == 2 and f"net.py:{LINE}" in failure.error.message
    assert capfd.readouterr() == ("", "")
