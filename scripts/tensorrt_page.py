"""The page of `make tensorrt-check`: docs/measured/tensorrt-rtx.md from the cells that are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from edgekit.util.formatting import some

PRECISIONS = ("fp32", "fp16", "int8")
SHORT = {"int8": "int8", "float16": "f16", "float32": "f32"}
MB = 1e6
Cell = dict[str, Any]


def page(cells: Sequence[Cell], networks: Sequence[str]) -> str:
    """The page: what built with sizes and seconds, what int8 engines consist of, and what did not build."""
    found = {(cell["network"], cell["precision"]): cell for cell in cells}
    return "\n".join(_lines(found, networks)) + "\n"


def _lines(found: dict[tuple[str, str], Cell], networks: Sequence[str]) -> Iterator[str]:
    built = [cell for cell in found.values() if cell["state"] == "built"]
    yield "# Engines of TensorRT for RTX, network by network"
    yield ""
    yield _about(built)
    yield ""
    yield f"{len(built)} of {len(PRECISIONS) * len(networks)} engines built. {_missing(found, networks)}"
    yield ""
    yield "## Sizes and build times"
    yield ""
    yield "Sizes in MB of 10^6 bytes, in brackets what of it is weights; seconds of NVIDIA's builder alone."
    yield ""
    yield "| network | " + " | ".join(f"{one} | s" for one in PRECISIONS) + " |"
    yield "|---|" + "---:|---:|" * len(PRECISIONS)
    for network in networks:
        if any((network, one) in found for one in PRECISIONS):
            yield f"| {network} | " + " | ".join(_size(found.get((network, one))) for one in PRECISIONS) + " |"
    yield ""
    yield "## What int8 engines consist of"
    yield ""
    yield CONSISTS
    yield ""
    heads = ("layers: fp32", "fp16", "int8", "generated: fp32", "int8", "quantize fused", "dequantize fused")
    yield f"| network | computed in | {' | '.join(heads)} |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for network in networks:
        if found.get((network, "int8"), {}).get("state") == "built":
            yield _consists(network, *(found.get((network, one), {}) for one in PRECISIONS))
    yield from _in_float(found, networks)
    refused = [cell for cell in found.values() if cell["state"] != "built"]
    yield ""
    yield "## What did not build"
    yield ""
    yield from (f"- {cell['network']} {cell['precision']}: {plain(cell['reason'])}" for cell in refused)
    if not refused:
        yield "Nothing of what was tried."


ABOUT = """Written by `make tensorrt-check`: TensorRT for RTX {versions}, on {machines}, without a GPU, {days}.
Random weights; int8 calibrated on noise; engines for compute capability 8.0 and newer. No engine was run: nothing here
is a time or an accuracy of one. Build times are of a machine that did other things too. What an engine consists of is
what the builder lists itself: [tensorrt.md](../tensorrt.md)."""
CONSISTS = """Convolutions and products by the type that they compute in; layers of the engine, and how many of them are
kernels that the builder generated for work between those. Of the quantizing and dequantizing nodes in the file, how
many became part of a convolution or product, or of nothing at all."""


def _about(built: Sequence[Cell]) -> str:
    versions, machines, days = (
        sorted({str(cell[name]) for cell in built}) or ["-"] for name in ("tensorrt_rtx", "processor", "date")
    )
    span = " to ".join(dict.fromkeys((days[0], days[-1])))
    return ABOUT.format(versions=", ".join(versions), machines=", ".join(machines), days=span)


def _missing(found: dict[tuple[str, str], Cell], networks: Sequence[str]) -> str:
    untried = [name for name in networks if not all((name, one) in found for one in PRECISIONS)]
    if not untried:
        return "All were tried."
    return f"Not tried, or not in every precision: {', '.join(untried)}."


def _size(cell: Cell | None) -> str:
    if cell is None:
        return "- | -"
    if cell["state"] != "built":
        return f"{cell['state']} | -"
    weights = "" if cell["weights_bytes"] is None else f" ({cell['weights_bytes'] / MB:.2f})"
    return f"{cell['bytes'] / MB:.2f}{weights} | {cell['build_seconds']:.1f}"


def _consists(network: str, fp32: Cell, fp16: Cell, int8: Cell) -> str:
    kinds = ", ".join(f"{count} {SHORT.get(kind, kind)}" for kind, count in int8["computed_in"].items())
    layers = [sum(_work(cell).values()) or "-" for cell in (fp32, fp16, int8)]
    generated = [(cell.get("layer_kinds") or {}).get("kgen", "-") for cell in (fp32, int8)]
    halves = [f"{int8[half]['fused']} of {int8[half]['nodes']}" for half in ("quantize", "dequantize")]
    return f"| {network} | {kinds} | " + " | ".join(map(str, (*layers, *generated, *halves))) + " |"


def _work(cell: Cell) -> dict[str, int]:
    """The layers that compute or move something."""
    return {kind: count for kind, count in (cell.get("layer_kinds") or {}).items() if kind not in ("signal", "wait")}


def _in_float(found: dict[tuple[str, str], Cell], networks: Sequence[str]) -> Iterator[str]:
    cells = [found[name, "int8"] for name in networks if found.get((name, "int8"), {}).get("computed_in_float")]
    yield ""
    yield "## What stayed in float32 of int8 networks"
    yield ""
    for cell in cells:
        yield f"- {cell['network']}: {some(cell['computed_in_float'], 8)}"
    if not cells:
        yield "No convolution or product."


def plain(text: str) -> str:
    """NVIDIA's message on one line, without what would be read as markup."""
    return re.sub(r"[|<>`]", " ", " ".join(text.split()))[:400]
