"""Archives of whole networks, held against the module that each was read from, as torch opens them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.bench.ondevice import torch_archive
from edgekit.bench.ondevice.runtimes.torch import open_session
from edgekit.checkpoints.random import fill
from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.pt2.network import Network
from edgekit.exporters.pt2.writer import write
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.spec import variant
from edgekit.network.user_model import find
from edgekit.records.preprocessing import Preprocessing

# Small members of some families, with the largest error over the largest answer that float16 may cost: plain,
# concatenated, inverted with and without gates, and added. torch takes seconds to read archives of more layers.
ZOO: tuple[tuple[str, float | None, int | None, float], ...] = (
    ("lenet5", None, None, 0.01),
    ("squeezenet1_1", None, 64, 0.1),
    ("mobilenet_v2", 0.35, 64, 0.1),
    ("efficientnet_b0", None, 64, 0.1),
    ("resnet20_cifar", None, None, 0.05),
)


def folded(module: nn.Module, *shapes: tuple[int, ...]) -> Graph:
    return fold(trace(module.eval(), *shapes).to(torch.float32)).graph


def answers(module: nn.Module, *xs: Tensor) -> list[Any]:
    with torch.no_grad():
        found = module.eval()(*xs)
    return [y.numpy() for y in ([found] if isinstance(found, Tensor) else found)]


def far(got: Any, want: Any) -> float:
    return float(np.abs(got.astype(np.float64) - want).max() / np.abs(want).max())


@pytest.mark.parametrize(("name", "alpha", "res", "half"), ZOO)
def test_a_network_of_the_zoo_answers_as_its_module(
    name: str, alpha: float | None, res: int | None, half: float, tmp_path: Path
) -> None:
    point = variant(find(name, None), alpha=alpha, resolution=res)
    module = point.build()
    fill(module, point.input_shape, 0)
    graph, x = folded(module, point.input_shape), torch.randn(point.input_shape)
    (want,) = answers(module, x)
    for precision, limit in (("fp32", 2e-5), ("fp16", half)):
        written = write(WriteJob(graph, precision), tmp_path / f"{precision}.pt2")
        session = open_session(str(tmp_path / f"{precision}.pt2"), {})
        (got,) = session.run([x.numpy()])
        assert got.shape == want.shape and far(got, want) <= limit, precision
        assert written.outputs[0].dtype == "float32" and sum(written.operators.values()) >= len(graph.ops) - 1
    sizes = [(tmp_path / f"{precision}.pt2").stat().st_size for precision in ("fp32", "fp16")]
    weights = sum(tensor.nbytes for tensor in graph.params.values())
    assert weights < sizes[0] and sizes[0] - sizes[1] > 0.45 * weights  # each weight once


class Many(nn.Module):
    """Takes a volume, an image, a signal, a vector and a number for each image; gives as many, of several types."""

    def __init__(self) -> None:
        super().__init__()
        self.volume, self.image, self.signal = nn.Conv3d(2, 3, 2), nn.Conv2d(2, 3, 2), nn.Conv1d(2, 3, 2)
        self.linear = nn.Linear(4, 3)
        self.image.weight = nn.Parameter(self.volume.weight[:, :, 0])  # a part of the memory of another
        self.same = self.linear

    def forward(self, v: Tensor, image: Tensor, s: Tensor, x: Tensor, one: Tensor) -> Any:
        y = self.same(self.linear(x).repeat(1, 2)[:, :4])
        return self.volume(v), self.image(image).relu(), self.signal(s), y * one[:, None], y.argmax(1), one * 2, y > 0


SHAPES = ((1, 2, 3, 4, 5), (1, 2, 4, 5), (1, 2, 5), (1, 4), (1,))


def test_inputs_and_outputs_of_every_rank_and_type(tmp_path: Path) -> None:
    module, xs = Many(), [torch.randn(shape) for shape in SHAPES]
    written = write(WriteJob(folded(module, *SHAPES), "fp32"), tmp_path / "many.pt2")
    session = open_session(str(tmp_path / "many.pt2"), {})
    assert [one.name for one in session.inputs] == ["v", "image", "s", "x", "one"]
    assert [one.dtype for one in session.outputs] == [one.dtype for one in written.outputs]
    assert [one.dtype for one in session.outputs[3:]] == ["float32", "int64", "float32", "bool"]
    got = session.run([x.numpy() for x in xs])
    for y, want in zip(got, answers(module, *xs), strict=True):
        np.testing.assert_allclose(y, want, atol=1e-5)
    program = torch_archive.load(tmp_path / "many.pt2").program
    plain = program.module()(*xs)  # as any user of torch calls it
    assert all(np.array_equal(y, one.numpy()) for y, one in zip(got, plain, strict=True))


def test_a_free_batch_is_free(tmp_path: Path) -> None:
    module, xs = Many(), [torch.randn(3, *shape[1:]) for shape in SHAPES]
    write(WriteJob(folded(module, *SHAPES), "fp32", dynamic_batch=True), tmp_path / "many.pt2")
    session = open_session(str(tmp_path / "many.pt2"), {"batch": 3})
    assert session.inputs[1].shape == (3, 2, 4, 5)
    for y, want in zip(session.run([x.numpy() for x in xs]), answers(module, *xs), strict=True):
        np.testing.assert_allclose(y, want, atol=1e-5)
    fixed = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten(0, 1))
    with pytest.raises(UsageError, match="so that it cannot be free"):
        write(WriteJob(folded(fixed, SHAPES[1]), "fp32", dynamic_batch=True), tmp_path / "fixed.pt2")


def test_names_stay_those_of_the_layers_and_are_data(tmp_path: Path) -> None:
    """An operator may be called like another's weight, like a method of a module, or like nothing in Python."""
    names = ("a", "a.weight", "a.weight.bias", "float", "b b/c:0(1)", "..", "d.é", "class", "d.x", "d x", "d_x")
    x = Op("x 1;", "input", (), (1, 2, 5, 5))
    own = {"weight": torch.randn(2, 2, 1, 1)}
    attrs = {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0)), "groups": 1}
    before, ops = x.name, [x]
    for name in names:
        ops.append(Op(name, "conv", (before,), (1, 2, 5, 5), {"weight": f"{name}.weight"}, attrs))
        before = name
    graph = Graph(tuple(ops), {"out;put": before}, {f"{name}.weight": own["weight"] * 0.5 for name in names})
    write(WriteJob(graph, "fp32"), tmp_path / "names.pt2")
    session = open_session(str(tmp_path / "names.pt2"), {})
    assert [one.name for one in (*session.inputs, *session.outputs)] == ["x 1;", "out;put"]
    given = torch.randn(x.shape)
    np.testing.assert_allclose(session.run([given.numpy()])[0], graph.run(given).numpy(), atol=1e-6)
    held = set(torch_archive.load(tmp_path / "names.pt2").program.state_dict)
    assert len(held) == len(names) and {"a.weight", "d.x.weight", "class.weight"} <= held


