"""What cannot be read is counted, named as far as a line goes, and refused where it is most of a set."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.data.unreadable import LeftOut, Unreadable
from edgekit.errors import UsageError


def _left_out(count: int) -> LeftOut:
    left_out = LeftOut()
    for index in range(count):
        left_out.add(f"{index}.png", Unreadable(f"the image {index}.png cannot be read: cut", "replace it"))
    return left_out


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, ()),
        (1, ("1 of 1,001 images is left out, unreadable: 0.png",)),
        (4, ("4 of 1,004 images are left out, unreadable: 0.png, 1.png, 2.png and 1 more",)),
    ],
)
def test_the_first_ones_are_named(count: int, said: tuple[str, ...]) -> None:
    cause = " (the image 0.png cannot be read: cut)"
    assert _left_out(count).notes(1000) == tuple(one + cause for one in said)


@pytest.mark.parametrize(("count", "read", "refused"), [(0, 0, False), (2, 2, False), (3, 2, True), (1, 0, True)])
def test_the_limit_is_half_of_the_set(count: int, read: int, refused: bool, tmp_path: Path) -> None:
    if not refused:
        return _left_out(count).check(tmp_path, read)
    with pytest.raises(UsageError, match=f"{count} of {count + read} images in .* the first: the image 0.png"):
        _left_out(count).check(tmp_path, read)
    return None
