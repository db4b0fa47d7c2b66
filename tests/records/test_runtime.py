from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import BackendMissing, UsageError
from edgekit.records.runtime import RUNTIMES, Runtime, choose, default_runtime, open_session


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_every_entry_has_its_module_and_its_functions(name: str) -> None:
    assert RUNTIMES[name].name == name
    assert find_spec(RUNTIMES[name].module) is not None
    if RUNTIMES[name].installed:
        module = importlib.import_module(RUNTIMES[name].module)
        assert callable(module.open_session) and callable(module.preload)


def test_defaults() -> None:
    assert default_runtime("onnx") == "onnxruntime"
    assert default_runtime("tflite") == "litert"
    assert default_runtime("tensorrt", among=["trtexec", "litert"]) == "trtexec"
    with pytest.raises(BackendMissing, match="no runtime here runs a tensorrt file"):
        default_runtime("tensorrt", among=["onnxruntime", "litert", "null"])


def test_choosing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(Path("x.tflite"), "tflite").name == "litert"
    with pytest.raises(UsageError, match=r"did you mean 'litert'"):
        choose(Path("x.tflite"), "litrt")
    with pytest.raises(UsageError, match="is no artifact"):
        choose(Path("x.txt"))
    for runtime, format in (("litert", "tflite"), ("torch", "pt2")):
        with pytest.raises(UsageError, match=f"{runtime} does not run onnx files such as x.onnx") as caught:
            choose(Path("x.onnx"), runtime)
        assert caught.value.remedy == f"leave --runtime out, or export the network with --format {format}"


def test_a_runtime_that_is_not_installed_is_named_with_its_remedy() -> None:
    absent = Runtime("absent", ("onnx",), ("no_such_module",), ("no-such-package",), "absent")
    assert not absent.installed and absent.version is None
    RUNTIMES.register("absent", absent)
    try:
        with pytest.raises(BackendMissing, match="absent is not installed") as caught:
            choose(Path("x.onnx"), "absent")
        assert caught.value.remedy == "pip install 'edgekit[absent]'"
    finally:
        RUNTIMES._entries.pop("absent")


def test_opening_here(tiny_onnx: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime")
    session = open_session(tiny_onnx())
    assert [(x.name, x.dtype, x.shape) for x in session.inputs] == [("x", "float32", (1, 3, 16, 16))]
    assert [(y.name, y.dtype, y.shape) for y in session.outputs] == [("y", "float32", (1, 5))]
    (y,) = session.run([np.ones((1, 3, 16, 16), np.float32)])
    assert y.shape == (1, 5) and np.ptp(y) > 0
    assert session.found["threads"] == 1 and session.found["provider"] == "CPUExecutionProvider"


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    for name, content in (("empty.onnx", b""), ("text.onnx", b"hello" * 100)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=name):
            open_session(tmp_path / name)
    with pytest.raises(UsageError, match="does not exist"):
        open_session(tmp_path / "missing.onnx")
