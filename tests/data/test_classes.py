"""Class folders and the file's names for its classes: matched by name, never shifted without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.data.classes import by_group
from edgekit.data.images import Sample, labeled
from edgekit.errors import UsageError

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
ANIMALS = ("cat", "dog", "horse", "polar_bear")


def folders(root: Path, *names: str, table: str = "") -> tuple[Sample, ...]:
    """One small picture in a folder for each class."""
    for index, name in enumerate(names):
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), (index, 0, 0)).save(root / name / "0.png")
    if table:
        (root / "classes.txt").write_text(table)
    return labeled(root, by_name=True)


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (ANIMALS, [0, 1, 2, 3]),
        (ANIMALS[::-1], [3, 2, 1, 0]),
        (("Polar Bear", "dog ", "CAT", "horse"), [2, 1, 3, 0]),
        (("fish", "dog, domestic dog", "horse", "tabby, cat", "polar-bear"), [3, 1, 2, 4]),
        (("n02123045 tabby, cat", "n02084071 dog", "horse", "polar bear"), [0, 1, 2, 3]),
    ],
)
def test_folders_are_matched_by_name(names: tuple[str, ...], classes: list[int], tmp_path: Path) -> None:
    samples = folders(tmp_path, *ANIMALS)
    assert by_group("f.onnx", samples, names, len(names), False) == dict(zip(ANIMALS, classes, strict=True))
    assert by_group("f.onnx", samples, names, len(names), True) == {}


def test_a_missing_folder_shifts_nothing(tmp_path: Path) -> None:
    samples = folders(tmp_path, "cat", "horse", "polar_bear")
    assert by_group("f.onnx", samples, ANIMALS, 4, False) == {"cat": 0, "horse": 2, "polar_bear": 3}
    with pytest.raises(UsageError, match=r"there are 3 class folders, and f\.onnx knows 4 classes"):
        by_group("f.onnx", samples, (), 4, False)
    assert by_group("f.onnx", samples, (), 4, True) == {}
    assert by_group("f.onnx", samples, (), -1, False) == {}  # a file that does not tell


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (("cat", "dog", "horse", "bear"), "no class of f.onnx is called 'polar_bear'"),
        (("Katze", "Hund", "Pferd", "Bär"), "none of the folders"),
        (("cat", "cat, feline", "dog", "horse", "polar bear"), "2 classes that are called 'cat'"),
    ],
)
def test_what_does_not_match_is_refused(names: tuple[str, ...], cause: str, tmp_path: Path) -> None:
    samples = folders(tmp_path, *ANIMALS)
    with pytest.raises(UsageError, match=cause) as caught:
        by_group("f.onnx", samples, names, len(names), False)
    assert "--classes-by-order" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("names", "cause", "remedy"),
    [
        ((), "there are 2 classes of images, and f.onnx knows 4 classes", "put classes.txt into {}, "),
        (("Katze",) * 4, "none of the classes of the images ('cat' ...) is called", "name the classes like the labels"),
        (("cat", "a", "b", "c"), "no class of f.onnx is called 'dog'", "name the class like a label"),
    ],
)
def test_classes_of_a_list_are_not_told_as_folders(
    names: tuple[str, ...], cause: str, remedy: str, tmp_path: Path
) -> None:
    folders(tmp_path, "in")
    (tmp_path / "labels.csv").write_text("file,class\nin/0.png,cat\n./in/0.png,dog\n")
    with pytest.raises(UsageError) as caught:
        by_group("f.onnx", labeled(tmp_path, by_name=True), names, 4, False)
    assert cause in caught.value.message and remedy.format(tmp_path) in caught.value.remedy


def test_a_table_holds_unless_the_names_disagree(tmp_path: Path) -> None:
    samples = folders(tmp_path, *ANIMALS, table="dog\ncat\nhorse\npolar_bear\n")
    assert by_group("f.onnx", samples, ("Hund", "Katze", "Pferd", "Bär"), 4, False) == {}
    assert by_group("f.onnx", samples, ("dog", "cat", "Pferd", "Bär"), 4, False)["polar_bear"] == 3
    with pytest.raises(UsageError, match=r"'cat' is class 1 of the images, and f\.onnx calls class 0 so"):
        by_group("f.onnx", samples, ANIMALS, 4, False)


def test_wordnet_ids_go_by_the_words_of_their_table(tmp_path: Path) -> None:
    table = "n01440764 tench, Tinca tinca\nn01443537 goldfish\nn02012849 crane\nn03126707 crane\n"
    (tmp_path / "synset_words.txt").write_text(table)
    samples = folders(tmp_path, "n01440764", "n01443537", "n03126707")
    names = ("tench", "goldfish", "crane", "crane")
    assert by_group("f.onnx", samples, names, 4, False) == {"n01440764": 0, "n01443537": 1, "n03126707": 3}
    with pytest.raises(UsageError, match="'n01440764' is class 0 of the images"):
        by_group("f.onnx", samples, ("goldfish", "tench", "crane", "crane"), 4, False)


@pytest.mark.parametrize("ending", ["", " tench, Tinca tinca"])
def test_wordnet_ids_without_a_table_go_by_the_labels(ending: str, tmp_path: Path) -> None:
    samples = folders(tmp_path, "n01443537", "n01440764")
    names = ("n01614925", f"n01440764{ending}", f"n01443537{ending}")
    assert by_group("f.onnx", samples, names, 3, False) == {"n01443537": 2, "n01440764": 1}
    with pytest.raises(UsageError, match=r"no class of f\.onnx is called 'n01443537'") as caught:
        by_group("f.onnx", samples, names[:2], 2, False)
    assert caught.value.remedy == "name the folder like a label"


@pytest.mark.parametrize(("names", "by_order"), [((), False), (("tench", "goldfish"), False), ((), True)])
def test_wordnet_ids_that_nothing_explains_are_refused(names: tuple[str, ...], by_order: bool, tmp_path: Path) -> None:
    samples = folders(tmp_path, "n01443537", "n01440764")
    with pytest.raises(UsageError, match="nothing says which class 'n01440764'") as caught:
        by_group("f.onnx", samples, names, 2, by_order)
    assert f"into {tmp_path}:" in caught.value.remedy and "--labels FILE" in caught.value.remedy


def test_folders_of_ids_say_that_labels_name_them(tmp_path: Path) -> None:
    folders(tmp_path, "n01914609", "n02013706")
    with pytest.raises(UsageError, match="nothing says which class 'n01914609'") as refused:
        labeled(tmp_path)
    assert "synset_words.txt into" in refused.value.remedy and "--labels FILE" in refused.value.remedy
