"""`python -m scripts.peers.converting PYTHON`: what converting a network of torch to TFLite costs, beside litert-torch.

PYTHON names a Python that has litert-torch. Both take the same file of plain torch; each conversion is a whole process,
cold, and they take turns. edgekit's also opens its file again and proves it. Writes a section of
docs/measured/converting.md.
"""

from __future__ import annotations

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edgekit.bench.ondevice.sensors.linux import processor
from scripts.bench_helpers import Cost, cost
from scripts.peers.sections import measure, version

HEADING = "From torch to TFLite"
NETWORKS = {"MobileNet v1 1.0/224": "mobilenet", "ResNet-50": "resnet50"}
NETWORK = """
import torch
from torch import nn


def drawn(net):
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return net.eval()


def mobilenet():
    def block(cin, cout, stride):
        return nn.Sequential(
            nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False), nn.BatchNorm2d(cin), nn.ReLU6(),
            nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU6())

    rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    layers, cin = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()], 32
    for cout, stride in rows:
        layers.append(block(cin, cout, stride))
        cin = cout
    return drawn(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, 1000)))


class Bottleneck(nn.Module):
    def __init__(self, cin, width, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(cin, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width))
        short = nn.Sequential(nn.Conv2d(cin, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))
        self.short = short if stride > 1 or cin != 4 * width else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.short(x))


def resnet50():
    layers, cin = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for index in range(blocks):
            layers.append(Bottleneck(cin, width, 2 if index == 0 and width > 64 else 1))
            cin = 4 * width
    return drawn(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, 1000)))
"""
LITERT_TORCH = """
import sys
sys.path.insert(0, sys.argv[1])
import litert_torch, net, torch
made = litert_torch.to_channel_last_io(getattr(net, sys.argv[2])(), args=[0])
litert_torch.convert(made, (torch.zeros(1, 224, 224, 3),)).export(sys.argv[1] + "/other.tflite")
"""


def rows(python: str, rounds: int) -> Iterator[str]:
    """Yield a row of the table for each network and way: medians of the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.py").write_text(NETWORK)
        for told, name in NETWORKS.items():
            asked = ["--input", "1,3,224,224", "--format", "tflite", "--out", folder, "--force"]
            ways = {
                "edgekit": [sys.executable, "-m", "edgekit", "export", f"{folder}/net.py:{name}", *asked],
                "litert-torch": [python, "-c", LITERT_TORCH, folder, name],
            }
            found: dict[str, list[Cost]] = {way: [] for way in ways}
            for _ in range(rounds):
                for way, argv in ways.items():
                    found[way].append(cost(argv, OMP_NUM_THREADS="1"))
            for way, each in found.items():
                cpu, wall = (statistics.median(getattr(one, key) for one in each) for key in ("cpu_seconds", "seconds"))
                peak = statistics.median(one.peak_bytes for one in each)
                yield f"| {told} | {way} | {cpu:.1f} | {wall:.1f} | {peak / 1e6:,.0f} |"


def section(body: str, python: str, rounds: int) -> str:
    """The section, of the rows that were measured."""
    theirs = ", ".join(f"{name} {version(python, name)}" for name in ("litert-torch", "torch"))
    ours = f"torch {version(sys.executable, 'torch')}"
    turns = "one round" if rounds == 1 else f"the median of {rounds} rounds"
    return f"""
Written by `python -m scripts.peers.converting PYTHON`; do not edit. {time.strftime("%Y-%m-%d")}, {processor()}, Python
{platform.python_version()}, one thread, {turns} in which both took their turn.

The networks are plain torch with random weights, 224x224, in float32. Each conversion is a whole process, cold. edgekit
also opens its file again, runs it and compares it with the network; litert-torch does not. **CPU** is the time of
all processes, **peak** the resident memory of the largest. Elapsed time says little where other programs run beside.

| network | by | CPU, s | elapsed, s | peak, MB |
| --- | --- | --- | --- | --- |
{body}

* Here: {ours}. Theirs: {theirs}.
* onnx2tf converts ONNX files, and not without a network connection (peers.md): it is not measured here.
"""


if __name__ == "__main__":
    measure(HEADING, "what converting a network of torch to TFLite costs", "litert-torch", rows, section)
