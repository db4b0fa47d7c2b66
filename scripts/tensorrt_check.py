"""`make tensorrt-check`: every network built by TensorRT for RTX, in float32, float16 and int8, without a GPU.

A cell is one engine: network x precision. Each is one line of build/tensorrt_rtx.jsonl, written when it is known, so
that an interrupted run goes on where it stopped; what failed is tried again, unless NVIDIA's builder refused it. The
page docs/measured/tensorrt-rtx.md is written from them. Weights are random and int8 is calibrated on noise: what
stands there is what built, its size and what it consists of. No engine is run, and no time of one is told.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import edgekit
from edgekit.bench.links.local import LocalLink
from edgekit.bench.ondevice.engines import RTX
from edgekit.bench.ondevice.sensors.linux import processor
from edgekit.data import calibration
from edgekit.errors import BackendMissing, EdgekitError
from edgekit.exporters import FORMATS, WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.ir.graph import Graph
from edgekit.records.preprocessing import Preprocessing
from edgekit.tensorrt.builder import named
from edgekit.tensorrt.orders import HERE_RTX, Builder, Missing
from edgekit.tensorrt.python_builder import WithPython, probe
from edgekit.util.files import write_atomically
from scripts import kept
from scripts.gpu_check import prepared
from scripts.tensorrt_page import PRECISIONS, Cell, page

ROOT = Path(__file__).resolve().parent.parent
IMAGES = 2  # of noise, for the ranges of int8
FAILED, REFUSED = "failed", "refused"  # the latter by NVIDIA's builder: no other try would change that


def main() -> int:
    """Fill in what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=ROOT / "build" / "tensorrt_rtx.jsonl", help="where cells are kept")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "measured" / "tensorrt-rtx.md", help="the page")
    parser.add_argument("--only", nargs="*", help="networks (default: all)")
    parser.add_argument("--write", action="store_true", help="only write the page from the cells that are known")
    arguments = parser.parse_args()
    networks = by_size()
    if not arguments.write:
        try:
            builder = rtx()
        except EdgekitError as error:
            print(f"tensorrt-check: {error.message}\n  {error.remedy}", file=sys.stderr)
            return error.exit_code
        make(arguments.file, arguments.only or networks, builder)
    write_atomically(arguments.page, page(list(known(arguments.file).values()), networks).encode())
    print(f"wrote {arguments.page}")
    return 0


def rtx() -> Builder:
    """TensorRT for RTX, whatever else is installed. Raises BackendMissing where it is not."""
    try:
        return WithPython(LocalLink(), probe(LocalLink(), RTX), RTX)
    except Missing as error:
        raise BackendMissing(f"TensorRT for RTX is not installed: {error}", HERE_RTX) from error


def by_size() -> list[str]:
    """The networks, the smallest first, so that what goes wrong shows early."""
    return [row.name for row in sorted(edgekit.models().rows, key=lambda row: row.params)]


def known(file: Path) -> dict[tuple[str, ...], Cell]:
    """The cells that are known."""
    return kept.known(file, "network", "precision")


def make(file: Path, networks: list[str], builder: Builder) -> None:
    """Add the cells that are missing or failed; NVIDIA's builder runs in a process of its own for each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for index, network in enumerate(networks):
        have = known(file)
        missing = [one for one in PRECISIONS if have.get((network, one), {}).get("state", FAILED) == FAILED]
        if not missing:
            continue
        started, said = time.monotonic(), ""
        for cell in cells(network, missing, builder):
            kept.keep(file, cell)
            said += f"; {cell['precision']}: {cell['reason']}" if cell["reason"] else ""
        print(f"{index + 1}/{len(networks)} {network}: {time.monotonic() - started:.0f} s{said}", flush=True)


def failure(network: str, precision: str, reason: str, state: str) -> Cell:
    """A cell that could not be made."""
    return {"network": network, "precision": precision, "state": state, "reason": reason}


def cells(network: str, precisions: Sequence[str], builder: Builder) -> Iterator[Cell]:
    """Build one network in some precisions, and tell what is known of each engine."""
    graph, _ = prepared(network)
    for precision in precisions:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.engine"
            try:
                details = FORMATS["tensorrt"].write(of(graph, precision, builder), path).details
                yield of_engine(network, precision, path, details)
            except EdgekitError as error:
                state = REFUSED if named(builder) in error.message else FAILED
                yield failure(network, precision, error.message, state)


def of(graph: Graph, precision: str, builder: Builder) -> WriteJob:
    """What is to be built."""
    options = {"builder": builder}
    if precision != "int8":
        return WriteJob(graph, precision, options=options)
    images = calibration.synthetic(graph.inputs[0].shape, Preprocessing(), IMAGES, 0)
    quantized = quantize(graph, record(graph, images), "tensorrt", "fast")
    return WriteJob(quantized.graph, "int8", quantized, options=options)


def of_engine(network: str, precision: str, path: Path, details: dict[str, Any]) -> Cell:
    """What is known of an engine."""
    names = ("build_seconds", "network_layers", "weights_bytes", "layer_kinds", "computed_in", "computed_in_float")
    return {
        "network": network,
        "precision": precision,
        "state": "built",
        "reason": None,
        "bytes": path.stat().st_size,
        **{name: details.get(name) for name in (*names, "quantize", "dequantize", "tensorrt_rtx")},
        "processor": processor(),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


if __name__ == "__main__":
    sys.exit(main())
