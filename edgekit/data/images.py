"""Folders of images: finding them, decoding them to RGB, knowing their classes, telling equal ones apart.

A set of images is one of
* a folder with `labels.csv` (columns file and class, a number or a name; further ones are ignored);
* a folder with one sub-folder per class;
* a folder of files whose names begin with a WordNet id (n01440764_...);
* any folder of images, where no class is needed;
* a folder without images, but with examples as numbers (edgekit.data.arrays) in one of these ways;
* one packed file (edgekit.data.packed).
Classes count from 0. Hidden files are left out, and files of other kinds are passed over (edgekit.data.folder).
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.data import packed
from edgekit.data.decode import decode, pillow
from edgekit.data.folder import ARRAYS, SUFFIXES, entries, is_array, is_image, passed_over
from edgekit.errors import UsageError
from edgekit.util.text_file import text_of

if TYPE_CHECKING:
    from PIL.Image import Image

CLASS_TABLES = ("classes.txt", "synset_words.txt")
_WNID = re.compile(r"n\d{8}(?![0-9])")
Words = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Sample:
    """One image of a set. `name` is what messages call it; `group` is what a balanced choice is balanced over.

    `called` are the names of its class, where its folder or its WordNet id is one; `counted` is true where `label` is
    only the folder's place among the sorted ones.
    """

    name: str
    path: Path
    group: str = ""
    label: int | None = None
    row: int | None = None  # of a packed file
    called: tuple[str, ...] = ()
    counted: bool = False

    @property
    def root(self) -> Path:
        """The folder of its set; its own folder where a list names it by its whole path."""
        depth = 1 if Path(self.name).is_absolute() else len(Path(self.name).parts)
        return self.path.parents[depth - 1]

    @property
    def in_class_folder(self) -> bool:
        """Whether its folder is its class, and not a list or a part of its name."""
        return Path(self.name).parts[:-1] == (self.group,)

    @property
    def is_array(self) -> bool:
        """Whether it is an example of numbers, and no image."""
        return self.row is None and self.path.suffix.lower() in ARRAYS

    def load(self, refused_modes: Iterable[str] = (), alpha: bool = False) -> Image:
        """Return the image in 8-bit RGB, or RGBA. Raises UsageError as `decode` does."""
        if self.row is None:
            return decode(self.path, refused_modes, alpha)
        if alpha:
            raise UsageError(f"{self.name} has no fourth channel", "give a folder of images in RGBA")
        return _packed_image(self.path, self.row)


def pixel_hash(image: Image) -> str:
    """16 hex digits that two images share exactly when their size and every pixel agree, whatever their alpha."""
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    digest.update((image if image.mode == "RGB" else image.convert("RGB")).tobytes())
    return digest.hexdigest()[:16]


def _packed_image(path: Path, row: int) -> Image:
    pixels = packed.read(path).pixels[row]
    image: Image = pillow().fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return image.convert("RGB")


def find(path: Path) -> tuple[Sample, ...]:
    """Return every image of a set, in a fixed order, with its class where that is known.

    Raises UsageError when there is no image, or a list of classes is wrong.
    """
    if path.is_file():
        return _packed_samples(path)
    if not path.is_dir():
        raise UsageError(f"the image folder {path} does not exist", "give a folder of images")
    if (path / "labels.csv").is_file():
        return _from_csv(path)
    below, beside = _in(path, is_image)
    if not below and not beside:
        below, beside = _in(path, is_array)
    if below and beside:
        raise UsageError(
            f"{path} has images both beside and inside its sub-folders", "use one sub-folder per class, or none"
        )
    if not below and not beside:
        inside = _sets_below(path)
        if inside:
            names = " or ".join(map(str, inside))
            raise UsageError(f"{path} holds no images of its own: a folder in it does", f"give {names}")
        raise UsageError(
            "; ".join([f"{path} holds no images", *passed_over(path)]),
            f"give a folder with {', '.join(SUFFIXES)} files; {', '.join(ARRAYS)} where no image is the input",
        )
    return tuple(_classified(path, below or beside, by_folder=bool(below)))


def _sets_below(path: Path) -> list[Path]:
    """The folders in one that are sets of images with classes; what cannot be read is none."""
    found = []
    for folder in (one for one in entries(path) if one.is_dir()):
        with suppress(UsageError):
            below, beside = _in(folder, is_image)
            if (folder / "labels.csv").is_file() or (below and not beside):
                found.append(folder)
    return found


def labeled(path: Path, by_name: bool = False) -> tuple[Sample, ...]:
    """Find every image of a set, which must have a class: UsageError says what is missing.

    With `by_name` the name of a class is enough, whose number a file's labels may say.
    """
    samples = find(path)
    unknown = next((one for one in samples if one.label is None and not (by_name and one.called)), None)
    if unknown is not None:
        raise without_class(unknown)
    return samples


def without_class(sample: Sample) -> UsageError:
    """Return the refusal of an image whose class nothing says."""
    if sample.group:
        tables = f"put {' or '.join(CLASS_TABLES)} into {sample.root}"
        how = "a class a line, class 0 first, by WordNet id or folder name; or name the classes so with --labels FILE"
        return UsageError(f"nothing says which class '{sample.group}' ({sample.name}) is", f"{tables}: {how}")
    return UsageError(
        f"nothing says which class {sample.name} in {sample.root} is",
        "add labels.csv (columns file,class), or use one sub-folder per class, or names that begin with a WordNet id",
    )


def _packed_samples(path: Path) -> tuple[Sample, ...]:
    labels = packed.read(path).labels
    return tuple(Sample(f"{path.name}[{i}]", path, str(label), label, i) for i, label in enumerate(labels))


def _in(path: Path, is_one: Callable[[Path], bool]) -> tuple[list[Sample], list[Sample]]:
    """What lies in sub-folders, and what beside them."""
    found = entries(path)
    below = [sample for folder in found if folder.is_dir() for sample in _in_subfolder(path, folder, is_one)]
    return below, [_flat(file) for file in found if is_one(file)]


def _in_subfolder(root: Path, folder: Path, is_one: Callable[[Path], bool]) -> list[Sample]:
    files = [file for file in entries(folder) if is_one(file)]
    return [Sample(file.relative_to(root).as_posix(), file, folder.name) for file in files]


def _flat(file: Path) -> Sample:
    wnid = _WNID.match(file.name)
    return Sample(file.name, file, wnid.group() if wnid else "")


def _classified(root: Path, samples: list[Sample], by_folder: bool) -> Iterable[Sample]:
    groups = sorted({sample.group for sample in samples})
    known, words, counted = _classes(root, groups, by_folder)
    for s in samples:
        called = (s.group, *words.get(s.group, ())) if s.group else ()
        yield Sample(s.name, s.path, s.group, known.get(s.group), called=called, counted=counted)


def _classes(root: Path, groups: list[str], by_folder: bool) -> tuple[dict[str, int], Words, bool]:
    """The class of each group, the words that a table has for it, and whether it is its place in the sorted order.

    WordNet ids need a table, unless all 1000 of ILSVRC are there: its classes are the sorted ids. Sub-folders that
    are all numbers mean those numbers; others count in sorted order, unless the folder has a `classes.txt`.
    """
    wnids = all(_WNID.fullmatch(group) for group in groups)
    words = _table([root, *root.resolve().parents[:2]]) if wnids else _table([root]) if by_folder else {}
    if words:
        return {group: index for index, group in enumerate(words)}, words, False
    if wnids and len(groups) != 1000:
        return {}, {}, False
    if by_folder and all(group.isascii() and group.isdecimal() for group in groups):
        return {group: int(group) for group in groups}, {}, False
    places = {group: index for index, group in enumerate(groups)} if by_folder or wnids else {}
    return places, {}, not wnids


def _table(folders: list[Path]) -> Words:
    """The first table of classes found: a line for each class, its WordNet id first, or its whole name."""
    for file in (folder / name for folder in folders for name in CLASS_TABLES):
        if file.is_file():
            try:
                lines = [line.strip() for line in text_of(file, "utf-8-sig").splitlines() if line.strip()]
            except (OSError, ValueError) as error:
                raise UsageError(f"{file} cannot be read: {error}", "write one class a line, as text") from error
            ids = [match.group() if (match := _WNID.match(line)) else line for line in lines]
            if len(set(ids)) != len(ids):
                raise UsageError(f"{file} names a class twice", "write each class once, class 0 first")
            return {name: _synonyms(line) for name, line in zip(ids, lines, strict=True)}
    return {}


def _synonyms(line: str) -> tuple[str, ...]:
    """What stands behind a WordNet id: the class's names, between commas."""
    return tuple(word.strip() for word in _WNID.sub("", line).split(",") if _WNID.match(line) and word.strip())


