"""README, the documents and every help text are spelled one way: the American one, as the formats' own words are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.test_docs import COMMANDS
from tests.paths import ROOT

STEMS = "quant|normal|optim|recogn|standard|initial|parametr|summar|serial|minim|maxim|general|organ|synchron|author"
BRITISH = re.compile(
    rf"\w*(?:{STEMS})is(?:e|ed|es|er|ers|ing|ation|ations)\b|\w*(?:neighb|behavi|col)our\w*|labelled|centred|\bcentres?\b"
    r"|\blicence\w*|\bgrey\b",
    re.IGNORECASE,
)
CODE = re.compile(r"^```.*?^```|`[^`]*`", re.DOTALL | re.MULTILINE)
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_document_is_spelled_one_way(page: Path) -> None:
    assert not BRITISH.findall(CODE.sub("", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_text_is_spelled_one_way(name: str) -> None:
    texts = [COMMANDS[name].help, *(getattr(option, "help", None) for option in COMMANDS[name].params)]
    assert not BRITISH.findall(" ".join(filter(None, texts)))
