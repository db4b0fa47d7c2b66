"""A network that answers with the mean of each color, its manifest, and a preprocessing file."""

from __future__ import annotations

from pathlib import Path

from edgekit.records.manifest import (
    CalibrationRecord,
    Manifest,
    ParityRecord,
    TensorRecord,
    VariantRecord,
    WeightsRecord,
    manifest_path,
)
from edgekit.records.preprocessing import Preprocessing
from edgekit.util.files import file_sha256

WHOLE = Preprocessing(crop_fraction=1.0)

COLORS = ((230, 20, 30), (10, 240, 20), (5, 30, 250))


def network(
    path: Path, batch: int | str = 1, dtype: str = "float32", background: bool = False, spoil: float = 1.0
) -> Path:
    """Write the color network; `background` puts an output before the three, `spoil` multiplies them."""
    from onnx import TensorProto, helper

    kind = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}[dtype]
    outputs = 4 if background else 3
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["m", "spoil"], ["s"]),
    ]
    if background:
        nodes.append(helper.make_node("Pad", ["s", "pads", "low"], ["y"]))
    else:
        nodes.append(helper.make_node("Identity", ["s"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info("x", kind, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, outputs])],
        [
            helper.make_tensor("spoil", TensorProto.FLOAT, [], [spoil]),
            helper.make_tensor("pads", TensorProto.INT64, [4], [0, 1, 0, 0]),
            helper.make_tensor("low", TensorProto.FLOAT, [], [-1000.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def sealed(
    path: Path,
    preprocessing: Preprocessing = WHOLE,
    trained: bool = True,
    calibration: CalibrationRecord | None = None,
    tensor: TensorRecord | None = None,
) -> Path:
    """Write the manifest beside a file."""
    tensor = tensor or TensorRecord(name="x", dtype="float32", shape=(1, 3, 8, 8), layout="NCHW")
    manifest = Manifest(
        edgekit="0",
        file=path.name,
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        format="onnx",
        precision="fp32",
        variant=VariantRecord(
            name="colors_8",
            model="colors",
            family="test",
            alpha=1.0,
            resolution=8,
            classes=3,
            input_shape=(1, 3, 8, 8),
        ),
        weights=WeightsRecord(origin="random", id="random0", sha256=None, trained=trained),
        preprocessing=preprocessing,
        inputs=(tensor,),
        outputs=(TensorRecord(name="y", dtype="float32", shape=(1, 3), layout="NC"),),
        calibration=calibration,
        parity=ParityRecord(
            passed=True, n=1, n_real=0, max_abs_error=0, max_rel_error=0, cosine=1, top1_agreement=1, snr_db=None
        ),
        macs=0,
        params=0,
        activation_elements=0,
        remaining_batch_norms=(),
        operators={},
        tool_versions={},
        seconds=0.0,
        created="2026-01-01T00:00:00+00:00",
    )
    manifest_path(path).write_text(manifest.model_dump_json(), encoding="utf-8")
    return path


def calibrated_on(*pixels: str, synthetic: bool = False) -> CalibrationRecord:
    """A record of these images."""
    return CalibrationRecord(
        hash="0" * 16, n=len(pixels), synthetic=synthetic, method="minmax", source="data", seed=0, pixels=pixels
    )


def foreign_yaml(folder: Path, text: str = "crop: 1.0") -> Path:
    """A preprocessing file."""
    path = folder / "preprocess.yaml"
    path.write_text(text)
    return path
