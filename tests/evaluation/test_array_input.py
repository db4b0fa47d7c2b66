"""Files that take arrays: six channels, several inputs, and int8 with channels last, judged on labeled arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit
from edgekit.errors import UsageError
from edgekit.evaluation.result import EvalResult

torch = pytest.importorskip("torch")
for package in ("onnx", "onnxruntime", "ai_edge_litert"):
    pytest.importorskip(package)

Arrays = dict[str, NDArray[np.float32]]


def _examples(folder: Path, count: int, several: bool, seed: int = 0) -> list[Arrays]:
    """Arrays of one class each: the largest channel of six, or of the sum of a map and a state."""
    random, found = np.random.default_rng(seed), []
    for index in range(count):
        arrays = {"x": random.random((6, 8, 8), dtype=np.float32)}
        arrays["x"][index % 6] += 2
        if several:
            arrays["state"] = 5 * np.eye(6, dtype=np.float32)[(index + 1) % 6]  # it decides
        path = folder / f"class{(index + several) % 6}" / f"{index:02}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if several:
            np.savez(path.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
        else:
            np.save(path.with_suffix(".npy"), arrays["x"])
        found.append(arrays)
    return found


class One(torch.nn.Module):  # type: ignore[name-defined,misc]
    """(N, 6, 8, 8) -> (N, 6): the mean of each channel, by a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(6, 6, 1, bias=False)
        torch.nn.init.eye_(self.conv.weight.data[:, :, 0, 0])

    def forward(self, x: Any) -> Any:
        return self.conv(x).mean((2, 3))


class Two(One):
    """The same, and a state added."""

    def forward(self, x: Any, state: Any = 0) -> Any:
        return super().forward(x) + state


def _evaluated(folder: Path, several: bool, data: Path) -> EvalResult:
    done = edgekit.export(
        (Two if several else One)().eval(),
        input={"x": (1, 6, 8, 8), "state": (1, 6)} if several else (1, 6, 8, 8),
        format=["onnx", "tflite"],
        precision=["fp32", "int8"],
        data=folder / "calibration",
        out=folder / "out",
    )
    assert not done.failed
    return edgekit.eval([one.path for one in done.artifacts], data=data, store=str(folder / "store.db"))


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_labeled_arrays_are_calibrated_on_and_judged(several: bool, tmp_path: Path) -> None:
    _examples(tmp_path / "calibration", 12, several, seed=1)
    _examples(tmp_path / "data", 12, several)
    (tmp_path / "data" / "class0" / f"zz.{'npz' if several else 'npy'}").write_bytes(b"broken")
    (tmp_path / "data" / "class0" / "notes.avif").touch()
    result = _evaluated(tmp_path, several, tmp_path / "data")
    assert [(one.accuracy.n, one.accuracy.correct1, one.accuracy.unreadable) for one in result.results] == [
        (12, 12, 1)
    ] * 4
    assert any(".avif 1" in note for note in result.notes) and any("left out" in note for note in result.notes)


def test_arrays_that_int8_was_calibrated_on_are_refused(tmp_path: Path) -> None:
    _examples(tmp_path / "calibration", 12, several=False)
    result = _evaluated(tmp_path, False, tmp_path / "calibration")
    assert ["int8" in str(failure.part["artifact"]) for failure in result.failed] == [True, True]
    assert all("was calibrated on" in failure.error.message for failure in result.failed)


def test_images_and_arrays_in_one_list_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "b.png").touch()
    (tmp_path / "labels.csv").write_text("file,class\na.npy,0\nb.png,1\n")
    with pytest.raises(UsageError, match="lists both images and arrays"):
        edgekit.eval([tmp_path / "a.onnx"], data=tmp_path)
