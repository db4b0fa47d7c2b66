"""`python -m scripts.zoo.read_back [NETWORK ...]`: the zoo's files read back, and written again.

Each network of the zoo, at a small size where it takes one, is written in each format and precision, read from the
file, and written again. The second file must have the bytes of the first, and the network read the same layer table.
`--only tflite:int8` keeps to one; `--page FILE` writes what was found as a table. `--file FILE` keeps what was found,
so that an interrupted run goes on where it stopped. The exit code is 3 where something differs.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from edgekit.data.calibration import synthetic
from edgekit.errors import UsageError
from edgekit.exporters import FORMATS, WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import Ranges, from_file, record
from edgekit.frontend.tracer import trace
from edgekit.importers.source import Source
from edgekit.ir.graph import Graph
from edgekit.ir.layer_table import LayerRow, table
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.names import SOURCES
from edgekit.network.spec import MODELS, Variant, variant
from edgekit.records.formats import load
from edgekit.util.files import write_atomically
from edgekit.util.formatting import shape_text
from scripts import kept
from scripts.zoo.table import by_cost

Form = tuple[str, str]  # format and precision
FORMS = tuple((format, precision) for format in ("onnx", "tflite") for precision in ("fp32", "fp16", "int8"))
SMALL, EXAMPLES = 64, 2
# Their adaptive pool has more places than the map of a small image, and files hold such a one in parts.
OWN_SIZE = ("alexnet_tv", *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")))
SAME = "same"
PAGE = """\
# Files of the zoo, read back and written again

Written by `python -m scripts.zoo.read_back --page docs/measured/read-back.md`; do not edit. {date}.

Each network was written with random weights, the file was read as that of any other program is, and what was read was
written again. **same**: the second file has the bytes of the first, and in fp32 and fp16 the layer table of what was
read is the network's own, in any order: names, shapes, parameters, MACs. int8 was calibrated on {examples} random
images, keeps the scales of the file, and gives a bias to layers that have none. **at** is the size of the input:
{small}, the least that a network takes, or its own. Numbers lead to what differs.

{counts}

| network | at | {forms} |
| --- | --- | {lines} |
{rows}

{notes}"""


def small(name: str) -> Variant:
    """A network at a size at which it costs little."""
    spec = MODELS[name]
    own = spec.fixed_resolution or spec.resolution <= SMALL or len(spec.input_shape) != 3 or name in OWN_SIZE
    return variant(name, resolution=None if own else max(SMALL, spec.min_resolution))


def differences(point: Variant, forms: Sequence[Form]) -> Iterator[tuple[Form, str]]:
    """Yield for each form what differs between a network's file and what is written of it when it was read, or SAME."""
    graph = fold(trace(point.build(), *point.input_shapes)).graph
    ranges = _measured(graph, point) if any(precision == "int8" for _, precision in forms) else None
    for format, precision in forms:
        with tempfile.TemporaryDirectory() as folder:
            yield (format, precision), _difference(graph, ranges, point, format, precision, Path(folder))


def _difference(graph: Graph, ranges: Ranges | None, point: Variant, format: str, precision: str, folder: Path) -> str:
    first, second = (folder / f"{name}{FORMATS[format].suffix}" for name in ("one", "two"))
    FORMATS[format].write(_job(graph, precision, format, ranges), first)
    source: Source = load(SOURCES[first.suffix])(first, None)
    again = fold(trace(source.build().eval(), *source.shapes.values()).to(torch.float32)).graph
    if precision == "int8":
        ranges = from_file(again, source.ranges, _measured(again, point), source.integers)
    FORMATS[format].write(_job(again, precision, format, ranges), second)
    told = []
    if precision != "int8" and _rows(again) != _rows(graph):  # int8 gives layers biases that they had not
        told.append("the layer table differs: " + _changed(graph, again))
    if first.read_bytes() != second.read_bytes():
        told.append("the bytes differ" + ("" if told else ": " + _changed(graph, again)))
    return "; ".join(told) or SAME


