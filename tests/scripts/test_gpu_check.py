"""What `make gpu-check` does around the GPU: this machine has none, so that the GPU's own part is stood in for."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekit.bench.ondevice import energy
from scripts.gpu_page import write
from scripts.gpu_runtimes import PROVIDERS, Case, with_engines, with_onnxruntime
from tests.paths import ROOT
from tests.waiting import until


@pytest.fixture
def check() -> Any:
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "scripts" / "gpu_check.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_check"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


def test_without_cuda_it_refuses_and_writes_nothing(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    command = [sys.executable, str(ROOT / "scripts" / "gpu_check.py"), "--out", str(tmp_path / "measured")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "gpu-check: torch" in done.stderr and "NVIDIA GPU" in done.stderr
    assert not (tmp_path / "measured").exists()


def test_the_page_says_what_ran_what_was_left_out_and_what_was_wrong(
    check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.gpu_runtimes.TORCH", {"cpu": "torch on the processor"})
    monkeypatch.setattr(check, "WARM_SECONDS", 0.01)
    monkeypatch.setattr(check, "SAMPLES", 5)
    report = check.Report(gpu="NVIDIA Test/1")
    check.network(report, "lenet5", tmp_path)
    assert not report.wrong
    ways = [(row["how"], row["precision"]) for row in report.rows]
    assert ways == [("torch on the processor", "fp32"), ("torch on the processor", "fp16")]
    assert report.rows[0]["error"] == 0.0 and 0 < report.rows[1]["error"] < 0.1
    for way in ("onnxruntime CUDA", "onnxruntime TensorRT", "TensorRT", "TensorRT for RTX"):
        assert any(line.startswith(way) for line in report.left_out), report.left_out
    check.judge(report, {**report.rows[0]}, report.rows[0]["error"] + _ones(), _ones() * 2)
    page = write(report, tmp_path, "5 inferences")
    text = page.read_text()
    assert page.name == "nvidia-test-1.md" and "| lenet5 | fp32 | torch on the processor |" in text
    assert "relative error 0.5" in text.partition("## Wrong")[2]


def test_what_breaks_is_wrong_and_hides_nothing_else(
    check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.gpu_runtimes.TORCH", {"broken": "a broken provider", "cpu": "torch on the processor"})
    monkeypatch.setattr(check, "WARM_SECONDS", 0.01)
    monkeypatch.setattr(check, "SAMPLES", 5)
    report = check.Report(gpu="none")
    check.network(report, "lenet5", tmp_path)
    assert [row["precision"] for row in report.rows] == ["fp32", "fp16"]
    assert [line.partition(": ValueError")[0] for line in report.wrong] == [
        f"lenet5 {precision}: a broken provider" for precision in ("fp32", "fp16")
    ]


def test_what_breaks_while_it_answers_is_not_left_out(
    check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(row: dict[str, Any], session: Any, want: Any) -> None:
        raise RuntimeError("the GPU is lost")

    monkeypatch.setattr("scripts.gpu_runtimes.PROVIDERS", {"cpu": "onnxruntime on the processor"})
    graph, x = check.prepared("lenet5")
    report = check.Report(gpu="none")
    with_onnxruntime(report, Case("lenet5", graph, x.numpy(), None, tmp_path, judge))
    told = "onnxruntime on the processor: RuntimeError: the GPU is lost"
    assert report.wrong == [f"lenet5 {precision}: {told}" for precision in ("fp32", "fp16")] and not report.left_out


@pytest.mark.parametrize(("version", "product"), [("10.3.0", "tensorrt"), ("1.7.1.116", "tensorrt_rtx")])
def test_engines_of_either_product_are_built_opened_and_judged(
    check: Any, tmp_path: Path, double_of: Callable[..., Any], version: str, product: str
) -> None:
    double_of(version, product)
    rows, report = list[dict[str, Any]](), check.Report(gpu="Orin")
    graph, x = check.prepared("lenet5")

    def judge(row: dict[str, Any], session: Any, want: Any) -> None:
        rows.append(row)
        check.judge(report, {**row, "device_ms": None}, session.run([x.numpy()])[0], want)

    with_engines(report, Case("lenet5", graph, x.numpy(), graph.run(x).numpy(), tmp_path, judge))
    title = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}[product]
    own = [row["precision"] for row in rows if row["how"] == title]
    assert own == ["fp32", "fp16", "int8"] and not report.wrong, (report.left_out, report.wrong)


def test_each_provider_is_left_out_by_itself(check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the provider that is here the file runs; one that this onnxruntime lacks is said."""
    monkeypatch.setitem(PROVIDERS, "cpu", "onnxruntime on the processor")
    rows, report = list[dict[str, Any]](), check.Report(gpu="none")
    graph, x = check.prepared("lenet5")
    keep = Case("lenet5", graph, x.numpy(), None, tmp_path, lambda row, session, want: rows.append(row))
    with_onnxruntime(report, keep)
    assert [row["how"] for row in rows] == ["onnxruntime on the processor"] * 2
    assert [line.partition(":")[0] for line in report.left_out] == ["onnxruntime CUDA", "onnxruntime TensorRT"]


