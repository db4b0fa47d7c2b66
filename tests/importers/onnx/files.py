"""ONNX files for the tests of their reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgekit.frontend.tracer import trace
from edgekit.importers.onnx.reader import open_source
from edgekit.importers.source import Shape
from edgekit.ir.graph import Graph

Array = NDArray[Any]
Sizes = Sequence[int | str | None]


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """A node; names of inputs and outputs are separated by spaces, and "-" is one that is left out."""
    names = [["" if name == "-" else name for name in side.split()] for side in (inputs, outputs)]
    return helper.make_node(kind, *names, **{"name": f"{kind.lower()}_{names[1][0]}", **attributes})


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sizes],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
) -> Any:
    """A model; outputs have no shapes, as many files have none."""
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, dtype, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
        held,
    )
    domains = sorted({one.domain for one in nodes if one.domain})
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="test", producer_version="1")


def write(path: Path, *args: Any, **kwargs: Any) -> Path:
    """Write such a model. Returns its path."""
    onnx.save(model(*args, **kwargs), path)
    return path


def weight(*shape: int, seed: int = 0) -> Array:
    """Numbers around 0."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def small_network(path: Path, size: Sizes = (1, 3, 16, 16)) -> Path:
    """Convolution, BatchNormalization, pooling and a classifier of five classes."""
    nodes = [
        node("Conv", "image w", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", "c scale shift mean var", "n"),
        node("Relu", "n", "r"),
        node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f fc.weight fc.bias", "scores", transB=1),
    ]
    own = {
        "w": weight(8, 3, 3, 3),
        "scale": 1 + 0.1 * weight(8, seed=1),
        "shift": weight(8, seed=2),
        "mean": weight(8, seed=3),
        "var": np.abs(weight(8, seed=4)) + 0.5,
        "fc.weight": weight(5, 8, seed=5),
        "fc.bias": weight(5, seed=6),
    }
    return write(path, nodes, {"image": size}, ["scores"], own)


def traced(path: Path, given: Mapping[str, Shape] | None = None) -> Graph:
    """The graph of a file."""
    source = open_source(path, given)
    return trace(source.build().eval(), *source.shapes.values())


def of_runtime(path: Path, *inputs: Array) -> list[Array]:
    """What onnxruntime computes without optimizing."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    found: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
    return found


def same_as_runtime(path: Path, tolerance: float = 1e-5) -> Graph:
    """The graph of a file, which must answer as onnxruntime does."""
    graph = traced(path)
    xs = [weight(*op.shape, seed=9 + index) for index, op in enumerate(graph.inputs)]
    got = graph.run(*map(torch.from_numpy, xs))
    for y, want in zip(got if isinstance(got, tuple) else (got,), of_runtime(path, *xs), strict=True):
        assert y.shape == want.shape
        np.testing.assert_allclose(y.numpy(), want, rtol=0, atol=tolerance * max(float(np.abs(want).max()), 1e-9))
    return graph
