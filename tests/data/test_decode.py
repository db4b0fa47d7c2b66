"""Images of every kind become 8-bit RGB."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from edgekit.data.decode import decode
from edgekit.errors import UsageError
from tests.data.pictures import Image, pixels, write


def test_gray_is_repeated_in_three_channels(tmp_path: Path) -> None:
    gray = pixels()[:, :, 0]
    Image.fromarray(gray).save(tmp_path / "g.png")
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "g.png")), np.stack([gray] * 3, -1))


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 400], [32896, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "deep.png"))[:, :, 0], [[0, 2], [128, 255]])


def test_transparency_is_dropped_and_the_colors_stay(tmp_path: Path) -> None:
    rgb = pixels()
    alpha = np.full((8, 8, 1), 7, dtype=np.uint8)
    Image.fromarray(np.concatenate([rgb, alpha], -1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "a.png")), rgb)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_is_looked_up(tmp_path: Path, transparent: bool) -> None:
    image = Image.fromarray(pixels()).quantize(16)
    expected = np.asarray(image.convert("RGB"))
    image.save(tmp_path / "p.png", **({"transparency": bytes(range(16))} if transparent else {}))
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "p.png")), expected)


def test_cmyk_is_converted_and_can_be_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "c.jpg")
    red = np.asarray(decode(tmp_path / "c.jpg")).reshape(-1, 3).mean(0)
    assert red[0] > 250 and red[1] < 5 and red[2] < 5
    with pytest.raises(UsageError, match=r"c\.jpg is in CMYK"):
        decode(tmp_path / "c.jpg", refused_modes=("CMYK",))


def test_an_image_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    wide = Image.fromarray(pixels()[:4])
    wide.save(tmp_path / "side.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "side.png")), np.rot90(np.asarray(wide), -1))


@pytest.mark.parametrize(
    "name", ["text.jpg", "empty.png", "cut.jpg", "pixel.png", "float.tiff", "deep.tiff", "gone.png"]
)
def test_what_cannot_be_used_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "text.jpg":
        path.write_text("no image")
    elif name == "empty.png":
        path.write_bytes(b"")
    elif name == "cut.jpg":
        Image.fromarray(pixels(size=64)).save(path)
        path.write_bytes(path.read_bytes()[:700])
    elif name == "pixel.png":
        Image.new("RGB", (1, 1)).save(path)
    elif name == "float.tiff":
        Image.fromarray(np.zeros((8, 8), dtype=np.float32)).save(path)
    elif name == "deep.tiff":
        Image.fromarray(np.full((8, 8), 1 << 20, dtype=np.int32)).save(path)
    with pytest.raises(UsageError, match=name) as caught:
        decode(path)
    assert "\n" not in caught.value.message and caught.value.remedy


def test_broken_exif_is_no_traceback(tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHI", 8, 1, 0x0112, 3, 99999)
    write(tmp_path / "e.jpg", exif=exif)
    try:
        decode(tmp_path / "e.jpg")
    except UsageError as error:
        assert "e.jpg" in error.message
