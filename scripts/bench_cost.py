"""Sections of `make bench-self` about what an export costs: seconds, memory, space on disk, and latency."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import edgekit
from edgekit.checkpoints.load import load
from edgekit.exporters import WriteJob
from edgekit.exporters.tflite.writer import write
from edgekit.frontend.tracer import trace
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.spec import variant
from edgekit.network.user_model import find
from scripts.bench_helpers import (
    BARE_NETWORK,
    BARE_TFLITE,
    ORACLE,
    ROOT,
    Line,
    for_other_converters,
    interleaved,
    latency,
)
from tests.oracle.client import Oracle

MB = 1e6
EXPORT = [sys.executable, "-m", "edgekit", "export"]
VARIANT = ["mobilenet", "--alpha", "0.5", "--res", "160", "--format", "tflite"]


def float_latency(data: Path, scratch: Path) -> Iterator[Line]:
    """Our float TFLite file against litert-torch's, both with the same weights."""
    weights = data / "mobilenet_v1_hosted" / "mobilenet_v1_0_5_160_quant.tflite"
    if not weights.exists() or not ORACLE.exists():
        missing = weights if ORACLE.exists() else "the environment of `make oracle`"
        yield Line("float latency over litert-torch's file", "<= 1.03", f"{missing} is missing", None)
        return
    made = edgekit.export("mobilenet", weights=str(weights), format=["tflite"])
    _, described = for_other_converters("mobilenet", str(weights), scratch)
    other = scratch / "litert.tflite"
    with Oracle(scratch / "oracle.log") as oracle:
        oracle.ask("litert", **described, to=other)
    ratio, ours, theirs = latency(made.artifacts[0].path, other, 20)
    yield Line(
        "mobilenet 0.5/160 tflite fp32 over litert-torch's file, one thread, 20 pairs",
        "<= 1.03",
        f"{ratio:.3f} ({ours:.2f} ms, {theirs:.2f} ms)",
        ratio <= 1.03,
    )


def tflite_time(data: Path, scratch: Path) -> Iterator[Line]:
    """The export to TFLite as whole processes, and the writing alone.

    Bytecode is there, as pip makes it of what it installs; a checkout may run where Python is told to write none.
    """
    for folder in ("edgekit", "exporters", "models", "bench"):
        compileall.compile_dir(ROOT / folder, quiet=1)
    ours = [*EXPORT, *VARIANT, "--out", str(scratch / "a")]
    if ORACLE.exists():
        script = scratch / "bare_tflite.py"
        script.write_text(BARE_NETWORK + BARE_TFLITE)
        ratio, seconds, theirs = interleaved(ours, [str(ORACLE), str(script), str(scratch)], 5)
        found = f"{ratio:.2f} ({seconds:.1f} s, {theirs:.1f} s)"
        yield Line("export mobilenet 0.5/160 tflite over a litert-torch script", "< 1", found, ratio < 1)
    else:
        seconds = median_seconds(ours, 5)
        yield Line("export mobilenet 0.5/160 tflite over a litert-torch script", "< 1", "needs `make oracle`", None)
    yield Line("export mobilenet 0.5/160 tflite, whole process", "<= 4 s", f"{seconds:.2f} s", seconds <= 4)
    alone = writing(scratch / "alone.tflite")
    yield Line("writing its file", "< 0.1 s", f"{alone:.3f} s", alone < 0.1)
    weights = data / "mobilenet_v1_hosted" / "mobilenet_v1_0_5_160_quant.tflite"
    if not weights.exists():
        yield Line("what int8 of 100 images adds", "<= 3 s", f"{weights} is missing", None)
        return
    known = [*EXPORT, "mobilenet", "--format", "tflite", "--weights", str(weights), "--out", str(scratch / "b")]
    known += ["--data", str(data / "imagenet_calibration"), "--precision"]
    more = []
    for index in range(5):  # a new cache each time: ranges are kept by content
        environment = os.environ | {"XDG_CACHE_HOME": str(scratch / f"cache{index}")}
        more.append(median_seconds([*known, "int8"], 1, environment) - median_seconds([*known, "fp32"], 1, environment))
    added = statistics.median(more)
    yield Line("what int8 of 100 images adds over fp32", "<= 3 s", f"{added:.2f} s", added <= 3)


