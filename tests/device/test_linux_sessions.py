"""Files run in a process of their own: one that crashes its runtime, or does not end, takes nothing of ours along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.bench.links import remote_session
from edgekit.device.linux import LinuxTarget
from edgekit.errors import BackendMissing, MeasurementInvalid
from tests.waiting import PATIENCE, until

FOREIGN = "size: [8, 8]\nunits: 0..255\nmean: 0\nstd: 1\n"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images, what is done to them, and a folder for the store."""
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images" / "0").mkdir(parents=True)
    image.new("RGB", (8, 8)).save(tmp_path / "images" / "0" / "a.png")
    (tmp_path / "how.yaml").write_text(FOREIGN)


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that counts for longer than anybody waits."""
    onnx = pytest.importorskip("onnx")
    make, real, whole = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    body = make.make_graph(
        [make.make_node("Identity", ["go"], ["go_on"]), make.make_node("Neg", ["sum"], ["next"])],
        "body",
        [make.make_tensor_value_info("i", whole, []), make.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
         make.make_tensor_value_info("sum", real, [1, 3])],
        [make.make_tensor_value_info("go_on", onnx.TensorProto.BOOL, []),
         make.make_tensor_value_info("next", real, [1, 3])],
    )  # fmt: skip
    nodes = [
        make.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        make.make_node("Loop", ["times", "yes", "m"], ["y"], body=body),
    ]
    given = [
        onnx.numpy_helper.from_array(np.array(2**62), "times"),
        onnx.numpy_helper.from_array(np.array(True), "yes"),
    ]
    inputs = [make.make_tensor_value_info("x", real, [1, 3, 8, 8])]
    outputs = [make.make_tensor_value_info("y", real, [1, 3])]
    graph = make.make_graph(nodes, "endless", inputs, outputs, given)
    path = tmp_path / "endless.onnx"
    path.write_bytes(
        make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8).SerializeToString()
    )
    return path


def crashing_tflite(path: Path) -> Path:
    """Write a file with a custom operator whose options are missing: LiteRT reads them without looking."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")

    def made(kind: str, **values: Any) -> Any:
        one = getattr(schema, f"{kind}T")()
        vars(one).update(values)
        return one

    shapes = ([1, 10, 4], [1, 10, 5], [10, 4], [1, 10, 4], [1, 10], [1, 10], [1])
    tensors = [made("Tensor", name=b"t%d" % index, shape=shape) for index, shape in enumerate(shapes)]
    code = made("OperatorCode", builtinCode=32, deprecatedBuiltinCode=32, customCode=b"TFLite_Detection_PostProcess")
    operator = made("Operator", inputs=[0, 1, 2], outputs=[3, 4, 5, 6])
    graph = made("SubGraph", tensors=tensors, inputs=[0, 1, 2], outputs=[3, 4, 5, 6], operators=[operator])
    model = made("Model", version=3, operatorCodes=[code], subgraphs=[graph], buffers=[made("Buffer")])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


@pytest.fixture
def crashing(tmp_path: Path) -> Path:
    """Such a file."""
    return crashing_tflite(tmp_path / "crashing.tflite")


def test_a_file_that_crashes_its_runtime_is_told(crashing: Path) -> None:
    with pytest.raises(BackendMissing, match=r"the process running litert ended by SIGSEGV") as caught:
        edgekit.eval([crashing], data="images", preprocess="how.yaml")
    assert caught.value.exit_code == 5
    assert edgekit.inspect(crashing).operators == {"CUSTOM": 1}


def test_a_file_that_does_not_end_is_ended(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_session, "ANSWER_SECONDS", 1.0)
    with pytest.raises(MeasurementInvalid, match=r"no answer from onnxruntime in 1 s: the run was ended"):
        edgekit.eval([endless], data="images", preprocess="how.yaml")


def test_parity_asks_a_process_of_its_own(tmp_path: Path) -> None:
    code = "import edgekit, sys; edgekit.export('lenet5', format=['onnx']); print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.split()[-1:] == ["False"], done.stderr


def children(pid: int) -> list[int]:
    """The processes that one started and that still run, with theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *children(child)]
    return found


def runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_everything_at_once(endless: Path, tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "edgekit", "eval", str(endless), "--data", "images", "--preprocess", "how.yaml"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)

    def computes() -> bool:
        for pid in children(process.pid):
            with suppress(OSError):
                used = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
                if used > 1.5 * os.sysconf("SC_CLK_TCK"):  # more than importing takes on most machines
                    return True
        return False

    until(computes)
    started = children(process.pid)
    process.send_signal(how)
    assert process.wait(timeout=PATIENCE) == (130 if how != signal.SIGKILL else -signal.SIGKILL)
    until(lambda: not any(map(runs, started)))


def test_an_answer_is_that_of_the_file(tiny_onnx: Callable[..., Path]) -> None:
    from edgekit.records.runtime import open_session

    path, x = tiny_onnx(batch="N"), np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype(np.float32)
    opened = LinuxTarget().open_session(path)
    session, found = opened.session, opened.found
    with closing(opened):
        ours = open_session(path)
        np.testing.assert_array_equal(session.run([x])[0], ours.run([x])[0])
        assert [(one.name, one.shape) for one in session.inputs] == [(one.name, one.shape) for one in ours.inputs]
    assert found.items() >= {"threads": 1, "provider": "CPUExecutionProvider"}.items() and "device" not in found
