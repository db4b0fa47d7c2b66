"""A choice of images: balanced over their classes, repeated with the same seed, and what is said about a poor one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.data.calibration import CalibrationSet, from_folder
from edgekit.errors import UsageError
from edgekit.records.preprocessing import TENSORFLOW, Preprocessing
from tests.data.pictures import write
from tests.paths import DATA

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
SHAPE = (1, 3, 16, 16)


def _groups(chosen: CalibrationSet) -> list[str]:
    return [sample.group for sample in chosen.samples]


@pytest.mark.parametrize(("n", "counts"), [(9, (3, 3, 3)), (15, (6, 6, 3))])
def test_the_choice_is_balanced_over_the_classes(animals: Path, n: int, counts: tuple[int, ...]) -> None:
    groups = _groups(from_folder(animals, TENSORFLOW, SHAPE, n=n))
    assert tuple(map(groups.count, ("cat", "dog", "owl"))) == counts


def test_the_choice_can_be_repeated_and_follows_the_seed(animals: Path) -> None:
    first, again, other = (from_folder(animals, TENSORFLOW, SHAPE, n=12, seed=seed) for seed in (0, 0, 1))
    assert first == again and first.hash == again.hash
    assert set(first.pixels) != set(other.pixels)


def test_the_choice_does_not_depend_on_where_the_folder_is(animals: Path, tmp_path: Path) -> None:
    before = from_folder(animals, TENSORFLOW, SHAPE, n=12)
    moved = animals.rename(tmp_path / "moved")
    assert from_folder(moved, TENSORFLOW, SHAPE, n=12).hash == before.hash


def test_an_image_twice_is_left_out_and_said(animals: Path) -> None:
    (animals / "owl" / "copy.png").write_bytes((animals / "owl" / "48.png").read_bytes())
    chosen = from_folder(animals, TENSORFLOW, SHAPE, n=60)
    assert len(chosen) == 49 == len(set(chosen.pixels))
    assert any(note.startswith("1 calibration images were left out") for note in chosen.notes)


def test_a_poor_choice_is_said(tmp_path: Path) -> None:
    for level in (10, 200):
        (tmp_path / "cat").mkdir(exist_ok=True)
        Image.new("RGB", (20, 20), (level, level, level)).save(tmp_path / "cat" / f"{level}.png")
    notes = " | ".join(from_folder(tmp_path, TENSORFLOW, SHAPE, n=2).notes)
    assert "only 2 calibration images" in notes and "one color" in notes and "of one class (cat)" in notes


def test_a_good_choice_needs_no_words(animals: Path) -> None:
    assert from_folder(animals, TENSORFLOW, SHAPE, n=49).notes == ()
    assert from_folder(animals, TENSORFLOW, SHAPE, n=40).notes == (
        "calibrated on 40 of 49 images, spread over their classes",
    )
    assert "there are no more" in from_folder(animals, TENSORFLOW, SHAPE, n=60).notes[0]


def _broken(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _cmyk(path: Path) -> None:
    Image.new("CMYK", (20, 20)).save(path.with_suffix(".jpg"))


def _one_pixel(path: Path) -> None:
    Image.new("RGB", (1, 1)).save(path)


@pytest.mark.parametrize("spoil", [_broken, _cmyk, _one_pixel])
def test_an_image_that_cannot_be_used_is_left_out_and_said(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    for seed in range(4):
        write(tmp_path / f"{seed}.png", seed)
    spoil(tmp_path / "3.png")
    chosen = from_folder(tmp_path, TENSORFLOW, SHAPE, n=3)
    assert len(chosen) == 3 and chosen.record("minmax", "data").unreadable == chosen.unreadable
    if chosen.unreadable:  # it may stand behind the ones that were chosen
        assert re.match(r"1 of 4 images is left out, unreadable: 3\.(png|jpg) \(the image", chosen.notes[0])
    assert from_folder(tmp_path, TENSORFLOW, SHAPE, n=9).unreadable == 1


def test_more_unreadable_than_readable_images_are_refused(tmp_path: Path) -> None:
    for seed in range(5):
        _broken(write(tmp_path / f"{seed}.png", seed)) if seed > 1 else write(tmp_path / f"{seed}.png", seed)
    with pytest.raises(UsageError, match=r"3 of 5 images in .* cannot be read; the first: the image .*png") as caught:
        from_folder(tmp_path, TENSORFLOW, SHAPE)
    assert "half of a set" in caught.value.remedy


@pytest.mark.data
def test_real_images_are_chosen_one_a_class() -> None:
    chosen = from_folder(DATA / "imagenet_calibration", TENSORFLOW, (1, 3, 64, 64), n=20)
    assert len(set(_groups(chosen))) == 20 and len(chosen.notes) == 1
    digits = Preprocessing(channels="L", crop_fraction=1.0, mean=(127.5,), std=(127.5,))
    mnist = from_folder(DATA / "mnist" / "t10k-images-idx3-ubyte.gz", digits, (1, 1, 32, 32), n=40)
    assert {group: _groups(mnist).count(group) for group in "0123456789"} == dict.fromkeys("0123456789", 4)
