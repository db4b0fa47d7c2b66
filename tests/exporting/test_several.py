"""Networks with several inputs and several outputs, from the module to files that answer like it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import Tensor, nn

import edgekit
from edgekit.errors import UsageError
from edgekit.exporting.result import ExportResult

SHAPES = {"image": (1, 3, 16, 16), "state": (1, 6)}


class Two(nn.Module):
    """An image and a vector in; a map, scores and where the largest is out, in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 6, 3, padding=1)
        self.mask = nn.Conv2d(6, 2, 1)
        self.head = nn.Linear(6, 4)

    def forward(self, image: Tensor, state: Tensor) -> dict[str, Any]:
        y = self.features(image).relu() * state.sigmoid()[:, :, None, None]
        scores = self.head(y.mean((2, 3)) + state)
        return {"mask": self.mask(y), "scores": scores, "best": scores.argmax(1)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, ExportResult]:
    torch.manual_seed(0)
    network = Two().eval()
    return network, edgekit.export(
        network,
        input=SHAPES,
        precision=("fp32", "fp16", "int8"),
        synthetic_calibration=True,
        out=tmp_path_factory.mktemp("several"),
    )


def answers(path: Path, given: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """What a file answers by its own names of inputs and outputs; maps of TFLite in torch's axes."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return {name: np.asarray(y) for name, y in zip(names, session.run(None, given), strict=True)}
    runner = Interpreter(str(path), num_threads=1).get_signature_runner()
    found = runner(**{name: np.moveaxis(x, 1, -1) if x.ndim == 4 else x for name, x in given.items()})
    return {name: np.moveaxis(y, -1, 1) if y.ndim == 4 else y for name, y in found.items()}


def test_every_file_answers_like_the_module_under_its_names(exported: tuple[nn.Module, ExportResult]) -> None:
    network, result = exported
    assert not result.failed and len(result.artifacts) == 6
    drawn = np.random.default_rng(0)
    given = {name: drawn.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    with torch.no_grad():
        want = {name: y.numpy() for name, y in network(*map(torch.from_numpy, given.values())).items()}
    least = {"fp32": 100, "fp16": 50, "int8": 18}
    for artifact in result.artifacts:
        manifest = artifact.manifest
        assert manifest is not None
        assert [tensor.name for tensor in manifest.inputs] == list(SHAPES)
        assert [tensor.name for tensor in manifest.outputs] == list(want)
        layouts = [tensor.layout for tensor in (*manifest.inputs, *manifest.outputs)]
        assert layouts == (["NHWC", "NC", "NHWC", "NC", "N"] if manifest.format == "tflite" else
                           ["NCHW", "NC", "NCHW", "NC", "N"])  # fmt: skip
        got = answers(artifact.path, given)
        assert (got["best"] == want["best"]).all()
        for name in ("mask", "scores"):
            noise = float(np.square(got[name] - want[name]).sum())
            assert 10 * np.log10(np.square(want[name]).sum() / noise) > least[manifest.precision]


def test_int8_is_calibrated_on_examples_of_all_inputs(exported: tuple[nn.Module, ExportResult], tmp_path: Path) -> None:
    network, drawn = exported[0], np.random.default_rng(1)
    far = {"image": 5.0, "state": 0.5}  # noise would give other ranges
    examples = [
        {name: (far[name] * drawn.standard_normal(shape)).astype(np.float32) for name, shape in SHAPES.items()}
        for _ in range(8)
    ]
    with pytest.raises(UsageError, match="images fill one input, and the network has 2: image, state"):
        edgekit.export(network, input=SHAPES, precision=("int8",), data=tmp_path, out=tmp_path / "out")
    for index, example in enumerate(examples):
        np.savez(tmp_path / f"{index}.npz", **example)  # type: ignore[arg-type]
    result = edgekit.export(network, input=SHAPES, precision=("int8",), data=tmp_path, out=tmp_path / "out")
    assert not result.failed and len(result.artifacts) == 2
    with torch.no_grad():
        want = network(*map(torch.from_numpy, examples[0].values()))["mask"].numpy()
    for artifact in result.artifacts:
        manifest = artifact.manifest
        assert manifest is not None and manifest.calibration is not None and manifest.parity is not None
        assert (manifest.calibration.n, manifest.calibration.synthetic, manifest.parity.n_real) == (8, False, 8)
        noise = float(np.square(answers(artifact.path, examples[0])["mask"] - want).sum())
        assert 10 * np.log10(np.square(want).sum() / noise) > 30


def test_the_file_says_how_the_axes_of_an_output_lie(exported: tuple[nn.Module, ExportResult]) -> None:
    """As TFLite's own metadata has it: dimension_names of the first output."""
    path = next(a.path for a in exported[1].artifacts if a.path.suffix == ".tflite")
    content = path.read_bytes()
    letters = b"".join(len(letter).to_bytes(4, "little") + letter + b"\0\0\0" for letter in (b"C", b"W", b"H", b"N"))
    assert letters in content


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_snippet_of_several_prints_every_output(
    precision: str, exported: tuple[nn.Module, ExportResult], tmp_path: Path
) -> None:
    drawn = np.random.default_rng(2)
    given = {name: drawn.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    np.savez(tmp_path / "example.npz", **given)  # type: ignore[arg-type]
    for path in (a.path for a in exported[1].artifacts if a.manifest and a.manifest.precision == precision):
        (tmp_path / "program.py").write_text(edgekit.inspect(path, snippet="python").snippet or "")
        ran = subprocess.run(
            [sys.executable, tmp_path / "program.py", tmp_path / "example.npz"], cwd=path.parent, capture_output=True
        )
        want, told = answers(path, given), ran.stdout.decode()
        assert ran.returncode == 0, ran.stderr.decode()
        assert {f"{name} {y.shape}" for name, y in want.items()} <= set(told.splitlines())
        scores = told.partition("scores (1, 4)")[2].partition("best")[0].strip()
        np.testing.assert_allclose(np.fromstring(scores.strip("[]"), sep=" "), want["scores"][0], atol=1e-5)


def test_a_snippet_of_several_takes_and_gives_arrays(exported: tuple[nn.Module, ExportResult]) -> None:
    cpp, kotlin = (
        edgekit.inspect(exported[1].artifacts[0].path, snippet=one).snippet or "" for one in ("cpp", "kotlin")
    )
    assert "0.npy 1.npy" in cpp and cpp.count("  Print(") == 3
    assert "x0: FloatArray, x1: FloatArray" in kotlin
    told = json.loads(json.dumps(edgekit.inspect(exported[1].artifacts[0].path).to_json()))
    assert [tensor["name"] for tensor in told["manifest"]["outputs"]] == ["mask", "scores", "best"]


def test_a_file_of_several_is_measured(exported: tuple[nn.Module, ExportResult], tmp_path: Path) -> None:
    paths = [a.path for a in exported[1].artifacts if a.manifest and a.manifest.precision == "fp32"]
    result = edgekit.bench(paths, preset="quick", store=f"sqlite:///{tmp_path / 'm.db'}")
    assert len(result.measurements) == 2


def test_layout_nchw_keeps_torchs_axes(tmp_path: Path) -> None:
    network = Two().eval()
    result = edgekit.export(network, input=SHAPES, format=("tflite",), layout="nchw", out=tmp_path)
    manifest, path = result.artifacts[0].manifest, result.artifacts[0].path
    assert manifest is not None
    assert [tensor.layout for tensor in (*manifest.inputs, *manifest.outputs)] == ["NCHW", "NC", "NCHW", "NC", "N"]
    given = {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}
    with torch.no_grad():
        want = network(*map(torch.from_numpy, given.values()))["mask"].numpy()
    got = Interpreter(str(path), num_threads=1).get_signature_runner()(**given)["mask"]
    assert got.shape == want.shape and np.abs(got - want).max() <= 1e-5 * np.abs(want).max()


def test_names_are_held_against_forward(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes image, state, not state, image"):
        edgekit.export(Two().eval(), input=dict(reversed(SHAPES.items())), out=tmp_path)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"output": "softmax"}, "--output softmax is about one output"),
        ({"layout": "chwn"}, "--layout cannot be 'chwn'"),
        ({"layout": "nchw", "format": ("onnx",)}, "--layout is for TFLite files"),
    ],
)
def test_what_is_about_one_output_is_refused(options: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        edgekit.export(Two().eval(), input=list(SHAPES.values()), out=tmp_path, **options)
