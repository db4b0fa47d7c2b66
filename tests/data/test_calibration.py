"""The calibration set: what the network is given of it, how it is recorded, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.data import calibration
from edgekit.data.calibration import from_folder, synthetic
from edgekit.data.decode import decode
from edgekit.data.images import pixel_hash
from edgekit.errors import UsageError
from edgekit.records.preprocessing import TENSORFLOW, TORCHVISION, Preprocessing, apply
from tests.data.pictures import write

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
SHAPE = (1, 3, 16, 16)


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


def test_images_without_classes_do(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path / f"{seed}.png", seed)
    assert len(from_folder(tmp_path, TENSORFLOW, SHAPE)) == 3


def test_one_image_gives_no_ranges(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 0), write(tmp_path / "the same.png", 0)
    with pytest.raises(UsageError, match="one image only"):
        from_folder(tmp_path, TENSORFLOW, SHAPE)


@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (1, 3, 16, 112, 112)])
def test_a_network_that_takes_no_such_images_is_refused(animals: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="do not fit"):
        from_folder(animals, TENSORFLOW, shape)


def test_noise_says_what_it_is() -> None:
    noise = synthetic(SHAPE, TENSORFLOW, 4, seed=3)
    assert noise.record("minmax", "data").synthetic and noise.pixels == () and "latency only" in noise.notes[0]
    hashes = {synthetic(SHAPE, TENSORFLOW, n, seed).hash for n, seed in ((4, 3), (5, 3), (4, 4))}
    assert len(hashes) == 3


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
