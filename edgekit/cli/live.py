"""What every device of a sweep does, as a table on a terminal that is drawn again when something changes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from edgekit.cli.output import NORMAL, VERBOSITY, Progress
from edgekit.sweeps.board import Row
from edgekit.sweeps.estimate import told
from edgekit.util.formatting import escaped

FEWEST = 2  # devices, below which one line says all


class LiveTable(Progress):
    """Progress with a table above its line; where stderr is no terminal, a line per step and no table."""

    _rows: Sequence[Row] = ()
    _height = 0  # lines that are on the screen

    def watch(self, rows: Sequence[Row]) -> None:
        """Show what the devices do."""
        if self._terminal and VERBOSITY.get() == NORMAL and len(rows) >= FEWEST:
            self._rows = rows
            self._draw()

    def __call__(self, message: str, done: int | None = None, total: int | None = None) -> None:
        """Show that `message` is going on; `done` of `total` where that is known."""
        if not self._rows:
            super().__call__(message, done, total)
            return
        self._last = escaped(message) + (f"  {done}/{total}" if total else "")
        self._draw()

    def close(self) -> None:
        """Clear the table and the line for what is printed next."""
        if self._height:
            self._print(f"\x1b[{self._height}F\x1b[J", end="")
            self._height = 0
        else:
            super().close()

    def __enter__(self) -> LiveTable:
        return self

    def _draw(self) -> None:
        width, height = shutil.get_terminal_size()
        lines = [*_lines(self._rows, height - 2), self._last]
        text = "\n".join(line[: width - 1].rstrip() for line in lines)  # a line that wraps could not be drawn again
        up = f"\x1b[{self._height}F" if self._height else "\r"
        self._print(f"{up}\x1b[J{text}", end="\n")
        self._height = len(lines)


def _lines(rows: Sequence[Row], most: int) -> list[str]:
    """The rows as aligned text, those that do something first where there is no room for all."""
    shown = list(rows)
    if len(shown) > most:
        shown = sorted(shown, key=lambda row: row.job is None)[: max(most - 1, 1)]
    cells = [(escaped(row.device), row.state, escaped(row.job or ""), _left(row)) for row in shown]
    widths = [max(len(cell[column]) for cell in cells) for column in range(3)]
    lines = [
        "  ".join((*(text.ljust(width) for text, width in zip(cell, widths, strict=False)), cell[3])) for cell in cells
    ]
    return lines + ([f"and {len(rows) - len(shown)} more"] if len(shown) < len(rows) else [])


def _left(row: Row) -> str:
    if row.seconds is None:
        return ""
    return f"about {told(row.seconds)}" if row.job else f"asked again in {told(row.seconds)}"
