"""`bench` and `eval` with a phone that is real but for its hardware: adbd, shell and a built benchmark_model."""

from __future__ import annotations

import importlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.links.adb import ROOT
from edgekit.device import android, android_session
from edgekit.device.registry import devices
from edgekit.errors import BackendMissing, DeviceUnreachable, EdgekitError
from edgekit.evaluation.command import eval as evaluate
from edgekit.measure.command import bench
from edgekit.records.measurement import PRESETS, Protocol
from edgekit.util.files import file_sha256
from scripts.phone_tool import TOOL
from tests.bench.adbd import Phone, furnish, make_phones
from tests.waiting import until

phones = pytest.fixture(make_phones)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TOOL.is_file(), reason="no benchmark_model was built here: make phone-tool"),
]


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
    furnish(found)
    monkeypatch.chdir(tmp_path)
    described(found)
    monkeypatch.setenv("EDGEKIT_STORE", f"sqlite:///{tmp_path / 'edgekit.db'}")
    short = {"warmup_seconds": 0, "warmup_runs": 2, "cooldown_seconds": 0.5, "min_seconds": 0, "min_runs": 5}
    monkeypatch.setitem(PRESETS, "test", Protocol(preset="test", **short))
    monkeypatch.setitem(android.SHORT, "test", {"processes": 2})
    monkeypatch.setattr(android, "MEMORY_SECONDS", 0)
    return found


def test_checking(phone: Phone) -> None:
    found = devices(check="pixel").check
    assert found is not None and found.model == "Google Pixel 8 Pro" and found.missing == ()
    assert found.cpus == os.cpu_count() and found.memory_bytes and found.free_bytes and found.kernel
    described(phone, cores="big")
    alike = devices(check="pixel").check
    assert alike is not None and any("does not tell big processors" in line for line in alike.missing)
    assert found.runtimes[0].version == f"classic, sha256 {file_sha256(TOOL)[:16]}"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_measurement(phone: Phone, tflite: dict[str, Path], precision: str) -> None:
    found = bench(tflite[precision], device="pixel", preset="test").measurements[0]
    assert len(found.runs) == 2
    assert all(run.samples_ns[0] > 0 and run.load_ns and run.inferences_per_sample >= 5 for run in found.runs)
    assert found.memory.peak_bytes and found.memory.pss_bytes == 105321 * 1024
    assert found.found["tool"] == "benchmark_model (classic)" and found.found["delegate"] is None
    answers = found.found["answers"]
    assert answers["reference"].endswith("its own kernels, seeded inputs")  # this tool has no XNNPACK either
    assert answers["max_error"] <= 1e-5 * answers["largest"]
    assert list(Path(phone.inside(f"{ROOT}/work")).iterdir()) == []
    until(lambda: phone.processes() == [])


