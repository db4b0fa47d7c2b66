"""A file of signed weights says the same with unsigned ones, which no processor's sums saturate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime.quantization as ort
import pytest
import torch

from edgekit.importers.onnx.reader import open_source
from edgekit.importers.onnx.unsigned import with_unsigned_weights
from tests.importers.onnx.files import of_runtime, small_network, weight
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


def test_a_file_without_such_weights_is_left_alone(tmp_path: Path) -> None:
    assert not with_unsigned_weights(small_network(tmp_path / "net.onnx"), tmp_path / "unsigned.onnx")
    assert not (tmp_path / "unsigned.onnx").exists()
