"""A key covers all that goes into a file, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from edgekit.exporting.inputs import key
from edgekit.exporting.options import OPTIONS, ExportOptions
from edgekit.sweeps.grid.axes import Point
from edgekit.sweeps.grid.fields import KEYS, SHARED, Grid
from edgekit.sweeps.grid.reading import grid
from edgekit.sweeps.keys import Keys
from edgekit.sweeps.weights import Source
from tests.importers.onnx.files import small_network

pytest.importorskip("torch")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def _first(wanted: Grid, weights: Source) -> ExportOptions:
    first = {axis: values[0] for axis, values in wanted.axes.items()}
    point = Point(first["model"], first["alpha"], first["res"])
    return wanted.asked(point, weights, (first["format"],), (first["precision"],))


OTHERS: dict[str, Any] = {
    "classes": 7, "input": (1, 3, 8, 8), "options": {"pool": "max"}, "preprocess": "p.yaml", "labels": "p.yaml",
    "int8_effort": "fast", "int8_range": "full", "ranges": "file", "max_drop": 1.0, "io": "int8", "output": "softmax",
    "dynamic_batch": True, "layout": "nchw",
    "opset": 15, "max_batch": 4, "target_gpu": "8.9", "max_bytes": 10**6, "max_latency": 5.0,
}  # fmt: skip


def test_no_option_of_export_is_missing_in_a_sweep() -> None:
    assert set(OPTIONS) <= {*KEYS, "devices"}
    assert {*OTHERS, "data", "synthetic_calibration"} == set(SHARED)


def test_a_key_covers_the_other_files_that_hold_a_networks_weights(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path, weights = tmp_path / "net.onnx", Source("w", "ab" * 32, random=False)
    held = onnx.load(small_network(tmp_path / "whole.onnx"))
    onnx.save(held, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    wanted = grid(str(path))
    before = key(Keys(wanted).of_export(_first(wanted, weights), weights))
    data = (tmp_path / "net.bin").read_bytes()
    (tmp_path / "net.bin").write_bytes(data[::-1])
    assert key(Keys(wanted).of_export(_first(wanted, weights), weights)) != before


def test_a_key_covers_every_file_of_the_package_that_builds_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "nets_of_mine" / "deep"
    folder.mkdir(parents=True)
    for path in (folder / "__init__.py", folder / "build.py", folder.parent / "blocks.py", tmp_path / "net_of_mine.py"):
        path.write_text("raise SystemExit('imported')\n")
    weights = Source("w", "ab" * 32, random=False)

    def of(model: str) -> str:
        wanted = grid(model, input=(1, 1, 8, 8))
        return key(Keys(wanted).of_export(_first(wanted, weights), weights))

    for model, changed in (
        ("nets_of_mine.deep.build:small", folder.parent / "blocks.py"),
        ("nets_of_mine.deep.build:small", folder / "build.py"),
        ("net_of_mine:small", tmp_path / "net_of_mine.py"),
    ):
        before = of(model)
        assert before == of(model) != of(model.replace("small", "large"))
        changed.write_text(f"{changed.read_text()}# changed\n")
        assert of(model) != before, changed
    assert of("no_such_package.at_all:small") != of("no_such_package_at_all:small")


@pytest.mark.parametrize("option", OTHERS)
def test_every_option_of_export_comes_to_the_export_and_into_its_key(given: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "p.yaml").write_text("size: 32")
    value = tmp_path / "p.yaml" if OTHERS[option] == "p.yaml" else OTHERS[option]
    format = {"opset": "onnx", "int8_range": "onnx", "max_batch": "tensorrt", "target_gpu": "tensorrt"}.get(
        option, "tflite"
    )
    weights = Source("w", "ab" * 32, random=False)

    def of(**more: Any) -> tuple[Any, str]:
        data = given / ("test" if option == "max_drop" else "calibration")
        needed = {"dynamic_batch": True} if option == "max_batch" else {}
        wanted = grid("mobilenet", data=data, format=format, precision="int8", **needed, **more)
        first = _first(wanted, weights)
        return getattr(first, option), key(Keys(wanted).of_export(first, weights))

    plain, other = of(), of(**{option: value})
    assert other[0] == value and plain[1] != other[1]


def test_a_key_covers_everything_that_goes_into_a_file(given: Path, tmp_path: Path) -> None:
    shutil.copytree(given / "calibration", tmp_path / "calibration")
    (tmp_path / "p.yaml").write_text("size: 32")
    weights = Source("w", "ab" * 32, random=False)

    def of(precision: str, weights: Source = weights, **asked: Any) -> str:
        both = (precision, "int8" if precision == "fp32" else "fp32")
        values = {"data": tmp_path / "calibration", "precision": both, "res": (32,)} | asked
        wanted = grid("mobilenet", **values)
        return key(Keys(wanted).of_export(_first(wanted, weights), weights))

    assert of("int8") == of("int8") != of("fp32")
    other = Source("w", "cd" * 32, random=False)
    changes: list[dict[str, Any]] = [
        {"weights": other}, {"res": (64,)}, {"alpha": (0.5,)}, {"classes": 7}, {"format": ("tflite",)},
        {"preprocess": tmp_path / "p.yaml"},
    ]  # fmt: skip
    for precision in ("fp32", "int8"):
        seen = {of(precision), *(of(precision, **change) for change in changes)}
        assert len(seen) == len(changes) + 1
    assert of("fp32", int8_effort="fast") == of("fp32") and of("int8", int8_effort="fast") != of("int8")
    before = of("fp32"), of("int8")
    (tmp_path / "calibration" / "0.png").write_bytes((given / "test" / "0.png").read_bytes())
    assert of("fp32") == before[0] and of("int8") != before[1], "other images for int8"
    before = of("fp32", preprocess=tmp_path / "p.yaml"), ""
    (tmp_path / "p.yaml").write_text("size: 33")
    assert of("fp32", preprocess=tmp_path / "p.yaml") != before[0]


def test_networks_of_equal_bytes_have_jobs_of_their_own(tmp_path: Path) -> None:
    """Their files have different names; with one key, a sweep of both would wait for the second for ever."""
    weights, keys = Source("w", "ab" * 32, random=False), set()
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
        wanted = grid(f"{tmp_path / name}.py:build", input=(1, 1, 8, 8))
        keys.add(key(Keys(wanted).of_export(_first(wanted, weights), weights)))
    assert len(keys) == 2
