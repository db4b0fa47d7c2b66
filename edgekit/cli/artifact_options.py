"""Options whose help names the formats, for the commands that read artifacts or make them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.records.formats import FORMATS

*_FIRST, _LAST = (format.suffix for _, format in FORMATS.items())
SUFFIXES = f"{', '.join(_FIRST)} or {_LAST}"
FORMAT_NAMES = f"{', '.join(FORMATS)}."
Artifacts = Annotated[list[Path], typer.Argument(metavar="ARTIFACT", help=f"Files {SUFFIXES}.")]
