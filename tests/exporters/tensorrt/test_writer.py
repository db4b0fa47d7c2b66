"""The exporter on a double of each TensorRT release, made from its real API. No library of NVIDIA's is run here."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.data import calibration
from edgekit.errors import BackendMissing, UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.tensorrt.writer import write
from edgekit.exporting.command import export
from edgekit.ir.graph import Graph
from edgekit.measure.command import bench
from edgekit.records.artifact import open_artifact
from edgekit.records.preprocessing import Preprocessing
from edgekit.records.runtime import open_session
from edgekit.tensorrt.builder import find
from edgekit.tensorrt.capabilities import PRECISIONS


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.norm(self.conv(x)))
        return self.head((x + 1.5).mean((2, 3)))


GraphOf = Callable[[nn.Module, tuple[int, ...]], Graph]


def job(graph: Graph, precision: str, **options: Any) -> WriteJob:
    if precision != "int8":
        return WriteJob(graph, precision, options=options)
    images = calibration.synthetic((1, 3, 16, 16), Preprocessing(), 4, 0)
    quantized = quantize(graph, record(graph, images), "tensorrt", "fast")
    return WriteJob(quantized.graph, "int8", quantized, options=options)


@pytest.fixture
def small(graph_of: GraphOf) -> Graph:
    return graph_of(Small(), (1, 3, 16, 16))


# Building, on each release


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_asked_of_each_release(tensorrt: Any, small: Graph, tmp_path: Path, precision: str) -> None:
    said: list[str] = []
    path = tmp_path / "network.engine"
    written = write(job(small, precision, workspace_mib=512, say=said.append), path)
    details, flags = written.details, written.details["build_flags"]
    assert details["tensorrt"] == tensorrt.version and details["compute_capability"] == "8.7"
    assert details["gpu"] == "Orin" and details["builder"] == "python" and flags["workspace_mib"] == 512
    batch, typed = ["EXPLICIT_BATCH"], ["STRONGLY_TYPED"]
    table: dict[int, dict[str, tuple[list[str], list[str]]]] = {
        8: {"fp32": (batch, []), "fp16": (batch, ["FP16"]), "int8": (batch, ["INT8"])},
        10: {"fp32": (typed, []), "fp16": ([], ["FP16"]), "int8": (typed, [])},
        11: {"fp32": (typed, []), "fp16": (typed, []), "int8": (typed, [])},
    }
    assert (list(flags["network_flags"]), list(flags["builder_flags"])) == table[tensorrt.major][precision]
    assert list(flags["cleared_flags"]) == (["TF32"] if precision == "fp32" else [])
    assert ("Building Engine 1/2" in said) == (tensorrt.major >= 10)
    half = precision == "fp16" and tensorrt.major == 11
    assert details["built_from"]["precision"] == ("fp16" if half else "fp32" if precision == "fp16" else precision)
    assert written.notes and "want of memory" in written.notes[0]
    assert not (tmp_path / "network.onnx").exists()
    (answer,) = open_session(path).run([np.ones((1, 3, 16, 16), np.float32)])
    want = small.run(torch.ones(1, 3, 16, 16)).numpy()
    assert np.abs(answer - want).max() <= {"fp32": 1e-5, "fp16": 1e-2, "int8": 0.3}[precision] * np.abs(want).max()


def test_the_timing_cache_is_kept_and_hashed(tensorrt: Any, small: Graph, tmp_path: Path) -> None:
    first = write(job(small, "fp32"), tmp_path / "a.engine").details
    second = write(job(small, "fp32"), tmp_path / "b.engine").details
    (cache,) = (tmp_path / "cache" / "tensorrt").iterdir()
    assert tensorrt.version in cache.name and "Orin" in cache.name and "8.7" in cache.name
    assert first["timing_cache_used"] is False and second["timing_cache_used"] is True
    assert first["timing_cache_sha256"] == hashlib.sha256(cache.read_bytes()).hexdigest()
    cache.write_bytes(b"timing of another release")
    assert write(job(small, "fp32"), tmp_path / "c.engine").details["timing_cache_used"] is False


def test_a_timing_cache_that_cannot_be_kept_costs_no_engine(tensorrt: Any, small: Graph, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / "tensorrt").write_text("in the way")
    details = write(job(small, "fp32"), tmp_path / "a.engine").details
    assert details["timing_cache_used"] is False and details["timing_cache_sha256"] is None
    assert (tmp_path / "a.engine").stat().st_size


def test_a_free_batch_has_a_profile(tensorrt: Any, small: Graph, tmp_path: Path) -> None:
    path = tmp_path / "free.engine"
    write(WriteJob(small, "fp32", dynamic_batch=True, options={"max_batch": 4}), path)
    session = open_session(path)
    assert session.inputs[0].shape == (-1, 3, 16, 16)
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16), np.float32)
    (together,) = session.run([x])
    np.testing.assert_allclose(together, np.concatenate([session.run([x[i : i + 1]])[0] for i in range(4)]), atol=1e-5)
    with pytest.raises(ValueError, match="not built for a batch of 5"):
        session.run([np.zeros((5, 3, 16, 16), np.float32)])


def test_dla_falls_back_to_the_gpu_layer_by_layer(tensorrt: Any, small: Graph, tmp_path: Path) -> None:
    flags = write(job(small, "fp16", dla=1), tmp_path / "dla.engine").details["build_flags"]
    assert "GPU_FALLBACK" in flags["builder_flags"] and flags["dla"] == 1
    with pytest.raises(UsageError, match="DLA takes no Q/DQ network"):
        write(job(small, "int8", dla=0), tmp_path / "dla.engine")


def test_a_refused_operator_is_named(
    tensorrt: Any, small: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUBLE_REFUSES", "Relu")
    refusal = rf"TensorRT {tensorrt.version} does not take node 'relu' \(Relu\): No importer"
    with pytest.raises(BackendMissing, match=refusal):
        write(job(small, "fp32"), tmp_path / "x.engine")
    assert not list(tmp_path.glob("x.*"))


def test_a_crash_of_the_builder_is_not_ours(
    tensorrt: Any, small: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUBLE_CRASHES", "1")
    with pytest.raises(BackendMissing, match="process building with tensorrt ended by SIGABRT"):
        write(job(small, "fp32"), tmp_path / "x.engine")


def test_without_a_gpu_it_says_so(tensorrt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUBLE_NO_GPU", "1")
    with pytest.raises(BackendMissing, match="no engine can be built here: the driver sees no GPU") as caught:
        find()
    assert "device" in caught.value.remedy


def test_without_tensorrt_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ModuleNotFoundError('No module named tensorrt', name='tensorrt')")
    (tmp_path / "tensorrt_rtx.py").write_text("raise ImportError('it is not here either')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendMissing, match="TensorRT is not installed here.*and no trtexec") as caught:
        find()
    remedy = caught.value.remedy
    assert "pip install 'edgekit[tensorrt]'" in remedy and "edgekit[tensorrt-rtx]" in remedy and "device" in remedy
    with pytest.raises(BackendMissing, match="--target-gpu builds with TensorRT for RTX: .*not here either") as caught:
        find(targets=("8.9",))
    assert caught.value.remedy == "pip install 'edgekit[tensorrt-rtx]'"


# Through the verbs


def test_export_proves_the_engine_and_bench_measures_it(
    tensorrt: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = export("lenet5", format=["engine"], precision=["fp32", "fp16"], out=tmp_path / "artifacts")
    assert not result.failed
    exact = result.artifacts[0]
    assert exact.path.suffix == ".engine" and exact.manifest is not None and exact.manifest.parity.passed
    assert exact.manifest.details["tensorrt"] == tensorrt.version
    assert open_artifact(exact.path).format == "tensorrt"
    (row,) = bench(exact.path, preset="quick", store=f"sqlite:///{tmp_path}/m.db").to_json()["measurements"]
    found = row["found"]
    assert row["runtime"] == "tensorrt" and row["median_ms"] > 0 and found["cuda_graph"] is True
    assert found["device_ms"] > 0 and found["device_samples"] == 64 and found["compute_capability"] == "8.7"

    monkeypatch.setenv("DOUBLE_CC", "9.0")
    refusal = "built for compute capability 8.7, and here is compute capability 9.0"
    with pytest.raises(BackendMissing, match=refusal) as no:
        bench(exact.path, preset="quick", store=f"sqlite:///{tmp_path}/m.db")
    assert no.value.exit_code == 5
    assert "edgekit export lenet5" in no.value.remedy and "--format tensorrt --precision fp32" in no.value.remedy


# trtexec, where there is no Python package: a stand-in that prints what the real program printed


def stand_in(folder: Path, version: str, passes: bool = True) -> Path:
    """A trtexec of a version, which writes an engine and a verdict, or the verdict of a failure."""
    major, minor, patch = map(int, version.split("."))
    packed = major * 1000 + minor * 100 + patch if major == 8 else major * 10000 + minor * 100 + patch
    program = folder / "trtexec"
    program.write_text(f"""#!/usr/bin/env python3
