"""Names of outputs, read from a text file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.data.labels import read, without_ids
from edgekit.errors import UsageError


def test_names_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffcrane\r\n crane \nmüll\n\n".encode())
    assert read(path, 3, 0) == ("crane", "crane", "müll")
    assert read(path, 4, 1) == ("background", "crane", "crane", "müll")
    assert read(path, 3, 1) == ("crane", "crane", "müll")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"one\n\nthree\n", "line 2 of .* is empty"),
        (b"one\ntwo\n", "has 2 names, and the network 3 outputs"),
        (b"", "has 0 names"),
    ],
)
def test_what_names_no_outputs_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read(path, 3, 0)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("n01818515 macaw", "n01440764 tench, Tinca tinca"), ("macaw", "tench, Tinca tinca")),
        (("background", "n01818515 macaw"), ("background", "macaw")),
        (("n01818515 macaw", "n2 other"), ("n01818515 macaw", "n2 other")),  # no list of WordNet's
        (("n01818515", "n01440764"), ("n01818515", "n01440764")),
        (("background",), ("background",)),
        ((), ()),
    ],
)
def test_ids_are_left_out_where_every_name_has_one(names: tuple[str, ...], shown: tuple[str, ...]) -> None:
    assert without_ids(names) == shown