def test_numbers_that_float16_cannot_hold(tmp_path: Path) -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.clamp(0, 1e9) * 1e6).masked_fill(x > 1, -1e9)

    graph = folded(Masked(), (1, 4))
    write(WriteJob(graph, "fp16"), tmp_path / "half.pt2")
    (got,) = open_session(str(tmp_path / "half.pt2"), {}).run([np.array([[-1, 0, 0.5, 2]], np.float32)])
    assert got.tolist() == [[0, 0, 32752, -65504]]

    class Normalized(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.normalize(x, dim=1)  # by the norm, or by an epsilon where that is zero

    write(WriteJob(folded(Normalized(), (1, 4)), "fp16"), tmp_path / "normalized.pt2")
    (got,) = open_session(str(tmp_path / "normalized.pt2"), {}).run([np.zeros((1, 4), np.float32)])
    assert got.tolist() == [[0, 0, 0, 0]]
    large = nn.Linear(4, 2)
    nn.init.constant_(large.weight, 1e6)
    with pytest.raises(UsageError, match="beyond what float16 can hold"):
        write(WriteJob(folded(large, (1, 4)), "fp16"), tmp_path / "large.pt2")


def test_what_torch_export_cannot_write_is_named_with_its_layer(tmp_path: Path) -> None:
    def surprising(x: Tensor) -> Tensor:
        return x * float(x.sum())

    x = Op("x", "input", (), (1, 4))
    graph = Graph(
        (x, Op("odd", "call", ("x",), (1, 4), {}, {"function": surprising}, where="net.py:3")), {"y": "odd"}, {}
    )
    with pytest.raises(UsageError, match=r"net\.py:3: odd \(call\) cannot be written by torch\.export: ") as caught:
        write(WriteJob(graph, "fp32"), tmp_path / "odd.pt2")
    assert "\n" not in caught.value.message and not (tmp_path / "odd.pt2").exists()


def test_bytes_tell_neither_the_place_nor_the_run(tmp_path: Path) -> None:
    """Nothing of edgekit's source and no pickle is in them."""
    graph = folded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (1, 3, 8, 8))
    for name in ("near.pt2", "far.pt2"):
        write(WriteJob(graph, "fp32"), tmp_path / name)
    whole = (tmp_path / "near.pt2").read_bytes()
    assert whole == (tmp_path / "far.pt2").read_bytes() and b".py" not in whole
    with zipfile.ZipFile(tmp_path / "near.pt2") as archive:
        parts = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert not any(parts.get(name) for name in torch_archive.PICKLES)


def test_what_lies_beside_the_network(tmp_path: Path) -> None:
    graph = folded(nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten()), (1, 3, 8, 8))
    job = WriteJob(graph, "fp32", preprocessing=Preprocessing(), labels=("Katze", "Größe"))
    write(job, tmp_path / "net.pt2")
    assert torch_archive.beside(tmp_path / "net.pt2", "labels") == "Katze\nGröße"
    assert json.loads(torch_archive.beside(tmp_path / "net.pt2", "preprocessing"))["channels"] == "RGB"
    assert torch_archive.beside(tmp_path / "net.pt2", "anything") == ""


def test_weights_are_not_copied() -> None:
    graph = folded(nn.Conv2d(3, 4, 3), (1, 3, 8, 8))
    held = {tensor.data_ptr() for tensor in Network(graph).state_dict().values()}
    assert held == {tensor.data_ptr() for tensor in graph.params.values()}


def test_a_disk_that_is_full_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: Callable[..., Any] = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *how: opened(Path("/dev/full"), *how))
    with pytest.raises(Exception, match="no space to write"):
        write(WriteJob(folded(nn.ReLU(), (1, 4)), "fp32"), tmp_path / "net.pt2")
