"""What `inspect` shows a person of a file."""

from __future__ import annotations

from functools import partial

from rich.text import Text

from edgekit.cli.tables import Column, Json, View, facts, table
from edgekit.inspection.facts import facts_of, of_layer


def inspect(document: Json, width: int) -> View:
    """Yield what each file is."""
    for index, one in enumerate(document.get("files", [document])):
        yield from [Text()] * bool(index)
        yield from _file(one, width)


def _file(document: Json, width: int) -> View:
    """What a file is, a fact a line; or only the code, where it was asked for, so that it can go into a file."""
    if document["snippet"] is not None:
        yield str(document["snippet"])
        return
    yield facts(facts_of(document))
    layers = document["layers"]
    if layers:
        yield Text()
        yield from table([Column(key, partial(of_layer, key), left=True) for key in layers[0]], layers, width)
