"""Networks of the user's own: a module, a function of a file or of a package, an archive of torch.export."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import edgekit
from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from edgekit.network.user_model import find
from edgekit.records.runtime import open_session

SHAPE = (1, 3, 16, 16)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Hardswish(), nn.MaxPool2d(2))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.norm(self.conv(x)))
        y = F.interpolate(self.block(x), scale_factor=2.0)
        y = torch.cat([y[:, :4] + x[:, 4:], y[:, 4:].softmax(1)], 1)
        out: Tensor = self.head(y.mean((2, 3)).view(x.size(0), -1))
        return out


def network() -> nn.Module:
    torch.manual_seed(0)
    return Residual().eval()


def right(result: edgekit.ExportResult, module: nn.Module) -> None:
    """The only file that was written answers like the module."""
    (artifact,) = result.artifacts
    x = torch.randn(SHAPE)
    with torch.no_grad():
        want = module(x).numpy()
    (got,) = open_session(artifact.path).run([x.numpy()])
    assert np.abs(got - want).max() <= 1e-4 * np.abs(want).max()


def test_a_module_is_exported_and_left_as_it_is(tmp_path: Path) -> None:
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    result = edgekit.export(module, input=SHAPE, format=["onnx"], out=tmp_path)
    right(result, module)
    assert "residual" in str(result.artifacts[0].path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    half = network().half()
    right(edgekit.export(half, input=SHAPE, format=["onnx"], out=tmp_path / "half"), copy.deepcopy(half).float())
    assert {tensor.dtype for tensor in half.parameters()} == {torch.float16}


def test_a_module_has_a_summary() -> None:
    found = edgekit.summary(network(), input=SHAPE)
    assert found.table.params == sum(parameter.numel() for parameter in network().parameters())


class Asks(nn.Module):
    """Looks at a value of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: Tensor
        self.register_buffer("steps", torch.tensor(3))

    def forward(self, x: Tensor) -> Tensor:
        return x * int(self.steps)


FILE = """
import torch
from torch import nn


class Asks(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.linspace(1, 3, 3))

    def forward(self, x):
        return x * int(self.steps[1].item())


def build(): return Asks().eval()
"""


