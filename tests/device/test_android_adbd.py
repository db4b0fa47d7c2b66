"""`bench --device` with a phone that is real but for its hardware: adbd, shell and a built benchmark_model."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.links.adb import ROOT
from edgekit.device.registry import devices
from edgekit.errors import EdgekitError
from edgekit.measure.command import bench
from edgekit.records.measurement import PRESETS, Protocol
from edgekit.util.files import file_sha256
from scripts.phone_tool import TOOL
from tests.bench.adbd import Phone, make_phones
from tests.bench.ssh_server import until
from tests.paths import sample

phones = pytest.fixture(make_phones)
pytestmark = pytest.mark.skipif(not TOOL.is_file(), reason="no benchmark_model was built here: make phone-tool")

# Real ones; but this phone's processor is this machine's.
PROPERTIES = sample("getprop_pixel8pro.txt") + f"[ro.product.cpu.abilist]: [{platform.machine()}]\n"
DUMPS = {
    "thermalservice": sample("dumpsys_thermalservice_xiaomi13tpro_android16.txt"),
    "battery": sample("dumpsys_battery.txt"),
    "meminfo": sample("dumpsys_meminfo_pid_android13_appsummary.txt"),
}


@pytest.fixture(scope="session")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small network that really runs, by precision."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("torch")
    from edgekit.exporting.command import export

    made = export(
        "mobilenet_v2", alpha=0.25, res=32, classes=4, format=["tflite"], precision=["fp32", "int8"],
        synthetic_calibration=True, out=tmp_path_factory.mktemp("export"),
    )  # fmt: skip
    return {path.stem.rpartition("_")[2]: path for path in (one.path for one in made.artifacts)}


@pytest.fixture
def phone(phones: Callable[[], Phone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phone:
    """A furnished phone, which devices.yaml calls pixel."""
    found = phones()
    (found.folder / "properties").write_text(PROPERTIES)
    for name, text in DUMPS.items():
        (found.folder / name).write_text(text)
    found.script("getprop", "#!/bin/sh\ncat /phone/properties\n")
    found.script("dumpsys", "#!/bin/sh\ncat /phone/$1\n")
    found.script("settings", "#!/bin/sh\necho 0\n")
    row = {"link": "adb", "serial": found.serial, "runtimes": ["benchmark_model"], "benchmark_model": str(TOOL)}
    (tmp_path / "devices.yaml").write_text(json.dumps({"devices": {"pixel": row}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKIT_STORE", f"sqlite:///{tmp_path / 'edgekit.db'}")
    short = {"warmup_seconds": 0, "warmup_runs": 2, "cooldown_seconds": 0.5, "min_seconds": 0, "min_runs": 5}
    monkeypatch.setitem(PRESETS, "test", Protocol(preset="test", **short))
    return found


def test_checking(phone: Phone) -> None:
    found = devices(check="pixel").check
    assert found is not None and found.model == "Google Pixel 8 Pro" and found.missing == ()
    assert found.cpus == os.cpu_count() and found.memory_bytes and found.free_bytes and found.kernel
    assert found.runtimes[0].version == f"sha256 {file_sha256(TOOL)[:16]}"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_measurement(phone: Phone, tflite: dict[str, Path], precision: str) -> None:
    found = bench(tflite[precision], device="pixel", preset="test").measurements[0]
    assert len(found.runs) == 6
    assert all(run.samples_ns[0] > 0 and run.load_ns and run.inferences_per_sample >= 5 for run in found.runs)
    assert found.memory.peak_bytes and found.memory.pss_bytes == 105321 * 1024
    assert found.found["tool"] == "benchmark_model (classic)" and found.found["delegate"] is None
    answers = found.found["answers"]
    # It has no XNNPACK, which LiteRT has here: in int8 their roundings differ, and nothing else may.
    wanted = kernels_apart(tflite[precision]) if precision == "int8" else 0.0
    assert answers["max_error"] == pytest.approx(wanted, abs=1e-5 * answers["largest"])
    assert list(Path(phone.inside(f"{ROOT}/work")).iterdir()) == []
    until(lambda: phone.processes() == [])


def kernels_apart(path: Path) -> float:
    """How far apart LiteRT's kernels and XNNPACK's are on the seeded inputs."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    answers = []
    for resolver in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver, num_threads=1)
        interpreter.allocate_tensors()
        (detail,) = interpreter.get_input_details()
        assert detail["dtype"] is np.float32
        image = np.random.default_rng(0).standard_normal(detail["shape"], dtype=np.float32)
        interpreter.set_tensor(detail["index"], image)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(np.float64))
    return float(np.abs(answers[0] - answers[1]).max())


def test_a_file_that_it_cannot_load(phone: Phone, tflite: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(tflite["fp32"].read_bytes()[:2000])
    with pytest.raises(EdgekitError) as caught:
        bench(broken, device="pixel", preset="test")
    assert caught.value.exit_code in (2, 5) and "\n" not in caught.value.message
