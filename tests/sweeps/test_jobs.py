"""A sweep as jobs: what each needs, what it waits for, and how it is told from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.sweeps.command import sweep
from edgekit.sweeps.jobs import ACCURACY, EXPORT, LATENCY, Task, export_bytes

pytest.importorskip("torch")
BOARDS = "".join(f"  pi-{n}: {{link: ssh, host: pi-{n}, runtimes: [onnxruntime]}}\n" for n in (1, 2))


@pytest.fixture
def jobs(tmp_path: Path) -> Any:
    """The jobs of a plan on two boards that are one pool."""
    (tmp_path / "devices.yaml").write_text(f"devices:\n{BOARDS}")

    def planned(*model: str, **asked: Any) -> tuple[Task, ...]:
        usual: dict[str, Any] = {"format": ("onnx",), "device": ({"pi": ("pi-1", "pi-2")}, "local"), "jobs": 1}
        usual |= {"devices": tmp_path / "devices.yaml", "out": tmp_path / "out", "store": f"sqlite:///{tmp_path}/s.db"}
        return sweep(model, dry_run=True, **{**usual, **asked}).jobs

    return planned


def test_every_measurement_waits_for_its_file_and_needs_one_device(jobs: Any) -> None:
    found = jobs("lenet5", "mobilenet", res=(32,), precision=("fp32", "fp16"), threads=(1, 2))
    exports = {task.key: task for task in found if task.kind == EXPORT}
    latencies = [task for task in found if task.kind == LATENCY]
    assert len(exports) == 2 and len(latencies) == 16 and len({task.key for task in found}) == len(found)
    for task in latencies:
        assert [exports[key].group for key in task.after] == [task.group]
        assert task.needs.devices in (("pi-1", "pi-2"), ("local",)) and not task.needs.processors
    needs = {task.group: task.needs for task in exports.values()}
    assert all(one.processors > 0 and not one.devices and not one.alone for one in needs.values())
    assert needs["mobilenet"].memory == export_bytes(4_200_000)  # as the paper prints it
    assert all(task.seconds > 0 for task in found)


def test_keys_are_over_the_content_of_a_job(jobs: Any) -> None:
    asked: dict[str, Any] = {"precision": ("fp32",), "device": ("local",)}
    first, again = (jobs("lenet5", **asked) for _ in range(2))
    other = jobs("lenet5", **asked, opset=15)
    slower = jobs("lenet5", **asked, preset="rigorous")
    keys = [[task.key for task in found] for found in (first, again, other, slower)]
    assert keys[0] == keys[1] and not set(keys[0]) & set(keys[2])
    assert keys[0][0] == keys[3][0] and keys[0][1] != keys[3][1]


def test_an_accuracy_waits_for_all_files_of_its_variant(jobs: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "images").mkdir()
    image.new("RGB", (32, 32)).save(tmp_path / "images" / "0.png")
    (tmp_path / "images" / "labels.csv").write_text("file,class\n0.png,0\n")
    (tmp_path / "own.py").write_text("from torch import nn\n\n\ndef build():\n    return nn.Conv2d(3, 4, 3)\n")
    asked: dict[str, Any] = {"format": ("onnx", "pt2", "tflite"), "runtime": ("onnxruntime", "torch", "litert")}
    found = jobs(f"{tmp_path}/own.py:build", **asked, input=(1, 3, 32, 32), eval=tmp_path / "images", threads=(2,))
    judged = [task for task in found if task.kind == ACCURACY]
    assert [task.work[1] for task in judged] == ["onnxruntime", "torch", "litert"]
    assert {task.after for task in judged} == {(found[0].key,)} and {task.needs.processors for task in judged} == {2}


def test_networks_of_one_name_are_refused(jobs: Any, tmp_path: Path) -> None:
    build = "    return nn.Conv2d(3, 4, 3)\n"
    (tmp_path / "own.py").write_text(f"from torch import nn\n\n\ndef a():\n{build}\n\ndef b():\n{build}")
    with pytest.raises(UsageError, match="are both called own_32") as caught:
        jobs(f"{tmp_path}/own.py:a", f"{tmp_path}/own.py:b", input=(1, 3, 32, 32))
    assert "files of different names" in caught.value.remedy
