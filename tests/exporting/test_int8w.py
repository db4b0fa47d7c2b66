"""int8w from the network to files: needs no images, is a quarter as large, and says how near it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.errors import UsageError


def test_it_needs_no_images_and_is_a_quarter_as_large(tmp_path: Path) -> None:
    made = edgekit.export("lenet5", precision=["fp32", "int8w"], dynamic_batch=True, output="softmax", out=tmp_path)
    assert not made.failed
    bytes_of = {(one.manifest.format, one.manifest.precision): one.manifest for one in made.artifacts if one.manifest}
    for format in ("onnx", "tflite"):
        manifest = bytes_of[format, "int8w"]
        assert manifest.bytes < 0.29 * bytes_of[format, "fp32"].bytes
        assert manifest.calibration is None
        assert manifest.parity.passed
        assert (manifest.parity.simulated_snr_db or 200) > 100  # the arithmetic of float32
        assert 30 < (manifest.parity.snr_db or 0) < 60
        facts = manifest.details["int8_weights"]
        assert (facts["layers"], facts["float"]) == (5, {})
        assert not any(layer["int8"] for layer in manifest.details["layers"])  # what a profile's roof is chosen by
        assert not (manifest.details["proof"].get("undelegated") or {})
    (note,) = (note for note in made.notes if note.startswith("int8w against float32"))
    assert "top-1 agrees" in note


def test_images_take_what_rounding_adds_off_the_biases(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    random = np.random.default_rng(0)
    for index in range(8):
        Image.fromarray(random.integers(0, 256, (32, 32), dtype=np.uint8)).save(tmp_path / "images" / f"{index}.png")
    asked: dict[str, Any] = {"precision": ["int8w"], "format": ["onnx"]}
    plain, corrected = (
        edgekit.export("lenet5", **asked, data=data, out=tmp_path / name).artifacts[0].manifest
        for name, data in (("plain", None), ("corrected", tmp_path / "images"))
    )
    assert plain is not None and corrected is not None
    assert plain.sha256 != corrected.sha256
    assert corrected.calibration is not None  # so that eval refuses these images
    assert corrected.calibration.n == 8


def test_tensorrt_has_no_such_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tensorrt files in int8w") as told:
        edgekit.export("lenet5", format=["tensorrt"], precision=["int8w"], out=tmp_path / "out")
    assert "fp32, fp16, int8" in told.value.remedy
    assert not (tmp_path / "out").exists()
