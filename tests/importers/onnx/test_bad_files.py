"""Files that are wrong: each is refused with what is wrong, and what would help."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekit.errors import UsageError
from edgekit.importers.onnx import model as reading
from edgekit.importers.onnx.file import OnnxFile
from edgekit.importers.onnx.reader import open_source
from tests.importers.onnx.files import model, node, small_network, traced, weight, write

X = {"x": (1, 4)}


def refused(path: Path) -> str:
    """The cause for which a file is refused, before or while its network is built."""
    with pytest.raises(UsageError) as caught:
        open_source(path, None).build()
    assert caught.value.remedy
    return caught.value.message


@pytest.mark.parametrize(
    ("bytes_of", "cause"),
    [
        (lambda data: b"", "it is empty"),
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: b"not a network at all, but a text", "truncated, encrypted or something else"),
        (lambda data: bytes(255 - byte for byte in data), "truncated, encrypted or something else"),
        (gzip.compress, "compressed with gzip"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs"),
        (lambda data: b"<!DOCTYPE html><html></html>", "a web page"),
        (lambda data: onnx.ModelProto(ir_version=8).SerializeToString(), "it has no operators"),
    ],
)
def test_bytes_of_something_else(tmp_path: Path, bytes_of: Callable[[bytes], bytes], cause: str) -> None:
    path = small_network(tmp_path / "net.onnx")
    path.write_bytes(bytes_of(path.read_bytes()))
    assert cause in refused(path)


@pytest.mark.parametrize("text", [b"Relu", b"middle", b"the graph's name"])
def test_a_name_that_is_no_text(tmp_path: Path, text: bytes) -> None:
    held = model([node("Relu", "x", "middle"), node("Abs", "middle", "y")], X, ["y"])
    held.graph.name = "the graph's name"
    path = tmp_path / "net.onnx"
    path.write_bytes(held.SerializeToString().replace(text, b"\xff" + text[1:]))
    assert "a name in it is no text" in refused(path)


def test_a_zip_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.onnx", "w") as archive:
        archive.write(small_network(tmp_path / "inside.onnx"))
    assert "zip archive" in refused(tmp_path / "net.onnx")


def test_more_than_a_message_of_protobuf_may_hold(tmp_path: Path) -> None:
    path = small_network(tmp_path / "net.onnx")
    os.truncate(path, 2**31 + 1)  # takes no room
    assert "2,147,483,649 bytes" in refused(path)


@pytest.mark.parametrize(
    ("nodes", "outputs", "constants", "cause"),
    [
        ([node("Relu", "b", "a"), node("Relu", "a", "b"), node("Add", "b x", "y")], ["y"], {}, "wait for one another"),
        ([node("Add", "x w", "y")], ["y"], {}, "reads w, which nothing in the file makes"),
        ([node("Relu", "x", "a")], ["y"], {}, "nothing in the file makes its output y"),
        ([node("Relu", "x", "y"), node("Abs", "x", "y")], ["y"], {}, "value y is made 2 times"),
        ([node("Relu", "x", "a", name="n"), node("Abs", "a", "y", name="n")], ["y"], {}, "2 operators are called n"),
        ([node("Relu", "x", "y", domain="com.acme")], ["y"], {}, r"does not read: com.acme.Relu (1)"),
        (
            [node("NonMaxSuppression", "x", "a"), node("Unique", "a", "b"), node("Unique", "b", "y")],
            ["y"],
            {},
            "does not read: NonMaxSuppression (1), Unique (2)",
        ),
        ([node("Add", "x w", "y")], ["y"], {"w": np.array([b"a"], object)}, "is of the type string"),
    ],
)
def test_graphs_that_cannot_be_read(tmp_path: Path, nodes: Any, outputs: Any, constants: Any, cause: str) -> None:
    assert cause in refused(write(tmp_path / "net.onnx", nodes, X, outputs, constants))


@pytest.mark.parametrize(("opset", "told"), [(0, "opset 0"), (6, "opset 6"), (999, "opset 999")])
def test_opsets_beyond_what_is_read(tmp_path: Path, opset: int, told: str) -> None:
    assert told in refused(write(tmp_path / "net.onnx", [node("Relu", "x", "y")], X, ["y"], opset=opset))


def test_a_file_without_an_opset(tmp_path: Path) -> None:
    held = model([node("Relu", "x", "y")], X, ["y"])
    del held.opset_import[:]
    onnx.save(held, tmp_path / "net.onnx")
    assert "opset none" in refused(tmp_path / "net.onnx")


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.FLOAT8E4M3FN, TensorProto.COMPLEX64, 0, 99])
def test_types_that_are_not_read(tmp_path: Path, kind: int) -> None:
    held = model([node("Add", "x w", "y")], X, ["y"], {"w": weight(4)})
    held.graph.initializer[0].data_type = kind
    (tmp_path / "net.onnx").write_bytes(held.SerializeToString())
    assert "w of net.onnx is of the type" in refused(tmp_path / "net.onnx")


@pytest.mark.parametrize("count", [4, 40_000])
def test_a_tensor_of_another_number_of_elements(tmp_path: Path, count: int) -> None:
    held = model([node("Add", "x w", "y")], X, ["y"], {"w": weight(count)})
    held.graph.initializer[0].dims[0] = count + 1
    (tmp_path / "net.onnx").write_bytes(held.SerializeToString())
    assert "tensor w of net.onnx cannot be read" in refused(tmp_path / "net.onnx")


def test_a_tensor_of_a_negative_size(tmp_path: Path) -> None:
    held = model([node("Add", "x w", "y")], X, ["y"], {"w": weight(4)})
    held.graph.initializer[0].dims[0] = -4
    (tmp_path / "net.onnx").write_bytes(held.SerializeToString())
    assert "it has a negative size" in refused(tmp_path / "net.onnx")


def test_an_output_that_is_named_twice(tmp_path: Path) -> None:
    assert "names its output y 2 times" in refused(
        write(tmp_path / "net.onnx", [node("Relu", "x", "y")], X, ["y", "y"])
    )


def test_an_element_of_an_empty_sequence(tmp_path: Path) -> None:
    nodes = [node("SequenceEmpty", "", "s"), node("SequenceErase", "s", "t"), node("SequenceAt", "t zero", "y")]
    path = write(tmp_path / "net.onnx", nodes, X, ["y"], {"zero": np.zeros((), np.int64)})
    with pytest.raises(UsageError, match=r"\(SequenceErase\) cannot be computed"):
        traced(path)


def test_loops_are_named(tmp_path: Path) -> None:
    inside = [helper.make_tensor_value_info(name, kind, None) for name, kind in (("i", 7), ("go", 9), ("v", 1))]
    body = helper.make_graph([node("Identity", "go", "on"), node("Relu", "v", "w")], "body", inside, [])
    body.output.extend(helper.make_tensor_value_info(name, kind, None) for name, kind in (("on", 9), ("w", 1)))
    path = write(tmp_path / "net.onnx", [node("Loop", "n - x", "y", body=body)], X, ["y"], {"n": np.array(3)})
    assert "does not read: Loop (1)" in refused(path)


def test_too_many_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_NODES", 3)
    names = ["x", "a", "b", "c", "y"]
    nodes = [node("Relu", one, other) for one, other in zip(names, names[1:], strict=False)]
    assert "has 4 operators" in refused(write(tmp_path / "net.onnx", nodes, X, ["y"]))


@pytest.mark.parametrize(
    ("shape", "cause"), [((), "input x of net.onnx is one number without axes"), (None, "leaves sizes open")]
)
def test_inputs_without_axes(tmp_path: Path, shape: Any, cause: str) -> None:
    held = model([node("Relu", "x", "y")], {"x": shape or ()}, ["y"])
    if shape is None:
        held.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(held, tmp_path / "net.onnx")
    assert cause in refused(tmp_path / "net.onnx")


@pytest.mark.parametrize("kind", ["UINT16", "UINT32", "UINT64", "INT4", "STRING"])
def test_inputs_of_other_integers(tmp_path: Path, kind: str) -> None:
    held = model([node("Cast", "x", "y", to=1)], X, ["y"], dtype=getattr(TensorProto, kind))
    onnx.save(held, tmp_path / "net.onnx")
    assert f"input x of net.onnx takes {kind.lower()}" in refused(tmp_path / "net.onnx")


@pytest.mark.parametrize("place", ["../weights.bin", "/etc/passwd", "missing.bin"])
def test_weights_outside_of_the_folder_or_nowhere(tmp_path: Path, place: str) -> None:
    held = model([node("Add", "x w", "y")], X, ["y"], {"w": weight(4)})
    tensor = held.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place
    (tmp_path / "net.onnx").write_bytes(held.SerializeToString())
    assert "weights" in refused(tmp_path / "net.onnx")


def test_a_tensor_is_read_from_no_file_that_is_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    opened = OnnxFile(small_network(tmp_path / "net.onnx"))
    tensor = weight(4)
    for place in ("secret", "../secret", str(tmp_path / "secret")):
        evil = onnx.numpy_helper.from_array(tensor, "w")
        onnx.external_data_helper.set_external_data(evil, place)
        evil.ClearField("raw_data")
        evil.data_location = TensorProto.EXTERNAL
        with pytest.raises(UsageError, match="which is no part of the file"):
            opened.array(evil)


def test_what_the_values_of_the_input_decide_is_named(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "i", to=7), node("Reshape", "x i", "y")]
    path = write(tmp_path / "net.onnx", nodes, X, ["y"])
    with pytest.raises(UsageError, match=r"reshape_y \(Reshape\) takes its shape from the values"):
        traced(path)
