"""Export end to end on small networks: what is made, what is refused, and that nothing is left half-made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import edgekit
from edgekit.errors import UsageError
from edgekit.exporters import WriteJob, Written
from edgekit.exporters.onnx import writer as onnx_writer
from edgekit.exporting.result import ExportResult
from edgekit.records.artifact import open_artifact
from edgekit.records.manifest import manifest_path
from tests.exporting.conftest import SHAPE, files


def test_a_users_own_network_goes_the_whole_way(
    network: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))  # no ranges of an earlier test
    said: list[str] = []
    result = edgekit.export(
        f"{network}:build",
        input=SHAPE,
        precision=["fp32", "fp16", "int8"],
        data=images,
        out=tmp_path / "out",
        progress=said.append,
    )
    assert any(" images" in line and line.startswith("calibrate: ") for line in said)
    assert not result.failed and result.exit_code == 0
    assert {(a.manifest.format, a.manifest.precision) for a in result.artifacts if a.manifest} == {
        (name, precision) for name in ("onnx", "tflite") for precision in ("fp32", "fp16", "int8")
    }
    for artifact in result.artifacts:
        manifest = open_artifact(artifact.path).manifest  # checks the bytes
        assert manifest and manifest.parity.passed and manifest.parity.n_real > 0
        assert manifest.variant.name == "mynet_32" and manifest.variant.classes == 10
        assert manifest.remaining_batch_norms == ()
        assert (manifest.calibration is not None) == (manifest.precision == "int8")
    assert len({a.manifest.calibration.hash for a in result.artifacts if a.manifest and a.manifest.calibration}) == 1


def test_the_result_has_the_documented_keys(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:build", input=SHAPE, format=["tflite"], out=tmp_path / "out").to_json()
    (artifact,) = json.loads(json.dumps(result))["artifacts"]
    assert {"path", "manifest", "format", "precision", "bytes", "seconds", "parity"} <= set(artifact)
    assert {"passed", "max_abs_error", "cosine", "top1_agreement"} <= set(artifact["parity"])
    assert result["failed"] == []


@pytest.mark.parametrize(("function", "layer"), [("Prefixed", "cat fixes"), ("Mixed", "mean_1 mixes")])
def test_a_batch_that_cannot_be_free_is_refused_with_its_layer(
    function: str, layer: str, network: str, tmp_path: Path
) -> None:
    result = edgekit.export(f"{network}:{function}", input=SHAPE, dynamic_batch=True, out=tmp_path / "out")
    assert result.exit_code == 2 and len(result.failed) == 2
    for failure in result.failed:
        assert f"layer {layer}" in failure.error.message and "--dynamic-batch" in failure.error.remedy
    assert files(tmp_path / "out") == []


def test_one_failing_format_does_not_hide_the_other(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:Determinant", input=SHAPE, out=tmp_path / "out")
    assert [a.manifest.format for a in result.artifacts if a.manifest] == ["onnx"]
    (failure,) = result.failed
    assert failure.part["format"] == "tflite" and failure.error.remedy
    assert "det): no such operator" in failure.error.message
    assert not [name for name in files(tmp_path / "out") if "tflite" in name]


def test_a_bug_in_one_file_does_not_hide_the_others(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnx_writer.write

    def broken(job: WriteJob, path: Path) -> Written:
        if job.precision == "fp16":
            raise KeyError("no such key")
        return real(job, path)

    monkeypatch.setattr(onnx_writer, "write", broken)
    result = edgekit.export(f"{network}:build", input=SHAPE, precision=["fp32", "fp16"], out=tmp_path / "out")
    made = [(a.manifest.format, a.manifest.precision) for a in result.artifacts if a.manifest]
    assert made == [("onnx", "fp32"), ("tflite", "fp32"), ("tflite", "fp16")]
    (failure,) = result.failed
    assert (failure.error.code, result.exit_code) == ("internal", 1)
    assert "KeyError" in failure.error.message
    kept = Path(failure.error.remedy.rpartition(" ")[2])
    assert "no such key" in kept.read_text()
    kept.unlink()


@pytest.mark.parametrize(
    ("model", "arguments", "cause"),
    [
        ("mobilnet", {}, "did you mean 'mobilenet'"),
        ("mobilenet", {"alpha": 0.0}, "alpha must be in"),
        ("mobilenet", {"alpha": -1.0}, "alpha must be in"),
        ("mobilenet", {"alpha": 1.5}, "alpha must be in"),
        ("mobilenet", {"alpha": float("nan")}, "alpha must be in"),
        ("mobilenet", {"res": 0}, "resolution must be"),
        ("mobilenet", {"res": 31}, "resolution must be"),
        ("mobilenet", {"res": 5000}, "resolution must be"),
        ("mobilenet", {"classes": 0}, "number of classes"),
        ("lenet5", {"alpha": 0.5}, "no width multiplier"),
        ("lenet5", {"options": {"pool": "min"}}, "pool cannot be 'min'"),
        ("lenet5", {"options": {"size": "1"}}, "has no option"),
        ("lenet5", {"format": ["tflit"]}, "did you mean 'tflite'"),
        ("lenet5", {"precision": ["int7"]}, "did you mean 'int8'"),
        ("lenet5", {"precision": ["int8"]}, "int8 needs images"),
        ("lenet5", {"precision": ["int8"], "data": "."}, "random weights"),
        ("lenet5", {"precision": ["int8"], "data": ".", "synthetic_calibration": True}, "exclude each other"),
        ("lenet5", {"synthetic_calibration": True}, "--synthetic-calibration is for int8 files"),
        ("lenet5", {"ranges": "file"}, "--ranges file is for int8 files"),
        ("lenet5", {"int8_effort": "fast"}, "--int8-effort fast is for int8 files"),
        ("lenet5", {"max_drop": 1.0, "precision": ["fp32", "fp16"]}, "--max-drop is for int8 files"),
        ("lenet5", {"weights": "nowhere.pth"}, "nowhere.pth"),
        ("lenet5", {"io": "int16"}, "--io cannot be"),
        ("lenet5", {"max_bytes": -1}, "--max-bytes cannot be '-1'"),
        ("lenet5", {"max_bytes": "9 apples"}, "--max-bytes cannot be '9 apples'"),
        ("lenet5", {"classes": 999_999_999_999}, "at most 100,000"),
        ("lenet5", {"io": "uint8"}, "int8 TFLite"),
        ("lenet5", {"opset": 3}, "opset 3"),
        ("lenet5", {"input": SHAPE}, "--input is for networks from a file"),
        ("nowhere.py:build", {"input": SHAPE}, "nowhere.py does not exist"),
    ],
)
def test_what_cannot_work_is_said_and_leaves_nothing(
    model: str, arguments: dict[str, Any], cause: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=cause) as caught:
        raise_first(edgekit.export(model, out=out, **arguments))
    assert caught.value.remedy and "\n" not in caught.value.message
    assert not out.exists()


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        ("missing", "has no function 'missing'"),
        ("not_a_module", "returns int"),
        ("fails", "no such table"),
        ("Branches", r"mynet.py:\d+: forward\(\) asks for the values"),
        ("TwoOutputs", "is the input x"),
        ("TwoInputs", "more than one input"),
    ],
)
def test_a_users_network_that_cannot_work_says_why(network: str, function: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=cause):
        edgekit.export(f"{network}:{function}", input=SHAPE, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_whose_output_never_varies_is_not_called_equal(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:Constant", input=SHAPE, format=["onnx"], out=tmp_path / "out")
    (failure,) = result.failed
    assert result.exit_code == 3 and "does not vary" in failure.error.message
    assert [name for name in files(tmp_path / "out") if ".rejected" not in name] == []


def test_weights_that_are_not_contiguous_ship_as_they_are(tmp_path: Path) -> None:
    """Two equal-shaped weights that are views of a transposed tensor: a known way to ship one of them twice."""
    path = tmp_path / "views.py"
    path.write_text(
        "import torch\nfrom torch import nn\n\n\ndef build():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.Flatten(),"
        " nn.Linear(3 * 64, 5))\n"
        "    for i in (0, 2):\n"
        "        net[i].weight = nn.Parameter(torch.randn(3, 3, 3, 3).permute(3, 2, 0, 1))\n"
        "        assert not net[i].weight.is_contiguous()\n"
        "    return net\n"
    )
    result = edgekit.export(f"{path}:build", input=(1, 3, 8, 8), out=tmp_path / "out")
    assert len(result.artifacts) == 2 and not result.failed


def test_a_file_where_the_folder_should_be(network: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is in the way"):
        edgekit.export(f"{network}:build", input=SHAPE, out=tmp_path / "out")


def test_an_altered_file_and_a_newer_manifest_are_refused(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:build", input=SHAPE, format=["onnx"], out=tmp_path / "out")
    path = result.artifacts[0].path
    manifest = manifest_path(path)
    text = manifest.read_text()
    manifest.write_text(text.replace('"version": 1', '"version": 99', 1))
    with pytest.raises(UsageError, match="version 99"):
        open_artifact(path)
    manifest.write_text(text)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UsageError, match="sha256 differs"):
        open_artifact(path)


def test_torch_is_left_as_it_was(network: str, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    edgekit.export(f"{network}:build", input=SHAPE, format=["onnx"], out=tmp_path / "out")
    assert torch.get_num_threads() == threads


def raise_first(result: ExportResult) -> None:
    """What fails for one file only is an error too."""
    if result.failed:
        raise result.failed[0].error


def test_a_wrong_int8_file_names_its_first_wrong_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = onnx_writer.write

    def spoilt(job: WriteJob, path: Path) -> Written:
        assert job.quantized is not None
        biases = {**job.quantized.biases, "f6": torch.full_like(job.quantized.biases["f6"], 3000)}
        return write(replace(job, quantized=replace(job.quantized, biases=biases)), path)

    monkeypatch.setattr(onnx_writer, "write", spoilt)
    result = edgekit.export(
        "lenet5", format=["onnx"], precision=["int8"], synthetic_calibration=True, out=tmp_path / "out"
    )
    (failed,) = result.failed
    assert "layer f6 (linear) is the first that differs" in str(failed.error) and "a bias" in str(failed.error)
