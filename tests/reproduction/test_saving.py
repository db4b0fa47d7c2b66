"""A reproduction's files: the suffix says the format, and nothing is drawn that is not asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.reproduction.saving import check, save


def test_the_suffix_says_the_format(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "new/a.TEX", "a.svg", "a.png")]
    check(paths)
    assert save(paths, ["name"], [["a"]], lambda: ("<svg/>", b"png")) == tuple(paths)
    assert [path.read_bytes()[:5] for path in paths] == [b"name\n", b"\\begi", b"<svg/", b"png"]


def test_a_table_alone_draws_nothing(tmp_path: Path) -> None:
    def draw() -> tuple[str, bytes]:
        raise AssertionError("nobody asked for a picture")

    save([tmp_path / "a.csv"], ["name"], [["a"]], draw)


def test_a_suffix_that_says_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no suffix that says a format"):
        check([Path("zoo.csv"), Path("zoo.pdf")])
