"""`make zoo`: every network exported to every format in float and int8, proved, and put into docs/zoo.md.

A cell is one file: network x format x precision. Each is one line of build/zoo.jsonl, written when it is known, so
that an interrupted run goes on where it stopped; take a network's lines out to have it done again, or the file to have
all. `--time` adds latencies and export times, for a machine that does nothing else. The weights are random and int8 is
calibrated on noise: what stands in the table is size, proof and operators, never accuracy.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import edgekit
import edgekit.models  # registers the zoo
from edgekit.artifact import Manifest
from edgekit.errors import EdgekitError
from edgekit.exporters import FORMATS
from edgekit.runtime import open_session
from edgekit.spec import MODELS

ROOT = Path(__file__).resolve().parent.parent
PRECISIONS = ("fp32", "int8")
Cell = dict[str, Any]
Key = tuple[str, str, str]


def main() -> int:
    """Fill in what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=ROOT / "build" / "zoo.jsonl", help="where cells are kept")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "zoo.md", help="what is written from them")
    parser.add_argument("--only", nargs="*", help="networks (default: all)")
    parser.add_argument("--time", action="store_true", help="measure latency and export time too")
    parser.add_argument("--write", action="store_true", help="only write the page from the cells that are known")
    parser.add_argument("--network", help=argparse.SUPPRESS)  # in a process of its own: print this network's cells
    arguments = parser.parse_args()
    if arguments.network:
        for cell in cells(arguments.network, arguments.time):
            print(json.dumps(cell), flush=True)
        return 0
    if not arguments.write:
        for network in arguments.only or by_cost():
            fill(arguments.file, network, arguments.time)
    arguments.page.write_text(page(list(known(arguments.file).values())), encoding="utf-8")
    return 0


def by_cost() -> list[str]:
    """The networks, the cheapest first, so that what goes wrong shows early."""
    return [row.name for row in sorted(edgekit.models().rows, key=lambda row: row.macs)]


# Cells


def known(file: Path) -> dict[Key, Cell]:
    """What stands in the file; of two lines for one cell, the later."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = {}
    for line in lines:
        with suppress(json.JSONDecodeError):  # one that was cut off is not known
            cell = json.loads(line)
            found[cell["network"], cell["format"], cell["precision"]] = cell
    return found


def wanted(network: str) -> list[Key]:
    """The cells of one network."""
    return [(network, format, precision) for format in FORMATS for precision in PRECISIONS]


def fill(file: Path, network: str, timed: bool) -> None:
    """Add the cells of one network that are missing, each as soon as it is known."""
    have = known(file)
    if all(key in have and (have[key].get("timed") or not timed) for key in wanted(network)):
        return
    print(network, flush=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--network", network, *["--time"] * timed]
    found: list[Key] = []
    with (
        file.open("a", encoding="utf-8") as out,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        out.write("\n")  # what was cut off ends here
        for line in process.stdout:
            out.write(line)
            out.flush()
            found.append((network, json.loads(line)["format"], json.loads(line)["precision"]))
        code = process.wait()
        for key in wanted(network):
            if key not in found:
                out.write(json.dumps(failure(key, f"the process ended with {code}")) + "\n")


def failure(key: Key, reason: str) -> Cell:
    """A cell that could not be made."""
    return dict(zip(("network", "format", "precision"), key, strict=True)) | {"reason": reason}


def cells(network: str, timed: bool) -> Iterator[Cell]:
    """The cells of one network; their files are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="edgekit-zoo-") as folder:
        try:
            made = edgekit.export(
                network, format=list(FORMATS), precision=PRECISIONS, synthetic_calibration=True, out=folder
            )
        except EdgekitError as error:
            yield from (failure(key, error.message) for key in wanted(network))
            return
        yield from (failure((network, failed.format, failed.precision), failed.error.message) for failed in made.failed)
        for artifact in made.artifacts:
            manifest = artifact.manifest
            assert manifest is not None
            yield cell((network, manifest.format, manifest.precision), artifact.path, manifest, timed)