def writing(path: Path) -> float:
    """Seconds for one file of mobilenet 0.5/160, from a folded graph; the median of ten."""
    point = variant(find("mobilenet", None), 0.5, 160)
    network = point.build()
    load(network, point, "random")
    graph = fold(trace(network, point.input_shape)).graph
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        write(WriteJob(graph, "fp32"), path)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def memory(data: Path, scratch: Path) -> Iterator[Line]:
    """VGG-16, the largest network that people export: peak memory above what the imports take, and seconds.

    The whole export also opens the file and runs it, and a runtime keeps the weights twice: mapped and packed. No
    export that proves its file in its own process can take less than the runtime takes to run the file alone.
    """
    for format, limit in (("tflite", "<= model + 400 MB"), ("onnx", "<= 2.5 x model + 200 MB")):
        for what in ("write", "export"):
            found = peak(format, what, scratch)
            model, above = found["bytes"], found["above"]
            allowed = model + 400 * MB if format == "tflite" else 2.5 * model + 200 * MB
            shown = (
                f"{above / MB:.0f} MB of {allowed / MB:.0f} MB above the imports, with a model of {model / MB:.0f} MB"
            )
            if what == "export":
                shown += f"; the runtime alone, running the file, {peak(format, 'run', scratch)['above'] / MB:.0f} MB"
            yield Line(
                f"vgg16 {format}, {'loaded, folded and written' if what == 'write' else 'whole export'}: peak memory",
                limit,
                shown,
                above <= allowed,
            )
        if format == "tflite":
            seconds = median_seconds([*EXPORT, "vgg16", "--format", "tflite", "--out", str(scratch / "vgg")], 3)
            yield Line("export vgg16 tflite, whole process", "<= 6 s", f"{seconds:.1f} s", seconds <= 6)
            yield largest_process(scratch)


def largest_process(scratch: Path) -> Line:
    """What the larger of the two processes takes of an export: the one that writes, and the runtime that proves."""
    command = [*EXPORT, "vgg16", "--format", "tflite", "--out", str(scratch / "vgg")]
    done = subprocess.run([sys.executable, "-c", LARGEST, *command], capture_output=True, text=True, check=True)
    writes, proves = (int(word) * 1024 / MB for word in done.stdout.split())
    shown = f"{writes:.0f} MB; the runtime that maps and packs the weights {proves:.0f} MB"
    return Line("export vgg16 tflite, the process that writes", "<= 1100 MB", shown, writes <= 1100)


LARGEST = """
import resource
import subprocess
import sys

done = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
peak = 0
while done.poll() is None:
    try:
        lines = open(f"/proc/{done.pid}/status").read().splitlines()
        peak = max([peak, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))])
        done.wait(0.05)
    except (OSError, subprocess.TimeoutExpired):
        pass
print(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
READ = {"mobilenet": 0.3, "resnet50": 0.3, "densenet121": 0.6}  # seconds at most


def reading(data: Path, scratch: Path) -> Iterator[Line]:
    """CPU seconds in which forward() is run once and becomes a graph, torch imported; medians of five."""
    for name, limit in READ.items():
        point = variant(find(name, None))
        network, seconds = point.build().eval(), []
        for _ in range(5):
            began = time.process_time()
            trace(network, point.input_shape)
            seconds.append(time.process_time() - began)
        took = statistics.median(seconds)
        yield Line(f"reading {name}", f"<= {limit} s", f"{took:.2f} s of CPU", took <= limit)


def peak(format: str, what: str, scratch: Path) -> dict[str, int]:
    """{"above": bytes over what the imports took, "bytes": of the file} of one process."""
    command = [sys.executable, "-c", VGG, format, what, str(scratch / "vgg")]
    environment = os.environ | {"XDG_CACHE_HOME": str(scratch / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


VGG = """
import importlib
import json
import sys
from pathlib import Path

import numpy as np

import edgekit
import edgekit.exporting.command
import edgekit.models
from edgekit.exporters import FORMATS, WriteJob
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.records.runtime import open_session
from edgekit.network.spec import variant
from edgekit.frontend.tracer import trace
from edgekit.checkpoints.load import load

format, what, out = sys.argv[1:]
write = FORMATS[format].write
importlib.import_module("onnxruntime" if format == "onnx" else "ai_edge_litert.interpreter")


def memory(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))


imported = memory("VmRSS")
path = Path(out + "." + format)  # what "write" left
if what == "export":
    path = edgekit.export("vgg16", format=[format], out=out).artifacts[0].path
elif what == "run":
    session = open_session(path)
    session.run([np.zeros(session.inputs[0].shape, np.float32)])
else:
    point = variant("vgg16")
    network = point.build()
    load(network, point, "random")
    write(WriteJob(fold(trace(network, point.input_shape)).graph, "fp32"), path)
print(json.dumps({"above": memory("VmHWM") - imported, "bytes": path.stat().st_size}))
"""


def installation(data: Path, scratch: Path) -> Iterator[Line]:
    """What an environment for TFLite export alone takes on disk."""
    python, source = scratch / "small" / "bin" / "python", scratch / "source"
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(".*", "build", "artifacts"))
    subprocess.run([sys.executable, "-m", "venv", str(scratch / "small")], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    for packages in (["torch"], [f"{source}[tflite-export]"]):
        done = subprocess.run([*pip, *packages], capture_output=True, text=True)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1]
            yield Line("site-packages for TFLite export", "<= 1.3 GB", f"could not be installed: {reason}", None)
            return
    subprocess.run(
        [str(python), "-m", "edgekit", "export", *VARIANT, "--out", str(scratch / "c")], check=True, capture_output=True
    )
    packages_of = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    folder = Path(subprocess.run(packages_of, check=True, capture_output=True, text=True).stdout.strip())
    taken = sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
    yield Line("site-packages for TFLite export", "<= 1.3 GB", f"{taken / 1e9:.2f} GB", taken <= 1.3e9)


def median_seconds(command: list[str], rounds: int, environment: dict[str, str] | None = None) -> float:
    """Of whole processes."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
