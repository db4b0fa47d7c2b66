"""Programs of what takes no image, has several inputs or outputs, or gives maps: they take arrays."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.exporting.stored_values import dequantized, from_layout, quantized, to_layout
from edgekit.records.manifest import Manifest, TensorRecord
from tests.inspection.programs import Printed, compile_cpp, run, run_kotlin


def of_arrays(made: Manifest, format: str) -> Manifest:
    """A map and a state to a map, quantized in TFLite, and to whole numbers."""
    last = format == "tflite"
    maps, layout = ((1, 2, 3, 4), "NHWC") if last else ((1, 4, 2, 3), "NCHW")
    integers: dict[str, Any] = {"dtype": "int8", "scale": 0.5, "zero_point": 3} if last else {"dtype": "float32"}
    given = (
        TensorRecord(name="image", shape=maps, layout=layout, **integers),
        TensorRecord(name="state", dtype="float32", shape=(1, 5), layout="NC"),
    )
    taken = (
        TensorRecord(name="maps", shape=maps, layout=layout, **integers),
        TensorRecord(name="index", dtype="int64", shape=(1, 12), layout="NC"),
    )
    fields = {"format": format, "file": f"net.{format}", "inputs": given, "outputs": taken}
    return made.model_copy(update=fields)


class Arrays(Printed):
    """An example in files of numpy, what a runtime would answer, and what a program must hand over and print."""

    def prepare(self) -> None:
        random = np.random.default_rng(3)
        for i, tensor in enumerate(self.manifest.inputs):
            shape = (1, 4, 2, 3) if tensor.name == "image" else tensor.shape
            np.save(self.folder / f"{i}.npy", (20 * random.standard_normal(shape)).astype(np.float32))
        for i, tensor in enumerate(self.manifest.outputs):
            random.integers(-100, 100, tensor.shape).astype(tensor.dtype).tofile(self.folder / f"output{i}.bin")
        (self.folder / self.manifest.file).write_bytes(b"a network")

    def check(self, printed: str) -> None:
        for i, tensor in enumerate(self.manifest.inputs):
            x = np.load(self.folder / f"{i}.npy")
            want = to_layout(quantized(x, tensor), tensor.layout)
            assert np.array_equal(np.fromfile(self.folder / f"input{i}.bin", tensor.dtype).reshape(want.shape), want)
        lines = printed.splitlines()
        assert len(lines) == len(self.manifest.outputs)
        for i, (line, tensor) in enumerate(zip(lines, self.manifest.outputs, strict=True)):
            y = np.fromfile(self.folder / f"output{i}.bin", tensor.dtype).reshape(tensor.shape)
            want = from_layout(dequantized(y, tensor), tensor.layout).reshape(-1)[:10]
            assert line.startswith(f"{tensor.name}: ") and line.endswith(" ...")
            assert [float(number) for number in line.split()[1:-1]] == pytest.approx(want.tolist())


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_the_cpp_program_of_arrays_hands_over_and_prints_what_the_network_does(
    format: str, made: Manifest, tmp_path: Path
) -> None:
    trial = Arrays(tmp_path, of_arrays(made, format))
    trial.prepare()
    compile_cpp(trial.program("cpp"), "24,5", tmp_path)
    trial.check(run(["./program", "0.npy", "1.npy"], tmp_path))
    np.save(tmp_path / "wide.npy", np.zeros((1, 5)))
    for wrong in (["0.npy", "0.npy"], ["0.npy", "wide.npy"], ["0.npy", "program.cc"], ["0.npy", "none.npy"]):
        broken = subprocess.run(["./program", *wrong], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert broken.returncode == 1 and "does not hold 5 numbers of float32" in broken.stderr
    assert subprocess.run(["./program"], cwd=tmp_path, capture_output=True, check=False).returncode == 2


ARRAYS_MAIN = """
fun main() {{
    val given = listOf("0.npy", "1.npy").zip(listOf(24, 5)).map {{ (path, count) ->
        val bytes = java.io.File(path).readBytes()
        val numbers = ByteBuffer.wrap(bytes, bytes.size - 4 * count, 4 * count).order(ByteOrder.LITTLE_ENDIAN)
        FloatArray(count) {{ numbers.getFloat() }}
    }}
    val answers = Network({model}).use {{ it.run(given[0], given[1]) }}
    for ((name, answer) in listOf("maps", "index").zip(answers))
        println(name + ": " + answer.take(10).joinToString(" ") + " ...")
}}
"""


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_the_kotlin_function_of_arrays_does_the_same(format: str, made: Manifest, tmp_path: Path) -> None:
    trial = Arrays(tmp_path, of_arrays(made, format))
    program = trial.program("kotlin")
    assert "x0: FloatArray, x1: FloatArray): List<FloatArray>" in program
    trial.prepare()
    trial.check(run_kotlin(format, program, lambda model: ARRAYS_MAIN.format(model=model), tmp_path))
