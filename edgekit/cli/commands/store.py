"""The command `store`: what was measured, looked at and brought together."""

from __future__ import annotations

from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome

_WORDS = "Ids, or their first digits; for export, the file last; for merge, the file."


def store(
    action: Annotated[str, typer.Argument(metavar="list|show|export|merge|rm", help="What to do.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="[ID...] [FILE]", help=_WORDS)] = None,
    device: o.OfDevice = None,
    model: o.OfModel = None,
    since: o.Since = None,
    latest: Annotated[int | None, typer.Option("--latest", metavar="N", help="Only the last N of these.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it, rm shows what would go.")] = False,
    store: o.Store = None,
    json: o.Json = False,
) -> Outcome:
    """List stored records; show, export, merge or remove some.

    list prints a line for each record, show ID all of one. export writes records into a new SQLite store, or into JSON
    where the file is called .json; merge brings either into a store: each record once, however often. rm removes for
    good. list, export and rm take filters.

    \b
    Example:
      edgekit store list --model mobilenet --since 7d
      edgekit store export --device local mine.db
      edgekit store export --latest 20 results.json
      edgekit store merge edgekit.db --store sqlite:///team.db
      edgekit store rm --device pi5 --yes
    """
    from edgekit.cli.views import store as views

    result = edgekit.store(
        action, *(words or ()), store=store, device=device, model=model, since=since, latest=latest, yes=yes
    )
    return Outcome(result.to_json(), views.VIEWS[action])
