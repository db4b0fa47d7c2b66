"""Measurements of a moment: most tests ask whether a number takes the right way, and none how steady it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgekit.records.measurement import PRESETS, VERSUS, Protocol
from tests.paths import ROOT

MOMENT: dict[str, Any] = {
    **{"warmup_seconds": 0.01, "warmup_runs": 2, "warmup_max_seconds": 0.02, "cooldown_seconds": 0.0},
    **{"min_seconds": 0.02, "min_runs": 64, "max_seconds": 5.0},
}
QUICK: Protocol = PRESETS["quick"]  # as it is for a user


def shorten() -> None:
    """Let `--preset quick` take a moment in this process, and fewest processes where files are interleaved."""
    PRESETS["quick"] = QUICK.model_copy(update=MOMENT)
    VERSUS["quick"] = {"processes": 6, "min_seconds": 0.01}


# The first lines of a program in a process of its own.
SHORT = f"import sys; sys.path.append({str(ROOT)!r}); from tests.short import shorten; shorten()\n"


def program(folder: Path) -> Path:
    """Write a program `edgekit` of such measurements, for tests whose shell types that name; return its folder."""
    lines = (
        f"#!{sys.executable}",
        "import sys",
        f"sys.path.insert(0, {str(ROOT)!r})",
        "from edgekit.cli.main import main",
        "from tests.short import shorten",
        "shorten()",
        "sys.exit(main())",
    )
    path = folder / "edgekit"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return folder