def test_sustained_load_and_what_the_battery_gave(
    phone: Phone, tflite: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.stats.energy.FEWEST_STEPS", 1)
    (phone.folder / "left").write_text("3000000")
    (phone.folder / "left").chmod(0o666)
    phone.script(
        "dumpsys",
        "#!/bin/sh\n[ $1 = battery ] && left=$(($(cat /phone/left) - 5000)) && echo $left > /phone/left && "
        'sed "s/^  status/  Charge counter: $left\\n  status/" /phone/battery && exit\ncat /phone/$1\n',
    )
    (one,) = bench(tflite["fp32"], device="pixel", sustained="1s").measurements
    assert len(one.runs) == one.protocol.processes >= 1 and one.runs[0].began_s is not None
    energy = one.found["energy"]
    drawn = 5000 * (2 * len(one.runs) - 1)
    assert energy["busy_mw"] * energy["seconds"] == pytest.approx(drawn * 3.6e-3 * 3944, rel=0.01)  # millijoules
    assert list(Path(phone.inside(f"{ROOT}/work")).iterdir()) == []
    until(lambda: phone.processes() == [])


def test_a_file_that_it_cannot_load(phone: Phone, tflite: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(tflite["fp32"].read_bytes()[:2000])
    with pytest.raises(EdgekitError) as caught:
        bench(broken, device="pixel", preset="test")
    assert caught.value.exit_code in (2, 5) and "\n" not in caught.value.message


def described(phone: Phone, **more: object) -> None:
    """Have devices.yaml, in the working folder, call it pixel."""
    row = {"link": "adb", "serial": phone.serial, "runtimes": ["benchmark_model"], "benchmark_model": str(TOOL), **more}
    Path("devices.yaml").write_text(json.dumps({"devices": {"pixel": row}}))


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="this machine has one processor")
def test_the_cores_that_are_asked_for(phone: Phone, tflite: dict[str, Path], tmp_path: Path) -> None:
    for number, highest in ((0, 1700000), (1, 2910000)):
        policy = phone.folder / f"sys/devices/system/cpu/cpufreq/policy{number}"
        policy.mkdir(parents=True)
        for name, value in (("related_cpus", number), ("cpuinfo_max_freq", highest), ("scaling_max_freq", highest)):
            (policy / name).write_text(f"{value}\n")
    watched = tmp_path / "benchmark_model"
    watched.write_text(f'#!/bin/sh\ngrep Cpus_allowed: /proc/self/status >> /phone/masks\nexec /host{TOOL} "$@"\n')
    described(phone, benchmark_model=str(watched), cores="big")
    bench(tflite["fp32"], device="pixel", preset="test")
    masks = [int(line.split()[1].replace(",", ""), 16) for line in (phone.folder / "masks").read_text().splitlines()]
    assert len(masks) >= 3 and set(masks[1:]) == {0b10}  # the first told its flags


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """A network whose weights count as trained, in fp32 and int8, and labeled images for it."""
    image = pytest.importorskip("PIL.Image")
    torch = pytest.importorskip("torch")
    save = pytest.importorskip("safetensors.torch").save_file
    from edgekit.exporting.command import export
    from edgekit.network.spec import variant

    folder, random = tmp_path_factory.mktemp("classifier"), np.random.default_rng(0)
    importlib.import_module("edgekit.models")
    torch.manual_seed(0)
    network = variant("lenet5", None, 32, 10).build()
    save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "w.safetensors")
    for kind, count in (("calibration", 8), ("test", 11)):
        (folder / kind).mkdir()
        labels = ["file,class"]
        for index in range(count):
            pixels = random.integers(0, 256, (32, 32), dtype=np.uint8)
            image.fromarray(pixels).save(folder / kind / f"{index}.png")
            labels.append(f"{index}.png,{index % 10}")
        (folder / kind / "labels.csv").write_text("\n".join(labels) + "\n")
    made = export(
        "lenet5", res=32, classes=10, format=["tflite"], precision=["fp32", "int8"], out=folder / "made",
        weights=str(folder / "w.safetensors"), data=folder / "calibration",
    )  # fmt: skip
    return [one.path for one in made.artifacts], folder / "test"


def test_accuracy_is_that_of_the_answers_there(
    phone: Phone, classifier: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files, images = classifier
    monkeypatch.setattr(android_session, "MOST", 4)  # three pushes, the last not full
    there = evaluate(files, data=images, device="pixel", delegate="none")
    here = evaluate(files, data=images, delegate="none")
    assert len(there.results) == 2 and there.notes == here.notes
    for far, near in zip(there.results, here.results, strict=True):
        assert far.accuracy.hits == near.accuracy.hits and far.accuracy.n == 11
        found = far.accuracy.found
        assert far.accuracy.runtime == "benchmark_model" and far.accuracy.device == "pixel"
        assert found["delegate"] is None and found["device"]["model"] == "Google Pixel 8 Pro"
        assert found["answers"]["batches"] == 8
        assert found["answers"]["max_error"] <= 0.02 * found["answers"]["largest"]  # a step of int8
        assert far.accuracy.images_per_second > 0
    assert list(Path(phone.inside(f"{ROOT}/work")).iterdir()) == [] and phone.processes() == []


def test_a_delegate_that_the_tool_lacks(phone: Phone, classifier: tuple[list[Path], Path]) -> None:
    files, images = classifier
    with pytest.raises(BackendMissing, match="has no delegate 'gpu', only none"):
        evaluate(files[:1], data=images, device="pixel", delegate="gpu")


def test_unplugged_while_it_evaluates(phone: Phone, classifier: tuple[list[Path], Path], tmp_path: Path) -> None:
    slow = tmp_path / "benchmark_model"
    slow.write_text(f'#!/bin/sh\n[ "$1" = --help ] || {{ touch /phone/begun; sleep 300; }}; exec /host{TOOL} "$@"\n')
    described(phone, benchmark_model=str(slow))

    def when_it_runs() -> None:
        until(lambda: (phone.folder / "begun").exists())
        phone.unplug()

    threading.Thread(target=when_it_runs, daemon=True).start()
    with pytest.raises(DeviceUnreachable, match="the connection .*was lost"):
        evaluate(classifier[0][:1], data=classifier[1], device="pixel")
    until(lambda: phone.processes() == [])
