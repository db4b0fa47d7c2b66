"""Sections of a page, each written anew without the others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.peers import sections

PAGE = "# Page\n\n## One\n\nold\n\n## Two\n\nkept\n"


@pytest.mark.parametrize(
    ("heading", "page"),
    [
        ("One", "# Page\n\n## One\n\nnew\n\n## Two\n\nkept\n"),
        ("Two", "# Page\n\n## One\n\nold\n\n## Two\n\nnew\n"),
        ("Three", f"{PAGE}\n## Three\n\nnew\n"),
    ],
)
def test_a_section_is_written_and_the_others_stay(heading: str, page: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    sections.write_section(heading, "\nnew\n", tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == page


def test_rows_are_printed_as_they_are_found_and_written_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(python: str, rounds: int) -> Iterator[str]:
        yield from (f"{python} {number}" for number in range(rounds))

    written: dict[str, str] = {}
    monkeypatch.setattr(sections, "write_section", written.__setitem__)
    monkeypatch.setattr(sys, "argv", ["x", "python3", "--rounds", "2"])
    sections.measure("One", "what it costs", "a package", rows, lambda body, python, rounds: f"{body} of {rounds}")
    assert written == {"One": "python3 0\npython3 1 of 2"} and capsys.readouterr().out == "python3 0\npython3 1\n"
