"""onnx's own tests of operators, which the package `onnx` carries: every one of real numbers that is claimed passes."""

from __future__ import annotations

import pickle
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from edgekit.importers.onnx.file import OnnxFile
from edgekit.importers.onnx.model import read
from edgekit.importers.onnx.network import OnnxNetwork
from edgekit.importers.onnx.reader import READ
from edgekit.importers.onnx.table import OPERATORS, QUANTIZED
from tests.conftest import once

REAL = {1, 10, 11, 16}  # FLOAT, FLOAT16, DOUBLE, BFLOAT16
WHOLE = {2, 3, 4, 5, 6, 7, 9, 12, 13}  # integers of 8 to 64 bits, and BOOL
TRAINING = "it trains"
NOT_READ = {  # tests of operators that are claimed
    "test_batchnorm_epsilon_training_mode": TRAINING,
    "test_batchnorm_example_training_mode": TRAINING,
    **{f"test_training_dropout{end}": TRAINING for end in ("", "_default", "_default_mask", "_mask")},
    **{f"test_training_dropout_zero_ratio{end}": TRAINING for end in ("", "_mask")},
    "test_resize_downsample_scales_cubic_align_corners": "onnxruntime takes whole sizes, as this reader does",
    "test_resize_downsample_scales_linear_align_corners": "onnxruntime takes whole sizes, as this reader does",
}
# What no network's graph can be: an output that is the input, a constant, empty, or one number for a whole batch.
NO_GRAPH = ("is the input", "does not depend on the input", "one number without axes", "without elements")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The tests by operator; one of several operators stands at the first. onnx takes seconds to make them."""

    def prepare(folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = [case for case in load_model_tests(kind="node") if case.model is not None]
        (folder / "cases").write_bytes(pickle.dumps(made))

    found = pickle.loads((once(tmp_path_factory, "node_tests", prepare) / "cases").read_bytes())
    tests = defaultdict(list)
    for case in found:
        nodes = case.model.graph.node
        known = all(node.op_type in READ - set(QUANTIZED) and not node.domain for node in nodes)
        if known and nodes and case.name not in NOT_READ and is_real(case):
            tests[nodes[0].op_type].append(case)
    return tests


def arrays(values: Any) -> list[Any]:
    """Test data, which is numpy's or protobuf's."""
    return [numpy_helper.to_array(one) if isinstance(one, onnx.TensorProto) else np.asarray(one) for one in values]


def is_real(case: Any) -> bool:
    """Whether a test has an input of real numbers with axes, and tensors alone."""
    graph = case.model.graph
    values = [*graph.input, *graph.output]
    if any(value.type.WhichOneof("value") != "tensor_type" for value in values):
        return False
    if not WHOLE.union(REAL).issuperset(value.type.tensor_type.elem_type for value in values):
        return False
    return image(case) is not None


def image(case: Any) -> int | None:
    """Which input is the network's: the first of real numbers with axes."""
    given = zip(case.model.graph.input, arrays(case.data_sets[0][0]), strict=False)
    real = (i for i, (value, x) in enumerate(given) if value.type.tensor_type.elem_type in REAL and x.ndim and x.size)
    return next(real, None)


def file_of(case: Any, path: Path) -> Any:
    """The test's model with its other inputs as constants, as files have them. Returns the input."""
    first = image(case)
    model, given = onnx.ModelProto(), arrays(case.data_sets[0][0])
    model.CopyFrom(case.model)
    inputs = list(model.graph.input)
    del model.graph.input[:]
    for index, (value, x) in enumerate(zip(inputs, given, strict=False)):
        if index == first:
            model.graph.input.append(value)
        else:
            model.graph.initializer.append(numpy_helper.from_array(x, value.name))
    onnx.save(model, path)
    return given[first or 0]


def right(got: Any, want: Any, half: bool) -> None:
    """Equal but for rounding."""
    y = got.numpy()
    assert y.shape == want.shape
    if want.dtype == bool:
        assert np.array_equal(y, want)
        return
    near, least = (2e-2, 1e-2) if half else (1e-3, 1e-5)
    np.testing.assert_allclose(y.astype(np.float64), want.astype(np.float64), near, least)


@pytest.mark.parametrize("kind", sorted(set(OPERATORS) - set(QUANTIZED)))
def test_every_test_of_an_operator_passes(kind: str, cases: dict[str, list[Any]], tmp_path: Path) -> None:
    for case in cases.get(kind, []):
        x = file_of(case, tmp_path / "net.onnx")
        network = OnnxNetwork(read(OnnxFile(tmp_path / "net.onnx"), READ)).eval()
        tensor, want = torch.from_numpy(x.astype(np.float32)), arrays(case.data_sets[0][1])
        half = 2 in {x.dtype.itemsize, *(one.dtype.itemsize for one in want)}
        for got, wanted in zip(network(tensor).values(), want, strict=True):
            right(got, wanted, half)
        try:
            graph = trace(network, tuple(x.shape))
        except UsageError as error:
            assert any(why in error.message for why in NO_GRAPH), case.name
            continue
        found = graph.run(tensor)
        for got, wanted in zip(found if isinstance(found, tuple) else (found,), want, strict=True):
            right(got, wanted, half)


def test_the_tests_are_there(cases: dict[str, list[Any]]) -> None:
    assert sum(map(len, cases.values())) > 900 and len(cases) > 110
