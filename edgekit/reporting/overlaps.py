"""Takes names out of a picture (SVG) that would lie over another one, as the script of a page does in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from rich.cells import cell_len

SVG = "http://www.w3.org/2000/svg"
NAMES = "mark-text role-mark"  # the class of Vega's groups of names beside marks; those of axes have other roles
CELL = 0.66  # of the font's size: a digit of DejaVu Sans, the widest of the fonts that a picture asks for, is 0.64
ASCENT, DESCENT = 0.8, 0.25  # of the font's size, above and below the line that letters stand on


class Box(NamedTuple):
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: Box) -> bool:
        """Whether they have a point in common, be it of their edges alone."""
        beside = self.right < other.left or other.right < self.left
        return not (beside or self.bottom < other.top or other.bottom < self.top)


def apart(boxes: Sequence[Box]) -> list[bool]:
    """Which of the boxes stay, so that no two touch: of those that would, the first."""
    kept: list[Box] = []
    stays = []
    for box in boxes:
        stays.append(not any(box.touches(other) for other in kept))
        if stays[-1]:
            kept.append(box)
    return stays


def names(svg: str) -> list[tuple[str, Box]]:
    """Return the names beside the marks of a picture by Vega, and about where each one lies."""
    return [(text.text or "", box) for _, text, box in _named(ElementTree.fromstring(svg))]


def with_names_apart(svg: str) -> str:
    """Return the same picture without the names that would touch another one."""
    root = ElementTree.fromstring(svg)
    found = list(_named(root))
    stays = apart([box for *_, box in found])
    if all(stays):
        return svg
    for (group, text, _), is_free in zip(found, stays, strict=True):
        if not is_free:
            group.remove(text)
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode")


_Named = tuple[ElementTree.Element, ElementTree.Element, Box]  # the group, the name in it, where it lies


def _named(group: ElementTree.Element, x: float = 0.0, y: float = 0.0) -> Iterator[_Named]:
    """The names below a group whose parents stand at x and y."""
    x, y = _moved(group, x, y)
    for child in group:
        if child.tag == f"{{{SVG}}}g":
            yield from _named(child, x, y)
        elif child.tag == f"{{{SVG}}}text" and group.get("class", "").startswith(NAMES):
            yield group, child, _box(child, *_moved(child, x, y))


def _moved(element: ElementTree.Element, x: float, y: float) -> tuple[float, float]:
    found = re.match(r"translate\(([^,]+),([^)]+)\)", element.get("transform", ""))
    return (x + float(found[1]), y + float(found[2])) if found else (x, y)


def _box(text: ElementTree.Element, x: float, y: float) -> Box:
    size = float(text.get("font-size", "11px").removesuffix("px"))
    width = CELL * size * cell_len(text.text or "")
    left = x - width * {"end": 1.0, "middle": 0.5}.get(text.get("text-anchor", ""), 0.0)
    return Box(left, y - ASCENT * size, left + width, y + DESCENT * size)
