"""Quantized files are read in real numbers, with the ranges of their own integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime.quantization as ort
import pytest
import torch

import edgekit
from edgekit.importers.onnx.reader import open_source
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from tests.importers.onnx.files import Array, node, of_runtime, small_network, traced, weight, write


class Images(ort.CalibrationDataReader):  # type: ignore[misc]
    """Some inputs for onnxruntime's own quantizer."""

    def __init__(self) -> None:
        self._left = [{"image": weight(1, 3, 16, 16, seed=seed)} for seed in range(8)]

    def get_next(self) -> Any:
        return self._left.pop() if self._left else None


def by_onnxruntime(folder: Path, **options: Any) -> Path:
    """The small network, quantized by onnxruntime."""
    path = folder / "int8.onnx"
    ort.quantize_static(small_network(folder / "float.onnx"), path, Images(), **options)
    return path


def near(path: Path, graph: Graph, least_db: float = 60.0) -> None:
    """The graph answers as the file does, but for rounding; with that the network answers so too."""
    x = weight(4, 3, 16, 16, seed=100)
    network = open_source(path, None).build()
    network.rounds = True
    want = np.concatenate([of_runtime(path, one[None])[0] for one in x])
    for run, least in ((graph.run, 20.0), (lambda one: network(one)["scores"], least_db)):
        got = np.concatenate([run(torch.from_numpy(one[None])).numpy() for one in x])
        noise = float(np.square(got - want).sum()) or 1e-12
        assert 10 * np.log10(np.square(want).sum() / noise) > least


@pytest.mark.parametrize("format", [ort.QuantFormat.QDQ, ort.QuantFormat.QOperator])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("activations", [ort.QuantType.QUInt8, ort.QuantType.QInt8])
def test_what_onnxruntime_quantized_is_read(tmp_path: Path, format: Any, per_channel: bool, activations: Any) -> None:
    path = by_onnxruntime(tmp_path, quant_format=format, per_channel=per_channel, activation_type=activations)
    source = open_source(path, None)
    assert source.precision == "int8" and "image" in source.ranges
    graph = fold(traced(path)).graph
    assert {op.kind for op in graph} == {"input", "conv", "relu", "mean", "reshape", "linear"}
    assert set(source.ranges) <= {op.name for op in graph}
    # Without VNNI onnxruntime's sums of unsigned times signed integers saturate.
    near(path, graph, 20.0 if format is ort.QuantFormat.QOperator else 60.0)


def test_dynamic_integers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "int8.onnx"
    ort.quantize_dynamic(small_network(tmp_path / "float.onnx"), path)
    near(path, traced(path), 20.0)


def qdq(name: str, scale: float, zero: int, kind: Any = np.uint8) -> tuple[list[Any], dict[str, Array]]:
    """A pair behind a value, and its grid."""
    own = {f"{name}.s": np.array(scale, np.float32), f"{name}.z": np.array(zero, kind)}
    grid = f"{name}.s {name}.z"
    quantize = node("QuantizeLinear", f"{name} {grid}", f"{name}.q")
    return [quantize, node("DequantizeLinear", f"{name}.q {grid}", f"{name}.r")], own


@pytest.mark.parametrize(
    ("before", "scale", "zero", "kinds"),
    [
        ("Neg", 0.1, 128, ["neg", "exp"]),
        ("Neg", 0.1, 0, ["neg", "relu", "exp"]),  # a Relu that only the integers compute
        ("Relu", 0.1, 0, ["relu", "exp"]),
        ("Neg", 6 / 255, 0, ["neg", "clip", "exp"]),
    ],
)
def test_where_integers_are_cut_off_is_kept(
    tmp_path: Path, before: str, scale: float, zero: int, kinds: list[str]
) -> None:
    pair, own = qdq("a", scale, zero)
    nodes = [node(before, "x", "a"), *pair, node("Exp", "a.r", "y")]
    path = write(tmp_path / "net.onnx", nodes, {"x": (1, 4)}, ["y"], own)
    assert [op.kind for op in traced(path)][1:] == kinds
    (found,) = open_source(path, None).ranges.values()
    np.testing.assert_allclose(found, (-zero * scale, (255 - zero) * scale), rtol=1e-6)


@pytest.mark.parametrize(("factor", "kinds"), [(0.5, ["relu", "mul", "exp"]), (-0.5, ["relu", "mul", "relu", "exp"])])
@pytest.mark.parametrize("rounded", [False, True])
def test_what_cannot_be_below_0_needs_no_relu(tmp_path: Path, factor: float, kinds: list[str], rounded: bool) -> None:
    (first, own_a), (last, own_b) = qdq("a", 0.1, 0), qdq("b", 0.1, 0)
    (_, held), own_f = qdq("f", 0.01, 100)
    own = {**own_a, **own_b, **(own_f if rounded else {})}
    own |= {"f.q": np.array(150 if factor > 0 else 50, np.uint8)} if rounded else {"f.r": np.array(factor, np.float32)}
    nodes = [node("Relu", "x", "a"), *first, *([held] if rounded else []), node("Mul", "a.r f.r", "b"), *last]
    path = write(tmp_path / "net.onnx", [*nodes, node("Exp", "b.r", "y")], {"x": (1, 4)}, ["y"], own)
    assert [op.kind for op in traced(path)][1:] == kinds


def test_integers_of_weights_are_rounded_as_the_file_rounds_them(tmp_path: Path) -> None:
    pair, own = qdq("w", 0.25, 0, np.int8)
    own |= {"w": weight(4)}
    path = write(tmp_path / "net.onnx", [*pair, node("Mul", "x w.r", "y")], {"x": (1, 4)}, ["y"], own)
    graph = traced(path)
    np.testing.assert_array_equal(graph.params[graph["mul_y"].params["other"]], np.round(weight(4) / 0.25) * 0.25)


def test_its_own_ranges_are_taken_over(tmp_path: Path) -> None:
    path = by_onnxruntime(tmp_path, per_channel=True)
    asked: dict[str, Any] = {"format": ["onnx"], "precision": ["int8"], "synthetic_calibration": True}
    result = edgekit.export(str(path), **asked, out=tmp_path)
    assert result.exit_code == 0
    (artifact,) = result.artifacts
    assert artifact.manifest is not None and artifact.manifest.calibration is not None
    assert artifact.manifest.calibration.source == "file"
    assert any("int8 files keep its scales" in note for note in result.notes)
    again = open_source(artifact.path, None)
    before = open_source(path, None)
    shared = [name for name in again.ranges if name in before.ranges]
    assert any(name.endswith("/relu") for name in shared)
    for name in shared:
        np.testing.assert_allclose(again.ranges[name], before.ranges[name], rtol=1e-6)
