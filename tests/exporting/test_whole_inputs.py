"""Files that take whole numbers: pixels as they are, indices, and integers with a scale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from PIL import Image

import edgekit
from edgekit.errors import UsageError
from edgekit.evaluation.input import file_input
from edgekit.exporting.stored_values import to_layout
from edgekit.importers.onnx.reader import open_source
from edgekit.inspection.snippets import snippet
from edgekit.records.artifact import open_artifact
from edgekit.records.manifest import Manifest
from edgekit.records.runtime import open_session
from tests.importers.onnx.files import Array, model, node, of_runtime, weight
from tests.importers.tflite import files as tflite

MEAN, STD = np.array([0.5, 0.4, 0.3], np.float32), np.array([0.2, 0.3, 0.4], np.float32)
OWN: dict[str, Array] = {
    "step": np.array(1 / 255, np.float32),
    "mean": MEAN.reshape(1, 3, 1, 1),
    "std": STD.reshape(1, 3, 1, 1),
    "w": 0.3 * weight(8, 3, 3, 3),
    "fc": weight(5, 8, seed=1),
    "rows": weight(30, 8, seed=2),
}
SCALED = [node("Mul", "real step", "part"), node("Sub", "part mean", "middle"), node("Div", "middle std", "x")]
TAIL = [
    node("Conv", "x w", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    node("Relu", "c", "r"),
    node("GlobalAveragePool", "r", "p"),
    node("Flatten", "p", "f"),
]


def written(
    path: Path, nodes: list[Any], inputs: Mapping[str, Any], own: Mapping[str, Array], out: int = TensorProto.FLOAT
) -> Path:
    """Write a file whose inputs have shapes and types."""
    held = model(nodes, {name: shape for name, (shape, _) in inputs.items()}, ["y"], own)
    for value in held.graph.input:
        value.type.tensor_type.elem_type = getattr(TensorProto, inputs[value.name][1])
    held.graph.output[0].type.tensor_type.elem_type = out
    onnx.save(held, path)
    return path


def pixels(path: Path, kind: str = "UINT8", last: bool = False) -> Path:
    """A classifier of pixels as they are, channels first or last."""
    turned = [node("Transpose", "image", "t", perm=[0, 3, 1, 2])] if last else []
    cast = node("Cast", "t" if last else "image", "real", to=1)
    shape = (1, 16, 16, 3) if last else (1, 3, 16, 16)
    gemm = node("Gemm", "f fc", "y", transB=1)
    return written(path, [*turned, cast, *SCALED, *TAIL, gemm], {"image": (shape, kind)}, OWN)


def two(path: Path) -> Path:
    """An image of pixels, and indices of rows that are added."""
    nodes = [
        node("Cast", "image", "real", to=1),
        *SCALED,
        *TAIL,
        node("Gather", "rows ids", "taken", axis=0),
        node("ReduceMean", "taken", "told", axes=[1], keepdims=0),
        node("Add", "f told", "both"),
        node("Gemm", "both fc", "y", transB=1),
    ]
    return written(path, nodes, {"image": ((1, 3, 16, 16), "UINT8"), "ids": ((1, 6), "INT64")}, OWN)


def drawn(manifest: Manifest) -> list[Array]:
    """Whole numbers for the inputs of a file, channels first."""
    random = np.random.default_rng(0)
    shapes = [(1, one.shape[-1], *one.shape[1:-1]) if one.layout == "NHWC" else one.shape for one in manifest.inputs]
    tops = [30 if one.name == "ids" else 256 for one in manifest.inputs]
    return [
        random.integers(0, top, shape).astype(one.dtype)
        for top, shape, one in zip(tops, shapes, manifest.inputs, strict=True)
    ]


@pytest.mark.parametrize(("make", "types"), [(pixels, ["uint8"]), (two, ["uint8", "int64"])])
def test_files_of_every_format_take_the_same_numbers(make: Any, types: list[str], tmp_path: Path) -> None:
    path = make(tmp_path / "net.onnx")
    result = edgekit.export(
        str(path), format=["onnx", "tflite"], precision=["fp32", "int8"], synthetic_calibration=True, out=tmp_path
    )
    assert result.exit_code == 0 and len(result.artifacts) == 4
    for artifact in result.artifacts:
        manifest = artifact.manifest
        assert manifest is not None and [one.dtype for one in manifest.inputs] == types
        xs = drawn(manifest)
        (want,) = of_runtime(path, *xs)
        (got,) = open_session(artifact.path).run(
            [to_layout(x, one.layout) for x, one in zip(xs, manifest.inputs, strict=True)]
        )
        near = {"fp32": 1e-5, "int8": 0.1}[manifest.precision]
        np.testing.assert_allclose(got, want, rtol=0, atol=near * np.abs(want).max())
        if manifest.precision == "int8":  # rounded once before the first layer
            assert manifest.operators.get("QUANTIZE", 1) <= len(types)


@pytest.mark.parametrize(("kind", "last"), [("UINT8", False), ("INT32", True)])
def test_images_fill_such_an_input_as_they_are(kind: str, last: bool, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    shades = [np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8) for seed in range(3)]
    for index, one in enumerate(shades):
        Image.fromarray(one).save(images / f"{index}.png")
    path = pixels(tmp_path / "net.onnx", kind, last)
    result = edgekit.export(
        str(path), format=["tflite"], precision=["int8"], data=str(images), out=tmp_path, int8_effort="fast"
    )
    assert result.exit_code == 0
    (artifact,) = result.artifacts
    assert artifact.manifest is not None and artifact.manifest.parity.n_real == 3
    found = file_input(open_artifact(artifact.path), open_session(artifact.path), None)
    assert found.tensor.dtype == kind.lower()
    assert np.array_equal(found.stored(shades[0]), shades[0].astype(kind.lower()))
    assert f"astype(np.{kind.lower()})" in snippet(artifact.manifest, "python", artifact.path)


def test_a_scale_is_refused_where_the_network_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("mean: 127.5\nstd: 127.5\n")
    with pytest.raises(UsageError, match="takes whole numbers, and .*p.yaml scales the pixels"):
        edgekit.export(str(pixels(tmp_path / "net.onnx")), preprocess=str(tmp_path / "p.yaml"), out=tmp_path)


@pytest.mark.parametrize("kind", ["INT8", "BOOL"])
def test_images_do_not_fill_a_type_without_their_values(kind: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(UsageError, match=f"pixels of 0 to 255, and image takes {kind.lower()}"):
        edgekit.export(str(pixels(tmp_path / "net.onnx", kind)), data=str(tmp_path / "images"), out=tmp_path)


@pytest.mark.parametrize(
    ("ids", "cause"),
    [
        (np.full((1, 6), 29), None),
        (np.full((1, 6), 30), "'ids' in .* holds other values than the network takes: int64 from 0 to 29"),
        (np.full((1, 6), -1), "int64 from 0 to 29"),
        (np.full((1, 6), 0.5), "int64 from 0 to 29"),
    ],
)
def test_indices_of_examples_stay_within_the_rows(ids: Array, cause: str | None, tmp_path: Path) -> None:
    examples = tmp_path / "examples"
    examples.mkdir()
    for index in range(3):
        image = np.random.default_rng(index).integers(0, 256, (1, 3, 16, 16))
        np.savez(examples / f"{index}.npz", image=image, ids=ids)
    asked: dict[str, Any] = {"format": ["onnx"], "precision": ["int8"], "data": str(examples), "out": tmp_path}
    if cause is None:
        (artifact,) = edgekit.export(str(two(tmp_path / "net.onnx")), **asked).artifacts
        assert artifact.manifest is not None and artifact.manifest.parity.n_real == 3
        return
    with pytest.raises(UsageError, match=cause):
        edgekit.export(str(two(tmp_path / "net.onnx")), **asked)


def test_integers_with_a_scale_are_real_numbers(tmp_path: Path) -> None:
    own: dict[str, Array] = {
        "xs": np.array(2 / 255, np.float32),
        "xz": np.array(128, np.uint8),
        "ws": np.array(0.01, np.float32),
        "wz": np.array(0, np.int8),
        "ys": np.array(0.05, np.float32),
        "yz": np.array(100, np.uint8),
        "codes": np.clip(np.round(OWN["w"] / 0.01), -127, 127).astype(np.int8),
    }
    nodes = [
        node("DequantizeLinear", "image xs xz", "x"),
        node("DequantizeLinear", "codes ws wz", "w"),
        TAIL[0],
        node("QuantizeLinear", "c ys yz", "y"),
    ]
    path = written(tmp_path / "net.onnx", nodes, {"image": ((1, 3, 16, 16), "UINT8")}, own, TensorProto.UINT8)
    source = open_source(path, None)
    assert not source.whole and (source.takes[0].scale, source.takes[0].zero_point) == (float(own["xs"]), 128)
    np.testing.assert_allclose(source.ranges["image"], (-256 / 255, 254 / 255), rtol=1e-6)
    asked: dict[str, Any] = {"format": ["tflite"], "precision": ["fp32", "int8"], "synthetic_calibration": True}
    real, whole = edgekit.export(str(path), **asked, io="float32", out=tmp_path).artifacts
    assert real.manifest is not None and real.manifest.inputs[0].dtype == "float32"
    assert whole.manifest is not None and whole.manifest.parity.passed


def test_a_tflite_file_of_pixels_goes_the_same_way(tmp_path: Path) -> None:
    nodes = [
        tflite.node("CAST", "image", "real", inDataType=3, outDataType=0),
        tflite.node("CONV_2D", "real w b", "c", padding=0, strideH=2, strideW=2),
        tflite.node("MEAN", "c axes", "y", keepDims=False),
    ]
    own = {"w": 0.01 * weight(8, 3, 3, 3), "b": weight(8, seed=1), "axes": tflite.ints(1, 2)}
    path = tflite.write(tmp_path / "net.tflite", nodes, {"image": (1, 16, 16, 3)}, ["y"], own, types={"image": "uint8"})
    result = edgekit.export(
        str(path), format=["onnx", "tflite"], precision=["fp32", "int8"], synthetic_calibration=True, out=tmp_path
    )
    assert result.exit_code == 0
    assert {one.manifest.inputs[0].dtype for one in result.artifacts if one.manifest} == {"uint8"}
