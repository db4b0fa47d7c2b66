"""docs/zoo.md from the cells that table made: one line per network and format, both precisions in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import edgekit.models  # noqa: F401  # registers the zoo
from edgekit.network.spec import MODELS

FORMATS = ("onnx", "tflite")
PRECISIONS = ("fp32", "int8")
Cell = dict[str, Any]

INTRODUCTION = """# The zoo, exported

Written by `make zoo`; do not edit. Every network at its own resolution, as ONNX and as TFLite, in fp32 and in int8.
Every file was opened again and compared with the folded network before it got here.
The weights are random and int8 is calibrated on noise, so nothing here says anything about accuracy.
Where a column has two numbers, the first is of the fp32 file and the second of the int8 file.

* **MB**: the size of the file.
* **error**: the fp32 file's largest error over the largest output. **SNR**: how far int8's rounding is below the
  signal, in dB (random weights; trained ones keep more).
* **moved**: operators that only move or extend data, TRANSPOSE and PAD (PADV2, Pad). A PAD before a convolution is
  written where torch pads otherwise than TFLite's SAME; XNNPACK takes it into the convolution, where it costs nothing.
* **Q/DQ**: QUANTIZE and DEQUANTIZE in the int8 file. In TFLite two are the float input and output, each further pair
  surrounds what has no integer kernel. In ONNX every tensor has its own pair, which the runtime fuses into the
  operators between them.
* **float**: layers that stay in float in int8, because the target has no integer kernel.
* **not delegated**: TFLite operators that LiteRT's optimized CPU delegate leaves to the plain kernels.
* **CPU s**: seconds of one processor that making and proving the file took. Building the network, its random weights
  and folding come once before that and are not in it; the first fp32 file (ONNX) also pays for what the network itself
  answers, the first int8 file for the calibration.
"""
TIMED = """* **ms**: median latency of one image on one thread{processor}, at least 9 inferences in a process of
  its own after warm-up. Good to compare rows by; `edgekit bench` is for a number to rely on. In brackets: something
  disturbed the measurement.
"""
WHY = {
    ("resnet1001_v2_cifar", "int8"): "the noise of 333 sums adds up, each rounded to 8 bits behind the one before it",
}
MOVES = ("TRANSPOSE", "Transpose", "PAD", "PADV2", "MIRROR_PAD", "Pad")
QUANTS = ("QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear")


def page(found: Sequence[Cell]) -> str:
    """The table from the cells."""
    timed = any("median_ms" in row for row in found)
    heads = ["network", "format", "MB", "error", "SNR", "moved", "Q/DQ", "float", "not delegated", "CPU s"]
    heads += ["ms"] * timed
    lines = [INTRODUCTION + _timed(found) * timed, row_of(heads), row_of("---" for _ in heads)]
    pairs: dict[tuple[str, str], dict[str, Cell]] = {}
    for row in found:
        pairs.setdefault((row["network"], row["format"]), {})[row["precision"]] = row
    for (network, format), pair in sorted(pairs.items()):
        lines.append(row_of([network, format, *columns(pair, timed)]))
    return "\n".join([*lines, "\n## What is missing\n", *missing(found)]) + "\n"


def _timed(found: Sequence[Cell]) -> str:
    processors = {row["processor"] for row in found if row.get("processor")}
    return TIMED.format(processor=f" of {' and '.join(sorted(processors))}" if processors else "")


def missing(found: Sequence[Cell]) -> Iterator[str]:
    """What could not be made and why, and how much was not tried."""
    for row in found:
        if row["reason"]:
            why = WHY.get((row["network"], row["precision"]))
            yield f"* {row['network']}, {row['format']} {row['precision']}: {row['reason']}{f' ({why})' if why else ''}"
    left = sorted(set(MODELS) - {row["network"] for row in found})
    if left:
        yield f"* not done yet, `make zoo` goes on: {', '.join(left)}"
    if not left and not any(row["reason"] for row in found):
        yield "Nothing: every file was made, and agrees."


def row_of(texts: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(texts)} |"


def columns(pair: dict[str, Cell], timed: bool) -> Iterator[str]:
    """Both precisions of one network in one format."""
    full, small = (row if row and not row["reason"] else None for row in map(pair.get, PRECISIONS))
    yield both(full, small, lambda row: f"{row['bytes'] / 1e6:.2f}")
    yield f"{full['parity']['max_rel_error']:.0e}" if full else "-"
    yield f"{round(small['parity']['snr_db'], 0) + 0:.0f}" if small else "-"  # + 0: no negative zero
    yield both(full, small, lambda row: str(operators(row, MOVES)))
    yield str(operators(small, QUANTS)) if small else "-"
    yield str(len(small["float_islands"])) if small else "-"
    yield undelegated(full, small)
    yield both(full, small, lambda row: f"{row['cpu_seconds']:.1f}")
    if timed:
        yield both(full, small, latency)


def undelegated(full: Cell | None, small: Cell | None) -> str:
    """What the delegate leaves out, once where both precisions agree; "-" for a runtime without delegates."""
    lists = [" ".join(row["undelegated"]) or "none" for row in (full, small) if row and row["undelegated"] is not None]
    return "; ".join(dict.fromkeys(lists)) or "-"


def latency(row: Cell) -> str:
    """Milliseconds, in brackets where the measurement is not valid."""
    if "median_ms" not in row:
        return "-"
    text = f"{row['median_ms']:.3g}"
    return text if row["verdict"] == "valid" else f"({text})"


def both(full: Cell | None, small: Cell | None, text: Callable[[Cell], str]) -> str:
    """fp32 and int8 side by side; one dash where neither is known."""
    texts = [text(row) if row else "-" for row in (full, small)]
    return ", ".join(texts) if any(one != "-" for one in texts) else "-"


def operators(row: Cell, names: Sequence[str]) -> int:
    """How many operators of these names the file has."""
    return sum(row["operators"].get(name, 0) for name in names)
