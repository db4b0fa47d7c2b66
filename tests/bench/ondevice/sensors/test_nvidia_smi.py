from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.bench.ondevice import energy
from edgekit.bench.ondevice.sensors import nvidia_smi
from tests.paths import sample

FIRST_UUID = nvidia_smi._first_uuid
PRO = "NVIDIA RTX PRO 6000 Blackwell Server Edition"
# Written down by a person from what stands in each sample.
READ: dict[str, list[dict[str, Any]]] = {
    "nvidia-smi_query_csv_gb10_lgc_did_not_stick.txt": [
        {"name": "NVIDIA GB10", "clocks.current.graphics": 2522, "clocks.max.graphics": 3003, "power.draw": 15.57}
    ],
    "nvidia-smi_query_csv_p100_notsupported.txt": [
        {"index": 0, "fan.speed": None, "memory.used": 1628, "power.limit": 250.0, "pstate": "P0"},
        {"index": 1, "driver_version": "418.87.01", "memory.used": 3256, "utilization.gpu": 30, "power.draw": 25.05},
    ],
    "nvidia-smi_query_csv_rtxpro6000_throttle.txt": [
        {"index": 0, "name": PRO, "clocks_event_reasons.active": 4, "clocks_event_reasons.sw_power_cap": "Active"},
        {"index": 1, "name": PRO, "clocks_event_reasons.active": 4, "clocks_event_reasons.gpu_idle": "Not Active"},
    ],
    "nvidia-smi_query_csv_rtxpro6000_ws.txt": [
        {"temperature.gpu": 35, "power.draw": 91.74, "memory.total": 97887, "clocks_event_reasons.active": 0}
    ],
    "nvidia-smi_jetson_orin_nano_JP6_driver540.txt": [],
    "nvidia-smi_jetson_orin_nano_super_JP7_driver595.txt": [],
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_samples_read_as_a_person_reads_them(name: str) -> None:
    rows = nvidia_smi.table(sample(name))
    assert len(rows) == len(READ[name])
    for row, wanted in zip(rows, READ[name], strict=True):
        assert {key: row[key] for key in wanted} == wanted


def test_the_old_name_of_a_field_is_read_as_the_new() -> None:
    text = "name, clocks_throttle_reasons.active\nTesla T4, 0x0000000000000024\n"
    (row,) = nvidia_smi.table(text)
    assert row["clocks_event_reasons.active"] == 0x24
    assert nvidia_smi.reasons(row["clocks_event_reasons.active"]) == ["software power cap", "software thermal slowdown"]


def test_reasons() -> None:
    assert nvidia_smi.reasons(0) == [] and nvidia_smi.reasons(None) is None
    assert nvidia_smi.reasons(0x1 | 0x1000) == ["idle", "0x1000"]


def test_a_cell_of_another_unit_is_no_number() -> None:
    text = "memory.used [MiB], power.draw [W]\n12 GiB, 3.5 W\n12 MiB, 3,5 W\n"
    assert nvidia_smi.table(text) == [{"memory.used": None, "power.draw": 3.5}]  # the last row has a cell too many


def test_any_text_is_survived_and_no_number_is_made_up() -> None:
    whole = sample("nvidia-smi_query_csv_p100_notsupported.txt")

    @settings(max_examples=150)
    @given(st.text(max_size=60), st.integers(0, len(whole)), st.integers(0, len(whole)))
    def check(garbage: str, cut: int, again: int) -> None:
        for text in (whole[:cut], whole[:cut] + garbage + whole[cut:], whole[:cut] + whole[again:], garbage):
            tokens = set(re.findall(r"[0-9]+(?:\.[0-9]+)?", text))
            for row in nvidia_smi.table(text):
                for value in row.values():
                    if isinstance(value, (int, float)) and not isinstance(value, bool):
                        assert any(float(token) == abs(value) for token in tokens) or "0x" in text

    check()


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for nvidia-smi: knows no field of new drivers, has one process of ours and one of others."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"""#!/bin/sh
case "$1" in
*clocks_event_reasons*) echo 'Field "clocks_event_reasons.active" is not a valid field to query.'; exit 2;;
--query-compute-apps=pid,used_memory)
    echo 'pid, used_gpu_memory [MiB]'; echo '{os.getpid()}, 412 MiB'; echo '99999999, 7000 MiB';;
