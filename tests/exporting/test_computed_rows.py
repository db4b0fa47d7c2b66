"""Networks whose inputs choose rows of a tensor: examples stay inside, or it is said what leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.errors import UsageError
from edgekit.records.artifact import open_artifact
from edgekit.records.runtime import open_session
from tests.exporting.test_whole_inputs import written
from tests.importers.onnx.files import Array, node, of_runtime, weight

OWN: dict[str, Array] = {"rows": weight(30, 8), "many": np.array(50, np.float32), "half": np.array(15, np.float32)}
ROWS = {
    "Gather": [node("Cast", "x", "at", to=7), node("Gather", "rows at", "y", axis=0)],
    "rounded": [node("Round", "x", "r"), node("Cast", "r", "at", to=6), node("Gather", "rows at", "y", axis=0)],
    "GatherElements": [
        node("Unsqueeze", "x axes", "u"),
        node("Cast", "u", "at", to=7),
        node("Squeeze", "at front", "two"),
        node("GatherElements", "rows two", "y", axis=0),
    ],
    "from the end": [node("Sub", "x half", "s"), node("Cast", "s", "at", to=7), node("Gather", "rows at", "y", axis=0)],
    "outside": [
        node("Mul", "x many", "m"),
        node("Exp", "m", "e"),
        node("Cast", "e", "at", to=7),
        node("Gather", "rows at", "y", axis=0),
    ],
}


def of_rows(path: Path, kind: str) -> Path:
    """Write a file of one of these, which takes real numbers."""
    own = {**OWN, "axes": np.array([2], np.int64), "front": np.array([2], np.int64)}
    return written(path, ROWS[kind], {"x": ((1, 8), "FLOAT")}, own)


@pytest.mark.parametrize("kind", ["Gather", "rounded", "GatherElements", "from the end"])
def test_real_numbers_that_choose_rows_stay_inside(kind: str, tmp_path: Path) -> None:
    path = of_rows(tmp_path / "net.onnx", kind)
    result = edgekit.export(str(path), format=["onnx", "tflite"], out=tmp_path)
    assert result.exit_code == 0 and len(result.artifacts) == 2
    x = np.random.default_rng(0).integers(0, 30, (1, 8)).astype(np.float32)
    (want,) = of_runtime(path, x)
    for artifact in result.artifacts:
        assert np.array_equal(open_session(open_artifact(artifact.path).path).run([x])[0], want)


@pytest.mark.parametrize("inside", [True, False, None])
def test_rows_that_are_not_there_are_told(inside: bool | None, tmp_path: Path) -> None:
    path = of_rows(tmp_path / "net.onnx", "outside")
    asked: dict[str, Any] = {"format": ["onnx"], "out": tmp_path}
    if inside is not None:
        (tmp_path / "examples").mkdir()
        for index in range(2):
            np.savez(tmp_path / f"examples/{index}.npz", x=np.full((1, 8), index / 50 if inside else 2.0 + index))
        asked["data"] = str(tmp_path / "examples")
    if inside:
        result = edgekit.export(str(path), **asked)
        assert any("on --data alone" in note for note in result.notes)
        assert result.artifacts[0].manifest is not None and result.artifacts[0].manifest.parity.n_real == 2
        return
    with pytest.raises(UsageError, match=r"y.* row -?\d+ of 30(.|\n)*--data DIR"):
        edgekit.export(str(path), **asked)


class Choosing(nn.Module):
    """A network that chooses by what it computes."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.rows = way, nn.Embedding(7, 8)

    def forward(self, x: Tensor) -> Any:
        far = (x * 0 + 50).long()
        if self.way == "embedding":
            return self.rows(far)
        if self.way == "index":
            return self.rows.weight[far]
        if self.way == "gather":
            return torch.gather(self.rows.weight, 0, far)
        if self.way == "take":
            return torch.take(self.rows.weight, far * 50)
        if self.way == "one_hot":
            return nn.functional.one_hot(far, 7).float()
        return torch.index_select(self.rows.weight, 0, far.reshape(-1))


@pytest.mark.parametrize("way", ["embedding", "index", "gather", "take", "one_hot", "index_select"])
def test_networks_that_choose_rows_outside(way: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rows that are not there: (.|\n)*--data DIR"):
        edgekit.export(Choosing(way).eval(), input=(1, 4), format=["onnx"], out=tmp_path)
