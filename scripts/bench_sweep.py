"""Sections of `make bench-self` about many files at once: a sweep, the same again, a report of 10,000 measurements."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from edgekit.storage.store import Store
from scripts.bench_helpers import Line
from tests.reporting.conftest import accuracy, manifest, measurement

EDGEKIT = [sys.executable, "-m", "edgekit"]
GRID = [*("--alpha", "1.0,0.75,0.5,0.25", "--res", "224,192,160,128"), *("--precision", "fp32,int8")]
MINUTES, SECONDS = 6, 3
ROW_ALPHAS, ROW_SIZES, TURNS = ("0.5", "0.25"), ("224", "192", "160", "128"), 2
RECORDS, SAMPLES = 10_000, 300  # of which each measurement has as many as `--preset quick` takes of a 3 ms network


def sweep(data: Path, scratch: Path) -> Iterator[Line]:
    """The 16 published MobileNets to ONNX and TFLite, fp32 and int8, and the same again when all is done."""
    weights, images = data / "mobilenet_v1_hosted", data / "imagenet_calibration"
    source = ["--synthetic-calibration"]
    if weights.exists() and images.exists():
        source = ["--weights", str(weights), "--random-where-missing", "--data", str(images)]
    command = [*EDGEKIT, "sweep", "mobilenet", *GRID, *source, "--int8-effort", "fast", "--export-only"]
    took, told = timed(command)
    claim = (
        f"16 MobileNets, onnx and tflite, fp32 and int8, effort fast, {'hosted' if '--data' in source else 'random'}"
    )
    yield Line(
        claim, f"64 done, < {MINUTES} min", f"{told}, {took / 60:.1f} min", "64 done" in told and took < 60 * MINUTES
    )
    again, told = timed([*command, "--continue"])
    yield Line(
        "the same with --continue",
        f"64 cached, < {SECONDS} s",
        f"{told}, {again:.2f} s",
        "64 cached" in told and again < SECONDS,
    )


def beside_xargs(data: Path, scratch: Path) -> Iterator[Line]:
    """Eight variants exported by two workers of a sweep, and by `xargs -P 2` with a process for each, in turn."""
    usual = ["--format", "onnx,tflite", "--precision", "fp32,int8", "--synthetic-calibration", "--int8-effort", "fast"]
    grid = ["--alpha", ",".join(ROW_ALPHAS), "--res", ",".join(ROW_SIZES)]
    rows = "".join(f"--alpha {alpha} --res {size}\n" for alpha in ROW_ALPHAS for size in ROW_SIZES)
    by_sweep, by_xargs = [], []
    for turn in range(TURNS):
        out = ["--out", str(scratch / f"turn-{turn}")]
        by_sweep.append(
            _cost([*EDGEKIT, "sweep", "mobilenet", *grid, *usual, *out, "--export-only", "--jobs", "2"], "")
        )
        one = [*EDGEKIT, "export", "mobilenet", *usual, *out, "--force"]
        by_xargs.append(_cost(["xargs", "-P", "2", "-L", "1", *one], rows))
    wall, processor = (
        statistics.median(ours[part] / theirs[part] for ours, theirs in zip(by_sweep, by_xargs, strict=True))
        for part in (0, 1)
    )
    told = f"{wall:.2f} x of its time, {processor:.2f} x of the processor's, {TURNS} turns"
    yield Line("8 MobileNets by 2 workers beside `xargs -P 2 edgekit export`", "<= 1 x", told, wall <= 1)


def _cost(command: list[str], rows: str) -> tuple[float, float]:
    """Seconds of a command by the clock, and of the processor with all of its processes."""
    used, began = os.times(), time.perf_counter()
    subprocess.run(command, input=rows, text=True, check=True, capture_output=True)
    after = os.times()
    processor = after.children_user + after.children_system - used.children_user - used.children_system
    return time.perf_counter() - began, processor


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds of a process, and the last line that it printed."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    took = time.perf_counter() - began
    return took, (done.stdout.strip() or done.stderr.strip()).splitlines()[-1].partition(";")[0]


def report(data: Path, scratch: Path) -> Iterator[Line]:
    """A page of very many measurements, as a whole process."""
    store = Store(str(scratch / "many.db"))
    store.check()
    known = [
        manifest(f"mobilenet_{(index + 1) / RECORDS:.4f}_160", macs=76_520_000 - index) for index in range(RECORDS)
    ]
    taken = [measurement(one, 1 + index / RECORDS, samples=SAMPLES, processes=1) for index, one in enumerate(known)]
    store.append(*taken, *(accuracy(one, 0.5) for one in known))
    took, _ = timed([*EDGEKIT, "report", "--store", store.url, "--out", str(scratch / "many.html")])
    size = (scratch / "many.html").stat().st_size
    yield Line(f"report of {RECORDS:,} measurements", "< 10 s", f"{took:.1f} s", took < 10)
    yield Line("its page", "< 15 MB", f"{size / 1e6:.1f} MB", size < 15e6)
