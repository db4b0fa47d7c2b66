"""torch's archives as a runtime opens them: those that edgekit writes, and those of any torch program."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench.ondevice.test_torch_archive import changed

torch = pytest.importorskip("torch")
from edgekit.bench.ondevice import torch_archive  # noqa: E402
from edgekit.bench.ondevice.runtimes import torch as eager  # noqa: E402
from edgekit.bench.ondevice.tensor import Tensor  # noqa: E402

nn = torch.nn
IMAGE, STATE = np.ones((1, 3, 8, 8), np.float32), np.arange(5, dtype=np.float32).reshape(1, 5)


class Two(nn.Module):  # type: ignore[misc,name-defined]
    """Takes a dictionary and a number, has a tensor that it makes itself, and gives back one that it got."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("step", torch.arange(4.0)[:, None, None], persistent=False)

    def forward(self, given: dict[str, Any], factor: float) -> dict[str, Any]:
        y = self.conv(given["image"]) * factor + self.get_buffer("step") + torch.tensor([2.0])
        return {"map": y, "best": given["state"].argmax(1), "state": given["state"]}


def saved(path: Path, module: Any, *given: Any, **how: Any) -> str:
    torch.export.save(torch.export.export(module.eval(), given, **how), path)
    return str(path)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    module = Two().eval()
    given = {"image": torch.from_numpy(IMAGE), "state": torch.from_numpy(STATE)}
    with torch.no_grad():
        return saved(tmp_path_factory.mktemp("two") / "two.pt2", module, given, 3.0), module(given, 3.0)


def test_an_archive_of_any_program_takes_one_array_for_each_tensor(two: tuple[str, Any]) -> None:
    session = eager.open_session(two[0], {"threads": 1})
    assert [(one.dtype, one.shape) for one in session.inputs] == [("float32", (1, 3, 8, 8)), ("float32", (1, 5))]
    assert [(one.dtype, one.shape) for one in session.outputs] == [
        ("float32", (1, 4, 6, 6)), ("int64", (1,)), ("float32", (1, 5)),
    ]  # fmt: skip
    for _ in range(2):  # nothing is used up
        for got, want in zip(session.run([IMAGE, STATE]), two[1].values(), strict=True):
            np.testing.assert_allclose(got, want.numpy(), atol=1e-5)
    session.prepare([IMAGE, STATE])()
    assert session.found["threads"] == 1 and session.found["provider"] == "cpu"


def test_a_program_is_moved_with_all_that_it_makes(two: tuple[str, Any]) -> None:
    """A device without data stands for a GPU: a tensor that stayed behind would not fit the others."""
    program = torch_archive.load(Path(two[0])).program
    given, places, _ = eager._arguments(eager.moved(program, "meta"))
    for place, array in zip(places, (IMAGE, STATE), strict=True):
        given[place] = torch.from_numpy(array).to("meta")
    assert all(y.is_meta for y in program.graph_module(*given) if isinstance(y, torch.Tensor))


def test_a_batch_is_free_or_fixed(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", max=64)
    fixed = saved(tmp_path / "fixed.pt2", nn.Conv2d(3, 4, 3), torch.from_numpy(IMAGE))
    free = saved(tmp_path / "free.pt2", nn.Conv2d(3, 4, 3), torch.zeros(2, 3, 8, 8), dynamic_shapes=({0: batch},))
    assert eager.open_session(free, {}).inputs == [Tensor("input", "float32", (-1, 3, 8, 8))]
    session = eager.open_session(free, {"batch": 7})
    assert session.inputs[0].shape == (7, 3, 8, 8) and session.outputs[0].shape == (7, 4, 6, 6)
    together = session.run([np.concatenate([IMAGE] * 7)])[0]
    np.testing.assert_allclose(together[3:4], session.run([IMAGE])[0], atol=1e-5)
    with pytest.raises(ValueError, match="fixes its batch at 1, and 7 was asked"):
        eager.open_session(fixed, {"batch": 7})


def test_sizes_and_types_that_no_array_has_are_refused(tmp_path: Path) -> None:
    width = torch.export.Dim("width", min=6, max=64)
    free = saved(tmp_path / "free.pt2", nn.ReLU(), torch.zeros(1, 3, 8, 8), dynamic_shapes=({3: width},))
    with pytest.raises(RuntimeError, match="'input' has free sizes beside the batch"):
        eager.open_session(free, {})
    brain = saved(tmp_path / "brain.pt2", nn.ReLU(), torch.zeros(1, 3, dtype=torch.bfloat16))
    with pytest.raises(RuntimeError, match="'input' is torch.bfloat16"):
        eager.open_session(brain, {})


def test_providers_are_those_that_are_there(two: tuple[str, Any]) -> None:
    with pytest.raises(ValueError, match="providers cpu, cuda, cuda-graph, not 'rocm'"):
        eager.open_session(two[0], {"provider": "rocm"})
    with pytest.raises(ValueError, match="providers, not delegates"):
        eager.open_session(two[0], {"delegate": "gpu"})
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="provider cuda-graph: .* sees no CUDA GPU"):
            eager.open_session(two[0], {"provider": "cuda-graph"})


def zipped(**parts: bytes) -> bytes:
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda whole: b"",
    "a text": lambda whole: b"hello" * 100,
    "the first half": lambda whole: whole[: len(whole) // 2],
    "all but the end": lambda whole: whole[:-40],
    "another zip": lambda whole: zipped(a=b"1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_archive_is_refused(name: str, two: tuple[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bad.pt2").write_bytes(BROKEN[name](Path(two[0]).read_bytes()))
    with pytest.raises(ValueError, match=r"bad\.pt2 cannot be read as an archive of torch\.export"):
        eager.open_session(str(tmp_path / "bad.pt2"), {})


def test_another_release_of_torch_is_named(two: tuple[str, Any], tmp_path: Path) -> None:
    def newer(data: bytes) -> bytes:
        return json.dumps({**json.loads(data), "schema_version": {"major": 99, "minor": 1}}).encode()

    path = changed(Path(two[0]).read_bytes(), tmp_path / "net.pt2", torch_archive.GRAPH, newer)
    with pytest.raises(ValueError, match=rf"written by torch {torch.__version__[:3]}.*cannot be read by torch"):
        eager.open_session(str(path), {})
