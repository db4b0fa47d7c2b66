"""The command `store`: what was measured, looked at and brought together."""

from __future__ import annotations

from typing import Annotated

import typer

import edgekit
from edgekit.cli import options as o
from edgekit.cli.output import Outcome

_WORDS = "Ids, their first digits, or latest; for export, the file last; for merge, the file."


def store(
    action: Annotated[str, typer.Argument(metavar="list|show|export|merge|rm", help="What to do.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="[ID...] [FILE]", help=_WORDS)] = None,
    device: o.OfDevice = None,
    model: o.OfModel = None,
    since: o.Since = None,
    latest: Annotated[int | None, typer.Option("--latest", metavar="N", help="Only the last N of these.")] = None,
    format: o.OfFormat = None,
    precision: o.OfPrecision = None,
    runtime: o.OfRuntime = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it, rm shows what would go.")] = False,
    store: o.Store = None,
    json: o.Json = False,
) -> Outcome:
    """List stored records; show, export, merge or remove some.

    \b
    list    A line for each record, the newest last: what it is of, its id, format,
            precision, device, runtime, when (UTC), the result (median latency in
            ms, or top-1 in % of so many images) and the verdict: valid, suspect
            or invalid; "replaced" where a later one counts; "failed" of a sweep.
    show    All of one record; samples as their number, least, median and greatest,
            in ns. ID: its first digits, or `latest`.
    export  Copies of records into a new SQLite store; into JSON, if FILE ends in .json.
    merge   The records of such a file into the store: each once, however often.
    rm      Shows what would go; with --yes removes it for good.

    Filters of list, export and rm, which may be combined: --device, a name of devices.yaml or local; --model, a network
    (mobilenet), a variant (mobilenet_0.5_160) or a file's name; --since 2026-01-31, 7d or 24h; --latest 10; --format
    tflite, --precision int8 and --runtime litert, several of each with commas between.

    \b
    Example:
      edgekit store list --model mobilenet --since 7d
      edgekit store list --format tflite --precision int8
      edgekit store list --device local --latest 10
      edgekit store show latest
      edgekit store export --device local mine.db
      edgekit store export --latest 20 results.json
      edgekit store merge edgekit.db --store sqlite:///team.db
      edgekit store rm --device pi5 --since 24h
      edgekit store rm --device pi5 --yes
    """
    from edgekit.cli.views import store as views

    result = edgekit.store(
        action,
        *(words or ()),
        store=store,
        device=device,
        model=model,
        since=since,
        latest=latest,
        format=o.words_or_none(format, "--format"),
        precision=o.words_or_none(precision, "--precision"),
        runtime=o.words_or_none(runtime, "--runtime"),
        yes=yes,
    )
    return Outcome(result.to_json(), views.VIEWS[action])
