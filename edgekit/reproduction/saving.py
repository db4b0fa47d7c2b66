"""A reproduction's table and picture as files of their own, in the format that the suffix says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.util.files import make_folder, write_atomically
from edgekit.util.table_text import as_csv, as_latex

TABLES = {".csv": as_csv, ".tex": as_latex}
PICTURES = (".svg", ".png")


def check(paths: Sequence[Path]) -> None:
    """Raise UsageError for a suffix that says no format."""
    for path in paths:
        if path.suffix.lower() not in (*TABLES, *PICTURES):
            known = ", ".join((*TABLES, *PICTURES))
            raise UsageError(f"--save {path} has no suffix that says a format", f"end it in one of: {known}")


def save(
    paths: Sequence[Path], heads: Sequence[str], lines: Sequence[Sequence[Any]], draw: Callable[[], tuple[str, bytes]]
) -> tuple[Path, ...]:
    """Write the table or the picture to each checked path; `draw` gives SVG and PNG, where one of them is asked."""
    drawn = draw() if any(path.suffix.lower() in PICTURES for path in paths) else ("", b"")
    for path in paths:
        suffix = path.suffix.lower()
        if suffix in TABLES:
            content = TABLES[suffix](heads, lines).encode("utf-8", "surrogatepass")
        else:
            content = drawn[0].encode() if suffix == ".svg" else drawn[1]
        make_folder(path.parent)
        write_atomically(path, content)
    return tuple(paths)
