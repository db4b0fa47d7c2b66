"""What torch.export writes: several inputs and outputs, free sizes, dictionaries, keywords and numbers as inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.pt2.writer import write
from edgekit.frontend.tracer import trace
from edgekit.ir.layer_table import table
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network import program
from edgekit.network.user_model import find
from edgekit.records.runtime import open_session
from edgekit.util.files import file_sha256

pytestmark = pytest.mark.filterwarnings("ignore")
IMAGE, STATE = (1, 3, 8, 8), (1, 5)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(5, 4)

    def forward(self, image: Tensor, state: Tensor) -> dict[str, Tensor]:
        z = self.linear(state)
        return {"map": self.conv(image) + z[:, :, None, None], "vector": z * 2}


class Nested(nn.Module):
    """Takes a dictionary and a number, and gives nested tuples."""

    def forward(self, given: dict[str, Tensor], factor: float) -> list[Any]:
        return [given["image"] * factor, (given["state"] + 1,)]


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, ids: Tensor) -> Tensor:
        y: Tensor = self.table(ids)
        return y


def drawn(batch: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"image": torch.randn(batch, *IMAGE[1:]), "state": torch.randn(batch, *STATE[1:])}


def free() -> Any:
    batch = torch.export.Dim("batch", min=1, max=8)
    sizes = {"image": {0: batch}, "state": {0: batch}}
    return torch.export.export(Two().eval(), tuple(drawn(2).values()), dynamic_shapes=sizes)


PROGRAMS: dict[str, Callable[[], Any]] = {
    "by position": lambda: torch.export.export(Two().eval(), tuple(drawn().values())),
    "by keyword": lambda: torch.export.export(Two().eval(), (), kwargs=drawn()),
    "a free batch": free,
    "a dictionary and a number": lambda: torch.export.export(Nested().eval(), (drawn(), 3.0)),
}


def saved(folder: Path, made: Any) -> str:
    torch.export.save(made, folder / "net.pt2")
    return str(folder / "net.pt2")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_answers_as_it_does_in_torch(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made, x = PROGRAMS[name](), drawn()
    (artifact,) = edgekit.export(saved(tmp_path, made), format=["onnx"], out=tmp_path / "out").artifacts
    with torch.no_grad():
        called = {"by keyword": lambda: made.module()(**x), "a dictionary and a number": lambda: made.module()(x, 3.0)}
        answer = called.get(name, lambda: made.module()(*x.values()))()
    want = list(answer.values()) if isinstance(answer, dict) else [answer[0], answer[1][0]]
    session = open_session(artifact.path)
    assert [one.shape for one in session.inputs] == [IMAGE, STATE]
    assert artifact.manifest is not None and artifact.manifest.source is not None
    held = artifact.manifest.source
    assert (held.file, held.format, held.producer) == ("net.pt2", "pt2", f"torch {torch.__version__}")
    assert held.sha256 == file_sha256(tmp_path / "net.pt2")
    for got, tensor in zip(session.run([one.numpy() for one in x.values()]), want, strict=True):
        assert np.abs(got - tensor.numpy()).max() <= 1e-4 * np.abs(tensor.numpy()).max()


def test_weights_fit_by_the_modules_own_names(tmp_path: Path) -> None:
    model, other = saved(tmp_path, PROGRAMS["by position"]()), Two().eval()
    torch.save({"state_dict": other.state_dict()}, tmp_path / "w.ckpt")
    weights = str(tmp_path / "w.ckpt")
    (artifact,) = edgekit.export(model, weights=weights, format=["onnx"], out=tmp_path / "out").artifacts
    got = open_session(artifact.path).run([one.numpy() for one in drawn().values()])
    assert np.allclose(got[0], other(*drawn().values())["map"].detach().numpy(), atol=1e-5)
    assert artifact.path.stem.split("_")[2] == file_sha256(Path(weights))[:8]


@pytest.mark.parametrize(("input", "cause"), [
    ([IMAGE], "was exported for an input of 1x3x8x8 and 1x5, not 1x3x8x8"),
    ([IMAGE, (1, 6)], "not 1x3x8x8 and 1x6"),
    ([STATE, IMAGE], "not 1x5 and 1x3x8x8"),
    ({"picture": IMAGE, "state": STATE}, "takes image, state, not picture, state"),
])  # fmt: skip
def test_inputs_that_a_program_was_not_made_for_are_refused(input: Any, cause: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=cause):
        find(saved(tmp_path, PROGRAMS["by position"]()), input).build()


def test_a_free_size_is_of_the_example_or_as_given(tmp_path: Path) -> None:
    width = torch.export.Dim("width", min=6, max=64)
    made = torch.export.export(nn.Conv2d(3, 4, 3).eval(), (torch.randn(1, 3, 8, 10),), dynamic_shapes=({3: width},))
    model = saved(tmp_path, made)
    assert find(model, None).input_shape == (3, 8, 10) and find(model, (1, 3, 8, 20)).input_shape == (3, 8, 20)
    with pytest.raises(UsageError, match=r"for an input of 1x3x8x\?, not 1x3x9x10"):
        find(model, (1, 3, 9, 10))


def test_what_no_file_can_take_is_refused(tmp_path: Path) -> None:
    several = torch.export.export(Two().eval(), tuple(drawn(2).values()))
    with pytest.raises(UsageError, match="exported for a batch of 2, and a file is made for 1"):
        find(saved(tmp_path, several), None)
    words = torch.export.export(Words().eval(), (torch.zeros(1, 3, dtype=torch.long),))
    with pytest.raises(UsageError, match="its input ids is int64, and networks here take float32"):
        find(saved(tmp_path, words), None)


class Layered(nn.Module):
    """Layers within layers, one that runs twice, a BatchNorm that stays, and functions beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.block = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(self.again(nn.functional.silu(self.again(self.first(x)))))
        return self.head(y.mean((2, 3)) + 1)  # type: ignore[no-any-return]


