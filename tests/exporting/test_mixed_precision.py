"""Mixed precision: layers go to float only where int8 hurts, and only as many as the limit asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import edgekit
from edgekit.data.calibration import from_folder
from edgekit.errors import UsageError
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporting.mixed_precision import Drop, Judged, _drop, held_out, within
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.records.preprocessing import Preprocessing, apply
from edgekit.stats.proportions import paired_difference

PREPROCESSING = Preprocessing(crop_fraction=1.0)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """240 labeled images of coarse colors."""
    random = np.random.default_rng(0)
    lines = ["file,class"]
    for index in range(240):
        patches = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((16, 16), Image.Resampling.BICUBIC).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,{index % 10}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return tmp_path


NETWORK = """
import torch
from torch import nn


def build():
    \"\"\"The middle layer multiplies one channel by 3000, so that one scale cannot hold all of its output.\"\"\"
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 256, 10),
    ).eval()
    with torch.no_grad():
        network[2].weight[0] *= 3000
        network[4].weight[:, 0] /= 3000
        coarse = nn.functional.interpolate(torch.rand(200, 3, 4, 4), size=16, mode="bicubic") * 2 - 1
        network[7].bias -= network(coarse).mean(0)  # every class gets its turn
    return network
"""


@pytest.fixture
def network(images: Path) -> Path:
    path = images / "hurt.py"
    path.write_text(NETWORK)
    return path


def hurt_by_int8() -> Graph:
    scope: dict[str, Callable[[], nn.Module]] = {}
    exec(NETWORK, scope)
    return fold(trace(scope["build"](), (1, 3, 16, 16))).graph


def judged_by_the_network(graph: Graph, images: Path) -> Judged:
    """Held-out images with the float network's own answers as labels, so that its accuracy is 1."""
    calibration = from_folder(images, PREPROCESSING, (1, 3, 16, 16), n=100)
    found = held_out(graph, 10_000_000, calibration, images, 0)
    labels = graph.run(torch.from_numpy(found.inputs)).argmax(1).numpy()
    return Judged(found.inputs, labels, np.ones(len(labels), bool))


def test_layers_stay_in_float_until_the_drop_is_within_the_limit(images: Path) -> None:
    graph = hurt_by_int8()
    calibration = from_folder(images, PREPROCESSING, (1, 3, 16, 16), n=100)
    judged = judged_by_the_network(graph, images)
    ranges = record(graph, calibration)
    plain = _drop(quantize(graph, ranges, "tflite", "default"), judged, 5.0)
    mixed = within(5.0, graph, ranges, "tflite", "default", judged)
    assert plain.points > 50 and plain.held.verdict == "failed" and mixed.drop.points <= 5.0
    assert mixed.kept_float == ("2", "4")  # what makes the awkward tensor, and what reads it
    assert set(mixed.kept_float) <= set(mixed.quantized.islands)
    assert all(name in mixed.note("tflite") for name in mixed.kept_float)


