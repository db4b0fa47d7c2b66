"""The page that `make bench-peers` writes: docs/measured/peers.md."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

import edgekit
from edgekit.stats.accuracy import correct1, paired
from scripts.bench_helpers import ORACLE, hits

if TYPE_CHECKING:
    from scripts.peers.__main__ import Peer

OWN = ("edgekit", "torch", "onnxruntime", "ai-edge-litert")
OTHERS = ("litert-torch", "ai-edge-quantizer", "torch", "onnxruntime")
VERSIONS = f"""
import json
from importlib import metadata
print(json.dumps({{name: metadata.version(name) for name in {OTHERS!r}}}))
"""
HEAD = """\
# Beside what one would use without it

Written by `make bench-peers`; do not edit. {date}, {machine}.

MobileNet 0.5/160 with the weights of the hosted quantization-aware file, from torch. One thread, {n} labeled images of
ImageNet; int8 is calibrated on 100 others, the same for all.

* **export**: seconds of a whole process, cold, the median of {exports}; **its peak**: that process's highest resident
  memory. edgekit's process also opens its file and proves it, and for int8 decodes and prepares the images, which the
  others are given as an array. torch.compile's are those until its first answer.
* **latency**: the median of {rounds} rounds in which each had its turn. **over edgekit**: the median of the rounds'
  ratios to edgekit's file of the same format and precision; torch's are to edgekit's ONNX file.
* **running**: the highest resident memory of a process that loads the file and runs it.
* **top-1**, and in brackets what edgekit's file of that row's kind has more, in points, with its 95 % interval over
  the same images.
* **agrees**: images for which the first class is that of eager torch.

| what | precision | export, s | its peak, MB | file, MB | latency, ms | over edgekit | running, MB | top-1 | agrees |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
TAIL = """
* ai-edge-quantizer has its static int8 recipe and its own calibration, a moving average of the extremes.
* quantize_static has Q/DQ, unsigned activations and signed weights per channel. The network comes from torch's exporter
  without dynamo, the faster of the two. With reduce_range weights have 7 bits, which onnxruntime's documentation
  advises for x86 processors without VNNI.
* onnx2tf is not among them: it does not convert without a network connection (it downloads sample images even for a
  float conversion).
"""


def page(found: Sequence[Peer], labels: Sequence[int], exports: int, rounds: int) -> str:
    """The whole page."""
    facts = edgekit.doctor().machine
    kernels = ", ".join(facts["features"] or ["unknown instructions"])  # which decide what int8 gives and takes
    machine = f"{facts['processor']} ({kernels}), {facts['cores']} cores, Python {facts['python']}"
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    head = HEAD.format(date=date, machine=machine, n=len(labels), exports=exports, rounds=rounds)
    rows = [row(peer, own(peer, found), found[-2], labels) for peer in found]
    notes = [f"* {peer.name} ({peer.kind}) could not be had: {peer.failed}\n" for peer in found if peer.failed]
    doubted = sum(peer.invalid for peer in found)
    if doubted:
        notes.append(f"* In {doubted} timings the harness found the machine too busy to trust.\n")
    return "".join([head, *rows, TAIL, *notes, versions()])


def own(peer: Peer, found: Sequence[Peer]) -> Peer:
    """edgekit's row that a row is compared with."""
    kind = "onnx" if peer.kind == "torch" else peer.kind
    precision = "int8" if peer.precision == "uint8" else peer.precision
    return next(one for one in found if (one.name, one.kind, one.precision) == ("edgekit", kind, precision))


def row(peer: Peer, base: Peer, eager: Peer, labels: Sequence[int]) -> str:
    """One line of the table."""
    cells = [f"{peer.name}, {peer.kind}" if peer.kind != "torch" else peer.name, peer.precision]
    cells.append(f"{statistics.median(peer.seconds):.1f}" if peer.seconds and peer.name != "torch, eager" else "-")
    cells.append(f"{statistics.median(peer.peaks) / 1e6:.0f}" if peer.peaks else "-")
    cells.append(f"{peer.path.stat().st_size / 1e6:.2f}" if peer.path and peer.path.is_file() else "-")
    cells.append(f"{statistics.median(peer.ms):.2f}" if peer.ms else "-")
    same = peer is base or not (peer.ms and base.ms)
    cells.append("-" if same else f"{statistics.median(a / b for a, b in zip(peer.ms, base.ms, strict=True)):.2f}")
    cells.append(f"{peer.running / 1e6:.0f}" if peer.running else "-")
    if peer.logits is None or base.logits is None or eager.logits is None:
        return f"| {' | '.join([*cells, '-', '-'])} |\n"
    mine, theirs = hits(base.logits, labels), hits(peer.logits, labels)
    top1 = f"{correct1(theirs) / len(labels):.1%}"
    if peer is not base:
        more = paired(theirs, mine)
        low, high = (bound * 100 for bound in more.ci95)
        top1 += f" ({more.difference * 100:+.1f}, {low:+.1f} .. {high:+.1f})"
    agreed = float(np.mean(peer.logits.argmax(1) == eager.logits.argmax(1)))
    return f"| {' | '.join([*cells, top1, f'{agreed:.1%}'])} |\n"


def versions() -> str:
    """What was installed here and there."""
    there = subprocess.run([ORACLE, "-c", VERSIONS], capture_output=True, text=True, check=True)
    mine = ", ".join(f"{name} {metadata.version(name)}" for name in OWN)
    others = ", ".join(f"{name} {version}" for name, version in json.loads(there.stdout).items())
    return f"* Here: {mine}. Theirs: {others}.\n"
