"""How numbers and foreign texts are written, the same in the terminal, in reports and in pull requests."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

# What a terminal obeys instead of showing it: C0 and C1 controls, marks of direction, and separators of lines. And what
# no file of UTF-8 can have: halves of surrogate pairs, which stand for bytes of names that are no text.
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_CONTROLS += tuple(range(0xD800, 0xE000))
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CONTROLS}
_ESCAPES |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
_IN_LINES = {code: shown for code, shown in _ESCAPES.items() if chr(code) not in "\n\t"}
_IN_JSON = {code: f"\\u{code:04x}" for code in _CONTROLS if code >= 0x7F}
UNKNOWN = "-"
DASH = "–"  # the same on a page
_FORMULAS = tuple("=+@-\uff1d\uff0b\uff20\uff0d")  # what begins one, also in the width of Chinese characters


def escaped(text: str, lines: bool = False) -> str:
    """The text with each control character as its escape, as in "\\x1b". `lines`: it has lines, and keeps them."""
    return text if text.isprintable() else text.translate(_IN_LINES if lines else _ESCAPES)


def printable(value: Any, key: str = "") -> Any:
    """The same value with the texts in it escaped; what stands under the key "snippet" is code, and keeps its lines."""
    if isinstance(value, str):
        return escaped(value, lines=key == "snippet")
    if isinstance(value, Mapping):
        return {escaped(name): printable(one, name) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return (tuple if isinstance(value, tuple) else list)(map(printable, value))
    return value


def json_escaped(text: str) -> str:
    """JSON in which each control character is an escape of JSON's own: the same values, and nothing to obey."""
    return text if text.isascii() and "\x7f" not in text else text.translate(_IN_JSON)


def csv_cell(text: str) -> str:
    """The text for a cell of a CSV file, in one line; before what a spreadsheet would run as a formula, an apostrophe.

    Python's writer leaves a carriage return as it is, and readers begin a row there.
    """
    shown = escaped(text)
    return f"'{shown}" if shown.startswith(_FORMULAS) else shown


def in_markdown(text: str) -> str:
    """Return the text in one line, as Markdown shows it, in a table too."""
    return _unmarked(escaped(" ".join(text.split())))


def sentence_in_markdown(text: str) -> str:
    """Return the same, in which a command between backticks stays code, where no other mark means anything."""
    parts = re.split("(`[^`]+`)", escaped(" ".join(text.split())))
    return "".join(part if index % 2 else _unmarked(part) for index, part in enumerate(parts))


def _unmarked(text: str) -> str:
    flat = re.sub("&(?=[A-Za-z#])", "&amp;", text)  # else it is no entity
    for mark in "\\`*_|[]#":
        flat = flat.replace(mark, f"\\{mark}")
    return flat.replace("<", "&lt;").replace(">", "&gt;")


def fixed(value: float, digits: int, sign: str = "") -> str:
    """With so many decimals, halves away from zero: 97.25 as "97.3". `sign` is "+" to write that one, too.

    Looks at twelve digits, because a binary fraction is seldom exactly the half that it stands for; report.js does so.
    """
    rounded = Decimal(f"{value:.12g}").quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded:{sign},.{digits}f}"


def percent(value: float, digits: int = 1) -> str:
    """0.9725 as "97.3", without the sign."""
    return fixed(100 * value, digits)


def span(seconds: float) -> str:
    """600 as "10 min", 90 as "1.5 min", 20 as "20 s"."""
    return f"{seconds:.3g} s" if seconds < 60 else f"{seconds / 60:.3g} min"


def minute(created: str) -> str:
    """Return an ISO 8601 time of a record, 2026-01-31T09:30:12.345+00:00, to the minute: 2026-01-31 09:30."""
    return created[:16].replace("T", " ")


def decimals(value: float) -> int:
    """Return how many decimals show three digits that mean something, four at most."""
    return min(4, max(0, 2 - math.floor(math.log10(value)))) if value > 0 else 0


def milliseconds(value: float, more: int = 0) -> str:
    """1.6349 as "1.63": three digits that mean something, and so many `more`."""
    return f"{value:.{decimals(value) + more}f}"


def some(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """Return the first of many names, and how many more there are: "a, b, c and 5 more"."""
    more = len(names) - most
    return between.join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def counted(number: int, one: str, many: str = "") -> str:
    """1 as "1 cell", 2000 as "2,000 cells"."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def count(value: float | None) -> str:
    """4231976 as "4.23 M"."""
    if value is None:
        return UNKNOWN
    value = float(f"{value:.3g}") if value >= 1e3 else value  # 999,999 is 1.00 M, not 1000 k
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.{decimals(value / limit)}f} {unit}"
    return f"{value:.0f}"


def size(value: float | None) -> str:
    """5316992 bytes as "5.32 MB"."""
    text = count(value)
    return text if value is None else (f"{text}B" if " " in text else f"{text} B")


def shape_text(sizes: Sequence[int]) -> str:
    """[1, 3, 224, 224] as "1x3x224x224"."""
    return "x".join(str(size) for size in sizes)


def plain(value: object) -> str:
    """Return a value of a document in words: lists by spaces, pairs by commas, what is not known as a dash."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(plain(item) for item in value) or UNKNOWN
    if isinstance(value, float):
        return f"{value:.4g}"
    return UNKNOWN if value is None else str(value)
