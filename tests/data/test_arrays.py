"""Examples as numbers: a choice that can be repeated, and one error for each file that is none."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.data.arrays import Example
from edgekit.data.calibration import from_arrays
from edgekit.data.images import labeled
from edgekit.data.unreadable import Unreadable
from edgekit.errors import UsageError
from edgekit.records.preprocessing import TORCHVISION
from tests.data.pictures import write

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
        ({"state": np.array([1.0, 1e300])}, "holds values that are not finite"),
        ({"state": np.zeros(100_000)}, "'state' in .*b.npz is larger than 1x2"),
    ],
)
def test_what_is_no_example_is_refused_by_its_name(changed: dict[str, Any], cause: str, tmp_path: Path) -> None:
    save(tmp_path, "a")
    save(tmp_path, "b", **changed)
    with pytest.raises(UsageError, match=cause):
        from_arrays(tmp_path, SHAPES, TORCHVISION)


@pytest.mark.parametrize(
    ("broken", "cause"), [(0, "one example only"), (1, "one example only"), (2, "cannot be read as an .npz file")]
)
def test_a_lonely_file_is_refused_and_what_is_broken_is_left_out(broken: int, cause: str, tmp_path: Path) -> None:
    save(tmp_path, "a")
    for index in range(broken):
        (tmp_path / f"broken{index}.npz").write_bytes(b"no zip")
    with pytest.raises(UsageError, match=cause):
        from_arrays(tmp_path, SHAPES, TORCHVISION)
    for name in "bc":
        save(tmp_path, name)
    chosen = from_arrays(tmp_path, SHAPES, TORCHVISION)
    assert chosen is not None and (len(chosen), chosen.unreadable) == (3, broken)
    assert len(chosen.notes) == (2 if broken else 1)


def test_a_header_that_claims_more_than_memory_is_a_broken_file(tmp_path: Path) -> None:
    claim: Any = {"descr": "<f4", "fortran_order": False, "shape": (10**8, 10**8)}
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("x.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, claim)
    with pytest.raises(Unreadable, match=r"a.npz cannot be read as an .npz file of arrays"):
        Example(tmp_path / "a.npz", {"x": (1, 6)}).load()


def test_arrays_of_the_only_input_are_files_of_numpy_in_class_folders_too(tmp_path: Path) -> None:
    shapes = {"x": (1, 6, 4, 4)}
    for seed, name in enumerate(("cat/0", "cat/1", "dog/0")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(seed).random((6, 4, 4)))
    chosen = from_arrays(tmp_path, shapes, TORCHVISION)
    assert chosen is not None and next(chosen.batches()).shape == (3, 6, 4, 4)
    assert {str(sample.path.relative_to(tmp_path)): sample.label for sample in labeled(tmp_path)} == {
        "cat/0.npy": 0, "cat/1.npy": 0, "dog/0.npy": 1,
    }  # fmt: skip
    write(tmp_path / "cat" / "picture.png")
    assert from_arrays(tmp_path, shapes, TORCHVISION) is None, "images are there"


@pytest.mark.parametrize(
    ("array", "shapes", "cause"),
    [
        (np.zeros((6, 4)), {"x": (1, 6, 5)}, "'x' in .*0.npy is 6x4, and the network takes 1x6x5"),
        (np.zeros(3), SHAPES, "holds one array, and the network takes 2"),
        (np.zeros(200_000), {"x": (1, 6)}, "0.npy is larger than 1x6"),
        (np.array([None]), {"x": (1, 6)}, "0.npy cannot be read as an .npy file"),
    ],
)
def test_an_array_that_is_no_input_is_refused(
    array: np.ndarray[Any, Any], shapes: dict[str, tuple[int, ...]], cause: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "0.npy", array)
    with pytest.raises(UsageError, match=cause):
        from_arrays(tmp_path, shapes, TORCHVISION)
