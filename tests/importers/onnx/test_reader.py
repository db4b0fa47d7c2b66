"""A file is looked into: its inputs, its names, what it says of itself, and how much memory that takes."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgekit.errors import UsageError
from edgekit.exporting.source_answers import answers
from edgekit.importers.onnx.reader import open_source
from edgekit.ir.passes.fold_batch_norm import fold
from tests.importers.onnx.files import model, node, of_runtime, same_as_runtime, small_network, traced, weight, write


def test_layers_tensors_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    graph = same_as_runtime(small_network(tmp_path / "net.onnx"))
    assert [op.name for op in graph][:3] == ["image", "conv_c", "batchnormalization_n"]
    assert dict(graph["gemm_scores"].params) == {"weight": "fc.weight", "bias": "fc.bias"}
    assert dict(graph.outputs) == {"scores": "gemm_scores"}
    assert not fold(graph).remaining


def test_a_node_without_a_name_is_called_after_what_it_gives(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a", name=""), node("Abs", "a", "y", name="size")]
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 4)}, ["y"]))
    assert [op.name for op in graph] == ["x", "a", "size"]


def test_what_the_file_says_of_itself_is_recorded(tmp_path: Path) -> None:
    path = small_network(tmp_path / "net.onnx")
    source = open_source(path, None)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    record = source.record.model_dump()
    assert record == {"file": "net.onnx", "format": "onnx", "sha256": sha256, "producer": "test 1", "opset": 17}


@pytest.mark.parametrize(
    ("shape", "given", "found"),
    [
        (("batch", 3, 16, 16), None, (1, 3, 16, 16)),
        ((None, 3, 16, 16), None, (1, 3, 16, 16)),
        (("n", 3, "h", "w"), {"image": (1, 3, 24, 20)}, (1, 3, 24, 20)),
        (("n", 3, "h", "w"), [(1, 3, 24, 20)], (1, 3, 24, 20)),
    ],
)
def test_sizes_that_are_open_are_given(tmp_path: Path, shape: Any, given: Any, found: Any) -> None:
    assert dict(open_source(small_network(tmp_path / "net.onnx", shape), given).shapes) == {"image": found}


@pytest.mark.parametrize(
    ("shape", "given", "cause"),
    [
        (("n", 3, "h", 80), None, r"leaves sizes open \(nx3xhx80\)\n.*image=1,3,224,80"),
        ((1, 3, 16, 16), {"image": (1, 3, 32, 32)}, "is 1x3x16x16, not 1x3x32x32"),
        ((1, 3, 16, 16), {"picture": (1, 3, 16, 16)}, "has no input picture; it takes image"),
        ((1, 3, 16, 16), [(1, 3, 16, 16)] * 2, r"takes 1 inputs \(image\), not 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(tmp_path: Path, shape: Any, given: Any, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        open_source(small_network(tmp_path / "net.onnx", shape), given)


def test_real_numbers_of_another_precision_are_read_in_float32(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "h", to=10), node("Mul", "h w", "m"), node("Cast", "m", "y", to=1)]
    path = write(tmp_path / "net.onnx", nodes, {"x": (1, 4)}, ["y"], {"w": weight(4).astype(np.float16)})
    source = open_source(path, None)
    assert source.precision == "fp16" and source.notes == ("the file computes in float16: it is read in float32",)
    assert [op.kind for op in traced(path)] == ["input", "mul"]


def test_weights_in_another_file_are_read(tmp_path: Path) -> None:
    whole = onnx.load(small_network(tmp_path / "whole.onnx"))
    onnx.save(whole, tmp_path / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    same_as_runtime(tmp_path / "net.onnx")


def test_a_large_file_is_not_read_to_be_looked_into_and_costs_its_size_once(tmp_path: Path) -> None:
    big = weight(2000, 2000)
    path = write(tmp_path / "net.onnx", [node("MatMul", "x w", "y")], {"x": (1, 2000)}, ["y"], {"w": big})
    tracemalloc.start()
    source = open_source(path, None)
    looked = tracemalloc.get_traced_memory()[1]
    network = source.build()
    built = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert looked < big.nbytes / 10 and built < 1.1 * big.nbytes
    assert torch.equal(dict(network.named_parameters())["w"], torch.from_numpy(big))


def test_a_large_tensor_may_say_that_its_bytes_are_in_the_message(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", [node("MatMul", "x w", "y")], {"x": (1, 64)}, ["y"], {"w": weight(64, 64)})
    held = onnx.load(path)
    held.graph.initializer[0].data_location = onnx.TensorProto.DEFAULT  # as onnxruntime's quantizer writes it
    onnx.save(held, path)
    same_as_runtime(path)


def test_without_memory_for_weights_their_shapes_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", [node("MatMul", "x w", "y")], {"x": (1, 64)}, ["y"], {"w": weight(64, 64)})
    with torch.device("meta"):
        network = open_source(path, None).build()
    assert [tensor.is_meta for tensor in network.parameters()] == [True]


def test_preprocessing_that_our_own_files_carry_is_taken(tmp_path: Path) -> None:
    path = small_network(tmp_path / "net.onnx")
    held = onnx.load(path)
    entry = held.metadata_props.add()
    entry.key, entry.value = "preprocessing", json.dumps({"mean": [0, 0, 0], "std": [255, 255, 255]})
    onnx.save(held, path)
    found = open_source(path, None).preprocessing
    assert found is not None and found.std == (255.0, 255.0, 255.0)


def test_a_condition_that_is_known_chooses_its_branch(tmp_path: Path) -> None:
    def branch(kind: str, name: str) -> Any:
        info = onnx.helper.make_tensor_value_info(name, 1, None)
        return onnx.helper.make_graph([node(kind, "x", name)], name, [], [info])

    nodes = [
        node("Shape", "x", "shape"),
        node("ReduceProd", "shape", "count", keepdims=0),
        node("Greater", "count three", "more"),
        node("If", "more", "y", then_branch=branch("Relu", "a"), else_branch=branch("Abs", "b")),
    ]
    path = write(tmp_path / "net.onnx", nodes, {"x": (1, 4)}, ["y"], {"three": np.array(3)})
    assert [op.kind for op in same_as_runtime(path)] == ["input", "relu"]


def test_functions_of_the_file_are_read_where_they_are_called(tmp_path: Path) -> None:
    body = [node("Neg", "a", "b"), node("Relu", "b", "c")]
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("own", 1)]
    function = onnx.helper.make_function("own", "Turned", ["a"], ["c"], body, opsets[:1])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Turned", pair[:1], pair[1:], domain="own", name=pair) for pair in ("xa", "ay")],
        "test",
        [onnx.helper.make_tensor_value_info("x", 1, (1, 4))],
        [onnx.helper.make_tensor_value_info("y", 1, None)],
    )
    path = tmp_path / "net.onnx"
    onnx.save(onnx.helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=8), path)
    assert [op.kind for op in same_as_runtime(path)] == ["input", *["neg", "relu"] * 2]


def test_weights_that_are_standardized_by_their_own_statistics_are_constants(tmp_path: Path) -> None:
    nodes = [
        node("BatchNormalization", "rows scale shift mean var", "n m v", training_mode=1),
        node("Reshape", "n shape", "w"),
        node("Conv", "x w", "y"),
    ]
    own = {"rows": weight(1, 4, 27), "scale": weight(4, seed=1), "shift": np.zeros(4, np.float32)}
    own |= {"mean": np.zeros(4, np.float32), "var": np.ones(4, np.float32), "shape": np.array([4, 3, 3, 3])}
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 3, 8, 8)}, ["y"], own))
    assert [op.kind for op in graph] == ["input", "conv"]


@pytest.mark.parametrize("channels", [1, 3])
def test_an_input_that_is_transposed_first_is_read_channels_first(tmp_path: Path, channels: int) -> None:
    turn = node("Transpose", "x", "t", perm=[0, 3, 1, 2]) if channels > 1 else node("Reshape", "x s", "t")
    own = {"w": weight(4, channels, 3, 3), "s": np.array([-1, 1, 8, 9])}
    path = write(tmp_path / "net.onnx", [turn, node("Conv", "t w", "y")], {"x": ("n", 8, 9, channels)}, ["y"], own)
    source = open_source(path, None)
    assert source.shapes == {"x": (1, channels, 8, 9)} and [one.layout for one in source.takes] == ["NHWC"]
    assert "channels last" in source.notes[-1]
    graph = traced(path)
    assert [op.kind for op in graph] == ["input", "conv"]
    x = weight(1, 8, 9, channels)
    (want,) = of_runtime(path, x)
    (got,) = answers(source, [x.transpose(0, 3, 1, 2).copy()])
    np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(graph.run(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy(), want, atol=1e-5)


def test_a_transpose_of_what_others_read_too_stays(tmp_path: Path) -> None:
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Relu", "x", "z"), node("Relu", "t", "y")]
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 8, 9, 3)}, ["y", "z"]))
    assert graph.input.shape == (1, 8, 9, 3)


def test_pixels_that_are_prepared_before_they_are_transposed_are_read_channels_first(tmp_path: Path) -> None:
    nodes = [
        node("Cast", "x", "f", to=1),
        node("Sub", "f mean", "m"),
        node("Div", "m scale", "s"),
        node("Add", "grid s", "g"),
        node("Transpose", "g", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w", "y"),
    ]
    own = {
        "mean": weight(3),
        "scale": np.array(58, np.float32),
        "grid": weight(8, 9, 3, seed=1),
        "w": weight(4, 3, 3, 3),
    }
    sizes = {"x": (1, 8, 9, 3)}
    held = model(nodes, sizes, ["y"], own, dtype=onnx.TensorProto.UINT8)
    held.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    path = tmp_path / "net.onnx"
    onnx.save(held, path)
    source = open_source(path, None)
    assert source.shapes == {"x": (1, 3, 8, 9)} and source.whole == {"x"}
    x = np.random.default_rng(0).integers(0, 256, (1, 8, 9, 3), np.uint8)
    (want,) = of_runtime(path, x)
    np.testing.assert_allclose(traced(path).run(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy(), want, atol=1e-4)


@pytest.mark.parametrize("between", [node("Sub", "x m", "p"), node("Softmax", "x", "p")])
def test_what_is_not_alike_for_all_elements_keeps_its_axes(tmp_path: Path, between: Any) -> None:
    nodes = [
        node("GlobalMaxPool", "x", "m"),
        between,
        node("Transpose", "p", "t", perm=[0, 3, 1, 2]),
        node("Relu", "t", "y"),
    ]
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 8, 9, 3)}, ["y"]))
    assert graph.input.shape == (1, 8, 9, 3)


def test_an_operator_without_a_name_is_told_apart_from_one_that_is_called_like_its_value(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a", name=""), node("Neg", "a", "b", name="a#2"), node("Abs", "b", "y", name="a")]
    graph = same_as_runtime(write(tmp_path / "net.onnx", nodes, {"x": (1, 4)}, ["y"]))
    assert [op.name for op in graph] == ["x", "a", "a#2", "a#3"]


@pytest.mark.parametrize("counted", [0, 1])
@pytest.mark.parametrize(
    ("how", "size"),
    [
        ({"pads": [0, 0, 1, 1]}, 12),
        ({"pads": [0, 0, 1, 1]}, 11),
        ({"pads": [1, 1, 0, 0]}, 12),
        ({"pads": [1, 1, 1, 1]}, 12),
        ({"pads": [1, 1, 1, 1], "ceil_mode": 1}, 12),
        ({"auto_pad": "SAME_UPPER"}, 12),
        ({"ceil_mode": 1}, 12),
    ],
)
def test_the_mean_over_windows_by_what_counts(tmp_path: Path, how: Any, size: int, counted: int) -> None:
    pool = node("AveragePool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], count_include_pad=counted, **how)
    graph = same_as_runtime(write(tmp_path / "net.onnx", [pool], {"x": (1, 2, size, size)}, ["y"]))
    if not counted and how.get("pads") != [1, 1, 0, 0] and (how, size) != ({"pads": [0, 0, 1, 1]}, 11):
        assert [op.kind for op in graph] == ["input", "avg_pool"]
