"""Images: decoding to RGB, telling equal ones apart, finding them and their classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.data.decode import decode
from edgekit.data.images import find, labeled, pixel_hash
from edgekit.errors import UsageError
from tests.data.pictures import Image, pixels, write
from tests.paths import DATA


def _csv(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder


# Equal pixels


def test_the_hash_is_of_pixels_not_of_files(tmp_path: Path) -> None:
    png, bmp = write(tmp_path / "a.png"), write(tmp_path / "other name.bmp")
    assert png.read_bytes() != bmp.read_bytes()
    assert pixel_hash(decode(png)) == pixel_hash(decode(bmp))
    assert len(pixel_hash(decode(png))) == 16


def test_the_hash_knows_one_pixel_and_the_shape() -> None:
    given = pixels()
    changed = given.copy()
    changed[3, 3, 1] ^= 1
    hashes = {pixel_hash(Image.fromarray(one)) for one in (given, changed, given.reshape(4, 16, 3))}
    assert len(hashes) == 3


# Finding


def test_labels_csv_names_files_and_classes(tmp_path: Path) -> None:
    write(tmp_path / "b.png"), write(tmp_path / "sub" / "a.png", 1), write(tmp_path / "not listed.png", 2)
    _csv(tmp_path, "\ufefffile,class,wnid\r\nb.png,7,n1\r\nsub/a.png,0,n2\r\n")
    assert [(s.name, s.label) for s in labeled(tmp_path)] == [("b.png", 7), ("sub/a.png", 0)]


def test_labels_csv_may_name_its_classes(tmp_path: Path) -> None:
    for index, name in enumerate(("a.png", "b.png", "c.png")):
        write(tmp_path / name, index)
    _csv(tmp_path, "file,class\nb.png,dog\na.png,cat 2\nc.png,dog\n")
    found = labeled(tmp_path)
    assert [(s.name, s.label) for s in found] == [("b.png", 1), ("a.png", 0), ("c.png", 1)]
    assert [(s.group, s.called, s.counted) for s in found[:2]] == [("dog", ("dog",), True), ("cat 2", ("cat 2",), True)]
    (tmp_path / "classes.txt").write_text("dog\ncat 2\n")
    assert [(s.label, s.counted) for s in labeled(tmp_path)] == [(0, False), (1, False), (0, False)]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("file,label\na.png,1\n", "no column 'class'"),
        ("name,class\na.png,1\n", "no column 'file'"),
        ("", "no column 'file'"),
        ("file,class\n", "lists no images"),
        ("file,class\nb.png,1\n", "line 2: the file 'b.png' does not exist"),
        ("file,class\n,1\n", "line 2: the file '' does not exist"),
        ("file,class\n\na.png,1\n\nb.png,1\n", "line 5: the file 'b.png' does not exist"),
        ("file,class\na.png,-1\n", "class '-1' is no whole number"),
        ("file,class\na.png,1.5\n", "class '1.5' is no whole number"),
        ("file,class\na.png\n", "class '' is no whole number"),
        ("file,class\na.png,0\na.png,dog\n", "line 3: class .dog. is no whole number"),
        ("file,class\na.png,1\na.png,2\n", "lists 'a.png' twice"),
    ],
)
def test_a_wrong_labels_csv_says_what_is_wrong(tmp_path: Path, text: str, cause: str) -> None:
    write(tmp_path / "a.png")
    with pytest.raises(UsageError, match=cause):
        labeled(_csv(tmp_path, text))


@pytest.mark.parametrize("form", ["{}/in/a.png", "in/a.png", "../set/in/a.png"])
def test_a_wordnet_id_that_nothing_explains_is_refused_however_its_file_is_named(form: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    write(root / "in" / "a.png")
    name = form.format(root)
    with pytest.raises(UsageError, match="nothing says which class 'n01440764'") as caught:
        labeled(_csv(root, f"file,class\n{name},n01440764\n"))
    assert f"into {root / 'in' if name.startswith('/') else root}:" in caught.value.remedy


def test_a_labels_csv_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        labeled(tmp_path)


def test_sub_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    for name in ("dog", "cat", "bird"):
        write(tmp_path / name / "1.png")
    (tmp_path / "cat" / "notes.txt").write_text("passed over")
    write(tmp_path / ".hidden" / "1.png")
    assert [(s.name, s.label) for s in labeled(tmp_path)] == [("bird/1.png", 0), ("cat/1.png", 1), ("dog/1.png", 2)]


def test_sub_folders_that_are_numbers_mean_these_classes(tmp_path: Path) -> None:
    for name in ("2", "10", "0"):
        write(tmp_path / name / "1.png")
    assert {s.group: s.label for s in labeled(tmp_path)} == {"0": 0, "2": 2, "10": 10}


def test_classes_txt_decides_the_order(tmp_path: Path) -> None:
    for name in ("dog", "cat"):
        write(tmp_path / name / "1.png")
    (tmp_path / "classes.txt").write_text("dog\nbird\ncat\n")
    assert {s.group: s.label for s in labeled(tmp_path)} == {"dog": 0, "cat": 2}
    write(tmp_path / "horse" / "1.png")
    with pytest.raises(UsageError, match="which class 'horse'"):
        labeled(tmp_path)


@pytest.mark.parametrize("flat", [True, False])
def test_wordnet_ids_need_a_table_beside_or_above(tmp_path: Path, flat: bool) -> None:
    root = tmp_path / "set"
    for wnid in ("n01440764", "n01443537"):
        write(root / (f"{wnid}_x.png" if flat else f"{wnid}/x.png"))
    assert [s.label for s in find(root)] == [None, None]
    with pytest.raises(UsageError, match="which class 'n01440764'") as caught:
        labeled(root)
    assert "synset_words.txt" in caught.value.remedy
    (tmp_path / "synset_words.txt").write_text("n01443537 goldfish\nn01440764 tench, Tinca tinca\n")
    assert {s.group: s.label for s in labeled(root)} == {"n01440764": 1, "n01443537": 0}


def test_all_thousand_wordnet_ids_are_their_own_table(tmp_path: Path) -> None:
    source = write(tmp_path / "one.png").read_bytes()
    root = tmp_path / "set"
    root.mkdir()
    for index in range(1000):
        (root / f"n{20000000 - index:08d}.png").write_bytes(source)
    labels = {s.group: s.label for s in labeled(root)}
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
        write(tmp_path / name) if name.endswith("png") else (tmp_path / name).write_text("x")
    with pytest.raises(UsageError, match=cause):
        labeled(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist"):
        find(tmp_path / "nowhere")


def test_a_class_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "cat" / "1.png")
    (tmp_path / "classes.txt").write_text("cat\ncat\n")
    with pytest.raises(UsageError, match="names a class twice"):
        find(tmp_path)


@pytest.mark.data
def test_the_shared_folders_are_read_as_they_are() -> None:
    calibration, validation = labeled(DATA / "imagenet_calibration"), labeled(DATA / "imagenet_val")
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


def test_a_folder_too_high_names_those_below_that_have_classes(tmp_path: Path) -> None:
    for name in ("calibration/0/a.png", "calibration/1/b.png", "test/0/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no images of its own") as caught:
        labeled(tmp_path)
    assert caught.value.remedy == f"give {tmp_path / 'calibration'} or {tmp_path / 'test'}"
