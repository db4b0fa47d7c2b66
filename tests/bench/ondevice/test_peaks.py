"""The peaks of a machine."""

from __future__ import annotations

import json

import pytest

from edgekit.bench.links.base import ask
from edgekit.bench.links.local import LocalLink
from edgekit.bench.ondevice import peaks


def test_the_products_are_products() -> None:
    ort, np = pytest.importorskip("onnxruntime"), pytest.importorskip("numpy")
    chance = np.random.default_rng(0)
    for operator, left, right in (("MatMul", "f4", "f4"), ("MatMulInteger", "u1", "i1")):
        a, b = ((chance.random((200, 200)) * 100).astype(kind) for kind in (left, right))
        session = ort.InferenceSession(peaks.product_model(operator, b), providers=["CPUExecutionProvider"])
        (got,) = session.run(None, {"a": a})
        want = a.astype(np.float64) @ b.astype(np.float64)
        assert np.allclose(got, want, rtol=1e-4) and (left == "f4" or np.array_equal(got, want))


def test_peaks_name_what_they_are() -> None:
    pytest.importorskip("numpy")
    found = ask(LocalLink(), {"runtime": "null", "threads": 2}, 120, "peaks")
    assert json.loads(json.dumps(found)) == found and found["threads"] == 2
    assert found["gemm_float32_gmacs"] > 0.1 and found["copy_gbytes"] > 0.05
    assert "384 x 384" in found["gemm_float32_by"] or "1024 x 1024" in found["gemm_float32_by"]
    assert found["gemm_int8_gmacs"] is None or found["gemm_int8_gmacs"] > 0.1
    assert "MatMulInteger" in found["gemm_int8_by"] or "not installed" in found["gemm_int8_by"]
