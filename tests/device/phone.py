"""A phone with what its shell has, its benchmark_model and its heat, for tests of devices."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgekit.device import android
from edgekit.records.measurement import PRESETS, Protocol
from tests.bench.adb_peer import Peer
from tests.bench.adb_server import Phones, make_phones

phones = pytest.fixture(make_phones)

STAND_IN = Path(__file__).resolve().parents[1] / "bench" / "stand_in.py"

HEAT = """IsStatusOverride: false
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=84.2, mType=3, mName=SKIN, mStatus=0}}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{{mValue=51.5, mType=0, mName=CPU, mStatus=0}}
\tTemperature{{mValue={skin}, mType=3, mName=SKIN, mStatus=0}}
Current cooling devices from HAL:
\tCoolingDevice{{mValue=0, mType=2, mName=thermal-cpufreq-0}}
"""

MEMORY = """** MEMINFO in pid 4711 [benchmark_model] **
 App Summary
         Native Heap:   382944                          391000
            Graphics:     2048                            2048

           TOTAL PSS:    20480            TOTAL RSS:    30720      TOTAL SWAP (KB):        0
"""

PROPERTIES = """[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 8 Pro]
[ro.serialno]: [0A1B2C3D]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [Tensor G3]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
"""


@pytest.fixture(scope="session")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that really runs."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("torch")
    from edgekit.exporting.command import export

    folder = tmp_path_factory.mktemp("export")
    export("mobilenet_v2", alpha=0.25, res=32, classes=4, format=["tflite"], out=folder)
    return next(folder.rglob("*.tflite"))


def state(phone: Peer, status: int = 0, skin: float = 31.0) -> None:
    """How warm it says that it is."""
    (phone.folder / "heat").write_text(HEAT.format(status=status, skin=skin))


def tool(phone: Peer, **wish: object) -> None:
    """What its benchmark_model does."""
    (phone.folder / "tool.json").write_text(json.dumps(wish))


def furnish(phone: Peer) -> None:
    """Give it what a phone's shell has."""
    (phone.folder / "properties").write_text(PROPERTIES)
    (phone.folder / "battery").write_text(
        "  USB powered: true\n  status: 2\n  level: 80\n  scale: 100\n  temperature: 300\n"
    )
    phone.script("getprop", '#!/bin/sh\ncat "$PHONE/properties"\n')
    phone.script(
        "dumpsys",
        '#!/bin/sh\n[ "$1" = thermalservice ] && cat "$PHONE/heat"\n[ "$1" = battery ] && cat "$PHONE/battery"\n'
        '[ "$1" = meminfo ] && echo "$2" > "$PHONE/asked" && cat "$PHONE/memory"\n:\n',
    )
    (phone.folder / "memory").write_text(MEMORY)
    phone.script("settings", "#!/bin/sh\necho 0\n")
    phone.script("taskset", '#!/bin/sh\necho "$1" >> "$PHONE/masks"\nshift\nexec "$@"\n')
    for number, cpus, top in ((0, "0 1 2 3", 1700000), (4, "4 5 6 7", 2370000), (8, "8", 2910000)):
        folder = phone.folder / f"sys/devices/system/cpu/cpufreq/policy{number}"
        folder.mkdir(parents=True)
        for name, value in {
            "related_cpus": cpus, "scaling_cur_freq": 500000,
            "scaling_max_freq": top, "cpuinfo_max_freq": top, "scaling_governor": "sched_pixel",
        }.items():  # fmt: skip
            (folder / name).write_text(f"{value}\n")
    state(phone)
    tool(phone)


@pytest.fixture
def phone(phones: Phones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A furnished phone, which devices.yaml calls pixel."""
    found = phones()
    furnish(found)
    program = tmp_path / "benchmark model"
    program.write_text(f"#!{sys.executable}\n" + STAND_IN.read_text())
    listed(tmp_path, found)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKIT_STORE", f"sqlite:///{tmp_path / 'edgekit.db'}")
    monkeypatch.setattr(android, "MEMORY_SECONDS", 0)
    short = {"warmup_seconds": 0, "warmup_runs": 2, "cooldown_seconds": 0.5, "min_seconds": 0, "min_runs": 5}
    monkeypatch.setitem(PRESETS, "test", Protocol(preset="test", **short))
    monkeypatch.setitem(android.SHORT, "test", {"processes": 2})
    return found


def listed(folder: Path, *found: Peer, **more: object) -> None:
    rows = {
        f"pixel{index or ''}": {
            "link": "adb", "serial": one.serial, "runtimes": ["benchmark_model"],
            "benchmark_model": str(folder / "benchmark model"), **more,
        }
        for index, one in enumerate(found)
    }  # fmt: skip
    (folder / "devices.yaml").write_text(json.dumps({"devices": rows}))
