"""What a long run has found so far, a line of JSON a cell, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def known(file: Path, *names: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """The cells of a file by these of their values; of two lines for one cell the later."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        with suppress(json.JSONDecodeError):  # one that was cut off is not known
            cell = json.loads(line)
            found[tuple(cell[name] for name in names)] = cell
    return found


def keep(file: Path, cell: Mapping[str, Any]) -> None:
    """Add a cell; what was cut off before it ends there."""
    with file.open("a", encoding="utf-8") as out:
        out.write(f"\n{json.dumps(cell)}")
