"""Each runtime on files that really run; that they agree is what parity rests on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bench.ondevice.runtimes import null

WriteOnnx = Callable[..., Path]


@pytest.fixture
def ort() -> Any:
    pytest.importorskip("onnxruntime")
    from edgekit.bench.ondevice.runtimes import onnxruntime

    return onnxruntime


@pytest.fixture
def litert() -> Any:
    pytest.importorskip("ai_edge_litert")
    from edgekit.bench.ondevice.runtimes import litert

    return litert


def image(batch: int) -> Any:
    return np.random.default_rng(3).standard_normal((batch, 3, 16, 16), np.float32)


def test_onnx_batch_free_and_fixed(ort: Any, tiny_onnx: WriteOnnx) -> None:
    free, fixed = str(tiny_onnx("free.onnx", "N")), str(tiny_onnx("fixed.onnx"))
    assert ort.open_session(free, {}).inputs[0].shape == (-1, 3, 16, 16)
    session = ort.open_session(free, {"batch": 7})
    assert session.inputs[0].shape == (7, 3, 16, 16) and session.outputs[0].shape == (7, 5)
    (together,) = session.run([image(7)])
    alone = [session.run([image(7)[index : index + 1]])[0] for index in range(7)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)
    with pytest.raises(ValueError, match="fixes its batch at 1, and 7 was asked"):
        ort.open_session(fixed, {"batch": 7})


def test_onnx_says_what_it_found(ort: Any, tiny_onnx: WriteOnnx) -> None:
    found = ort.open_session(str(tiny_onnx()), {"threads": 2}).found
    assert found["threads"] == 2 and found["spinning"] is True
    assert found["provider"] == "CPUExecutionProvider"
    if found["nodes_by_provider"] is not None:
        assert found["nodes_by_provider"]["CPUExecutionProvider"] >= 3


def test_onnx_never_falls_back_to_another_provider(ort: Any, tiny_onnx: WriteOnnx) -> None:
    with pytest.raises(RuntimeError, match="no provider 'nonsense'; it has .*CPUExecutionProvider"):
        ort.open_session(str(tiny_onnx()), {"provider": "nonsense"})
    assert ort.open_session(str(tiny_onnx()), {"provider": "cpu"}).found["provider"] == "CPUExecutionProvider"


def test_onnx_counts_what_each_provider_really_ran(ort: Any, tiny_onnx: WriteOnnx) -> None:
    import onnxruntime

    path = str(tiny_onnx())
    inputs = ort.open_session(path, {}).inputs
    assert ort.profiled(onnxruntime, path, 1, ort.CPU, inputs)[ort.CPU] >= 3
    with pytest.raises(RuntimeError, match="CUDAExecutionProvider was asked for and runs no node; CPU"):
        ort._checked({ort.CPU: 5}, ort.CUDA)


def test_onnx_answers_alike_on_memory_of_a_device(ort: Any, tiny_onnx: WriteOnnx) -> None:
    session = ort.open_session(str(tiny_onnx()), {})
    step = session.bound([image(1)], "cpu")
    step()
    step()


def test_onnxruntime_tells_its_arena_in_its_log(ort: Any) -> None:
    log = """
73 [I:onnxruntime:Default, bfc_arena.cc:281 Reserve] Reserving memory in BFCArena for Cpu size: 64
74 [I:onnxruntime:Default, bfc_arena.cc:335 AllocateRawInternal] Extending BFCArena for Cpu. bin_num:11
74 [I:onnxruntime:Default, bfc_arena.cc:208 Extend] Total allocated bytes: 3113104
75 [I:onnxruntime:Default, bfc_arena.cc:335 AllocateRawInternal] Extending BFCArena for Cuda. bin_num:1
75 [I:onnxruntime:Default, bfc_arena.cc:208 Extend] Total allocated bytes: 77
76 [I:onnxruntime:Default, bfc_arena.cc:335 AllocateRawInternal] Extending BFCArena for Cpu. bin_num:13
76 [I:onnxruntime:Default, bfc_arena.cc:208 Extend] Total allocated bytes: 9404560
"""
    assert ort.arenas(log) == {"Cpu": 9_404_560, "Cuda": 77} and ort.arenas("") == {}


def test_onnx_tells_broken_files_from_files_it_cannot_run(ort: Any, tiny_onnx: WriteOnnx) -> None:
    import onnx

    path = tiny_onnx()
    model = onnx.load(path)
    model.graph.node[0].op_type = "Unheard"
    onnx.save(model, path)
    with pytest.raises(RuntimeError, match=r"tiny\.onnx.*Unheard"):
        ort.open_session(str(path), {})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"tiny\.onnx"):
        ort.open_session(str(path), {})


def test_litert_says_what_runs_it(litert: Any, hosted_tflite: Path) -> None:
    session = litert.open_session(str(hosted_tflite), {"threads": 1, "batch": 1})
    assert [(x.dtype, x.shape) for x in session.inputs] == [("uint8", (1, 128, 128, 3))]
    found = session.found
    assert found["nodes"] == 31 and found["package"] == "ai_edge_litert"
    if found["delegate"] == "xnnpack":
        assert 0 < found["nodes_delegated"] <= 31
    alone = litert.open_session(str(hosted_tflite), {"delegate": "none"})
    assert alone.found["delegate"] is None and alone.found["nodes_delegated"] == 0
    pixels = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), np.uint8)
    (quick,), (plain,) = session.run([pixels]), alone.run([pixels])
    assert quick.dtype == np.uint8 and quick.argmax() == plain.argmax()


def test_litert_batch_that_the_file_refuses(litert: Any, hosted_tflite: Path) -> None:
    with pytest.raises(ValueError, match="fixes its batch at 1, and 4 was asked"):
        litert.open_session(str(hosted_tflite), {"batch": 4})


def test_litert_refuses_other_files_and_delegates(litert: Any, hosted_tflite: Path, tmp_path: Path) -> None:
    whole = hosted_tflite.read_bytes()
    for content in (b"", b"hello" * 100, whole[: len(whole) // 2]):
        (tmp_path / "bad.tflite").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.tflite"):
            litert.open_session(str(tmp_path / "bad.tflite"), {})
    with pytest.raises(ValueError, match="neither xnnpack, none nor a library's path"):
        litert.open_session(str(hosted_tflite), {"delegate": "gpu"})
    with pytest.raises(ValueError, match="delegates, not providers"):
        litert.open_session(str(hosted_tflite), {"provider": "cuda"})


def test_undelegated_operators_are_found_by_walking_back(litert: Any) -> None:
    def node(name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
        return {"op_name": name, "inputs": inputs, "outputs": outputs}

    chain = [node("CONV_2D", [0], [1]), node("CUSTOM", [1], [2]), node("ADD", [2, 1], [3])]
    taken = [*chain, node("DELEGATE", [0], [1]), node("DELEGATE", [2, 1], [3])]
    assert {each["op_name"] for each in litert.undelegated(chain, [3])} == {"CONV_2D", "CUSTOM", "ADD"}
    assert litert.undelegated(taken, [3]) == [chain[1]]


def test_null_can_take_a_known_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(null.PAUSE, "2.5")
    session = null.open_session("no such file", {})
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    null.open_session("no such file", {}).prepare([])()
    assert slept == [0.0025] and session.found["timed"] == "a pause of 2.5 ms"


def test_null_does_nothing() -> None:
    session = null.open_session("no such file", {"batch": 3})
    assert session.inputs[0].shape == (3, 1)
    session.prepare([])()
    with pytest.raises(ValueError, match="no provider"):
        null.open_session("", {"provider": "cuda"})
