"""docs/errata.md: every figure on the page is worked out here, and no published figure that differs is left out."""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

import edgekit.models  # noqa: F401  # registers the zoo
from edgekit.ir.layer_table import LayerTable
from edgekit.network.catalog import agrees, counted
from edgekit.network.spec import MODELS, published_at, variant
from tests.paths import GOLDENS, ROOT

PAGE = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
COUNTS: dict[str, dict[str, int]] = json.loads((GOLDENS / "networks.json").read_text())
FIELDS = {"MACs": "macs", "parameters": "params"}
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def tables() -> list[list[list[str]]]:
    """The rows of each table, heads left out."""
    found = re.findall(r"^\|.*\|$(?:\n\|.*\|$)*", PAGE, re.MULTILINE)
    return [[[cell.strip() for cell in row[1:-1].split(" | ")] for row in table.splitlines()[2:]] for table in found]


def number(text: str) -> float:
    return float(text.replace(",", ""))


PUBLISHED = tables()[0]
POINTS = {str(variant(spec)): variant(spec) for spec in MODELS} | {
    str(published_at(MODELS[spec], row)): published_at(MODELS[spec], row)
    for spec in MODELS
    for row in MODELS[spec].published
}
FORMULAS = re.findall(r"`([^`]+?) = ([\d,.]+)`", PAGE)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row[0].strip('`')}-{row[1]}-{row[2]}")
def test_a_published_count_is_as_printed_and_differs(row: list[str]) -> None:
    name, what, printed, exact, off = row[0].strip("`"), FIELDS[row[1]], number(row[2]), number(row[3]), row[4]
    assert COUNTS[name][what] == exact
    assert off == f"{100 * (printed / exact - 1):+.1f} %"


def test_the_published_counts_are_all_that_differ() -> None:
    wrong = set()
    for spec in MODELS:
        for row in MODELS[spec].published:
            point = str(published_at(MODELS[spec], row))
            for word, what in FIELDS.items():
                printed = getattr(row, what)
                unit = getattr(row, f"{what}_unit")
                if printed is not None and not agrees(printed, COUNTS[point][what], unit):
                    wrong.add((point, word, float(round(printed)), row.source.split(";")[0].split(",")[0]))
    assert {(row[0].strip("`"), row[1], number(row[2]), row[5]) for row in PUBLISHED} == wrong


def last_digit(row: list[str]) -> float | None:
    """What the last digit of a row's printed figure counts; None where only its zeros could tell."""
    name, field, figure = row[0].strip("`"), FIELDS[row[1]], number(row[2])
    for spec in MODELS:
        for one in MODELS[spec].published:
            same = str(published_at(MODELS[spec], one)) == name and one.source.startswith(row[5])
            if same and round(getattr(one, field) or 0) == figure:
                return float(getattr(one, f"{field}_unit") or 0) or None
    raise AssertionError(f"{name} publishes no {figure:,.0f}")


@pytest.mark.parametrize(
    "row",
    [row for row in PUBLISHED if re.match(r"(without BN's scale and shift|cut off, not rounded)", row[6])],
    ids=lambda row: f"{row[0].strip('`')}-{row[1]}-{row[2]}",
)
def test_what_is_said_to_be_left_out_or_cut_off_gives_the_figure(row: list[str]) -> None:
    name, printed, why = row[0].strip("`"), number(row[2]), row[6]
    exact, unit = int(number(row[3])), last_digit(row)
    if why.startswith("without BN"):
        exact -= sum(one.params for one in layers(name).rows if one.kind == "batch_norm")
    if "cut off" not in why:
        assert agrees(printed, exact, unit)
        return
    step = unit or 10 ** (len(f"{printed:.0f}") - len(f"{printed:.0f}".rstrip("0")))
    assert exact // step * step == printed and not agrees(printed, exact, unit)


@pytest.mark.parametrize(("expression", "value"), FORMULAS)
def test_a_formula_has_the_value_beside_it(expression: str, value: str) -> None:
    decimals = len(value.partition(".")[2])
    assert f"{evaluate(expression):,.{decimals}f}" == value


def test_every_number_on_the_page_stands_in_a_formula_or_a_checked_row() -> None:
    rest = PAGE
    for row in PUBLISHED:
        rest = rest.replace(" | ".join(row[:5]), "")
    rest = re.sub(r"`[^`]+? = [\d,.]+`", "", rest)  # formulas
    rest = re.sub(r"`edgekit [^`]*`", "", rest)
    rest = re.sub(r'"[^"]*"', "", rest)  # what is quoted is what was printed
    rest = re.sub(r"`[\w.-]+`|Tables? \d( and \d)?|\b[A-Z]\w+(-\d+)?\b|\d+x\d+(x\d+)?|fp32|(19|20)\d\d-?", "", rest)
    # words around a formula
    allowed = {"24", "96", "20", "64", "128", "112", "224", "48", "2", "1", "0.5", "1,700", "6", "6.8", "1,550", "1001"}
    assert set(re.findall(r"\d[\d,.]*\d|\d", rest)) <= allowed


def test_comparisons_say_whether_they_follow() -> None:
    for printed, exact, follows in tables()[2]:
        claimed = re.findall(r"[\d.]+", printed)[0]
        ratio = evaluate(re.findall(r"`(.+?) = ", exact)[0])
        decimals = len(claimed.partition(".")[2])
        rounded, cut = f"{ratio:.{decimals}f}", f"{int(ratio * 10**decimals) / 10**decimals:.{decimals}f}"
        holds = float(claimed) <= ratio if "more than" in printed else claimed == rounded
        assert follows.partition(":")[0] == ("yes" if holds else "cut off, not rounded" if claimed == cut else "no")


# Formulas: numbers, + - * / **, and the counts of networks


def evaluate(expression: str) -> float:
    """The value of an expression of the page."""
    plain = re.sub(r"\b(macs|params|elements)\(([^(),]+)(?:, ([^()]+))?\)", count, expression)
    return float(walk(ast.parse(plain, mode="eval").body))


def count(match: re.Match[str]) -> str:
    what = {"macs": "macs", "params": "params", "elements": "activation_elements"}[match[1]]
    if match[3] is None:
        return str(COUNTS[match[2]][what])
    return str(sum(getattr(row, what) for row in layers(match[2]).rows if row.kind == match[3]))


@cache
def layers(name: str) -> LayerTable:
    return counted(POINTS[name])


def walk(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](walk(node.left), walk(node.right))
    raise ValueError(f"not arithmetic: {ast.dump(node)}")
