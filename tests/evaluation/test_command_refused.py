"""What an evaluation refuses, because its number would mean nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.data.decode import decode
from edgekit.data.images import pixel_hash
from edgekit.errors import BackendMissing, EdgekitError, MeasurementInvalid, UsageError
from edgekit.records.preprocessing import Preprocessing
from edgekit.storage.store import open_store
from tests.evaluation.files import calibrated_on, foreign_yaml, network, sealed

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")


def test_an_overlap_with_the_calibration_is_refused_under_any_name(
    tmp_path: Path, pictures: Path, evaluate: Callable[..., Any]
) -> None:
    Image.open(pictures / "3.png").save(tmp_path / "calibration.bmp")
    record = calibrated_on("f" * 16, pixel_hash(decode(tmp_path / "calibration.bmp")))
    path = sealed(network(tmp_path / "a.onnx"), calibration=record)
    with pytest.raises(UsageError, match=r"a\.onnx was calibrated on 3\.png"):
        evaluate(path)
    assert open_store(str(tmp_path / "store.db")).accuracies() == []
    assert evaluate(sealed(path, calibration=calibrated_on("f" * 16))).results[0].accuracy.n == 10


def test_one_file_that_is_refused_does_not_hide_the_others(tmp_path: Path, pictures: Path, evaluate: Any) -> None:
    record = calibrated_on(pixel_hash(decode(pictures / "5.png")))
    bad, good = network(tmp_path / "bad.onnx"), network(tmp_path / "good.onnx")
    result = evaluate(sealed(bad, calibration=record), sealed(good), tmp_path / "gone.onnx")
    assert [evaluated.artifact for evaluated in result.results] == [good]
    reasons = {Path(row["artifact"]).name: row["reason"] for row in result.to_json()["failed"]}
    assert "calibrated on 5.png" in reasons["bad.onnx"] and "does not exist" in reasons["gone.onnx"]
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"trained": False}, "random weights"),
        ({"calibration": calibrated_on(synthetic=True)}, "calibrated on noise"),
        ({"preprocessing": Preprocessing(crop_fraction=1.0, class_offset=1)}, "has class 2, and a.onnx knows 0 to 1"),
    ],
)
def test_what_would_mean_nothing_is_refused(tmp_path: Path, evaluate: Any, options: dict[str, Any], cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        evaluate(sealed(network(tmp_path / "a.onnx"), **options))


def test_a_changed_file_is_refused(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    path = sealed(network(tmp_path / "a.onnx"))
    network(path, spoil=2.0)
    with pytest.raises(UsageError, match="sha256 differs"):
        evaluate(path)


def test_nan_is_no_accuracy(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    with pytest.raises(MeasurementInvalid, match="NaN"):
        evaluate(sealed(network(tmp_path / "a.onnx", spoil=float("nan"))))


@pytest.mark.parametrize(
    ("yaml", "cause"),
    [
        (None, "--preprocess FILE"),
        ("size: 16", "takes images of 8x8"),
        ("layout: NHWC", "not 3 channels of an image in NHWC"),
        ("channels: L", "not 1 channels"),
    ],
)
def test_a_foreign_file_needs_a_fitting_preprocessing(
    tmp_path: Path, evaluate: Any, yaml: str | None, cause: str
) -> None:
    path = network(tmp_path / "a.onnx")
    with pytest.raises(UsageError) as caught:
        evaluate(path, preprocess=foreign_yaml(tmp_path, yaml) if yaml else None)
    assert cause in f"{caught.value.message} {caught.value.remedy}"


def test_a_manifest_is_not_overruled(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="for foreign files"):
        evaluate(sealed(network(tmp_path / "a.onnx")), preprocess=foreign_yaml(tmp_path))


@pytest.mark.parametrize(
    ("options", "error", "cause"),
    [
        ({"device": "pixel-8"}, UsageError, "there is no device 'pixel-8'"),
        ({"runtime": "litert"}, UsageError, "does not run onnx files"),
        ({"runtime": "null"}, UsageError, "null runtime"),
        ({"data": Path("nowhere")}, UsageError, "nowhere does not exist"),
    ],
)
def test_wrong_arguments_are_refused(
    tmp_path: Path, evaluate: Any, options: dict[str, Any], error: type[EdgekitError], cause: str
) -> None:
    with pytest.raises(error, match=cause):
        evaluate(sealed(network(tmp_path / "a.onnx")), **options)


def test_no_artifact_is_refused(evaluate: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="no artifact"):
        evaluate()


def test_a_set_of_which_more_is_broken_than_not_is_refused_and_nothing_is_stored(
    tmp_path: Path, pictures: Path, evaluate: Any
) -> None:
    for index in range(6):
        (pictures / f"{index}.png").write_bytes(b"broken")
    with pytest.raises(UsageError, match=r"6 of 10 images in .* cannot be read; the first: the image .*/0\.png"):
        evaluate(sealed(network(tmp_path / "a.onnx")))
    assert open_store(str(tmp_path / "store.db")).accuracies() == []


def test_without_pillow_the_remedy_is_said(tmp_path: Path, evaluate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sealed(network(tmp_path / "a.onnx"))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(BackendMissing, match="pillow") as caught:
        evaluate(path)
    assert "pip install 'edgekit[" in caught.value.remedy
