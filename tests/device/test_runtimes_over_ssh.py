"""Each runtime of this machine, run by the runner over a real OpenSSH server: measured, and its answers compared."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import edgekit
from edgekit.bench.links.remote_session import FarSession
from edgekit.records.measurement import PRESETS, Protocol
from edgekit.records.runtime import open_session

if TYPE_CHECKING:
    from tests.bench.ssh_server import Server

SHORT = Protocol(
    preset="quick", processes=1, warmup_seconds=0.01, warmup_runs=3, warmup_max_seconds=0.02, cooldown_seconds=0.1,
    min_seconds=0.02, min_runs=7, max_seconds=1.0,
)  # fmt: skip
# (runtime, the suffix of what it runs, its package)
RUNTIMES = [("litert", "tflite", "ai_edge_litert"), ("torch", "pt2", "torch"), ("onnxruntime", "onnx", "onnxruntime")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small network in each format."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("export")
    edgekit.export("mobilenet_v2", alpha=0.25, res=32, classes=4, format=["tflite", "onnx", "pt2"], out=folder)
    return folder


@pytest.mark.parametrize(("runtime", "suffix", "package"), RUNTIMES)
def test_measured_and_answering_as_here(
    server: Server,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runtime: str,
    suffix: str,
    package: str,
) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKIT_STORE", f"sqlite:///{tmp_path / 'edgekit.db'}")
    monkeypatch.setitem(PRESETS, "quick", SHORT)
    board = {
        "link": "ssh",
        "host": "board",
        "runtimes": [runtime],
        "python": sys.executable,
        "folder": str(server.root),
    }
    Path("devices.yaml").write_text(json.dumps({"devices": {"board": board}}))
    path = next(exported.rglob(f"*.{suffix}"))
    (one,) = edgekit.bench([path], device="board", preset="quick").measurements
    assert one.runtime == runtime and one.device == "board" and len(one.runs[0].samples_ns) >= 7
    assert one.memory.peak_bytes and one.memory.baseline_bytes and one.found["runtime_version"]
    link = server.link()
    far, near = FarSession(link, path, runtime), open_session(path, runtime)
    x = np.random.default_rng(0).standard_normal(near.inputs[0].shape).astype(near.inputs[0].dtype)
    assert np.array_equal(far.run([x])[0], near.run([x])[0])
    far.close()
    link.close()
    assert server.connections() == 1 and not server.work()
