"""Files that really run, for every test that needs one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit import demonstration

HOSTED = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "mobilenet_v1_hosted"


@pytest.fixture
def tiny_onnx(tmp_path: Path) -> Callable[..., Path]:
    """Writes a convolution, ReLU6, pooling and linear layer as .onnx; `batch` may be a number or a name."""
    onnx = pytest.importorskip("onnx")

    def write(name: str = "tiny.onnx", batch: int | str = 1, channels: int = 4) -> Path:
        random = np.random.default_rng(0)
        make, real = onnx.helper, onnx.TensorProto.FLOAT
        weights = {
            "w": random.standard_normal((channels, 3, 3, 3), np.float32),
            "b": random.standard_normal(channels, np.float32),
            "low": np.float32(0),
            "high": np.float32(6),
            "fc": random.standard_normal((5, channels), np.float32),
        }
        nodes = [
            make.make_node("Conv", ["x", "w", "b"], ["c"], pads=[0, 0, 1, 1], strides=[2, 2]),
            make.make_node("Clip", ["c", "low", "high"], ["r"]),
            make.make_node("GlobalAveragePool", ["r"], ["p"]),
            make.make_node("Flatten", ["p"], ["f"]),
            make.make_node("Gemm", ["f", "fc"], ["y"], transB=1),
        ]
        graph = make.make_graph(
            nodes,
            "tiny",
            [make.make_tensor_value_info("x", real, [batch, 3, 16, 16])],
            [make.make_tensor_value_info("y", real, [batch, 5])],
            [onnx.numpy_helper.from_array(value, key) for key, value in weights.items()],
        )
        path = tmp_path / name
        onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8), path)
        return path

    return write


@pytest.fixture
def hosted_tflite() -> Path:
    """A real uint8 network from the folder beside the checkout."""
    path = (HOSTED / "mobilenet_v1_0_25_128_quant.tflite").resolve()
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `edgekit demo` ran, with two networks that were trained for a moment only."""
    for name in ("torch", "onnx", "onnxruntime", "ai_edge_litert", "sklearn", "vl_convert"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("demo")
    courses = (demonstration.Course("lenet5", None, 3), demonstration.Course("mobilenet", 0.25, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demonstration, "COURSES", courses)
        result = demonstration.demo(out=folder / "demo")
    (folder / "result.json").write_text(json.dumps(result.to_json()), encoding="utf-8")
    return folder
