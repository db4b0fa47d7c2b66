"""The command `store`: where a team's numbers come together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome


def store(
    action: Annotated[str, typer.Argument(metavar="merge", help="What to do.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A colleague's SQLite store.")],
    store: o.Store = None,
    json: o.Json = False,
) -> Outcome:
    """Bring what a colleague measured into your store.

    Each record comes once, however often the same file is merged. The file is only read.

    \b
    Example:
      edgekit store merge edgekit.db --store sqlite:///team.db
    """
    from edgekit.cli.views import sweep as views

    return Outcome(edgekit.store(action, file, store=store).to_json(), views.store)
