"""What an engine belongs to, whether that is here, and which product built it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.ondevice.engines import (
    RTX,
    RTX_MAGIC,
    TENSORRT,
    check,
    command,
    differences,
    load,
    product_of,
    runs_on,
    targets_in_words,
)
from edgekit.errors import BackendMissing
from edgekit.records.runtime import RUNTIMES, refusal

MANIFEST: dict[str, Any] = {
    "details": {"tensorrt": "8.6.1", "gpu": "Orin", "compute_capability": "8.7", "jetpack": "6.1"},
    "variant": {"model": "mobilenet", "alpha": 0.5, "resolution": 160},
    "weights": {"origin": "random"},
    "precision": "fp16",
}
ORIN = {"tensorrt": "8.6.1", "compute_capability": "8.7", "gpu": "Orin"}
FOR_ADA = {"tensorrt_rtx": "1.7.1.116", "target_gpus": ["8.6", "8.9"]}
FOR_ALL = {"tensorrt_rtx": "1.7.1.116", "target_gpus": []}
HEAD = RTX_MAGIC + bytes(20) + bytes([1, 1, 7, 1, 116])  # as 1.7.1.116 begins an engine


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({"tensorrt": "10.3.0"}, "built for TensorRT 8.6.1, and here is TensorRT 10.3.0"),
        ({"compute_capability": "8.9"}, "built for compute capability 8.7, and here is compute capability 8.9"),
        ({"gpu": "Orin Nano"}, "built for GPU Orin, and here is GPU Orin Nano"),
        ({"jetpack": "6.2"}, "built for JetPack 6.1, and here is JetPack 6.2"),
    ],
)
def test_another_place_is_told_with_the_command_that_builds_again(here: dict[str, str], said: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        check(MANIFEST, {**ORIN, **here})
    error = refusal("backend", str(caught.value), RUNTIMES["tensorrt"])
    assert isinstance(error, BackendMissing) and said in error.message and error.exit_code == 5
    again = "edgekit export mobilenet --alpha 0.5 --res 160 --format tensorrt --precision fp16 --weights random"
    assert error.remedy == f"build it again on this device: {again}"


def test_the_command_that_builds_again_can_be_pasted() -> None:
    manifest = {**MANIFEST, "weights": {"origin": "my weights.pth"}, "variant": {"model": "a", "options": {"x": "1 2"}}}
    words = shlex.split(command(manifest))
    assert words[words.index("--weights") + 1] == "my weights.pth" and words[words.index("--option") + 1] == "x=1 2"


def test_the_same_place_and_foreign_engines_pass() -> None:
    check(MANIFEST, ORIN)
    check(MANIFEST, {**ORIN, "jetpack": "6.1"})
    check({}, ORIN)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("10.12.0.36", "10.12.0", True),
        ("10.12.0.36", "10.12.0.36", True),
        ("10.0.0b6", "10.0.0", True),
        ("10.12.0.36", "10.1.0", False),
        ("10.12.0.36", "10.12.1", False),
        ("8.5.1.7", "8.5.1.8", False),  # TensorRT itself compares all that both have
    ],
)
def test_a_version_has_three_parts_or_four(one: str, other: str, is_same: bool) -> None:
    for made, here in ((one, other), (other, one)):
        found = differences({"tensorrt": made}, {"tensorrt": here})
        assert found == (None if is_same else (f"TensorRT {made}", f"TensorRT {here}"))


# TensorRT for RTX


@pytest.mark.parametrize(
    ("details", "here", "theirs", "ours"),
    [
        (FOR_ALL, ORIN, "TensorRT for RTX 1.7.1.116", "TensorRT 8.6.1"),
        (MANIFEST["details"], {"tensorrt_rtx": "1.7.1.116"}, "TensorRT 8.6.1", "TensorRT for RTX 1.7.1.116"),
        (FOR_ALL, {"tensorrt_rtx": "1.6.1.120"}, "TensorRT for RTX 1.7.1.116", "TensorRT for RTX 1.6.1.120"),
        (
            FOR_ADA,
            {"tensorrt_rtx": "1.7.1.116", "compute_capability": "12.0", "gpu": "RTX 5090"},
            "compute capability 8.6 or 8.9",
            "compute capability 12.0",
        ),
        (
            FOR_ALL,
            {"tensorrt_rtx": "1.7.1.116", "compute_capability": "7.5"},
            "compute capability 8.0 and newer",
            "compute capability 7.5",
        ),
    ],
)
def test_the_other_product_release_or_gpu_is_told(
    details: dict[str, Any], here: dict[str, str], theirs: str, ours: str
) -> None:
    assert differences(details, here) == (theirs, ours)


@pytest.mark.parametrize(("details", "capability"), [(FOR_ADA, "8.9"), (FOR_ALL, "8.0"), (FOR_ALL, "12.1")])
def test_an_engine_of_rtx_belongs_to_no_single_gpu(details: dict[str, Any], capability: str) -> None:
    here = {"tensorrt_rtx": "1.7.1.116", "compute_capability": capability, "gpu": "any", "jetpack": None}
    assert differences(details, here) is None
    assert runs_on(details["target_gpus"], capability) and targets_in_words(details["target_gpus"])


@pytest.mark.parametrize(
    ("details", "head", "product"),
    [
        ({"tensorrt_rtx": "1.7.1.116"}, b"", RTX),
        ({"tensorrt": "10.3.0"}, HEAD, TENSORRT),  # the manifest goes first
        (None, HEAD, RTX),
        (None, b"ftrt" + bytes(40), None),
        (None, HEAD[:24] + bytes([1, 10, 3, 0]), None),  # TensorRT begins engines that other versions read like this
        (None, b"", None),
    ],
)
def test_the_product_is_told_by_the_manifest_or_the_first_bytes(
    tmp_path: Path, details: dict[str, Any] | None, head: bytes, product: str | None
) -> None:
    path = tmp_path / "x.engine"
    path.write_bytes(head)
    if details is not None:
        Path(f"{path}.json").write_text(json.dumps({"details": details}))
    assert product_of(str(path)) == product
    assert product_of(str(tmp_path / "none.engine")) is None


def test_the_package_of_rtx_may_have_either_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("tensorrt_rtx_bindings", "tensorrt_rtx"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(f"name = {name!r}")
        assert load(RTX).name == name
    (tmp_path / "tensorrt_rtx.py").write_text("import libnothing")
    monkeypatch.delitem(__import__("sys").modules, "tensorrt_rtx")
    with pytest.raises(ModuleNotFoundError, match="libnothing"):
        load(RTX)
