"""A comparison as Markdown for a pull request, and as JUnit's XML for a pipeline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as xml

from edgekit.errors import GateFailed
from edgekit.stats.ratio import CANNOT_TELL
from edgekit.util.formatting import escaped, in_markdown

if TYPE_CHECKING:
    from edgekit.comparison.result import Check, CompareResult, Row

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def markdown(result: CompareResult) -> str:
    """Return a heading with the verdict, a row for each comparison, and whether the gate holds."""
    lines = [
        f"### {in_markdown(result.new)} against {in_markdown(result.base)}: {result.verdict}",
    ]
    if result.rows:
        lines += ["", "| cell | base ms | new ms | ratio | 95 % interval | verdict | why |"]
        lines += ["|---|--:|--:|--:|:-:|---|---|"]
    for row in result.rows:
        texts = (
            in_markdown(row.name),
            _number(row.base_ms),
            _number(row.new_ms),
            _number(row.ratio),
            f"{row.ratio_ci95[0]:.3f} .. {row.ratio_ci95[1]:.3f}" if row.ratio_ci95 else "-",
            row.word,
            in_markdown(row.reason),
        )
        lines.append(f"| {' | '.join(texts)} |")
    lines += _checks(result.checks) if result.checks else []
    lines += ["", f"{in_markdown(result.note)}."] if result.note else []
    lines += ["", f"To do: {in_markdown(result.remedy)}."] if result.remedy else []
    strict = ", strict" if result.strict else ""
    return "\n".join([*lines, "", f"**{result.outcome}** (exit code {result.exit_code}{strict})", ""])


def _checks(checks: Sequence[Check]) -> list[str]:
    lines = ["", "| gate | of | verdict | why |", "|---|---|---|---|"]
    return lines + [
        f"| {one.gate} | {in_markdown(one.name)} | {one.word} | {in_markdown(one.reason)} |" for one in checks
    ]


def junit(result: CompareResult) -> str:
    """A test suite: what is beyond a limit or missing fails, what could not be judged is an error, what is unsure is
    skipped. The type of a failure or an error is the verdict, so that invalid is told apart from slower."""
    cases: list[tuple[str, Row | Check]] = [(f"latency: {row.name}", row) for row in result.rows]
    cases += [(f"{check.gate}: {check.name}", check) for check in result.checks]
    tags = [_tag(one, result.strict) for _, one in cases]
    counts = {"tests": len(tags), "failures": tags.count("failure"), "errors": tags.count("error")}
    attributes = {key: str(value) for key, value in counts.items()} | {"skipped": str(tags.count("skipped"))}
    suite = xml.Element("testsuite", {"name": "edgekit compare", **attributes})
    for (name, one), tag in zip(cases, tags, strict=True):
        # A case's time is how long its test took, which dashboards add up: a latency stands in the text instead.
        case = xml.SubElement(suite, "testcase", {"classname": "edgekit.compare", "name": _legal(name), "time": "0"})
        if tag:
            kind = {} if tag == "skipped" else {"type": one.word}
            xml.SubElement(case, tag, {**kind, "message": _legal(f"{one.word}: {one.reason}")})
    suites = xml.Element("testsuites", attributes)
    suites.append(suite)
    xml.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(suites, encoding="unicode") + "\n"


def _tag(one: Row | Check, strict: bool) -> str | None:
    code = one.exit_code(strict)
    if code:
        return "failure" if code == GateFailed.exit_code else "error"
    return "skipped" if one.verdict == CANNOT_TELL else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _legal(text: str) -> str:
    """Text without the characters that XML forbids, and without those that a terminal obeys."""
    return _ILLEGAL.sub("?", escaped(text))
