"""What is told of a whole network, a fact a line: the same on a terminal, in Python and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.ir.layer_table import shares
from edgekit.util.formatting import UNKNOWN, percent, shape_text

Json = Mapping[str, Any]


def facts_of(document: Json) -> list[tuple[str, str]]:
    """Return what a result of `summary` says of all layers, as words and what is the case; `document` is its JSON."""
    elements = document["activation_elements"]
    return [
        ("variant", document["variant"]),
        ("input", shape_text(document["input_shape"])),
        ("parameters", f"{document['params']:,}, {_mib(document['params'])}"),
        ("MACs", f"{document['macs']:,}"),
        ("activations", f"{elements:,} elements, {_mib(elements)}"),
        ("MACs by kind", _shares(document["layers"])),
        *(("not counted", name) for name in document["uncounted"]),
    ]


def _mib(elements: int) -> str:
    return f"{4 * elements / 2**20:.3g} MiB in fp32"


def _shares(layers: Sequence[Json]) -> str:
    found = shares((str(row.get("kind") or row["op"]), row["macs"]) for row in layers)
    return ", ".join(f"{kind} {percent(share)} %" for kind, share in found.items()) or UNKNOWN
