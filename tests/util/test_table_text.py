"""Tables as text: numbers as they are, and nothing in a cell that ends it or runs."""

from __future__ import annotations

from edgekit.util.table_text import as_csv, as_latex, as_markdown

HEADS = ("name_of|it", "count")
ROWS = (("a_1 & |b| 50%", 1234567), ("=1+1", None))


def test_csv_has_plain_numbers_and_no_formula() -> None:
    assert as_csv(HEADS, ROWS) == "name_of|it,count\na_1 & |b| 50%,1234567\n'=1+1,\n"


def test_markdown_keeps_its_columns() -> None:
    lines = [r"| name\_of\|it | count |", "| --- | --: |", r"| a\_1 & \|b\| 50% | 1,234,567 |", "| =1+1 | - |"]
    assert as_markdown(HEADS, ROWS) == "\n".join(lines) + "\n"


def test_latex_is_a_tabular_with_everything_escaped() -> None:
    assert as_latex(HEADS, ROWS) == (
        "\\begin{tabular}{lr}\n\\hline\nname\\_of|it & count \\\\\n\\hline\n"
        "a\\_1 \\& |b| 50\\% & 1,234,567 \\\\\n=1+1 & - \\\\\n\\hline\n\\end{tabular}\n"
    )