def test_layers_keep_their_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = torch.export.export(Layered().eval(), (torch.randn(IMAGE),))
    graph = trace(find(saved(tmp_path, made), None).build().eval(), IMAGE)
    layers = [op.name for op in graph if op.name.partition(".")[0] in ("first", "again", "again#2", "block", "head")]
    assert layers == ["first", "again", "again#2", "block.0", "block.1", "block.2", "head"]


def test_what_edgekit_wrote_comes_back_as_it_was(tmp_path: Path) -> None:
    graph = fold(trace(Layered().eval(), IMAGE)).graph
    write(WriteJob(graph, "fp32"), tmp_path / "one.pt2")
    again = fold(trace(find(str(tmp_path / "one.pt2"), None).build().eval(), IMAGE)).graph
    rows = [[(row.kind, row.output_shape, row.macs, row.params) for row in table(one).rows] for one in (graph, again)]
    assert rows[0] == rows[1] and list(graph.outputs) == list(again.outputs)
    assert [op.name.replace("#", "_") for op in graph] == [op.name for op in again]
    write(WriteJob(again, "fp32"), tmp_path / "two.pt2")
    assert (tmp_path / "one.pt2").read_bytes() == (tmp_path / "two.pt2").read_bytes()


def test_conditions_between_sizes_are_no_code(tmp_path: Path) -> None:
    from edgekit.bench.ondevice.torch_archive import _is_meant

    keys = ("graph_module", "guards_code")
    assert all(_is_meant(text, keys) for text in (
        "L['image'].size()[0] == L['state'].size()[0]",
        "L['given']['image'].size()[2] % 2 == 0 and not L['x'][1].size()[0] * 3 <= 1024",
        "(L['x'].size()[0] + 1) // 2 != 7 or 3 < L['x'].size()[1] - 2",
    ))  # fmt: skip
    assert not any(_is_meant(text, keys) for text in (
        "__import__('os').system('x')", "L['x'].size.__class__", "9**9**9", "L['x'].item()", "exec(1)", "x",
        "L['x']['__class__'].mro()", "(" * 2000,
    ))  # fmt: skip
    assert program.read(Path(saved(tmp_path, free()))).program.range_constraints
