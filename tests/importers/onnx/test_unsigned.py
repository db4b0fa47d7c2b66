"""A file of signed weights says the same with unsigned ones, which no processor's sums saturate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime.quantization as ort
import pytest
import torch

from edgekit.importers.onnx.reader import open_source
from edgekit.importers.onnx.unsigned import with_unsigned_weights
from tests.importers.onnx.files import node, of_runtime, small_network, weight, write
from tests.importers.onnx.test_quantized import by_onnxruntime


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_runtime_then_answers_as_the_file_says(tmp_path: Path, per_channel: bool) -> None:
    options = {"quant_format": ort.QuantFormat.QOperator, "activation_type": ort.QuantType.QUInt8}
    path, other = by_onnxruntime(tmp_path, per_channel=per_channel, **options), tmp_path / "unsigned.onnx"
    assert with_unsigned_weights(path, other)
    kinds = {tensor.data_type for tensor in onnx.load(other).graph.initializer}
    assert onnx.TensorProto.INT8 not in kinds
    network = open_source(path, None).build()
    network.rounds = True
    x = weight(1, 3, 16, 16, seed=100)
    (got,) = of_runtime(other, x)
    want = network(torch.from_numpy(x))["scores"].numpy()
    np.testing.assert_allclose(got, want, atol=1e-5 * float(np.abs(want).max()))


@pytest.mark.parametrize(
    "nodes",
    [
        [node("DynamicQuantizeMatMul", "x w step zero", "y", domain="com.microsoft")],
        [
            node("DynamicQuantizeLinear", "x", "codes scale shift"),
            node("MatMulIntegerToFloat", "codes w scale step shift zero", "y", domain="com.microsoft"),
        ],
    ],
    ids=["DynamicQuantizeMatMul", "MatMulIntegerToFloat"],
)
def test_products_of_optimized_files_are_exact(nodes: list[Any], tmp_path: Path) -> None:
    """Of codes so large that two products of them saturate 16 bits."""
    random = np.random.default_rng(0)
    codes = random.integers(100, 127, (64, 8), np.int8, endpoint=True)
    own = {"w": codes, "step": np.full(8, 0.01, np.float32), "zero": np.zeros(8, np.int8)}
    path = write(tmp_path / "net.onnx", nodes, {"x": (1, 4, 64)}, ["y"], own)
    assert with_unsigned_weights(path, tmp_path / "unsigned.onnx")
    x = random.uniform(0.5, 1, (1, 4, 64)).astype(np.float32)
    (got,), want = of_runtime(tmp_path / "unsigned.onnx", x), x @ (codes * np.float32(0.01))
    np.testing.assert_allclose(got, want, atol=2e-3 * float(want.max()))  # of the rounding of x


def test_a_file_without_such_weights_is_left_alone(tmp_path: Path) -> None:
    assert not with_unsigned_weights(small_network(tmp_path / "net.onnx"), tmp_path / "unsigned.onnx")
    assert not (tmp_path / "unsigned.onnx").exists()
