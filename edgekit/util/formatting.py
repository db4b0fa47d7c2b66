"""How numbers and foreign texts are written, the same in the terminal, in reports and in pull requests."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

# What a terminal obeys instead of showing it: C0 and C1 controls, marks of direction, and separators of lines.
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CONTROLS}
_ESCAPES |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
_IN_LINES = {code: shown for code, shown in _ESCAPES.items() if chr(code) not in "\n\t"}


def escaped(text: str, lines: bool = False) -> str:
    """The text with each control character as its escape, as in "\\x1b". `lines`: it has lines, and keeps them."""
    return text.translate(_IN_LINES if lines else _ESCAPES)


def csv_cell(text: str) -> str:
    """The text for a cell of a CSV file, in one line; before what a spreadsheet would run as a formula, an apostrophe.

    Python's writer leaves a carriage return as it is, and readers begin a row there.
    """
    shown = escaped(text)
    return f"'{shown}" if shown.startswith(("=", "+", "@", "-")) else shown


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


def decimals(value: float) -> int:
    """How many decimals show three digits that mean something, four at most."""
    return min(4, max(0, 2 - math.floor(math.log10(value)))) if value > 0 else 0


def milliseconds(value: float) -> str:
    """1.6349 as "1.63": three digits that mean something."""
    return f"{value:.{decimals(value)}f}"


def counted(number: int, one: str, many: str = "") -> str:
    """1 as "1 cell", 2000 as "2,000 cells"."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
