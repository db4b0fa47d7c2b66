"""What is told of a file, a fact a line: the same on a terminal, in Python and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.inspection.facts_engine import engine
from edgekit.inspection.pairs import in_words
from edgekit.util.formatting import UNKNOWN, plain, shape_text, size, some

Json = Mapping[str, Any]


def facts_of(document: Json) -> list[tuple[str, str]]:
    """Return what a result of `inspect` says, as words and what is the case; `document` is its JSON."""
    return [
        ("file", document["path"]),
        ("format", document["format"]),
        ("size", size(document["bytes"])),
        ("intact", "yes, as its manifest says" if document["intact"] else "unknown: no manifest beside it"),
        *(_made(document["manifest"]) if document["manifest"] else ()),
        ("operators", plain(document["operators"] or document["operators_reason"])),
        *([("int8 for", in_words(document["quantized_for"]))] if document.get("quantized_for") else ()),
        *([("labels", some(document["labels"], 5))] if document["labels"] else ()),
    ]


def of_layer(key: str, layer: Json) -> str:
    """Return what is told of a layer of an int8 file under a key. No figure: it is exact, or has no signal."""
    if key == "snr_db":
        return UNKNOWN if layer[key] is None else f"{layer[key]:.1f}"
    return plain(layer[key])


def _made(manifest: Json) -> Iterator[tuple[str, str]]:
    """What a manifest tells a person; all of it is in --json."""
    weights, parity, calibration = manifest["weights"], manifest["parity"], manifest["calibration"]
    yield "network", f"{manifest['variant']['name']}, {manifest['precision']}"
    meaning = "" if weights["trained"] else ": only latency means anything"
    yield "weights", f"{weights['origin']} ({weights['id']}){meaning}"
    yield "parameters", f"{manifest['params']:,}"
    yield "MACs", f"{manifest['macs']:,}"
    for side in ("input", "output"):
        for tensor in manifest[f"{side}s"]:
            yield side, f"{tensor['name']}: {tensor['dtype']} {shape_text(tensor['shape'])} {tensor['layout']}"
    yield "preprocessing", plain(manifest["preprocessing"])
    if calibration:
        kind = "noise: latency only" if calibration["synthetic"] else f"set {calibration['hash']}"
        left_out = f", {calibration['unreadable']} left out as unreadable" if calibration["unreadable"] else ""
        yield "calibration", f"{calibration['n']} images, {kind}{left_out}"
    yield "parity", _parity(parity)
    yield from engine(manifest["details"])
    yield "made", f"{manifest['created']} by edgekit {manifest['edgekit']}"
    yield from (("note", note) for note in manifest["notes"])


def _parity(parity: Json) -> str:
    if parity["passed"] is None:
        return "; ".join(parity["reasons"])
    if parity["passed"] is False:
        return f"failed: {'; '.join(parity['reasons'])}"
    how = "passed layer by layer on" if parity["by_layer"] else "passed on"
    return f"{how} {parity['n']} inputs ({parity['n_real']} images), cosine {parity['cosine']:.6f}"
