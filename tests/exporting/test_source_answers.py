"""A file is exported as a network is, and what is written is held against the file itself in its own runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime.quantization as ort
import pytest
import torch
from torch import Tensor

import edgekit
from edgekit.errors import BackendMissing, GateFailed, UsageError
from edgekit.exporting import source_answers
from edgekit.frontend import verify
from edgekit.importers.onnx import table
from edgekit.importers.onnx.node import Node
from edgekit.importers.onnx.reader import open_source
from edgekit.importers.source import Source
from edgekit.records.runtime import open_session
from tests.importers.onnx.files import Array, node, of_runtime, small_network, weight, write
from tests.importers.onnx.test_quantized import by_onnxruntime
from tests.importers.tflite import files as tflite


def test_a_file_goes_in_and_proved_files_come_out(tmp_path: Path) -> None:
    path = small_network(tmp_path / "net.onnx", ("batch", 3, 16, 16))
    result = edgekit.export(
        str(path), format=["onnx", "tflite"], precision=["fp32", "int8"], synthetic_calibration=True, out=tmp_path
    )
    assert (
        result.exit_code == 0 and [one.manifest.parity.passed for one in result.artifacts if one.manifest] == [True] * 4
    )
    x = weight(1, 3, 16, 16)
    (want,) = of_runtime(path, x)
    for artifact in result.artifacts:
        manifest = artifact.manifest
        assert manifest is not None and manifest.source is not None
        assert (manifest.source.file, manifest.source.producer, manifest.source.opset) == ("net.onnx", "test 1", 17)
        assert manifest.weights.sha256 == manifest.source.sha256 and manifest.outputs[0].name == "scores"
        assert not manifest.remaining_batch_norms
        if manifest.precision == "fp32":
            fed = x if artifact.format == "onnx" else x.transpose(0, 2, 3, 1).copy()
            (got,) = open_session(artifact.path).run([fed])
            np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


def test_a_tflite_file_is_proved_in_litert_and_written_in_every_format(tmp_path: Path) -> None:
    path = tflite.small_network(tmp_path / "net.tflite")
    result = edgekit.export(
        str(path), format=["onnx", "tflite"], precision=["fp32", "int8"], synthetic_calibration=True, out=tmp_path
    )
    assert result.exit_code == 0
    x = weight(1, 3, 16, 16)
    source, _ = tflite.opened(path)
    (want,) = tflite.of_runtime(path, source, [x])
    np.testing.assert_allclose(source_answers.answers(source, [x])[0], want, atol=1e-6)
    for artifact in result.artifacts:
        manifest = artifact.manifest
        assert manifest is not None and manifest.parity.passed and manifest.source is not None
        assert (manifest.source.file, manifest.source.format, manifest.source.opset) == ("net.tflite", "tflite", None)
        assert manifest.inputs[0].name == "image"


def test_a_file_of_a_fixed_batch_is_read_for_one(tmp_path: Path) -> None:
    onnx_file = small_network(tmp_path / "net.onnx", (4, 3, 16, 16))
    tflite_file = tflite.small_network(tmp_path / "net.tflite", batch=4)
    for path in (onnx_file, tflite_file):
        result = edgekit.export(str(path), format=["tflite"], out=tmp_path / path.suffix)
        (artifact,) = result.artifacts
        assert artifact.manifest is not None and artifact.manifest.parity.passed
        assert artifact.manifest.inputs[0].shape == (1, 16, 16, 3)
        assert any("is made for a batch of 4" in note for note in result.notes)


def test_the_layer_table_of_a_file_is_counted(tmp_path: Path) -> None:
    found = edgekit.summary(str(small_network(tmp_path / "net.onnx")))
    assert found.table.macs == 8 * 8 * 8 * 27 + 40 and found.table.params == 8 * 27 + 16 + 45
    assert found.input_shape == (1, 3, 16, 16)


def test_reading_a_file_wrongly_is_found_by_its_own_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(n: Node, x: Tensor) -> Tensor:
        return torch.relu(x) * 1.01

    monkeypatch.setitem(table.OPERATORS, "Relu", wrong)
    with pytest.raises(GateFailed, match="what was read from net.onnx differs from what onnxruntime computes"):
        edgekit.export(str(small_network(tmp_path / "net.onnx")), format=["onnx"], out=tmp_path)


def test_sums_that_saturate_in_the_runtime_are_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_onnxruntime(tmp_path, quant_format=ort.QuantFormat.QOperator, activation_type=ort.QuantType.QUInt8)
    source, answered = open_source(path, None), source_answers.answers

    def saturated(asked: Source, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """As on a processor without VNNI, which a file of unsigned weights does not meet."""
        return tuple(y * (0.5 if asked.path == path else 1.0) for y in answered(asked, inputs))

    monkeypatch.setattr(source_answers, "answers", saturated)
    x = weight(2, 3, 16, 16)
    network = source.build().eval()
    found, note = source_answers.held_against(source, network, [x], verify.answers(network, x))
    assert found is None and note is not None and "with unsigned weights, because signed ones saturate here" in note


def test_an_optimized_file_that_rounds_as_it_runs_is_held_to_what_integers_say(tmp_path: Path) -> None:
    whole = np.arange(64, dtype=np.int8).reshape(8, 8) * 2 - 64
    own = {"w": whole, "step": np.full(8, 0.01, np.float32), "zero": np.zeros(8, np.int8)}
    nodes = [node("DynamicQuantizeMatMul", "x w step zero", "y", domain="com.microsoft")]
    path = write(tmp_path / "net.onnx", nodes, {"x": (1, 4, 8)}, ["y"], own)
    assert open_source(path, None).precision == "int8"
    made = edgekit.export(str(path), format=["onnx"], out=tmp_path / "out")
    assert made.exit_code == 0 and any("computes in int8" in note for note in made.notes)


def test_a_detector_that_finds_nothing_is_proved_layer_by_layer(tmp_path: Path) -> None:
    own = {"w": weight(2, 3, 3, 3) * 0.1, "b": np.full(2, -15.5, np.float32)}
    nodes = [node("Conv", "x w b", "c"), node("Sigmoid", "c", "y")]
    path = write(tmp_path / "net.onnx", nodes, {"x": (1, 3, 16, 16)}, ["y"], own)
    made = edgekit.export(str(path), format=["onnx", "tflite"], out=tmp_path / "out")
    assert made.exit_code == 0 and any("gives shares near 0 only" in note for note in made.notes)


def test_a_file_that_its_runtime_does_not_run_is_not_exported(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", [node("Mish", "x", "y")], {"x": (1, 4)}, ["y"], opset=17)  # since opset 18
    source = open_source(path, None)
    with pytest.raises(BackendMissing, match=r"net\.onnx does not run, so that nothing could be held against it"):
        source_answers.answers(source, [weight(1, 4)])


def test_options_that_a_file_decides_are_refused(tmp_path: Path) -> None:
    path = str(small_network(tmp_path / "net.onnx"))
    with pytest.raises(UsageError, match="has its own weights"):
        edgekit.export(path, weights="random", out=tmp_path)
    with pytest.raises(UsageError, match="--res: only networks of the zoo"):
        edgekit.export(path, res=32, out=tmp_path)
    with pytest.raises(UsageError, match=r"none\.onnx does not exist"):
        edgekit.export(str(tmp_path / "none.onnx"), out=tmp_path)


@pytest.mark.parametrize("spoilt", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, spoilt: float) -> None:
    own = {"w": np.array([1, 2, spoilt, 3], np.float32)}
    path = write(tmp_path / "net.onnx", [node("Mul", "x w", "y")], {"x": (1, 4)}, ["y"], own)
    with pytest.raises(GateFailed, match="not finite"):
        edgekit.export(str(path), format=["onnx"], out=tmp_path)
