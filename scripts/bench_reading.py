"""`python -m scripts.bench_reading`: what reading a large file costs, beside what others need for the same file.

ResNet-50 and VGG-16 with random weights are written as ONNX and TFLite, and read in processes of their own. Each prints
its CPU seconds and the memory above what its imports took. `--onnxsim PYTHON` names a Python that has onnxsim.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgekit.exporters import FORMATS, WriteJob
from edgekit.frontend.tracer import trace
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.spec import variant

NETWORKS = ("resnet50", "vgg16")
ROUNDS = 3
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
_EDGEKIT = """
from pathlib import Path
from edgekit.frontend.tracer import trace
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.importers.{format}.reader import open_source
def run(path):
    source = open_source(Path(path), None)
    return fold(trace(source.build().eval(), *source.shapes.values())).graph
"""
READERS = {  # name: format, the code that defines run(path)
    "onnx.load": ("onnx", "import onnx\nrun = onnx.load\n"),
    "onnxsim.simplify": ("onnx", "import onnx, onnxsim\nrun = lambda path: onnxsim.simplify(onnx.load(path))\n"),
    "edgekit": ("onnx", _EDGEKIT.format(format="onnx")),
    "edgekit, the same network in TFLite": ("tflite", _EDGEKIT.format(format="tflite")),
}


def rows(others: str | None) -> Iterator[tuple[str, str, float, float, float]]:
    """Yield (network, reader, CPU seconds, memory and file size in MB), medians of ROUNDS processes."""
    importlib.import_module("edgekit.models")  # registers the zoo
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            paths = _written(name, Path(folder))
            for reader, (format, code) in READERS.items():
                python = others if reader.startswith("onnxsim") else sys.executable
                if python is not None:
                    each = [_run(python, code, paths[format]) for _ in range(ROUNDS)]
                    seconds, memory = (statistics.median(one[key] for one in each) for key in ("seconds", "bytes"))
                    yield name, reader, seconds, memory / 1e6, paths[format].stat().st_size / 1e6
            for path in paths.values():
                path.unlink()


def _written(name: str, folder: Path) -> dict[str, Path]:
    """The network in both formats."""
    point = variant(name)
    graph = fold(trace(point.build().eval(), *point.input_shapes)).graph
    found = {format: folder / f"{name}{FORMATS[format].suffix}" for format in ("onnx", "tflite")}
    for format, path in found.items():
        FORMATS[format].write(WriteJob(graph, "fp32"), path)
    return found


def _run(python: str, code: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [python, "-c", _BEFORE + code + _AFTER, str(path)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="what reading a large file costs")
    parser.add_argument("--onnxsim", metavar="PYTHON", help="a Python that has onnx and onnxsim")
    asked = parser.parse_args()
    print("| network | reader | CPU seconds | memory | file |\n|---|---|---|---|---|")
    for name, reader, seconds, memory, size in rows(asked.onnxsim):
        print(f"| {name} | {reader} | {seconds:.2f} | {memory:,.0f} MB | {size:,.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
