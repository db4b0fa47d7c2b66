"""What the sections of `make bench-self` share: a line of its report, and how two things are compared."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import edgekit
from edgekit.checkpoints.load import load, variant_of
from edgekit.data import calibration
from edgekit.evaluation.result import EvalResult
from edgekit.exporting.result import ExportResult
from edgekit.network.user_model import find
from edgekit.records.measurement import Accuracy
from edgekit.records.preprocessing import Preprocessing
from edgekit.stats.accuracy import hit, paired
from tests.oracle.client import Array

ROOT = Path(__file__).resolve().parent.parent
ORACLE = ROOT / ".venv-oracle" / "bin" / "python"
# What one writes without edgekit, in two parts: MobileNet 0.5/160 as `net`, and its conversion by another converter.
BARE_NETWORK = """
import sys
import torch
from torch import nn


def block(cin, cout, stride):
    return nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)) if stride == 2 else nn.ZeroPad2d(1),
        nn.Conv2d(cin, cin, 3, stride, groups=cin, bias=False), nn.BatchNorm2d(cin), nn.ReLU6(),
        nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU6())


rows = [(32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), *[(256, 1)] * 5, (512, 2), (512, 1)]
layers, cin = [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 16, 3, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU6()], 16
for cout, stride in rows:
    layers.append(block(cin, cout, stride))
    cin = cout
net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, 1000)).eval()
"""
BARE_TFLITE = """
import litert_torch
net = litert_torch.to_channel_last_io(net, args=[0])
litert_torch.convert(net, (torch.zeros(1, 160, 160, 3),)).export(sys.argv[1] + "/bare.tflite")
"""
# A process begins with the highest memory of the one that started it, which must therefore be a small one.
COST = """
import json, os, sys, time
began = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, used = os.wait4(child, 0)
took = time.perf_counter() - began
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, took, used.ru_maxrss]))
"""


@dataclass(frozen=True)
class Cost:
    """What a process and those that it started took; memory is the highest resident of the largest of them."""

    cpu_seconds: float
    seconds: float
    peak_bytes: int


def cost(command: Sequence[str], worked: Sequence[int] = (0,), **environment: str) -> Cost:
    """Run a command. Raises CalledProcessError where it ends with another exit code than those of one that worked."""
    done = subprocess.run(
        [sys.executable, "-c", COST, *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    code, cpu_seconds, seconds, kilobytes = json.loads(done.stdout)
    if code not in worked:
        raise subprocess.CalledProcessError(code, list(command), stderr=done.stderr[-2000:])
    return Cost(cpu_seconds, seconds, kilobytes * 1024)


@dataclass(frozen=True)
class Line:
    """One claim: what was measured beside what it must reach; `reached` is None where it could not be measured."""

    claim: str
    target: str
    measured: str
    reached: bool | None


def as_installed() -> None:
    """Let processes that are measured keep their compiled modules, as pip makes them of what it installs."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def interleaved(first: Sequence[str], second: Sequence[str], rounds: int) -> tuple[float, float, float]:
    """(median ratio, median seconds of the first, of the second), run in turn after one of each to warm the disk."""
    seconds: list[list[float]] = [[], []]
    for index in range(rounds + 1):
        for command, found in zip((first, second), seconds, strict=True):
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if index:
                found.append(time.perf_counter() - began)
    ratio = statistics.median(a / b for a, b in zip(*seconds, strict=True))
    return ratio, statistics.median(seconds[0]), statistics.median(seconds[1])


def paths(made: ExportResult) -> dict[tuple[str, str], Path]:
    """Files by (format, precision); one that failed stops the run."""
    if made.failed:
        raise made.failed[0].error
    return {(a.manifest.format, a.manifest.precision): a.path for a in made.artifacts if a.manifest}


def evaluated(files: Sequence[Path], images: Path, scratch: Path, foreign: bool = False) -> EvalResult:
    """Accuracy of the files; foreign ones take the hosted networks' preprocessing."""
    preprocess = scratch / "hosted.yaml"
    preprocess.write_text("crop: 0.875\nmean: 127.5\nstd: 127.5\nclass_offset: 1\n")
    return edgekit.eval(files, data=images, preprocess=preprocess if foreign else None)


def points(result: EvalResult, path: Path) -> float:
    """Top-1 in per cent."""
    record = accuracy(result, path)
    return record.correct1 / record.n * 100


def accuracy(result: EvalResult, path: Path) -> Accuracy:
    """The record of one file."""
    return next(found.accuracy for found in result.results if found.artifact == path)


def count(result: EvalResult) -> int:
    """The number of images."""
    return result.results[0].accuracy.n


def paired_points(result: EvalResult, path: Path, base: Path) -> tuple[float, float, float]:
    """(difference, low, high) in points of top-1, image by image."""
    found = paired(accuracy(result, base).hits, accuracy(result, path).hits)
    return found.difference * 100, found.ci95[0] * 100, found.ci95[1] * 100


def latency(first: Path, second: Path, pairs: int) -> tuple[float, float, float]:
    """(median ratio, median ms of the first, of the second), one thread, measured in turn."""
    found: list[list[float]] = [[], []]
    for _ in range(pairs):
        for path, medians in zip((first, second), found, strict=True):
            row = edgekit.bench([path], threads=1, preset="quick").to_json()["measurements"][0]
            medians.append(row["median_ms"])
    ratio = statistics.median(a / b for a, b in zip(*found, strict=True))
    return ratio, statistics.median(found[0]), statistics.median(found[1])


@dataclass(frozen=True)
class Images:
    """Every image of a labeled folder as a network wants it. `labels` are indices of the network's output."""

    inputs: Array  # (N, C, H, W)
    labels: tuple[int, ...]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(N, H, W, C), for networks that take [-1, 1]."""
        return np.round(np.moveaxis(self.inputs, 1, -1) * 127.5 + 127.5).astype(np.uint8)


def images(folder: Path, preprocessing: Preprocessing, shape: tuple[int, ...], n: int = 10_000) -> Images:
    """The images of a folder, prepared; a calibration set is chosen as the export chooses it."""
    chosen = calibration.from_folder(folder, preprocessing, shape, n=n)
    labels = [-1 if sample.label is None else sample.label + preprocessing.class_offset for sample in chosen.samples]
    return Images(np.concatenate(list(chosen.batches(64))), tuple(labels))


def hits(answers: NDArray[np.generic], labels: Sequence[int]) -> str:
    """What the evaluation keeps of each image."""
    return "".join(hit(scores, label) for scores, label in zip(answers, labels, strict=True))


def for_other_converters(model: str, weights: str, folder: Path) -> tuple[Preprocessing, dict[str, object]]:
    """What these weights want of images, and what the other environment needs to build the same network."""
    point = variant_of(weights, find(model, None))
    network = point.build()
    loaded = load(network, point, weights)
    torch.save(network.state_dict(), folder / "state.pt")
    described: dict[str, object] = {
        "network": point.spec.name,
        "alpha": point.alpha if point.spec.alphas else None,
        "resolution": point.resolution,
        "classes": point.classes,
        "shape": point.input_shape,
        "state": folder / "state.pt",
    }
    return loaded.preprocessing, described
