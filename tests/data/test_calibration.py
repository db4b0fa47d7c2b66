"""The calibration set: a balanced choice that can be repeated, and what is said about a poor one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit.data import calibration
from edgekit.data.calibration import CalibrationSet, from_folder, synthetic
from edgekit.data.decode import decode
from edgekit.data.images import pixel_hash
from edgekit.errors import UsageError
from edgekit.records.preprocessing import TENSORFLOW, TORCHVISION, Preprocessing, apply
from tests.paths import DATA

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
SHAPE = (1, 3, 16, 16)


def _write(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """40 cats, 6 dogs, 3 owls."""
    for index, name in enumerate(["cat"] * 40 + ["dog"] * 6 + ["owl"] * 3):
        _write(tmp_path / "animals" / name / f"{index}.png", index)
    return tmp_path / "animals"


def _groups(chosen: CalibrationSet) -> list[str]:
    return [sample.group for sample in chosen.samples]


def test_the_choice_is_balanced_over_the_classes(animals: Path) -> None:
    assert [sorted(_groups(from_folder(animals, TENSORFLOW, SHAPE, n=9))).count(g) for g in ("cat", "dog", "owl")] == [
        3
    ] * 3
    twelve = _groups(from_folder(animals, TENSORFLOW, SHAPE, n=15))
    assert (twelve.count("cat"), twelve.count("dog"), twelve.count("owl")) == (6, 6, 3)


def test_the_choice_can_be_repeated_and_follows_the_seed(animals: Path) -> None:
    first, again, other = (from_folder(animals, TENSORFLOW, SHAPE, n=12, seed=seed) for seed in (0, 0, 1))
    assert first == again and first.hash == again.hash
    assert set(first.pixels) != set(other.pixels)


def test_the_choice_does_not_depend_on_where_the_folder_is(animals: Path, tmp_path: Path) -> None:
    before = from_folder(animals, TENSORFLOW, SHAPE, n=12)
    moved = animals.rename(tmp_path / "moved")
    assert from_folder(moved, TENSORFLOW, SHAPE, n=12).hash == before.hash


def test_batches_hold_what_the_network_sees(animals: Path) -> None:
    chosen = from_folder(animals, TORCHVISION, SHAPE, n=10)
    batches = list(chosen.batches(4))
    assert [len(batch) for batch in batches] == [4, 4, 2] and batches[0].dtype == np.float32
    expected = [apply(TORCHVISION, decode(sample.path), (16, 16)) for sample in chosen.samples]
    np.testing.assert_array_equal(np.concatenate(batches), expected)


def test_images_that_memory_does_not_keep_are_decoded_again(animals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = from_folder(animals, TENSORFLOW, SHAPE, n=5)
    monkeypatch.setattr(calibration, "KEPT_BYTES", 0)
    lean = from_folder(animals, TENSORFLOW, SHAPE, n=5)
    assert not lean._kept and kept._kept
    np.testing.assert_array_equal(next(lean.batches()), next(kept.batches()))


def test_the_record_names_every_image_by_its_pixels(animals: Path) -> None:
    chosen = from_folder(animals, TENSORFLOW, SHAPE, n=5)
    record = chosen.record("minmax", "data")
    assert record.pixels == tuple(pixel_hash(decode(sample.path)) for sample in chosen.samples)
    assert (record.n, record.seed, record.synthetic, record.hash) == (5, 0, False, chosen.hash)


def test_the_hash_depends_on_preprocessing_and_seed(animals: Path) -> None:
    both = [from_folder(animals, TENSORFLOW, SHAPE, n=49, seed=seed) for seed in (0, 1)]
    torchvision = from_folder(animals, TORCHVISION, SHAPE, n=49)
    assert len({both[0].hash, both[1].hash, torchvision.hash}) == 3


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


def test_images_without_classes_do(tmp_path: Path) -> None:
    for seed in range(3):
        _write(tmp_path / f"{seed}.png", seed)
    assert len(from_folder(tmp_path, TENSORFLOW, SHAPE)) == 3


def _broken(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _cmyk(path: Path) -> None:
    Image.new("CMYK", (20, 20)).save(path.with_suffix(".jpg"))


def _one_pixel(path: Path) -> None:
    Image.new("RGB", (1, 1)).save(path)


@pytest.mark.parametrize("spoil", [_broken, _cmyk, _one_pixel])
def test_an_image_that_cannot_be_used_is_left_out_and_said(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    for seed in range(4):
        _write(tmp_path / f"{seed}.png", seed)
    spoil(tmp_path / "3.png")
    chosen = from_folder(tmp_path, TENSORFLOW, SHAPE, n=3)
    assert len(chosen) == 3 and chosen.record("minmax", "data").unreadable == chosen.unreadable
    if chosen.unreadable:  # it may stand behind the ones that were chosen
        assert re.match(r"1 of 4 images is left out, unreadable: 3\.(png|jpg) \(the image", chosen.notes[0])
    assert from_folder(tmp_path, TENSORFLOW, SHAPE, n=9).unreadable == 1


def test_more_unreadable_than_readable_images_are_refused(tmp_path: Path) -> None:
    for seed in range(5):
        _broken(_write(tmp_path / f"{seed}.png", seed)) if seed > 1 else _write(tmp_path / f"{seed}.png", seed)
    with pytest.raises(UsageError, match=r"3 of 5 images in .* cannot be read; the first: the image .*png") as caught:
        from_folder(tmp_path, TENSORFLOW, SHAPE)
    assert "half of a set" in caught.value.remedy


def test_one_image_gives_no_ranges(tmp_path: Path) -> None:
    _write(tmp_path / "a.png", 0), _write(tmp_path / "the same.png", 0)
    with pytest.raises(UsageError, match="one image only"):
        from_folder(tmp_path, TENSORFLOW, SHAPE)


@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (1, 3, 16, 112, 112)])
def test_a_network_that_takes_no_such_images_is_refused(animals: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="do not fit"):
        from_folder(animals, TENSORFLOW, shape)


@pytest.mark.parametrize("shape", [(1, 3, 37, 50), (1, 4, 28, 28), (1, 3, 4, 20, 20), (1, 16)])
def test_noise_fits_any_input_and_repeats(shape: tuple[int, ...]) -> None:
    first, again = (next(synthetic(shape, TENSORFLOW, 4, seed=3).batches()) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (4, *shape[1:]) and first.dtype == np.float32 and np.isfinite(first).all()
    if shape[1] == 3:
        assert first.min() >= -1.0 and first.max() <= 1.0 and first.std() > 0.2
    else:  # no pixels
        assert 0.7 < first.std() < 1.4 and (len(shape) < 4 or first.max() > 2.0)
    assert not np.array_equal(first[0], first[1])


def test_every_input_gets_noise_of_its_own() -> None:
    noise = synthetic((1, 3, 8, 8), TENSORFLOW, 4, 3, ((1, 3, 8, 8), (1, 6)))
    (image, other, vector), (again, *_) = next(noise.inputs()), next(noise.inputs())
    assert [x.shape for x in (image, other, vector)] == [(4, 3, 8, 8), (4, 3, 8, 8), (4, 6)]
    assert not np.array_equal(image, other) and np.array_equal(image, again)
    np.testing.assert_array_equal(np.concatenate([x for _, x, _ in noise.inputs(3)]), other)


def test_noise_says_what_it_is() -> None:
    noise = synthetic(SHAPE, TENSORFLOW, 4, seed=3)
    assert noise.record("minmax", "data").synthetic and noise.pixels == () and "latency only" in noise.notes[0]
    hashes = {synthetic(SHAPE, TENSORFLOW, n, seed).hash for n, seed in ((4, 3), (5, 3), (4, 4))}
    assert len(hashes) == 3


@pytest.mark.data
def test_real_images_are_chosen_one_a_class() -> None:
    chosen = from_folder(DATA / "imagenet_calibration", TENSORFLOW, (1, 3, 64, 64), n=20)
    assert len(set(_groups(chosen))) == 20 and len(chosen.notes) == 1
    digits = Preprocessing(channels="L", crop_fraction=1.0, mean=(127.5,), std=(127.5,))
    mnist = from_folder(DATA / "mnist" / "t10k-images-idx3-ubyte.gz", digits, (1, 1, 32, 32), n=40)
    assert {group: _groups(mnist).count(group) for group in "0123456789"} == dict.fromkeys("0123456789", 4)


def test_the_fourth_channel_is_calibrated_by_itself(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for index in range(3):
        pixels = random.integers(0, 256, (8, 8, 4), dtype=np.uint8)
        pixels[..., 3] = 0 if index == 0 else pixels[..., 3]  # transparent, and still of some color
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    how = Preprocessing(channels="RGBA", crop_fraction=1.0, mean=(0.0,) * 4, std=(1.0,) * 4)
    whole = {
        sample.name: np.asarray(sample.load(alpha=True)) for sample in from_folder(tmp_path, how, (1, 4, 8, 8)).samples
    }
    for size in (8, 4):
        made = from_folder(tmp_path, how, (1, 4, size, size))
        (batch,) = made.batches()
        assert batch.shape == (3, 4, size, size)
        for x, sample in zip(batch, made.samples, strict=True):
            bands = [Image.fromarray(band).resize((size, size), 2) for band in np.moveaxis(whole[sample.name], -1, 0)]
            assert np.array_equal(x, np.stack([np.asarray(band) for band in bands]))
    with pytest.raises(UsageError, match="images in RGB do not fit an input of 4x8x8"):
        from_folder(tmp_path, Preprocessing(), (1, 4, 8, 8))
    Image.new("RGB", (8, 8)).save(tmp_path / "3.png")
    with pytest.raises(UsageError, match=r"3\.png is in RGB, without the fourth channel"):
        from_folder(tmp_path, how, (1, 4, 8, 8))


def test_what_is_passed_over_is_said(tmp_path: Path) -> None:
    for name in ("a.png", "b.jfif"):
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(
            tmp_path / name, format="png"
        )
    (tmp_path / "c.avif").touch()
    found = from_folder(tmp_path, Preprocessing(), (1, 3, 8, 8))
    assert len(found) == 2 and found.notes[0].startswith("1 file or folder is passed over in ")