def test_a_summary_is_there_where_the_network_asks_for_its_own_values(tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text(FILE)
    assert [row.op for row in edgekit.summary(f"{tmp_path / 'asks.py'}:build", input=SHAPE).table.rows][-1] == "mul"
    assert trace(Asks().eval(), SHAPE).ops[-1].attrs["other"] == 3.0


def test_a_function_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets_of_mine").mkdir()
    (tmp_path / "nets_of_mine" / "__init__.py").write_text("")
    (tmp_path / "nets_of_mine" / "small.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    spec = find("nets_of_mine.small:build", SHAPE)
    assert (spec.name, spec.paper) == ("build", "nets_of_mine.small:build")
    assert type(spec.build()).__name__ == "Asks" and str(tmp_path) not in sys.path
    with pytest.raises(UsageError, match="has no function 'biuld'; did you mean 'build'"):
        find("nets_of_mine.small:biuld", SHAPE)
    with pytest.raises(UsageError, match="nets_of_mine.large cannot be imported"):
        find("nets_of_mine.large:build", SHAPE)


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_an_archive_of_torch_export(decomposed: bool, tmp_path: Path) -> None:
    program = torch.export.export(network(), (torch.randn(SHAPE),))
    torch.export.save(program.run_decompositions() if decomposed else program, tmp_path / "net.pt2")
    result = edgekit.export(str(tmp_path / "net.pt2"), format=["onnx"], out=tmp_path / "out")
    right(result, network())
    graph = trace(find(str(tmp_path / "net.pt2"), None).build().eval(), SHAPE)
    assert "conv.weight" in graph.params and "call" not in {op.kind for op in graph}
    with pytest.raises(UsageError, match="was exported for an input of 1x3x16x16, not 1x3x8x8"):
        find(str(tmp_path / "net.pt2"), (1, 3, 8, 8))
    (tmp_path / "other.pt2").write_text("no archive")
    with pytest.raises(UsageError, match="cannot be read"):
        find(str(tmp_path / "other.pt2"), None)


@pytest.mark.parametrize("model", [[["vgg16", "mobilenet"]], {"conv.weight": 1}, Path("net.pt2"), None], ids=str)
def test_what_names_no_network_is_refused(model: Any) -> None:
    with pytest.raises(UsageError, match="a network is a name, a file or a module, and this is of type"):
        edgekit.summary(model)
    with pytest.raises(UsageError, match="give one network"):
        edgekit.export(model, input=(1, 3, 8, 8))


def test_a_module_without_values_is_refused(tmp_path: Path) -> None:
    with torch.device("meta"):
        empty = Residual().eval()
    with pytest.raises(UsageError, match="no values"):
        edgekit.export(empty, input=SHAPE, format=["onnx"], out=tmp_path)


def test_a_module_in_training_mode_is_read_in_eval_mode_and_keeps_its_own() -> None:
    module = network().train()
    next(module.children()).eval()
    modes = [one.training for one in module.modules()]
    built = find(module, SHAPE).build()
    assert not any(one.training for one in built.modules()) and [one.training for one in module.modules()] == modes
    mine, theirs = module.state_dict(keep_vars=True), built.state_dict(keep_vars=True)
    assert mine.keys() == theirs.keys() and all(mine[key] is theirs[key] for key in mine), "they share the tensors"
    assert trace(built, SHAPE).ops[-1].shape == trace(network(), SHAPE).ops[-1].shape
    assert find(built, SHAPE).build() is built, "nothing is copied in eval mode"


def test_preprocessing_is_given_as_a_mapping(tmp_path: Path) -> None:
    said = {"units": "0..1", "mean": (0.5, 0.5, 0.5), "std": 0.25, "crop": 1.0}
    asked: dict[str, Any] = {"input": SHAPE, "format": ["onnx"], "out": tmp_path}
    (one,) = edgekit.export(network(), preprocess=said, **asked).artifacts
    assert one.manifest and one.manifest.preprocessing.mean == (127.5,) * 3
    assert one.manifest.preprocessing.crop_fraction == 1.0
    with pytest.raises(UsageError, match="does not say its units"):
        edgekit.export(network(), preprocess={"mean": 0.5, "std": 0.25}, **asked)


def test_a_module_in_training_mode_that_cannot_be_copied_is_refused() -> None:
    module = network().train()
    module.computed = torch.ones(1, requires_grad=True) * 2
    with pytest.raises(UsageError, match="is in training mode, and cannot be copied: Only Tensors"):
        find(module, SHAPE).build()


@pytest.mark.parametrize(("channels", "black", "white"), [(3, -2.12, 2.25), (1, -1.99, 2.44)])
def test_what_is_taken_for_an_images_normalization(channels: int, black: float, white: float) -> None:
    taken = find(nn.Conv2d(channels, 2, 1).eval(), (1, channels, 8, 8)).preprocessing
    assert (0 - taken.mean[0]) / taken.std[0] == pytest.approx(black, abs=0.01)
    assert (255 - taken.mean[0]) / taken.std[0] == pytest.approx(white, abs=0.01)


@pytest.mark.parametrize("name", ["n.pt2", "n.onnx", "n.keras", "n.py:build"])
def test_a_folder_is_no_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name.partition(":")[0]).mkdir()
    with pytest.raises(UsageError, match="is no file"):
        find(str(tmp_path / name), None)


def test_weights_without_shapes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text("from torch import nn\ndef build(): return nn.Sequential(nn.LazyConv2d(4, 3))\n")
    for model in (nn.Sequential(nn.LazyConv2d(4, 3)), f"{tmp_path / 'lazy.py'}:build"):
        with pytest.raises(UsageError, match=r"0\.weight has no shape yet"):
            find(model, (1, 3, 8, 8)).build()


@pytest.mark.parametrize("name", ["mynet.pth", "folder/mynet.safetensors", "mynet.pth.tar", "MYNET.BIN"])
def test_a_checkpoint_is_no_network(name: str) -> None:
    with pytest.raises(UsageError, match="is a checkpoint, which holds weights and no network") as caught:
        find(name, None)
    assert caught.value.remedy == f"write FILE.py:function with --weights {name}"
