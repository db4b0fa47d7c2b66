"""`python -m scripts.peers.reading PYTHON`: what reading a large ONNX file costs, beside onnx.load and onnxsim.

PYTHON names a Python that has onnxsim. ResNet-50 and VGG-16 with random weights are written, and read in processes of
their own that take turns. Each tells its CPU seconds and the memory above what its imports took. Writes a section of
docs/measured/converting.md.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edgekit.bench.ondevice.sensors.linux import processor
from edgekit.exporters import FORMATS, WriteJob
from edgekit.frontend.tracer import trace
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.spec import variant
from scripts.peers.sections import measure, version

HEADING = "Reading large files"
NETWORKS = {"ResNet-50": "resnet50", "VGG-16": "vgg16"}
EDGEKIT = "edgekit"
_BEFORE = """
import json, sys, time
def memory(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))
"""
_AFTER = """
imported, began = memory("VmRSS"), time.process_time()
found = run(sys.argv[1])
print(json.dumps({"seconds": time.process_time() - began, "bytes": memory("VmHWM") - imported}))
"""
_OURS = """
from pathlib import Path
from edgekit.frontend.tracer import trace
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.importers.{format}.reader import open_source
def run(path):
    source = open_source(Path(path), None)
    return fold(trace(source.build().eval(), *source.shapes.values())).graph
"""
READERS = {  # name: format, the code that defines run(path)
    EDGEKIT: ("onnx", _OURS.format(format="onnx")),
    "onnx.load": ("onnx", "import onnx\nrun = onnx.load\n"),
    "onnxsim.simplify": ("onnx", "import onnx, onnxsim\nrun = lambda path: onnxsim.simplify(onnx.load(path))\n"),
    "edgekit, TFLite": ("tflite", _OURS.format(format="tflite")),
}
Found = dict[str, float]


def rows(python: str, rounds: int) -> Iterator[str]:
    """Yield a line of the table for each network and reader."""
    importlib.import_module("edgekit.models")  # registers the zoo
    for told, name in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = _written(name, Path(folder))
            found: dict[str, list[Found]] = {reader: [] for reader in READERS}
            for _ in range(rounds):
                for reader, (format, code) in READERS.items():
                    found[reader].append(_read(python if "onnxsim" in code else sys.executable, code, paths[format]))
            for reader, each in found.items():
                size = paths[READERS[reader][0]].stat().st_size
                yield _row(told, reader, each, found[EDGEKIT], size)


def _row(network: str, reader: str, each: list[Found], ours: list[Found], size: int) -> str:
    seconds, memory = (statistics.median(one[key] for one in each) for key in ("seconds", "bytes"))
    ratio = statistics.median(one["seconds"] / our["seconds"] for one, our in zip(each, ours, strict=True))
    cells = (f"{seconds:.2f}", f"{ratio:.2f}", f"{memory / 1e6:,.0f}", f"{size / 1e6:,.0f}")
    return f"| {network} | {reader} | {' | '.join(cells)} |"


def _written(name: str, folder: Path) -> dict[str, Path]:
    """The network in both formats."""
    point = variant(name)
    graph = fold(trace(point.build().eval(), *point.input_shapes)).graph
    found = {format: folder / f"{name}{FORMATS[format].suffix}" for format in ("onnx", "tflite")}
    for format, path in found.items():
        FORMATS[format].write(WriteJob(graph, "fp32"), path)
    return found


def _read(python: str, code: str, path: Path) -> Found:
    done = subprocess.run(
        [python, "-c", _BEFORE + code + _AFTER, str(path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def section(body: str, python: str, rounds: int) -> str:
    """The section, of the rows that were measured."""
    ours, theirs = (version(one, "onnx") for one in (sys.executable, python))
    return f"""
Written by `python -m scripts.peers.reading PYTHON`; do not edit. {time.strftime("%Y-%m-%d")}, {processor()}, one
thread, {rounds} rounds in which each took its turn, on a machine that did other work, too: compare the ratios.

The networks have random weights, at 224x224. Of a whole process, **CPU** is the time of reading alone, without imports;
**over edgekit** the median of the rounds' ratios to edgekit's reading of the ONNX file; **memory** what the process
took at most above its imports. edgekit's figures include the sha256 of the file and the folded graph.

| network | by | CPU, s | over edgekit | memory, MB | file, MB |
| --- | --- | --- | --- | --- | --- |
{body}

* onnxsim {version(python, "onnxsim")} with onnx {theirs}; onnx.load and edgekit with onnx {ours}.
"""


if __name__ == "__main__":
    measure(HEADING, "what reading a large ONNX file costs", "onnx and onnxsim", rows, section)
