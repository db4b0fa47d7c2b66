"""What would fail in every cell of a sweep is said before its first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.sweeps.command import sweep

NOTHING: list[tuple[dict[str, Any], str]] = [
    ({"model": "mobilenett"}, "did you mean 'mobilenet'"),
    ({"alpha": (2.0,)}, "alpha must be"),
    ({"alpha": (float("nan"),)}, "alpha must be"),
    ({"res": (7,)}, "resolution must be"),
    ({"device": ("pixel",)}, "no device 'pixel'"),
    ({"weights": "nowhere"}, "weights nowhere do not exist"),
    ({"eval": Path("nowhere")}, "nowhere does not exist"),
    ({"data": Path("nowhere")}, "nowhere does not exist"),
    ({"preprocess": Path("no.yaml")}, "no.yaml does not exist"),
    ({"jobs": 0}, "--jobs must be at least 1"),
    ({"int8_effort": "fast"}, "--int8-effort fast is for int8 files"),
    ({"synthetic_calibration": True}, "--synthetic-calibration is for int8 files"),
    ({"export_only": True, "device": ("board",)}, "--device is not for --export-only"),
    ({"export_only": True, "preset": "quick"}, "--preset is not for --export-only"),
    ({"export_only": True, "batch": (2,)}, "--batch is not for --export-only"),
    ({"export_only": True, "threads": (2,)}, "--threads is not for --export-only"),
    ({"export_only": True, "runtime": ("torch",)}, "--runtime is not for --export-only"),
    ({"preprocess": Path(__file__)}, "--preprocess means nothing for random weights"),
]


@pytest.mark.parametrize(("asked", "cause"), NOTHING)
def test_what_would_fail_everywhere_is_said_before_the_first_step(
    asked: dict[str, Any], cause: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    values: dict[str, Any] = {
        "model": "mobilenet",
        "out": tmp_path / "out",
        "store": f"sqlite:///{tmp_path}/s.db",
    } | asked
    with pytest.raises(UsageError, match=cause):
        sweep(**values)
    assert list(tmp_path.iterdir()) == []


def test_images_calibrate_nothing_for_random_weights(tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")
    (tmp_path / "images").mkdir()
    for index in range(3):
        Image.new("L", (8, 8), index).save(tmp_path / "images" / f"{index}.png")
    asked: dict[str, Any] = {"precision": ("int8",), "data": tmp_path / "images", "dry_run": True}
    with pytest.raises(UsageError, match="--data means nothing for random weights"):
        sweep("mobilenet", **asked, out=tmp_path / "out", store=f"sqlite:///{tmp_path}/s.db")


def test_engines_are_made_for_this_machine_only(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text("devices: {board: {link: ssh, host: board, runtimes: [tensorrt]}}")
    asked: dict[str, Any] = {"format": ("engine",), "device": ("local", "board"), "store": f"sqlite:///{tmp_path}/s.db"}
    with pytest.raises(UsageError, match="an engine runs where it was built, and .* not for board") as caught:
        sweep("mobilenet", devices=tmp_path / "devices.yaml", out=tmp_path / "out", **asked)
    assert "edgekit export --format tensorrt --device" in caught.value.remedy and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("preprocess", "cause"),
    [
        (
            "gray.yaml",
            "the preprocessing file .*gray.yaml prepares images of 1 channels, and mobilenet_1.0_224 takes 3",
        ),
        ("{channels: RGB}", "the preprocessing prepares images of 3 channels, and lenet5_32 takes 1"),
        ("{mean: [100, 90, 80]}", "the preprocessing is wrong: mean must be one number for images of 1 channel"),
    ],
)
def test_a_network_of_other_channels_than_its_preprocessing_is_refused_in_the_plan(
    preprocess: str, cause: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "gray.yaml").write_text("channels: L\n")
    file = tmp_path / "grid.yaml"
    file.write_text(f"model: [lenet5, mobilenet]\nweights: pretrained\npreprocess: {preprocess}\n")
    asked: dict[str, Any] = {"export_only": True, "out": tmp_path / "out", "store": f"sqlite:///{tmp_path}/s.db"}
    with pytest.raises(UsageError, match=rf"^'preprocess' in .*, line 3: {cause}"):
        sweep(str(file), dry_run=True, **asked)


def test_networks_of_other_channels_share_a_grid_where_each_has_its_preprocessing(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    file = tmp_path / "grid.yaml"
    (tmp_path / "gray.yaml").write_text("channels: L\nmean: 33\nstd: 78\n")
    asked: dict[str, Any] = {"export_only": True, "out": tmp_path / "out", "store": f"sqlite:///{tmp_path}/s.db"}
    entry = "{model: lenet5, preprocess: %s}"
    grid = "model: [mobilenet, " + entry + "]\nweights: pretrained\npreprocess: {channels: RGB}\n"
    file.write_text(grid % "gray.yaml")
    assert len(sweep(str(file), dry_run=True, **asked).cells) == 4
    file.write_text(grid % "{channels: RGB}")
    with pytest.raises(UsageError, match="^'model' in .*, line 1: the preprocessing prepares images of 3 channels"):
        sweep(str(file), dry_run=True, **asked)
    file.write_text(grid % "none.yaml")
    with pytest.raises(UsageError, match="none.yaml does not exist"):
        sweep(str(file), dry_run=True, **asked)


@pytest.mark.parametrize("asked", [{"precision": ("fp32", "int8")}, {"include": [{"precision": "int8"}]}])
def test_int8_is_not_calibrated_on_the_images_that_evaluate_it(asked: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    asked |= {"weights": "pretrained", "data": folder, "eval": tmp_path / "other" / ".." / "images"}
    with pytest.raises(UsageError, match="is given to --data and to --eval: .* would flatter int8"):
        sweep("mobilenet", out=tmp_path / "out", store=f"sqlite:///{tmp_path}/s.db", **asked)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("asked", "name"), [({}, "mobilenet"), ({"alpha": (0.5,), "res": (128,)}, "mobilenet_0.5_128")]
)
def test_a_plan_names_no_width_that_the_weights_have_still_to_tell(
    asked: dict[str, Any], name: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "trained.pth").write_bytes(b"of some width")
    asked |= {"weights": str(tmp_path / "trained.pth"), "export_only": True, "format": ("onnx",)}
    found = sweep("mobilenet", dry_run=True, out=tmp_path / "out", store=f"sqlite:///{tmp_path}/s.db", **asked)
    assert [cell.variant for cell in found.cells] == [name]
