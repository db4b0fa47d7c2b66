"""Which weights a variant gets: by the names of files, and by precision."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.network.names import called
from edgekit.sweeps.weights import in_folder, source, told_by


@pytest.mark.parametrize(
    ("name", "model", "point"),
    [
        ("mobilenet_v1_0_5_160_quant.tflite", "mobilenet", (0.5, 160)),
        ("mobilenet_v1_0_25_224_float.tflite", "mobilenet", (0.25, 224)),
        ("mobilenet_v1_1.0_224.tflite", "mobilenet", (1.0, 224)),
        ("mobilenet_7_5_192_tf.h5", "mobilenet", (0.75, 192)),
        ("mobilenet_0.25.safetensors", "mobilenet", (0.25, None)),
        ("mobilenet.pth", "mobilenet", (None, None)),
        ("mobilenet_0.5_160.pth.tar", "mobilenet", (0.5, 160)),
        ("mobilenet_0.5_160.weights.h5", "mobilenet", (0.5, 160)),
        ("mobilenet_0.5_160.keras", "mobilenet", (0.5, 160)),
        ("mobilenet_0.5_160.txt", "mobilenet", None),
        ("resnet50-0676ba61.pth", "resnet50", (None, None)),
        ("mobilenet_v2_1.0_224.pth", "mobilenet", None),
        ("resnet50_v2.pth", "resnet50", None),
        ("squeezenet.npz", "mobilenet", None),
    ],
)
def test_a_files_name_tells_its_variant(name: str, model: str, point: tuple[float | None, int | None] | None) -> None:
    assert told_by(name, model) == point


def test_the_file_that_fits_best_is_taken(tmp_path: Path) -> None:
    for name in (
        "mobilenet_0.5.pth",
        "mobilenet_v1_0_5_160_quant.tflite",
        "mobilenet_v1_0_5_160_float.tflite",
        "a.txt",
    ):
        (tmp_path / name).write_bytes(name.encode())

    def named(alpha: float, res: int, precision: str = "fp32") -> str | None:
        found = in_folder(tmp_path, "mobilenet", alpha, res, precision)
        return found.name if found else None

    assert named(0.5, 160) == "mobilenet_v1_0_5_160_float.tflite"
    assert named(0.5, 160, "int8") == "mobilenet_v1_0_5_160_quant.tflite"
    assert named(0.5, 128) == "mobilenet_0.5.pth"
    assert named(1.0, 160) is None
    with pytest.raises(UsageError, match="no weights of mobilenet_1.0_160"):
        source(str(tmp_path), "mobilenet", 1.0, 160, "fp32", random_where_missing=False)
    assert source(str(tmp_path), "mobilenet", 1.0, 160, "fp32", random_where_missing=True).random


def test_weights_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(b"one")
    first = source(str(path), "mobilenet", None, None, "fp32", False).identity
    path.write_bytes(b"two!")
    assert source(str(path), "mobilenet", None, None, "fp32", False).identity != first
    with pytest.raises(UsageError, match="do not exist"):
        source(str(tmp_path / "no.pth"), "mobilenet", None, None, "fp32", False)


def test_networks_of_several_files_do_not_share_a_file_of_weights(tmp_path: Path) -> None:
    (tmp_path / "mynet.pth").write_bytes(b"mine")
    (tmp_path / "build.pth").write_bytes(b"of nobody")
    assert source(str(tmp_path), called("mynet.py:build"), None, None, "fp32", False).weights.endswith("mynet.pth")
    with pytest.raises(UsageError, match="has no weights of other") as caught:
        source(str(tmp_path), called("other.py:build"), None, None, "fp32", False)
    assert "other.safetensors" in caught.value.remedy