def _from_csv(root: Path) -> tuple[Sample, ...]:
    file = root / "labels.csv"
    try:
        reader = csv.DictReader(io.StringIO(text_of(file, "utf-8-sig"), newline=""))
        columns, rows = list(reader.fieldnames or ()), [(reader.line_num, row) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read: {error}", "write it as CSV in UTF-8") from error
    for column in ("file", "class"):
        if column not in columns:
            raise UsageError(
                f"{file} has no column '{column}' (its columns: {', '.join(columns) or 'none'})",
                "its first line must name the columns file and class",
            )
    if not rows:
        raise UsageError(f"{file} lists no images", "add a line for each image")
    read = _by_name if all(_is_name(row["class"]) for _, row in rows) else _by_number
    samples = tuple(read(root, [_listed(root, line, row) for line, row in rows]))
    _refuse_twice(file, samples)
    return samples


def _is_name(label: str | None) -> bool:
    """Whether a class is written as a name; -1 and 1.5 are none, and no number of a class either."""
    return any(sign.isalpha() for sign in label or "")


def _listed(root: Path, line: int, row: dict[str, str | None]) -> tuple[str, str, str]:
    """Where a row of labels.csv stands, its file, which is there, and its class."""
    name, label = (row["file"] or "").strip(), (row["class"] or "").strip()
    where = f"{root / 'labels.csv'} line {line}"
    if not name or not _is_there(root / name):
        raise UsageError(f"{where}: the file '{name[:200]}' does not exist", "correct the name, relative to labels.csv")
    return where, name, label


def _by_number(root: Path, rows: list[tuple[str, str, str]]) -> Iterable[Sample]:
    for where, name, label in rows:
        if not (label.isascii() and label.isdecimal() and len(label) < 10):
            raise UsageError(
                f"{where}: class '{label[:80]}' is no whole number",
                "write classes as 0, 1, 2 ..., or all by their names",
            )
        yield Sample(name, root / name, label, int(label))


def _by_name(root: Path, rows: list[tuple[str, str, str]]) -> Iterable[Sample]:
    """Classes by name count as folders of these names do."""
    known, words, counted = _classes(root, sorted({label for _, _, label in rows}), by_folder=True)
    for _, name, label in rows:
        called = (label, *words.get(label, ()))
        yield Sample(name, root / name, label, known.get(label), called=called, counted=counted)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _refuse_twice(file: Path, samples: tuple[Sample, ...]) -> None:
    seen: set[str] = set()
    for sample in samples:
        if sample.name in seen:
            raise UsageError(f"{file} lists '{sample.name}' twice", "list each image once")
        seen.add(sample.name)
