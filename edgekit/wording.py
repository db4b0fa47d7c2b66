"""How numbers are written, the same in the terminal, in reports and in pull requests."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal


def fixed(value: float, digits: int, sign: str = "") -> str:
    """With so many decimals, halves away from zero: 97.25 as "97.3". `sign` is "+" to write that one, too.

    Looks at twelve digits, because a binary fraction is seldom exactly the half that it stands for; report.js does so.
    """
    rounded = Decimal(f"{value:.12g}").quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded:{sign},.{digits}f}"


def percent(value: float, digits: int = 1) -> str:
    """0.9725 as "97.3", without the sign."""
    return fixed(100 * value, digits)


def counted(number: int, one: str, many: str = "") -> str:
    """1 as "1 cell", 2000 as "2,000 cells"."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