def _rows(graph: Graph) -> list[LayerRow]:
    """The layer table by name: an activation stands in its layer in the file, wherever forward() called it."""
    return sorted(table(graph).rows, key=lambda row: row.name)


def _measured(graph: Graph, point: Variant) -> Ranges:
    spec = point.spec
    return record(graph, synthetic(point.input_shape, spec.preprocessing, EXAMPLES, 0, more_inputs=spec.more_inputs))


def _job(graph: Graph, precision: str, format: str, ranges: Ranges | None) -> WriteJob:
    job = WriteJob(graph=graph, precision=precision, description="x")
    if precision != "int8" or ranges is None:
        return job
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


def page(found: dict[str, dict[Form, str]], forms: Sequence[Form], date: str) -> str:
    """The page of what was found, by network and form."""
    told = list(dict.fromkeys(text for each in found.values() for text in each.values() if text != SAME))
    rows = []
    for name, each in sorted(found.items()):
        cells = [SAME if each[form] == SAME else f"({told.index(each[form]) + 1})" for form in forms]
        rows.append(f"| {name} | {shape_text(small(name).input_shape[1:])} | {' | '.join(cells)} |")
    counts = ", ".join(f"{sum(each[form] == SAME for each in found.values())} in {' '.join(form)}" for form in forms)
    left = sorted(set(MODELS) - set(found))
    notes = [f"{number}. {text}" for number, text in enumerate(told, 1)]
    if left:
        notes += ["", f"Not tried: {', '.join(left)}."]
    return PAGE.format(
        date=date,
        examples=EXAMPLES,
        small=f"{SMALL}x{SMALL}",
        counts=f"Of {len(found)} networks the same: {counts}.",
        forms=" | ".join(" ".join(form) for form in forms),
        lines=" | ".join("---" for _ in forms),
        rows="\n".join(rows),
        notes="\n".join(notes).strip() + "\n",
    )


def known(file: Path | None) -> dict[str, dict[Form, str]]:
    """What an earlier run found, by network and form."""
    found: dict[str, dict[Form, str]] = {}
    for (name, *one), cell in kept.known(file, "network", "format", "precision").items() if file else ():
        found.setdefault(name, {})[one[0], one[1]] = cell["told"]
    return found


def form(text: str) -> Form:
    """A format and a precision that are both read back."""
    format, _, precision = text.partition(":")
    if (format, precision) not in FORMS:
        raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(':'.join(one) for one in FORMS)}")
    return format, precision


def main() -> None:
    """Print what differs, and how many are the same in each form."""
    importlib.import_module("edgekit.models")  # registers the zoo
    parser = argparse.ArgumentParser(description="the zoo's files read back, and written again")
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--only", metavar="FORMAT:PRECISION", action="append", type=form)
    parser.add_argument("--file", metavar="FILE", type=Path, help="where what was found is kept")
    parser.add_argument("--page", metavar="FILE", type=Path, help="write a table of what was found")
    asked = parser.parse_args()
    forms, found = asked.only or list(FORMS), known(asked.file)
    names = asked.networks or by_cost()
    try:
        for name in names:
            missing = [one for one in forms if one not in found.setdefault(name, {})]
            for one, told in differences(small(name), missing) if missing else ():
                found[name][one] = told
                if asked.file:
                    kept.keep(asked.file, {"network": name, "format": one[0], "precision": one[1], "told": told})
                print(f"{name} {' '.join(one)}: {told}", flush=True)
            if asked.page:
                whole = {name: each for name, each in found.items() if each.keys() >= set(forms)}
                write_atomically(asked.page, page(whole, forms, time.strftime("%Y-%m-%d")).encode())
    except UsageError as error:
        parser.error(error.message)
    right = {one: sum(found[name][one] == SAME for name in names) for one in forms}
    for one, count in right.items():
        print(f"{' '.join(one)}: {count} of {len(names)} the same")
    sys.exit(0 if all(count == len(names) for count in right.values()) else 3)


if __name__ == "__main__":
    main()