--query-compute-apps=pid,gpu_uuid)
    echo 'pid, gpu_uuid'; echo '{os.getpid()}, GPU-1'; echo '99999999, GPU-1'; echo '99999998, GPU-2';;
--query-gpu=uuid) echo 'uuid'; echo 'GPU-1';;
--query-gpu=uuid,power.draw) echo 'uuid, power.draw [W]'; echo 'GPU-1, 30.00 W';;
*) echo 'name, clocks.current.sm [MHz], clocks_throttle_reasons.active'; echo 'Tesla T4, 585 MHz, 0x0000000000000001';;
esac
""")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(nvidia_smi, "_first_uuid", lambda: None)
    return program


# The slower card is in the first slot, and CUDA begins with the other one.
TWO = """#!/bin/sh
case "$1" in
*clocks_event*) echo 'uuid, power.draw [W], clocks_event_reasons.active'; end=', 0x1';;
--query-compute-apps=*) echo 'pid, gpu_uuid'; echo '99999999, GPU-1'; echo '99999998, %s'; exit;;
*power.draw) echo 'uuid, power.draw [W]';;
*) echo 'uuid'; echo GPU-1; echo %s; exit;;
esac
echo "GPU-1, 30.00 W$end"
echo "%s, 300.00 W$end"
"""
UUID = "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"  # of the double


def test_of_several_gpus_the_one_that_cuda_begins_with(
    smi: Path, libcuda: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi.write_text(TWO % (UUID, UUID, UUID))
    monkeypatch.setenv("EDGEKIT_LIBCUDA", str(libcuda))
    monkeypatch.setattr(nvidia_smi, "_first_uuid", FIRST_UUID.__wrapped__)
    assert [gpu["used"] for gpu in nvidia_smi.state() or []] == [False, True]
    assert nvidia_smi.watts() == 300.0 and nvidia_smi.foreign_processes() == [99999998]
    assert energy.meter(smi.parent).method.startswith("nvidia-smi")


def test_of_several_gpus_none_where_the_driver_does_not_tell(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi.write_text(TWO % (UUID, UUID, UUID))
    assert [gpu["used"] for gpu in nvidia_smi.state() or []] == [None, None]
    assert nvidia_smi.watts() is None and nvidia_smi.foreign_processes() is None


def test_asking_it(smi: Path) -> None:
    (gpu,) = nvidia_smi.state() or []
    assert gpu["clocks.current.sm"] == 585 and gpu["clocks_event_reasons.active"] == 1 and gpu["held_down_by"] == []
    assert nvidia_smi.process_memory() == 412 << 20
    assert nvidia_smi.foreign_processes() == [99999999]  # the other is on another GPU
    assert nvidia_smi.watts() == 30.0


def test_what_holds_clocks_down_is_named(smi: Path) -> None:
    smi.write_text(
        "#!/bin/sh\necho 'name, clocks_event_reasons.active'\necho 'T4, 0x0000000000000065'\necho 'T4, [N/A]'\n"
        "echo 'T4, 0x0000000000000088'\necho 'T4, 0x0000000000000113'\n"
    )
    assert [gpu["held_down_by"] for gpu in nvidia_smi.state() or []] == [
        ["software power cap", "software thermal slowdown", "hardware thermal slowdown"], None,
        ["hardware slowdown", "hardware power brake"], [],
    ]  # fmt: skip


def test_without_nvidia_smi_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_smi.state() is None and nvidia_smi.process_memory() is None and nvidia_smi.foreign_processes() is None
