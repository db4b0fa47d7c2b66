"""A comparison as Markdown for a pull request, and as JUnit's XML for a pipeline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as xml

if TYPE_CHECKING:
    from edgekit.comparison.command import CompareResult, Row

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def markdown(result: CompareResult) -> str:
    """A heading with the verdict, a row for each comparison, and whether the gate holds."""
    lines = [
        f"### Latency of {_escaped(result.new)} against {_escaped(result.base)}: {result.verdict}",
        "",
        "| cell | base ms | new ms | ratio | 95 % interval | verdict | why |",
        "|---|--:|--:|--:|:-:|---|---|",
    ]
    for row in result.rows:
        texts = (
            _escaped(row.name),
            _number(row.base_ms),
            _number(row.new_ms),
            _number(row.ratio),
            f"{row.ratio_ci95[0]:.3f} .. {row.ratio_ci95[1]:.3f}" if row.ratio_ci95 else "-",
            row.word,
            _escaped(row.reason),
        )
        lines.append(f"| {' | '.join(texts)} |")
    strict = ", strict" if result.strict else ""
    outcome = "holds" if result.exit_code == 0 else f"**fails** (exit code {result.exit_code})"
    return "\n".join([*lines, "", f"The gate of {result.max_slowdown:.0%} slowdown{strict} {outcome}.", ""])


def junit(result: CompareResult) -> str:
    """A test suite: slower and missing rows fail, what could not be judged is an error, what is unsure is skipped."""
    tags = [_tag(row, result.strict) for row in result.rows]
    counts = {"tests": len(tags), "failures": tags.count("failure"), "errors": tags.count("error")}
    attributes = {key: str(value) for key, value in counts.items()} | {"skipped": str(tags.count("skipped"))}
    suite = xml.Element("testsuite", {"name": "edgekit compare", **attributes})
    for row, tag in zip(result.rows, tags, strict=True):
        seconds = "0" if row.new_ms is None else f"{row.new_ms / 1000:.6f}"
        case = xml.SubElement(
            suite, "testcase", {"classname": "edgekit.compare", "name": _legal(row.name), "time": seconds}
        )
        if tag:
            xml.SubElement(case, tag, {"message": _legal(f"{row.word}: {row.reason}")})
    suites = xml.Element("testsuites", attributes)
    suites.append(suite)
    xml.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(suites, encoding="unicode") + "\n"


def _tag(row: Row, strict: bool) -> str | None:
    code = row.exit_code(strict)
    if code:
        return "failure" if code == 3 else "error"
    return "skipped" if row.verdict == "cannot tell" else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _escaped(text: str) -> str:
    """Text that stays text in a Markdown table."""
    text = re.sub(r"([\\`*_\[\]|<>])", r"\\\1", " ".join(text.split()))
    return text.replace("\\<", "&lt;").replace("\\>", "&gt;")


def _legal(text: str) -> str:
    """Text without the characters that XML forbids."""
    return _ILLEGAL.sub("?", text)
