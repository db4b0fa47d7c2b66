"""Examples as numbers: a choice that can be repeated, and one error for each file that is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.data.calibration import from_arrays
from edgekit.errors import UsageError
from edgekit.records.preprocessing import TORCHVISION

SHAPES = {"image": (1, 3, 4, 4), "state": (1, 2)}


def save(folder: Path, name: str, **changed: Any) -> None:
    drawn = np.random.default_rng(len(name) + ord(name[-1]))
    arrays = {key: drawn.standard_normal(shape).astype(np.float32) for key, shape in SHAPES.items()}
    np.savez(folder / f"{name}.npz", **{key: value for key, value in (arrays | changed).items() if value is not None})


def test_examples_are_chosen_by_name_without_those_that_are_there_twice(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path, name, label=np.array(3), state=np.arange(2))  # with or without the batch, of any numbers
    (tmp_path / "again.npz").write_bytes((tmp_path / "a.npz").read_bytes())
    (tmp_path / "readme.txt").write_text("no example")
    chosen = from_arrays(tmp_path, SHAPES, TORCHVISION)
    assert chosen is not None and len(chosen) == 3 and "only 3 calibration examples" in chosen.notes[0]
    (images, states), *rest = chosen.inputs()
    assert (images.shape, states.shape, rest) == ((3, 3, 4, 4), (3, 2), []) and states.dtype == np.float32
    assert np.array_equal(next(chosen.batches()), images) and states[0].tolist() == [0, 1]
    same, fewer = (from_arrays(tmp_path, SHAPES, TORCHVISION, n) for n in (100, 2))
    assert same is not None and fewer is not None and same.hash == chosen.hash != fewer.hash


def test_a_folder_without_arrays_has_no_examples(tmp_path: Path) -> None:
    assert from_arrays(tmp_path, SHAPES, TORCHVISION) is None
    assert from_arrays(tmp_path / "none", SHAPES, TORCHVISION) is None


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"state": None}, r"b.npz has no array 'state'"),
        ({"state": np.zeros((1, 3))}, "'state' in .*b.npz is 1x3, and the network takes 1x2"),
        ({"state": np.float32(1)}, "'state' in .*b.npz is one number, and the network takes 1x2"),
        ({"state": np.zeros((1, 2), complex)}, "holds complex128, not real numbers"),
        ({"state": np.array([1.0, np.nan])}, "holds values that are not finite"),
        ({"state": np.zeros(100_000)}, "'state' in .*b.npz is larger than 1x2"),
        ({"state": np.array([None, 1])}, "b.npz cannot be read as an .npz file of arrays"),
    ],
)
def test_what_is_no_example_is_refused_by_its_name(changed: dict[str, Any], cause: str, tmp_path: Path) -> None:
    save(tmp_path, "a")
    save(tmp_path, "b", **changed)
    with pytest.raises(UsageError, match=cause):
        from_arrays(tmp_path, SHAPES, TORCHVISION)


@pytest.mark.parametrize(
    ("content", "cause"), [(b"no zip", "cannot be read as an .npz file"), (None, "one example only")]
)
def test_a_broken_or_a_lonely_file_is_refused(content: bytes | None, cause: str, tmp_path: Path) -> None:
    save(tmp_path, "a")
    if content is not None:
        (tmp_path / "b.npz").write_bytes(content)
    with pytest.raises(UsageError, match=cause):
        from_arrays(tmp_path, SHAPES, TORCHVISION)
