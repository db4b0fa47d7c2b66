"""What a person reads of an engine's manifest: who built it, for which GPUs, and what it consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.bench.ondevice.engines import RTX, TENSORRT, TITLES, targets_in_words


def engine(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the lines of an engine; none for another file."""
    product = next((name for name in (RTX, TENSORRT) if details.get(name)), None)
    if product is None:
        return
    yield "built by", f"{TITLES[product]} {details[product]}"
    if product == RTX:
        yield "for GPUs of", targets_in_words(details.get("target_gpus"))
    elif details.get("gpu"):
        yield "for", f"{details['gpu']} (compute capability {details['compute_capability']})"
    if details.get("layer_kinds"):
        yield "layers", ", ".join(f"{count} {kind}" for kind, count in details["layer_kinds"].items())
    if details.get("computed_in"):
        of = (f"{count} in {kind}" for kind, count in details["computed_in"].items())
        yield "convolutions and products", ", ".join(of)
    for half, words in (("quantize", "QuantizeLinear"), ("dequantize", "DequantizeLinear")):
        if details.get(half):
            yield words, f"{details[half]['nodes']} in the file, {details[half]['fused']} fused away"