def test_a_page_is_written_whatever_breaks(check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = importlib.import_module("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Test GPU")
    monkeypatch.setattr(check, "driver", lambda report: report.no_such_thing)
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--out", str(tmp_path), "--networks"])
    assert check.main() == 1
    assert ": AttributeError: " in (tmp_path / "test-gpu.md").read_text().partition("## Wrong")[2]


def test_nvml_is_asked_itself_or_left_out(check: Any) -> None:
    report = check.Report(gpu="none")
    check.library(report)
    assert ("NVML" in report.facts) != bool(report.left_out)


def test_power_is_that_of_the_energy_pass(check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, report = tmp_path / "nvidia-smi", check.Report(gpu="T4")
    program.write_text("#!/bin/sh\necho 'power.draw [W]'; echo '30.00 W'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(check, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(check, "POWER_SECONDS", 600.0)  # which are over as soon as there are enough readings
    monkeypatch.setitem(energy.PERIOD_SECONDS, "nvidia-smi", 0.01)
    meters, real, skipped = list[energy.Meter](), energy.meter, list[int]()

    def meter(root: Path) -> energy.Meter:
        meters.append(real(root))
        return meters[-1]

    def more(count: int) -> None:
        until(lambda: len(meters[-1].readings) >= count)

    def step() -> None:
        more(20)
        skipped.append(600 * 10**9)

    clock = SimpleNamespace(
        sleep=lambda seconds: more(10), perf_counter_ns=lambda: time.perf_counter_ns() + sum(skipped)
    )
    monkeypatch.setattr(energy, "meter", meter)
    monkeypatch.setattr(check, "time", clock)
    check.drawn(report, step)
    (told,) = report.facts.values()
    assert told.startswith("30.0 W, 30.0 W before; ") and "0.00 mJ above idle" in told and not report.left_out
    program.write_text("#!/bin/sh\necho 'power.draw [W]'; echo '[N/A]'\n")
    check.drawn(report, lambda: None)
    assert len(report.left_out) == 1 and "nvidia-smi not what the GPU" in report.left_out[0]


def _ones() -> Any:
    import numpy as np

    return np.ones((1, 10))


def test_networks_are_built_and_written_where_there_is_no_pydantic(check: Any, tmp_path: Path) -> None:
    known = importlib.import_module("edgekit.network.spec")
    importlib.import_module("edgekit.models")
    assert all(name in known.MODELS for name in check.NETWORKS)
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
sys.modules["pydantic"] = None  # as if it were not installed
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "pydantic" else found(name, *more)
from scripts import gpu_check
gpu_check.stand_in_for_pydantic()
graph, x = gpu_check.prepared("lenet5")
from edgekit.exporters import FORMATS, WriteJob
print(FORMATS["pt2"].write(WriteJob(graph, "fp32"), gpu_check.Path({str(tmp_path)!r}) / "lenet5.pt2").outputs[0].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(1, 10)", done.stderr
