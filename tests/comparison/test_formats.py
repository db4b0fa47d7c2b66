"""A comparison as Markdown and as JUnit's XML."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest

from edgekit.comparison.command import compare
from edgekit.comparison.result import CompareResult
from edgekit.errors import EdgekitError
from tests.comparison.records import BASE, NEW, keep, record


def mixed(**options: Any) -> CompareResult:
    """A gate with a slower, a missing, an unsure and an added row, and a name that tries to be markup."""
    evil = "<script>|`a`\x00.onnx"
    keep(record(evil, session=BASE), record("b.onnx", session=BASE), record("c.onnx", session=BASE, processes=1))
    keep(record(evil, ms=20, session=NEW), record("c.onnx", session=NEW, processes=1), record("d.onnx", session=NEW))
    return compare(BASE, NEW, **options)


def test_markdown_is_a_table_whatever_the_names() -> None:
    text = mixed().to_markdown()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 5 and "<script" not in text and "\\|" in text and "**failed: latency** (exit code 3)" in text
    assert [row.replace("\\|", "").count("|") for row in rows] == [8] * 5


def test_junit_says_what_failed(tmp_path: Path) -> None:
    mixed(junit=tmp_path / "junit.xml")
    root = xml.fromstring((tmp_path / "junit.xml").read_bytes())
    (suite,) = root
    assert [[part.tag for part in case] for case in suite] == [["failure"], ["failure"], ["skipped"], ["skipped"]]
    assert {case.get("time") for case in suite} == {"0"}, "the time of a test is no latency"
    assert dict(suite.items())["failures"] == "2" and dict(suite.items())["tests"] == "4"
    assert str(suite[1][0].get("message")).startswith("missing: ")
    strict = xml.fromstring(compare(BASE, NEW, strict=True).to_junit().encode())
    assert [[part.tag for part in case] for case in strict[0]][2] == ["failure"]


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError):
        mixed(junit=tmp_path / "no" / "folder.xml")
