"""`make bench-peers`: one network by edgekit and by what one would use without it, on the same images, threads and run.

MobileNet 0.5/160 with the hosted weights. Each is made by a whole process, cold; is asked about the same images; and
takes its turn in each round of timing. What cannot be done is a row with its reason. Writes docs/measured/peers.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit.errors import EdgekitError
from edgekit.stats.accuracy import correct1
from edgekit.util.files import write_atomically
from scripts.bench_helpers import ORACLE, ROOT, Images, for_other_converters, hits, images
from scripts.int8.quality import CALIBRATION_IMAGES, laid_out, run_pixels
from scripts.peers import scripts
from scripts.peers.page import page
from tests.oracle.client import Array, run_onnx, run_tflite

ROUNDS, EXPORTS = 8, 3
WEIGHTS, SHAPE = "mobilenet_v1_0_5_160_quant.tflite", (1, 3, 160, 160)
PATIENCE = 300.0  # seconds for one export
EDGEKIT = "edgekit"
# By format and precision: the name of each other way, its script, and the file that this makes.
OTHERS = (
    ("tflite", "fp32", (("litert-torch", scripts.LITERT_TORCH, "bare.tflite"),)),
    ("tflite", "int8", (("litert-torch, ai-edge-quantizer", scripts.AI_EDGE_QUANTIZER, "quantizer.tflite"),)),
    ("onnx", "fp32", (("torch.onnx.export", scripts.TORCH_ONNX, "bare.onnx"),)),
    (
        "onnx",
        "int8",
        (
            ("torch.onnx.export, quantize_static", scripts.QUANTIZE_STATIC, "static.onnx"),
            ("the same with reduce_range", scripts.QUANTIZE_STATIC_REDUCED, "reduced.onnx"),
        ),
    ),
)


@dataclass
class Peer:
    """One way to run the network: what makes it, what is run, and what was found. `path` is None for torch itself."""

    name: str
    kind: str  # tflite, onnx or torch
    precision: str
    command: tuple[str, ...]  # empty for what is there already
    path: Path | None
    failed: str | None = None
    seconds: list[float] = field(default_factory=list)  # whole processes
    peaks: list[int] = field(default_factory=list)  # bytes, of these
    logits: Array | None = None
    ms: list[float] = field(default_factory=list)  # one for each round
    running: int | None = None  # bytes, highest
    invalid: int = 0  # rounds in which the harness did not trust the machine


class Torch:
    """A process that holds the network in torch, and stays."""

    def __init__(self, mode: str, folder: Path) -> None:
        script, self._log = folder / "torch_process.py", folder / f"{mode}.log"
        script.write_text(scripts.TORCH)
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(script), str(folder), mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )

    def __enter__(self) -> Torch:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, word: str | None = None) -> Any:
        """The answer to one word; without one, what it says when it is ready."""
        assert self._process.stdin is not None and self._process.stdout is not None
        if word:
            print(word, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(last_line(self._log))
        return json.loads(line)


def main() -> int:
    """Make, ask, time, write the page; 1 where something could not be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="real weights and images")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "measured" / "peers.md", help="what is written")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of timing")
    parser.add_argument("--exports", type=int, default=EXPORTS, help="processes for each export")
    arguments = parser.parse_args()
    missing = [path for path in (ORACLE, arguments.data / "mobilenet_v1_hosted" / WEIGHTS) if not path.exists()]
    if missing:
        print(f"{missing[0]} is missing", file=sys.stderr)
        return 1
    began, target = time.monotonic(), arguments.page.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="edgekit-bench-peers-") as scratch, ExitStack() as stack:
        os.chdir(scratch)
        folder = Path(scratch)
        found = peers(arguments.data, folder)
        say(began, "images and weights")
        shown = prepared(arguments.data, folder)
        make(found, arguments.exports, folder, began)
        processes = start(found, folder, stack, began)
        answer(found, processes, shown, folder, began)
        measure(found, processes, arguments.rounds, began)
        write_atomically(target, page(found, shown.labels, arguments.exports, arguments.rounds).encode())
        os.chdir(ROOT)
    say(began, f"written to {target}")
    return 1 if any(peer.failed for peer in found) else 0


def say(began: float, what: str) -> None:
    print(f"{time.monotonic() - began:4.0f} s  {what}", flush=True)


def peers(data: Path, folder: Path) -> list[Peer]:
    """Every row of the table, edgekit's first in each format and precision."""
    hosted = data / "mobilenet_v1_hosted" / WEIGHTS
    found = []
    for kind, precision, others in OTHERS:
        found.append(ours(kind, precision, data, folder))
        for name, text, made in others:
            script = folder / f"{Path(made).stem}_{kind}.py"
            script.write_text(text)
            found.append(Peer(name, kind, precision, (str(ORACLE), str(script), str(folder)), folder / made))
    copy = folder / hosted.name  # the harness writes beside what it measures
    copy.write_bytes(hosted.read_bytes())
    found.append(Peer("hosted file (quantization-aware training)", "tflite", "uint8", (), copy))
    found.append(Peer("torch, eager", "torch", "fp32", (), None))
    found.append(Peer("torch.compile", "torch", "fp32", (), None))
    return found


