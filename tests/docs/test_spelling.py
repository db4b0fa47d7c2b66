"""Documents, help texts, code and its comments are spelled one way: the American one, as the formats' own words are."""

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

FOLDERS = ("edgekit", "models", "exporters", "bench", "scripts", "tests")
KINDS = {".py", ".cpp", ".kt", ".js", ".html", ".css"}
CODE_FILES = [
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in KINDS and not path.is_relative_to(ROOT / "tests" / "samples") and path != Path(__file__)
]
# Keys of files that others write, which spell them either way.
KEYS = ("preprocessing_file.py", "test_preprocessing_file.py"), {"normalise", "colour"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_document_is_spelled_one_way(page: Path) -> None:
    assert not BRITISH.findall(CODE.sub("", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_text_is_spelled_one_way(name: str) -> None:
    texts = [COMMANDS[name].help, *(getattr(option, "help", None) for option in COMMANDS[name].params)]
    assert not BRITISH.findall(" ".join(filter(None, texts)))


def test_code_is_spelled_one_way() -> None:
    places: dict[str, set[Path]] = {}  # by word: files share most of theirs, and each is looked at once
    for path in CODE_FILES:
        words = set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
        for word in words - KEYS[1] if path.name in KEYS[0] else words:
            places.setdefault(word, set()).add(path)
    found = [f"{path.relative_to(ROOT)}: {word}" for word in places if BRITISH.search(word) for path in places[word]]
    assert not found, "\n".join(sorted(found))