import json, pathlib, sys
tag = "TensorRT.trtexec [TensorRT v{packed}] # trtexec"
print("&&&& RUNNING", tag)
pathlib.Path({str(folder / "argv.json")!r}).write_text(json.dumps(sys.argv[1:]))
print("[08/30/2026-03:51:41] [I] Selected Device: Orin")
print("[08/30/2026-03:51:41] [I] Compute Capability: 8.7")
wanted = [a.partition("=")[2] for a in sys.argv if a.startswith("--saveEngine=")]
if not wanted or not {passes}:
    print("[08/30/2026-03:51:41] [E] Error[2]: [conv.cpp::make::259] Error Code 2: Internal Error (no good)")
    print("&&&& FAILED", tag)
    sys.exit(1)
pathlib.Path(wanted[0]).write_bytes(b"engine")
print("[08/30/2026-03:51:41] [I] Engine built in 12.5 sec.")
print("&&&& PASSED", tag)
""")
    program.chmod(0o755)
    return program


@pytest.fixture
def no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tensorrt.py").write_text("raise ModuleNotFoundError('No module named tensorrt', name='tensorrt')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize(
    ("version", "flags", "others"),
    [
        ("8.5.1", ["--buildOnly", "--fp16"], ["--skipInference", "--stronglyTyped"]),
        ("8.6.1", ["--skipInference", "--fp16"], ["--buildOnly", "--stronglyTyped"]),
        ("10.16.1", ["--skipInference", "--fp16"], ["--buildOnly", "--stronglyTyped"]),
        ("11.4.0", ["--skipInference"], ["--buildOnly", "--fp16", "--stronglyTyped"]),
    ],
)
def test_trtexec_builds_where_there_is_no_package(
    no_package: Path, small: Graph, version: str, flags: list[str], others: list[str]
) -> None:
    stand_in(no_package, version)
    builder = find()
    assert builder.version == version
    details = write(job(small, "fp16", workspace_mib=64), no_package / "x.engine").details
    given = json.loads((no_package / "argv.json").read_text())
    assert set(flags) <= set(given) and not set(others) & set(given)
    assert "--memPoolSize=workspace:64" in given and any(flag.startswith("--timingCacheFile=") for flag in given)
    assert details["builder"] == "trtexec" and details["tensorrt"] == version and details["build_seconds"] == 12.5
    assert details["gpu"] == "Orin" and details["compute_capability"] == "8.7"


def test_trtexec_that_fails_is_believed(no_package: Path, small: Graph) -> None:
    stand_in(no_package, "10.3.0", passes=False)
    with pytest.raises(BackendMissing, match=r"exit code 1, FAILED.*Internal Error \(no good\)"):
        write(job(small, "fp32"), no_package / "x.engine")