def ours(kind: str, precision: str, data: Path, folder: Path) -> Peer:
    """edgekit's export, its proof included; int8 reads the images themselves."""
    out = folder / f"ours_{kind}_{precision}"
    weights = data / "mobilenet_v1_hosted" / WEIGHTS
    command = ["-m", "edgekit", "export", "mobilenet", "--weights", str(weights), "--format", kind]
    command += ["--precision", precision, "--out", str(out)]
    if precision == "int8":
        command += ["--data", str(data / "imagenet_calibration")]
    return Peer(EDGEKIT, kind, precision, (sys.executable, *command), out)


def prepared(data: Path, folder: Path) -> Images:
    """The images that all are asked about; they, those for calibration and the weights also as files."""
    weights = data / "mobilenet_v1_hosted" / WEIGHTS
    preprocessing, _ = for_other_converters("mobilenet", str(weights), folder)
    shown = images(data / "imagenet_val", preprocessing, SHAPE)
    np.save(folder / "shown.npy", shown.inputs)
    chosen = images(data / "imagenet_calibration", preprocessing, SHAPE, CALIBRATION_IMAGES)
    np.save(folder / "calibration.npy", laid_out(chosen, "tflite"))
    return shown


# Making


def make(found: Sequence[Peer], rounds: int, folder: Path, began: float) -> None:
    """Every export as a whole process, in turn."""
    launcher = folder / "peak.py"
    launcher.write_text(scripts.PEAK)
    for index in range(rounds):
        for peer in found:
            if peer.command and not peer.failed:
                export(peer, launcher, index)
                said = peer.failed or f"{peer.seconds[-1]:.1f} s"
                say(began, f"export {index + 1}/{rounds}, {peer.name} {peer.kind} {peer.precision}: {said}")
    for peer in found:
        if peer.path and peer.path.is_dir() and not peer.failed:
            (peer.path,) = peer.path.rglob(f"*.{peer.kind}")


def export(peer: Peer, launcher: Path, index: int) -> None:
    """One process; ranges of int8 are kept by content, so it gets a cache of its own."""
    folder = launcher.parent
    told, log = folder / "peak", folder / "export.log"
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / f"cache{index}_{peer.kind}_{peer.precision}")}
    python, *rest = peer.command
    began = time.perf_counter()
    with log.open("w") as out:
        try:
            done = subprocess.run(
                [python, str(launcher), str(told), *rest],
                stdout=out,
                stderr=out,
                env=environment,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            peer.failed = f"not done after {PATIENCE:.0f} s"
            return
    peer.seconds.append(time.perf_counter() - began)
    if done.returncode:
        peer.failed = last_line(log)
    else:
        peer.peaks.append(int(told.read_text()))


def start(found: Sequence[Peer], folder: Path, stack: ExitStack, began: float) -> dict[str, Torch]:
    """torch's processes, by the name of their row. Compiling begins with an empty cache, and ends at an answer."""
    processes = {}
    for peer in found:
        if peer.kind != "torch":
            continue
        started = time.perf_counter()
        process = stack.enter_context(Torch("compile" if "compile" in peer.name else "eager", folder))
        try:
            process.ask()
        except RuntimeError as error:
            peer.failed = str(error)
            continue
        peer.seconds.append(time.perf_counter() - started)
        processes[peer.name] = process
        say(began, f"{peer.name}: first answer after {peer.seconds[-1]:.1f} s")
    return processes


# Asking and timing


def answer(found: Sequence[Peer], processes: dict[str, Torch], shown: Images, folder: Path, began: float) -> None:
    """What each says of each image."""
    for peer in found:
        if peer.failed:
            continue
        if peer.path is None:
            peer.running = processes[peer.name].ask("peak")  # before it reads 650 images
            processes[peer.name].ask("answers")
            peer.logits = np.load(folder / "answers.npy")
        elif peer.precision == "uint8":
            peer.logits = run_pixels(peer.path, shown).astype(np.float32)
        else:
            run = run_tflite if peer.kind == "tflite" else run_onnx
            peer.logits = run(peer.path, laid_out(shown, peer.kind))
        said = correct1(hits(peer.logits, shown.labels))
        say(began, f"{peer.name} {peer.kind} {peer.precision}: {said} of {len(shown.labels)} right")


def measure(found: Sequence[Peer], processes: dict[str, Torch], rounds: int, began: float) -> None:
    """The latency of each in turn, again and again, on one thread."""
    for index in range(rounds):
        for peer in found:
            if peer.failed:
                continue
            if peer.path is None:
                peer.ms.append(processes[peer.name].ask("time"))
                continue
            try:
                row = edgekit.bench([peer.path], threads=1, preset="quick").to_json()["measurements"][0]
            except EdgekitError as error:
                peer.failed, peer.ms = error.message, []
                continue
            peer.ms.append(row["median_ms"])
            peer.running = row["peak_memory_bytes"]
            peer.invalid += row["verdict"] == "invalid"
        say(began, f"latency, round {index + 1} of {rounds}")


def last_line(log: Path) -> str:
    """The last thing that a process said."""
    return next((line.strip() for line in reversed(log.read_text().splitlines()) if line.strip()), "it said nothing")


if __name__ == "__main__":
    sys.exit(main())
