"""What all files of an export share, and what is given back when the last of them was written."""

from __future__ import annotations

import gc
import importlib
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgekit.checkpoints.load import load
from edgekit.exporting.options import ExportOptions
from edgekit.exporting.prepare import Prepared, prepare
from edgekit.ir.memory import ideal_bytes
from edgekit.network.spec import variant
from tests.importers.onnx.files import small_network

importlib.import_module("edgekit.models")


def prepared() -> Prepared:
    return prepare(ExportOptions("mobilenet", alpha=0.25, res=128, classes=10), lambda stage: None)


def test_a_network_that_was_not_drawn_is_filled_with_the_same_weights() -> None:
    point = variant("mobilenet", 0.25, 128, 10)
    network = point.build()
    load(network, point, "random")
    same = next(tensor for name, tensor in prepared().graph.params.items() if name == "classifier.weight")
    torch.testing.assert_close(same, dict(network.named_parameters())["classifier.weight"], rtol=0, atol=0)


def test_the_last_file_keeps_shapes_and_reference_and_gives_the_weights_back() -> None:
    network = prepared()
    reference, size = network.reference(), ideal_bytes(network.graph, "fp32")
    weights = [weakref.ref(tensor) for tensor in network.graph.params.values()]
    network.drop_weights()
    assert network.reference() is reference
    assert ideal_bytes(network.graph, "fp32") == size
    assert all(tensor.is_meta for tensor in network.graph.params.values())
    gc.collect()
    assert not [tensor for weight in weights if (tensor := weight()) is not None and not tensor.is_meta]


@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("weights", ["own", "file", "onnx", "random"])
def test_a_preprocessing_that_nothing_says_is_named(weights: str, said: bool, tmp_path: Path) -> None:
    preprocess = tmp_path / "p.yaml"
    preprocess.write_text("mean: 100\nstd: 50\n")
    network: Any = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    given = {"file": str(tmp_path / "w.pth"), "random": "random"}.get(weights)
    network = str(small_network(tmp_path / "net.onnx")) if weights == "onnx" else network
    asked = ExportOptions(network, input=(1, 3, 16, 16), weights=given, preprocess=preprocess if said else None)
    notes = [note for note in prepare(asked, lambda stage: None).notes if "the preprocessing is assumed" in note]
    origin = {"own": "Sequential", "file": "w.pth", "onnx": "net.onnx"}.get(weights)
    assert all(note.startswith(f"{origin}: the preprocessing is assumed: ") for note in notes)
    assert len(notes) == (weights != "random" and not said)
    assert all(
        "mean [123.675, 116.28, 103.53]" in note and "crop 0.875" in note and "(torchvision's)" in note
        for note in notes
    )


@pytest.mark.parametrize("model, res, weights, is_told", [
    ("mobilenet", None, "file", True), ("mobilenet", 32, "file", False), ("mobilenet", None, "random", False),
    ("lenet5", None, "file", False),  # its classifier fixes it
])  # fmt: skip
def test_a_resolution_that_nothing_says_is_named(
    model: str, res: int | None, weights: str, is_told: bool, tmp_path: Path
) -> None:
    point = variant(model, 0.25 if model == "mobilenet" else None, None, 10)
    torch.save(point.build().state_dict(), tmp_path / "w.pth")
    source = str(tmp_path / "w.pth") if weights == "file" else weights
    made = prepare(ExportOptions(model, res=res, classes=10, weights=source), lambda stage: None)
    notes = [note for note in made.notes if "the resolution" in note]
    assert notes == ["w.pth: the resolution 224 is assumed; say another with --res"] * is_told
    assert {note.partition(": ")[2] for note in notes} <= set(made.assumed)
