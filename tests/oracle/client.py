"""This side of the other environment: asks a worker there, and runs what it made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-oracle" / "bin" / "python"
OLD_PYTHON = ROOT / ".venv-tflite-runtime" / "bin" / "python"
Array = NDArray[np.float32]


class Refused(Exception):
    """Another converter or quantizer could not do it; the message is its own."""


class Oracle:
    """A worker process, started at the first question, and again after one that killed it."""

    def __init__(self, log: Path, python: Path = PYTHON, module: str = "tests.oracle.worker") -> None:
        self._log, self._command = log, [str(python), "-m", module]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Oracle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            _stream(self._process.stdin).close()
            self._process.wait()
            _stream(self._process.stdout).close()

    def ask(self, task: str, **more: Any) -> dict[str, Any]:
        """The answer. Raises Refused with the message of what failed there."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        print(json.dumps({"task": task} | more, default=str), file=_stream(self._process.stdin), flush=True)
        line = _stream(self._process.stdout).readline()
        if not line:
            raise Refused(f"{task} ended the process with {self._process.wait()}; see {self._log}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def _start(self) -> subprocess.Popen[str]:
        with self._log.open("a") as log:
            return subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def run_tflite(path: Path, inputs: Array) -> Array:
    """What a TFLite file answers in LiteRT to real inputs in its own layout, one after the other, as real numbers."""
    from ai_edge_litert.interpreter import Interpreter

    return run_interpreter(Interpreter(str(path), num_threads=1), inputs)


def run_interpreter(interpreter: Any, inputs: Array) -> Array:
    """The same of a file that is open in some runtime."""
    interpreter.allocate_tensors()
    entry, end = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    answers = []
    for x in inputs:
        interpreter.set_tensor(entry["index"], stored(x[None], entry))
        interpreter.invoke()
        answers.append(real(interpreter.get_tensor(end["index"]), end))
    return np.concatenate(answers)


def stored(x: Array, details: Mapping[str, Any]) -> NDArray[np.generic]:
    """Real numbers as a tensor of a TFLite file holds them."""
    scale, zero = details["quantization"]
    if not scale:
        return np.ascontiguousarray(x)
    limits = np.iinfo(details["dtype"])
    integers: NDArray[np.generic] = np.clip(np.round(x / scale) + zero, limits.min, limits.max)
    return np.ascontiguousarray(integers.astype(details["dtype"]))


def real(y: NDArray[Any], details: Mapping[str, Any]) -> Array:
    """The real numbers that a tensor of a TFLite file stands for."""
    scale, zero = details["quantization"]
    return (y.astype(np.float32) - np.float32(zero)) * np.float32(scale) if scale else y.astype(np.float32)


def run_onnx(path: Path, inputs: Array) -> Array:
    """What an ONNX file answers, one input after the other."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x[None]})[0] for x in inputs])
