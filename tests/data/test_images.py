"""Images: decoding to RGB, telling equal ones apart, finding them and their classes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.data.decode import decode
from edgekit.data.images import find, labelled, pixel_hash
from edgekit.errors import UsageError
from tests.paths import DATA

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")


def _pixels(seed: int = 0, size: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def _write(path: Path, seed: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_pixels(seed)).save(path, **options)
    return path


def _csv(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder


# Decoding


def test_grey_is_repeated_in_three_channels(tmp_path: Path) -> None:
    grey = _pixels()[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "g.png")
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "g.png")), np.stack([grey] * 3, -1))


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 400], [32896, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "deep.png"))[:, :, 0], [[0, 2], [128, 255]])


def test_transparency_is_dropped_and_the_colours_stay(tmp_path: Path) -> None:
    rgb = _pixels()
    alpha = np.full((8, 8, 1), 7, dtype=np.uint8)
    Image.fromarray(np.concatenate([rgb, alpha], -1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "a.png")), rgb)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_is_looked_up(tmp_path: Path, transparent: bool) -> None:
    image = Image.fromarray(_pixels()).quantize(16)
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
    wide = Image.fromarray(_pixels()[:4])
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
        Image.fromarray(_pixels(size=64)).save(path)
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
    _write(tmp_path / "e.jpg", exif=exif)
    try:
        decode(tmp_path / "e.jpg")
    except UsageError as error:
        assert "e.jpg" in error.message


# Equal pixels


def test_the_hash_is_of_pixels_not_of_files(tmp_path: Path) -> None:
    png, bmp = _write(tmp_path / "a.png"), _write(tmp_path / "other name.bmp")
    assert png.read_bytes() != bmp.read_bytes()
    assert pixel_hash(decode(png)) == pixel_hash(decode(bmp))
    assert len(pixel_hash(decode(png))) == 16


def test_the_hash_knows_one_pixel_and_the_shape() -> None:
    pixels = _pixels()
    changed = pixels.copy()
    changed[3, 3, 1] ^= 1
    hashes = {pixel_hash(Image.fromarray(one)) for one in (pixels, changed, pixels.reshape(4, 16, 3))}
    assert len(hashes) == 3


# Finding


def test_labels_csv_names_files_and_classes(tmp_path: Path) -> None:
    _write(tmp_path / "b.png"), _write(tmp_path / "sub" / "a.png", 1), _write(tmp_path / "not listed.png", 2)
    _csv(tmp_path, "\ufefffile,class,wnid\r\nb.png,7,n1\r\nsub/a.png,0,n2\r\n")
    assert [(s.name, s.label) for s in labelled(tmp_path)] == [("b.png", 7), ("sub/a.png", 0)]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("file,label\na.png,1\n", "no column 'class'"),
        ("name,class\na.png,1\n", "no column 'file'"),
        ("", "no column 'file'"),
        ("file,class\n", "lists no images"),
        ("file,class\nb.png,1\n", "line 2: the file 'b.png' does not exist"),
        ("file,class\n,1\n", "line 2: the file '' does not exist"),
        ("file,class\na.png,-1\n", "class '-1' is no whole number"),
        ("file,class\na.png,1.5\n", "class '1.5' is no whole number"),
        ("file,class\na.png\n", "class '' is no whole number"),
        ("file,class\na.png,1\na.png,2\n", "lists 'a.png' twice"),
    ],
)
def test_a_wrong_labels_csv_says_what_is_wrong(tmp_path: Path, text: str, cause: str) -> None:
    _write(tmp_path / "a.png")
    with pytest.raises(UsageError, match=cause):
        labelled(_csv(tmp_path, text))


def test_a_labels_csv_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        labelled(tmp_path)


def test_sub_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    for name in ("dog", "cat", "bird"):
        _write(tmp_path / name / "1.png")
    (tmp_path / "cat" / "notes.txt").write_text("passed over")
    _write(tmp_path / ".hidden" / "1.png")
    assert [(s.name, s.label) for s in labelled(tmp_path)] == [("bird/1.png", 0), ("cat/1.png", 1), ("dog/1.png", 2)]


def test_sub_folders_that_are_numbers_mean_these_classes(tmp_path: Path) -> None:
    for name in ("2", "10", "0"):
        _write(tmp_path / name / "1.png")
    assert {s.group: s.label for s in labelled(tmp_path)} == {"0": 0, "2": 2, "10": 10}


def test_classes_txt_decides_the_order(tmp_path: Path) -> None:
    for name in ("dog", "cat"):
        _write(tmp_path / name / "1.png")
    (tmp_path / "classes.txt").write_text("dog\nbird\ncat\n")
    assert {s.group: s.label for s in labelled(tmp_path)} == {"dog": 0, "cat": 2}
    _write(tmp_path / "horse" / "1.png")
    with pytest.raises(UsageError, match="which class 'horse'"):
        labelled(tmp_path)


@pytest.mark.parametrize("flat", [True, False])
def test_wordnet_ids_need_a_table_beside_or_above(tmp_path: Path, flat: bool) -> None:
    root = tmp_path / "set"
    for wnid in ("n01440764", "n01443537"):
        _write(root / (f"{wnid}_x.png" if flat else f"{wnid}/x.png"))
    assert [s.label for s in find(root)] == [None, None]
    with pytest.raises(UsageError, match="which class 'n01440764'") as caught:
        labelled(root)
    assert "synset_words.txt" in caught.value.remedy
    (tmp_path / "synset_words.txt").write_text("n01443537 goldfish\nn01440764 tench, Tinca tinca\n")
    assert {s.group: s.label for s in labelled(root)} == {"n01440764": 1, "n01443537": 0}


def test_all_thousand_wordnet_ids_are_their_own_table(tmp_path: Path) -> None:
    source = _write(tmp_path / "one.png").read_bytes()
    root = tmp_path / "set"
    root.mkdir()
    for index in range(1000):
        (root / f"n{20000000 - index:08d}.png").write_bytes(source)
    labels = {s.group: s.label for s in labelled(root)}
    assert labels["n19999001"] == 0 and labels["n20000000"] == 999


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ((), "holds no images"),
        (("notes.txt",), "holds no images"),
        (("a.png", "b.png"), "nothing says which class a.png"),
        (("a.png", "cat/b.png"), "both beside and inside"),
    ],
)
def test_a_folder_without_classes_says_so(tmp_path: Path, files: tuple[str, ...], cause: str) -> None:
    for name in files:
        _write(tmp_path / name) if name.endswith("png") else (tmp_path / name).write_text("x")
    with pytest.raises(UsageError, match=cause):
        labelled(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist"):
        find(tmp_path / "nowhere")


def test_a_class_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "cat" / "1.png")
    (tmp_path / "classes.txt").write_text("cat\ncat\n")
    with pytest.raises(UsageError, match="names a class twice"):
        find(tmp_path)


@pytest.mark.data
def test_the_shared_folders_are_read_as_they_are() -> None:
    calibration, validation = labelled(DATA / "imagenet_calibration"), labelled(DATA / "imagenet_val")
    assert len(calibration) == 500 and len({s.label for s in calibration}) == 500
    assert len(validation) == 650 and max(s.label or 0 for s in validation) <= 999
    by_wnid = {s.group: s.label for s in calibration}
    assert by_wnid["n01440764"] == 0 and by_wnid["n01484850"] == 2


@pytest.mark.parametrize("row", ["a" * 5000 + ",1", f"{'a/' * 3000}b,1", "0.png," + "9" * 5000, "\0,1"])
def test_a_row_that_no_image_can_have_is_told(row: str, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text(f"file,class\n{row}\n")
    with pytest.raises(UsageError, match="does not exist|no whole number|cannot be read"):
        find(tmp_path)
