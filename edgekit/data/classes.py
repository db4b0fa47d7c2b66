"""Which class of a file each group of images means: by its name where the file has names, else by its number.

A folder's place among the sorted folders says its class only where there are as many folders as classes: with one
folder missing, every class behind it would be another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.data import labels
from edgekit.data.images import Sample, without_class
from edgekit.errors import UsageError
from edgekit.records.artifact import Artifact

_BY_ORDER = "say --classes-by-order where their order is right"


@dataclass(frozen=True)
class ClassNames:
    """What a user says about classes: the names for files without, and that folders count in their order."""

    file: Path | None = None
    by_order: bool = False

    def of(self, artifact: Artifact, outputs: int, offset: int) -> tuple[str, ...]:
        """Return the name of each output, or nothing if no names are known. Raises UsageError for a wrong file."""
        own = artifact.manifest.labels if artifact.manifest else ()
        if self.file is None:
            return own
        if own:
            raise UsageError(f"{artifact.path.name} has labels of its own", "leave --labels out")
        return labels.read(self.file, outputs, offset)


def by_group(
    file: str, samples: Sequence[Sample], names: Sequence[str], classes: int, by_order: bool
) -> dict[str, int]:
    """Return the class of each group of images whose class another than its own number may be.

    `names` are those of the file's classes, class 0 first, or empty; `classes` is their number, not positive if
    unknown. Raises UsageError where names and numbers disagree, or where nothing says which class a folder is.
    """
    found = _by_name(file, samples, names, classes, by_order)
    unknown = next((sample for sample in samples if sample.label is None and sample.group not in found), None)
    if unknown is not None:
        raise without_class(unknown)
    return found


def _by_name(
    file: str, samples: Sequence[Sample], names: Sequence[str], classes: int, by_order: bool
) -> dict[str, int]:
    groups = {sample.group: sample for sample in samples if sample.called}
    if by_order or not groups:
        return {}
    places = {group: _places(sample.called, names) for group, sample in groups.items()}
    if any(places.values()):
        return {group: _class(file, sample, places[group], names) for group, sample in groups.items()}
    if any(sample.counted for sample in groups.values()):
        _check_order(file, [groups[name] for name in sorted(groups)], names, classes)
    return {}


def _places(called: Sequence[str], names: Sequence[str]) -> list[int]:
    wanted = {_plain(name) for name in called}
    return [place for place, name in enumerate(names) if wanted & _words(name)]


def _words(name: str) -> set[str]:
    """Return what a label may be called by: all of it, its WordNet id, or a synonym, as in ILSVRC's lists."""
    wnid, rest = labels.parted(name)
    return {_plain(one) for one in (name, rest, *rest.split(","), *([wnid] if wnid else ()))}


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name).strip().casefold()


def _class(file: str, sample: Sample, places: list[int], names: Sequence[str]) -> int:
    if sample.label is not None and not sample.counted:
        if places and sample.label not in places:
            raise UsageError(
                f"'{sample.group}' is class {sample.label} of the images, and {file} calls class {places[0]} so",
                f"correct the labels or the classes, or {_BY_ORDER}",
            )
        return sample.label
    if not places:
        raise UsageError(
            f"no class of {file} is called '{sample.group}'",
            f"name the {'folder' if sample.in_class_folder else 'class'} like a label"
            + (f", or {_BY_ORDER}" if sample.counted else ""),
        )
    if len(places) > 1:
        raise UsageError(
            f"{file} has {len(places)} classes that are called '{sample.group}': {', '.join(names[i] for i in places)}",
            f"put classes.txt into {sample.root}, or {_BY_ORDER}",
        )
    return places[0]


def _check_order(file: str, groups: Sequence[Sample], names: Sequence[str], classes: int) -> None:
    """Refuse classes that are to count in the order of their names, and cannot; `groups` has an image of each."""
    first, table = groups[0], f"put classes.txt into {groups[0].root}"
    are_folders = first.in_class_folder
    if names:
        what, which = ("folders", "folders") if are_folders else ("classes of the images", "classes")
        raise UsageError(
            f"none of the {what} ('{first.group}' ...) is called like a class of {file} ('{names[0]}' ...)",
            f"name the {which} like the labels, {table}, or {_BY_ORDER}",
        )
    if len(groups) != classes > 0:
        what = "class folders" if are_folders else "classes of images"
        raise UsageError(
            f"there are {len(groups)} {what}, and {file} knows {classes} classes",
            f"give the classes' names with --labels FILE, {table}, or {_BY_ORDER}",
        )
