"""The documents as a site: every page has its place, every link leads somewhere, and the reference is complete.

Without mkdocs, which `make docs` installs: its own strict build looks at the same again.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import edgekit
from scripts import docs_site
from tests.paths import ROOT

SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
MADE = docs_site.made()
DOCS = {path.relative_to(ROOT / "docs").as_posix(): path for path in (ROOT / "docs").rglob("*") if path.is_file()}
TEXTS = MADE | {
    name: docs_site.turned(path.read_text(encoding="utf-8"), f"docs/{name}")
    for name, path in DOCS.items()
    if path.suffix == ".md"
}


def places(entries: Any) -> Iterator[str]:
    """The pages of the navigation, in their order."""
    for entry in entries:
        for below in entry.values():
            yield from [below] if isinstance(below, str) else places(below)


def test_every_page_stands_in_the_navigation_once() -> None:
    found = list(places(SITE["nav"]))
    assert len(found) == len(set(found)) and set(found) == set(TEXTS)


def anchors(text: str) -> set[str]:
    """The headings of a page, as a link names them."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower())).strip("-") for title in titles}


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_links_lead_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"(?<!!)\]\(([^)#\s]*)#?([^)\s]*)\)", TEXTS[page]):
        if "://" in target:
            continue
        there = posixpath.normpath(posixpath.join(posixpath.dirname(page), target)) if target else page
        assert there in TEXTS or there in DOCS, f"{page} links to {target}"
        assert not anchor or anchor in anchors(TEXTS[there]), f"{page} links to {target}#{anchor}"


def test_the_reference_has_every_command_with_its_options_and_every_function() -> None:
    commands, functions = MADE["reference/commands.md"], MADE["reference/python.md"]
    for name, (module, function, _) in edgekit.COMMANDS.items():
        assert f"## edgekit {name}\n" in commands and f"::: {module}.{function}\n" in functions
    assert "| `--sustained` `TIME` |" in commands and "| `--preset` `quick, default, rigorous` |" in commands


def test_the_page_of_a_package_index_leads_nowhere_that_it_does_not_have() -> None:
    text = (ROOT / "PACKAGE.md").read_text(encoding="utf-8")
    assert not re.findall(r"\]\((?!https?:)", text)
    installs = set(re.findall(r'`(pip install "?edgekit[^`]*)`', text))
    assert installs <= set(re.findall(r'`(pip install "?edgekit[^`]*)`', (ROOT / "README.md").read_text("utf-8")))


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert SITE["theme"]["font"] is False and SITE["strict"] is True