@pytest.mark.parametrize(
    ("only_float", "only_int8", "n", "limit", "verdict", "text"),
    [
        (4, 4, 400, 0.1, "cannot tell", "no change of top-1 against fp32"),
        (12, 2, 400, 0.1, "failed", "a loss of 2.50 points against fp32 (95 % paired -"),
        (40, 10, 400, 1.0, "failed", "a loss of 7.50 points"),
        (6, 4, 400, 3.0, "passed", "a loss of 0.50 points"),
        (2, 6, 400, 2.0, "passed", "a gain of 1.00 points"),
        (8, 4, 400, 1.0, "cannot tell", "no number of images would"),
        (12, 2, 400, 2.0, "cannot tell", "a loss of 2.50 points"),
    ],
)
def test_the_verdict_knows_the_noise(
    only_float: int, only_int8: int, n: int, limit: float, verdict: str, text: str
) -> None:
    rest = n - only_float - only_int8
    real = [True] * (only_float + rest // 2) + [False] * (n - only_float - rest // 2)
    ints = [False] * only_float + [True] * (rest // 2 + only_int8) + [False] * (n - only_float - rest // 2 - only_int8)
    drop = Drop(paired_difference(real, ints), limit)
    assert drop.difference.only_a == only_float and drop.difference.only_b == only_int8
    assert drop.held.verdict == verdict and text in str(drop), str(drop)
    assert ("cannot tell" in str(drop)) == (verdict == "cannot tell")
    if verdict == "cannot tell" and drop.held.enough is not None:
        times = -(-drop.held.enough // n)
        more = Drop(paired_difference(real * times, ints * times), limit)
        assert drop.held.enough > n and more.held.verdict != "cannot tell" and f"{drop.held.enough:,}" in str(drop)
    assert drop.to_json()["verdict"] == verdict


def test_nothing_stays_in_float_where_nothing_is_lost(images: Path) -> None:
    graph = hurt_by_int8()
    calibration = from_folder(images, PREPROCESSING, (1, 3, 16, 16), n=100)
    judged = judged_by_the_network(graph, images)
    assert within(100.0, graph, record(graph, calibration), "onnxruntime", "default", judged).kept_float == ()


def test_the_images_that_judge_were_not_calibrated_on(images: Path) -> None:
    calibration = from_folder(images, PREPROCESSING, (1, 3, 16, 16), n=100)
    assert len(held_out(hurt_by_int8(), 10_000_000, calibration, images, 0).labels) == 140


def test_too_few_images_and_missing_labels_are_said(images: Path) -> None:
    everything = from_folder(images, PREPROCESSING, (1, 3, 16, 16), n=200)
    with pytest.raises(UsageError, match="40 labeled images beside"):
        held_out(hurt_by_int8(), 10_000_000, everything, images, 0)
    (images / "labels.csv").unlink()
    with pytest.raises(UsageError, match="needs labels"):
        held_out(hurt_by_int8(), 10_000_000, everything, images, 0)


@pytest.mark.parametrize("by_id", [False, True])
def test_folders_have_the_classes_that_the_names_say(
    by_id: bool, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of ten classes the folder has images of three, whose order says nothing."""
    names = [f"n0000000{index} animal {index}" for index in range(10)]
    folder = tmp_path_factory.mktemp("folders")
    (images / "labels.csv").unlink()
    for index, place in enumerate((7, 2, 4) * 25):
        name = names[place].partition(" ")[0] if by_id else f"animal {place}"
        (folder / name).mkdir(parents=True, exist_ok=True)
        (images / f"{index}.png").rename(folder / name / f"{index}.png")
    calibration = from_folder(images, PREPROCESSING, (1, 3, 16, 16), n=100)
    judged = held_out(hurt_by_int8(), 10_000_000, calibration, folder, 0, names)
    assert {int(label): int((judged.labels == label).sum()) for label in judged.labels} == {2: 25, 4: 25, 7: 25}
    with pytest.raises(UsageError, match="--max-drop needs labels: .*class") as refused:
        held_out(hurt_by_int8(), 10_000_000, calibration, folder, 0)
    assert "the names of --labels" in refused.value.remedy


def test_export_says_which_layers_stay_in_float_and_what_they_cost(network: Path, images: Path) -> None:
    graph, preprocess = hurt_by_int8(), images / "preprocess.yaml"
    preprocess.write_text("crop: 1.0\nmean: 127.5\nstd: 127.5\n")
    lines = ["file,class"]
    for path in sorted(images.glob("*.png")):  # the network's own answers as labels
        x = torch.from_numpy(apply(PREPROCESSING, Image.open(path), (16, 16))[None])
        lines.append(f"{path.name},{int(graph.run(x).argmax())}")
    (images / "labels.csv").write_text("\n".join(lines))
    result = edgekit.export(
        f"{network}:build",
        input=(1, 3, 16, 16),
        format=["tflite"],
        precision=["int8"],
        data=images,
        preprocess=preprocess,
        max_drop=5.0,
        out=images / "out",
    )
    (artifact,) = result.artifacts
    assert artifact.manifest and {"2", "4"} <= set(artifact.manifest.details["float_islands"])
    assert artifact.manifest.details["float_layers"]["mixed_ms"] > 0
    told = artifact.manifest.details["accuracy_drop"]
    assert told["points"] <= told["limit"] == 5.0 and told["verdict"] in ("passed", "cannot tell")
    assert any("2 layers stay in float: 2, 4" in note for note in result.notes)
    assert any("the float layers cost" in note for note in result.notes)


def test_labels_that_are_no_output_are_refused(images: Path) -> None:
    calibration = from_folder(images, PREPROCESSING, (1, 3, 16, 16), n=100)
    lines = [f"{path.name},{500 + index}" for index, path in enumerate(sorted(images.glob("*.png")))]
    (images / "labels.csv").write_text("\n".join(["file,class", *lines]))
    with pytest.raises(UsageError, match=r"\.png is of class \d+, and the network has 10 outputs"):
        held_out(hurt_by_int8(), 10_000_000, calibration, images, 0)


class Index(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 196, 10))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x).argmax(1)
        return out


@pytest.mark.parametrize(("module", "given"), [(nn.Conv2d(3, 4, 3), "1x4x14x14 in float32"), (Index(), "1 in int64")])
def test_a_network_without_one_score_per_class_is_refused(module: nn.Module, given: str, images: Path) -> None:
    calibration = from_folder(images, PREPROCESSING, (1, 3, 16, 16), n=100)
    graph = trace(module.eval(), (1, 3, 16, 16))
    with pytest.raises(UsageError, match=f"--max-drop is for one score per class, and the network gives {given}"):
        held_out(graph, 10_000_000, calibration, images, 0)
