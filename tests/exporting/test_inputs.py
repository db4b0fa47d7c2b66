"""A file is answered from what is there only where all that it was made from is the same, and nobody changed it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import edgekit
from edgekit.exporting import inputs
from edgekit.exporting.options import ExportOptions
from edgekit.frontend.tracer import trace
from edgekit.records.manifest import manifest_path

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def network(shift: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    last = nn.Linear(4 * 36, 5)
    last.bias.data += shift
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), last).eval()


def exported(out: Path, **options: Any) -> Any:
    return edgekit.export(network(), **{"input": (1, 3, 8, 8), "format": ["onnx"], "out": out, **options})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one exported file."""
    folder = tmp_path_factory.mktemp("made")
    assert not exported(folder).reused
    return folder


def lose_manifest(file: Path) -> None:
    manifest_path(file).unlink()


def change_bytes(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


def lose_key(file: Path) -> None:
    """A manifest as older versions wrote it."""
    known = json.loads(manifest_path(file).read_text())
    del known["details"]["made_from"]
    manifest_path(file).write_text(json.dumps(known))


def nothing(file: Path) -> None: ...


def test_the_same_inputs_are_answered_from_what_is_there(made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "files")
    (file,) = folder.glob("*/*.onnx")
    before = file.stat().st_mtime_ns, manifest_path(file).read_bytes()
    result = exported(folder)
    assert result.reused == (file,) and [one.path for one in result.artifacts] == [file]
    assert (file.stat().st_mtime_ns, manifest_path(file).read_bytes()) == before
    assert result.to_json()["artifacts"][0]["reused"] is True
    assert f"1 file was there already, from the same inputs, and not made again ({file.name})" in result.notes[-1]


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lose_manifest, {}),
        (change_bytes, {}),
        (lose_key, {}),
        (nothing, {"opset": 13}),
        (nothing, {"force": True}),
    ],
)
def test_what_was_changed_or_asked_for_otherwise_is_made_again(
    change: Callable[[Path], None], options: dict[str, Any], made: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(made, tmp_path / "files")
    (file,) = folder.glob("*/*.onnx")
    change(file)
    result = exported(folder, **options)
    assert not result.reused and not result.failed and result.to_json()["artifacts"][0]["reused"] is False
    if change is lose_key:
        assert exported(folder).reused == (file,)


def test_another_version_makes_it_again(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(made, tmp_path / "files")
    monkeypatch.setattr(inputs, "tools", lambda: {"edgekit": "another"})
    assert not exported(folder).reused


def test_a_key_tells_every_part_of_a_network_apart() -> None:
    class Scaled(nn.Module):
        def __init__(self, factor: float, dimension: int = 1) -> None:
            super().__init__()
            self.factor, self.dimension = factor, dimension

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(x * self.factor, self.dimension)

    networks = (Scaled(2.0), Scaled(3.0), Scaled(2.0, 2), network(), network(1e-6), network().double().float())
    keys = [inputs._graph(trace(one.eval(), (1, 3, 8, 8))) for one in networks]
    assert len(set(keys)) == 5 and keys[3] == keys[5]


@pytest.mark.parametrize(("options", "known"), [({}, True), ({"max_latency": 5.0}, False), ({"max_drop": 1.0}, False)])
def test_gates_that_measure_are_measured_each_time(options: dict[str, Any], known: bool) -> None:
    from edgekit.device.linux import LinuxTarget

    asked = ExportOptions(model="lenet5", precision=("int8",), **options)
    assert inputs.is_known(asked, LinuxTarget()) is known
    assert (inputs.file_key("content", "onnx", asked) is None, inputs.file_key("content", "tensorrt", asked)) == (
        False,
        None,
    )
    assert inputs.file_key(None, "onnx", asked) is None
