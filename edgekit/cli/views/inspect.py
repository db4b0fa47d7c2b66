"""What `inspect` shows a person of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.text import Text

from edgekit.cli.tables import (
    UNKNOWN,
    Column,
    Json,
    View,
    facts,
    plain,
    shape,
    size,
    table,
)
from edgekit.cli.views.engine import engine
from edgekit.inspection.pairs import in_words


def inspect(document: Json, width: int) -> View:
    """What each file is."""
    for index, one in enumerate(document.get("files", [document])):
        yield from [Text()] * bool(index)
        yield from _file(one, width)


def _file(document: Json, width: int) -> View:
    """What a file is, a fact a line; or only the code, where it was asked for, so that it can go into a file."""
    if document["snippet"] is not None:
        yield str(document["snippet"])
        return
    yield facts(
        [
            ("file", document["path"]),
            ("format", document["format"]),
            ("size", size(document["bytes"])),
            ("intact", "yes, as its manifest says" if document["intact"] else "unknown: no manifest beside it"),
            *(_made(document["manifest"]) if document["manifest"] else ()),
            ("operators", plain(document["operators"] or document["operators_reason"])),
            *([("int8 for", in_words(document["quantized_for"]))] if document.get("quantized_for") else ()),
            *([("labels", _some(document["labels"]))] if document["labels"] else ()),
        ]
    )
    layers = document["layers"]
    if layers:
        yield Text()
        yield from table([Column(key, _item(key), left=True) for key in layers[0]], layers, width)


def _some(labels: Sequence[str], most: int = 5) -> str:
    more = f" ... ({len(labels)} in all)" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more


def _item(key: str) -> Callable[[Json], str]:
    if key == "snr_db":  # None: the layer is exact, or has no signal
        return lambda row: UNKNOWN if row[key] is None else f"{row[key]:.1f}"
    return lambda row: plain(row[key])


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
            yield side, f"{tensor['name']}: {tensor['dtype']} {shape(tensor['shape'])} {tensor['layout']}"
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
    return f"passed on {parity['n']} inputs ({parity['n_real']} images), cosine {parity['cosine']:.6f}"
