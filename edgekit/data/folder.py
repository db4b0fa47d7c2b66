"""What lies in a folder of images: which files are read, and which are passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import UsageError

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
ARRAYS = (".npy", ".npz")  # examples as numbers (edgekit.data.arrays)
# Notes and labels that lie beside images, and are no images that anybody misses.
BESIDE = (".txt", ".csv", ".json", ".xml", ".yaml", ".yml", ".md", ".html", ".py", ".db")


def entries(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted, without hidden files. Raises UsageError where it cannot be read."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be read: {error.strerror}", "check its permissions") from error


def is_image(path: Path) -> bool:
    """Return whether a file is read as an image, by its name."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def is_array(path: Path) -> bool:
    """Return whether a file is read as an example of numbers, by its name."""
    return path.suffix.lower() in ARRAYS and path.is_file()


def passed_over(path: Path, read: tuple[str, ...] = SUFFIXES) -> tuple[str, ...]:
    """Return in words what a set holds and is not read: files of other kinds than `read`, broken links, deeper folders.

    Nothing is passed over of a packed file, nor of a folder whose `labels.csv` says which files count.
    """
    if not path.is_dir() or (path / "labels.csv").is_file():
        return ()
    kinds = Counter(_passed_over(path, read))
    if not kinds:
        return ()
    number = sum(kinds.values())
    told = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
    verb = "file or folder is" if number == 1 else "files and folders are"
    return (f"{number:,} {verb} passed over in {path.name or path}: {told}; what is read is {', '.join(read)}",)


def _passed_over(path: Path, read: tuple[str, ...]) -> Iterator[str]:
    """The kind of each thing that is not read."""
    for entry in entries(path):
        inside = entries(entry) if entry.is_dir() else ()
        yield from ("deeper folder" for one in inside if one.is_dir())
        for file in [one for one in inside if not one.is_dir()] or ([] if entry.is_dir() else [entry]):
            suffix = file.suffix.lower()
            if suffix in read and not file.is_file():
                yield "broken link"
            elif suffix not in read and suffix not in BESIDE:
                yield suffix or "no suffix"