def cell(key: Key, path: Path, manifest: Manifest, timed: bool) -> Cell:
    """What is known of one file; its latency on one thread where it was asked for."""
    found = open_session(path).found
    nodes = found.get("nodes")
    row = failure(key, "") | {
        "reason": None,
        "bytes": manifest.bytes,
        "parity": manifest.parity.model_dump(mode="json", exclude={"reasons"}),
        "operators": manifest.operators,
        "float_islands": sorted(manifest.details.get("float_islands", ())),
        "undelegated": found.get("undelegated", []) if nodes else None,
        "timed": timed,
    }
    if timed:
        measured = edgekit.bench([path], threads=1, preset="quick", store=f"sqlite:///{path.parent / 'zoo.db'}")
        measurement = measured.to_json()["measurements"][0]
        row |= {"seconds": manifest.seconds}
        row |= {name: measurement[name] for name in ("median_ms", "verdict")}
    return row


# The page

INTRODUCTION = """# The zoo, exported

Written by `make zoo`; do not edit. Every network at its own resolution, as ONNX and as TFLite, in fp32 and in int8.
Every file was opened again and compared with the folded network before it got here.
The weights are random and int8 is calibrated on noise, so nothing here says anything about accuracy.

* **MB**: the file, fp32 and int8.
* **error**: the fp32 file's largest error over the largest output. **SNR**: how far int8's rounding is below the
  signal, in dB (random weights; trained ones keep more).
* **moved**: operators that only move or extend data, TRANSPOSE and PAD (PADV2, Pad), fp32 and int8.
* **Q/DQ**: QUANTIZE and DEQUANTIZE. In TFLite two are the float input and output, each further pair surrounds what has
  no integer kernel. In ONNX every tensor has its own pair, which the runtime fuses into the operators between them.
* **float**: layers that stay in float in int8, because the target has no integer kernel.
* **not delegated**: TFLite operators that LiteRT's optimised CPU delegate leaves to the plain kernels, fp32; int8.
"""
TIMED = """* **s**: seconds of the export, proof included, and in the first int8 file the calibration.
* **ms**: median latency of one image on one thread, fp32 and int8.
"""
MOVES = ("TRANSPOSE", "Transpose", "PAD", "PADV2", "MIRROR_PAD", "Pad")
QUANTS = ("QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear")


def page(found: Sequence[Cell]) -> str:
    """The table from the cells."""
    timed = any(row.get("timed") for row in found)
    heads = ["network", "format", "MB", "error", "SNR", "moved", "Q/DQ", "float", "not delegated"]
    heads += ["s", "ms"] * timed
    lines = [INTRODUCTION + TIMED * timed, row_of(heads), row_of("---" for _ in heads)]
    pairs = {(row["network"], row["format"]): {} for row in found}  # type: dict[tuple[str, str], dict[str, Cell]]
    for row in found:
        pairs[row["network"], row["format"]][row["precision"]] = row
    for (network, format), pair in sorted(pairs.items()):
        lines.append(row_of([network, format, *columns(pair, timed)]))
    return "\n".join([*lines, "\n## What is missing\n", *missing(found)]) + "\n"


def missing(found: Sequence[Cell]) -> Iterator[str]:
    """What could not be made and why, and how much was not tried."""
    for row in found:
        if row["reason"]:
            yield f"* {row['network']}, {row['format']} {row['precision']}: {row['reason']}"
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
    yield f"{small['parity']['snr_db']:.0f}" if small else "-"
    yield both(full, small, lambda row: str(operators(row, MOVES)))
    yield str(operators(small, QUANTS)) if small else "-"
    yield str(len(small["float_islands"])) if small else "-"
    yield (
        "; ".join(
            " ".join(row["undelegated"]) or "none" for row in (full, small) if row and row["undelegated"] is not None
        )
        or "-"
    )
    if timed:
        yield both(full, small, lambda row: f"{row['seconds']:.1f}" if row.get("timed") else "-")
        yield both(full, small, lambda row: f"{row['median_ms']:.3g}" if row.get("median_ms") else "-")


def both(full: Cell | None, small: Cell | None, text: Any) -> str:
    """fp32 and int8 side by side."""
    return ", ".join(text(row) if row else "-" for row in (full, small))


def operators(row: Cell, names: Sequence[str]) -> int:
    """How many operators of these names the file has."""
    return sum(row["operators"].get(name, 0) for name in names)


if __name__ == "__main__":
    sys.exit(main())
