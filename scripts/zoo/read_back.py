"""`python -m scripts.zoo.read_back [NETWORK ...]`: the zoo's files read back, and written again.

Each network of the zoo, at a small size where it takes one, is written in each format and precision, read from the
file, and written again. The second file must have the bytes of the first, and the network read the same layer table.
`--only tflite:int8` keeps to one. The exit code is 3 where something differs.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from edgekit.data.calibration import synthetic
from edgekit.exporters import FORMATS, WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import from_file, record
from edgekit.frontend.tracer import trace
from edgekit.importers.source import Source
from edgekit.ir.graph import Graph
from edgekit.ir.layer_table import table
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.names import SOURCES
from edgekit.network.spec import MODELS, Variant, variant
from edgekit.records.formats import load

FORMS = tuple((format, precision) for format in ("onnx", "tflite") for precision in ("fp32", "fp16", "int8"))
SMALL, EXAMPLES = 64, 2
SAME = "same"


def small(name: str) -> Variant:
    """A network at a size at which it costs little."""
    spec = MODELS[name]
    own = spec.fixed_resolution or spec.resolution <= SMALL or len(spec.input_shape) != 3
    return variant(name, resolution=None if own else max(SMALL, spec.min_resolution))


def differences(point: Variant, format: str, precision: str, folder: Path) -> str:
    """What differs between a file of a network and what is written of it when it was read; SAME where nothing does."""
    graph = fold(trace(point.build(), *point.input_shapes)).graph
    first, second = (folder / f"{name}{FORMATS[format].suffix}" for name in ("one", "two"))
    job = _job(graph, point, format, precision, None)
    FORMATS[format].write(job, first)
    source: Source = load(SOURCES[first.suffix])(first, None)
    again = fold(trace(source.build().eval(), *source.shapes.values()).to(torch.float32)).graph
    FORMATS[format].write(_job(again, point, format, precision, source), second)
    told = []
    if precision == "fp32" and table(again) != table(graph):
        told.append("the layer table differs: " + _changed(graph, again))
    if first.read_bytes() != second.read_bytes():
        told.append("the bytes differ" + ("" if told else ": " + _changed(graph, again)))
    return "; ".join(told) or SAME


def _job(graph: Graph, point: Variant, format: str, precision: str, source: Source | None) -> WriteJob:
    """What is to be written; a network that was read keeps the scales of its file."""
    job = WriteJob(graph=graph, precision=precision, description="x")
    if precision != "int8":
        return job
    spec = point.spec
    ranges = record(graph, synthetic(point.input_shape, spec.preprocessing, EXAMPLES, 0, more_inputs=spec.more_inputs))
    if source is not None:
        ranges = from_file(graph, source.ranges, ranges, source.integers)
    return replace(job, quantized=quantize(graph, ranges, FORMATS[format].scheme, "fast"))


def _changed(before: Graph, after: Graph) -> str:
    """How many operators of each kind there are more or fewer, or the first names that differ."""
    kinds = [Counter(op.kind for op in graph) for graph in (before, after)]
    counts = {kind: kinds[1][kind] - kinds[0][kind] for kind in sorted({*kinds[0], *kinds[1]})}
    told = ", ".join(f"{kind} {count:+d}" for kind, count in counts.items() if count)
    if told:
        return told
    pairs = zip(before.ops, after.ops, strict=True)
    other = next(
        (f"{a.name} ({a.kind}) is {b.name} ({b.kind})" for a, b in pairs if (a.name, a.kind) != (b.name, b.kind)), ""
    )
    return other or "in their numbers"


def rows(names: list[str], forms: list[tuple[str, str]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (network, format, precision, what differs)."""
    for name in names:
        for format, precision in forms:
            with tempfile.TemporaryDirectory() as folder:
                yield name, format, precision, differences(small(name), format, precision, Path(folder))


def main() -> None:
    """Print what differs, and how many are the same in each form."""
    importlib.import_module("edgekit.models")  # registers the zoo
    parser = argparse.ArgumentParser(description="the zoo's files read back, and written again")
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--only", metavar="FORMAT:PRECISION", action="append")
    asked = parser.parse_args()
    forms = [tuple(one.split(":", 1)) for one in asked.only] if asked.only else list(FORMS)
    right, all_ = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for name, format, precision, told in rows(asked.networks or sorted(MODELS), forms):
        all_[format, precision] += 1
        right[format, precision] += told == SAME
        print(f"{name} {format} {precision}: {told}", flush=True)
    for form, count in all_.items():
        print(f"{' '.join(form)}: {right[form]} of {count} the same")
    sys.exit(0 if right == all_ else 3)


if __name__ == "__main__":
    main()
