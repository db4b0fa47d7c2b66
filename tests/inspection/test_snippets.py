"""Code that calls a file: each program is compiled and run, hands over what an evaluation hands over, and ranks alike.

The Python one runs with the real runtimes (tests/inspection/test_command.py). The C++ and Kotlin ones are compiled
against doubles of the runtimes' interfaces, which keep the input and give an output: they prove the code, not the
libraries.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import edgekit
from edgekit.data.decode import decode
from edgekit.errors import UsageError
from edgekit.exporting.stored_values import stored, to_layout
from edgekit.inspection.snippets import snippet
from edgekit.records.manifest import Manifest, labels_path, manifest_path, read_manifest
from edgekit.records.preprocessing import apply
from tests.inspection.programs import CASES, WAYS, Printed, compile_cpp, manifest_of, run, run_kotlin

PAM = "P7\nWIDTH 91\nHEIGHT 60\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"


class Trial(Printed):
    """A picture, what a runtime would answer, and what a program must make of both."""

    def prepare(self) -> None:
        random = np.random.default_rng(7)
        picture = random.integers(0, 256, (60, 91, 4 if self.manifest.preprocessing.has_alpha else 3), dtype=np.uint8)
        picture[10:40, 20:70] = (200, 40, 90, 7)[: picture.shape[2]]  # a flat part: rounding shows there
        Image.fromarray(picture).save(self.folder / "picture.png")
        head = "P6\n91 60\n255\n" if picture.shape[2] == 3 else PAM
        (self.folder / "picture.ppm").write_bytes(head.encode() + picture.tobytes())
        (self.folder / self.manifest.file).write_bytes(b"a network")
        taken = self.manifest.outputs[0]
        answer = random.permutation(240)[: int(np.prod(taken.shape))] if taken.dtype != "float32" else random.random(12)
        answer = answer - 120 if taken.dtype == "int8" else answer
        answer.astype(taken.dtype).tofile(self.folder / "output0.bin")

    def check(self, printed: str) -> None:
        given, taken, how = self.manifest.inputs[0], self.manifest.outputs[0], self.manifest.preprocessing
        image = decode(self.folder / "picture.png", alpha=how.has_alpha)
        want = to_layout(stored(apply(how, image, (24, 32))[None], given, how), given.layout)
        got = np.fromfile(self.folder / "input0.bin", given.dtype).reshape(want.shape)
        gap = np.abs(got.astype(np.float64) - want)
        level = (
            1 / min(how.std) if given.dtype == "float32" else 1.0 if given.scale == 1.0 else 1 / min(how.std) / 0.05 + 1
        )
        assert gap.max() <= 1.01 * level and (gap > 0.5 * level).mean() < 0.02  # pillow's weights are fixed-point
        answer = np.fromfile(self.folder / "output0.bin", taken.dtype)
        if self.manifest.output == "argmax":
            assert printed.split() == [str(int(answer[0]) - how.class_offset)]
            return
        scores = (
            answer if taken.scale is None else (answer.astype(np.float64) - (taken.zero_point or 0)) * taken.scale
        )[how.class_offset :]
        self.check_ranks(printed, scores)

    def check_ranks(self, printed: str, scores: NDArray[np.float64]) -> None:
        best = np.argsort(-scores, kind="stable")[:5]
        rows = [line.split() for line in printed.splitlines()]
        assert [int(index) for index, _ in rows] == best.tolist()
        assert [float(score) for _, score in rows] == pytest.approx(scores[best].tolist(), abs=1e-4)


@pytest.mark.parametrize(("format", "name"), WAYS)
def test_the_cpp_program_hands_over_what_an_evaluation_does(
    format: str, name: str, made: Manifest, tmp_path: Path
) -> None:
    trial = Trial(tmp_path, manifest_of(made, format, CASES[name]))
    trial.prepare()
    compile_cpp(trial.program("cpp"), str(np.prod(trial.manifest.inputs[0].shape)), tmp_path)
    trial.check(run(["./program", "picture.ppm"], tmp_path))
    broken = subprocess.run(["./program", "output0.bin"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert broken.returncode == 1 and "no picture in P" in broken.stderr


@pytest.mark.parametrize("name", ["color", "index"])
def test_programs_name_the_classes_of_a_file_with_labels(name: str, made: Manifest, tmp_path: Path) -> None:
    plain = manifest_of(made, "tflite", CASES[name])
    trial = Trial(tmp_path, plain.model_copy(update={"labels": tuple(f"class {index}" for index in range(300))}))
    offset, is_index = plain.preprocessing.class_offset, name == "index"
    kotlin = trial.program("kotlin")
    assert f'arrayOf(\n    "class {offset}", "class {offset + 1}"' in kotlin and '"class 299",\n)' in kotlin
    assert (": String {" if is_index else ": List<Pair<String, Float>> {") in kotlin and "NAMES" in kotlin.partition(
        "fun classify"
    )[2]
    assert "NAMES" not in snippet(plain, "kotlin", tmp_path) and "kNames" not in snippet(plain, "cpp", tmp_path)
    trial.prepare()
    compile_cpp(trial.program("cpp"), str(24 * 32 * 3), tmp_path)
    lines = run(["./program", "picture.ppm"], tmp_path).splitlines()
    assert len(lines) == (1 if is_index else 5)
    assert all(line.endswith(f" class {int(line.split()[0]) + offset}") for line in lines)
    (tmp_path / "other").mkdir()  # the file is where it was, and the program with its picture somewhere else
    for file in ("program", "picture.ppm"):
        (tmp_path / file).rename(tmp_path / "other" / file)
    shutil.copy(tmp_path / "output0.bin", tmp_path / "other")
    assert run(["./program", "picture.ppm"], tmp_path / "other").splitlines() == lines


@pytest.mark.parametrize("name", ["color", "index"])
def test_programs_read_the_names_of_many_classes(name: str, made: Manifest, tmp_path: Path) -> None:
    plain, names = manifest_of(made, "tflite", CASES[name]), [f"n{index:08} class {index}" for index in range(300)]
    trial = Trial(tmp_path, plain.model_copy(update={"labels": tuple(names)}))
    assert '"class 299",' in trial.program("kotlin"), "without the file that an older export lacks"
    labels_path(tmp_path / plain.file).write_text("".join(f"class {index}\n" for index in range(300)))
    kotlin, cpp = trial.program("kotlin"), trial.program("cpp")
    assert max(map(len, (kotlin.split("class 2"), cpp.split("class 2")))) == 1
    assert 'names(assets.open("net.tflite.labels.txt"))' in kotlin and "private val names: List<String>)" in kotlin
    assert f"it.drop({plain.preprocessing.class_offset})" in kotlin and "names" in kotlin.partition("classify(")[2]
    trial.prepare()
    compile_cpp(cpp, str(24 * 32 * 3), tmp_path)
    lines = run(["./program", "picture.ppm"], tmp_path).splitlines()
    labels_path(tmp_path / plain.file).unlink()
    alone = subprocess.run(["./program", "picture.ppm"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert alone.returncode == 1 and "net.tflite.labels.txt is missing, or has too few names" in alone.stderr
    assert len(lines) == (1 if name == "index" else 5)
    assert all(line.endswith(f" class {int(line.split()[0]) + plain.preprocessing.class_offset}") for line in lines)


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_kotlin_with_names_that_are_read_compiles(format: str, made: Manifest, tmp_path: Path) -> None:
    plain = manifest_of(made, format, CASES["color"])
    trial = Trial(tmp_path, plain.model_copy(update={"labels": tuple(map(str, range(300)))}))
    trial.prepare()
    labels_path(tmp_path / plain.file).write_text("".join(f"{index}\n" for index in range(300)))
    names = f'names(java.io.File("{plain.file}.labels.txt").inputStream())'
    show = 'found.joinToString("\\n") { "${it.first} ${it.second}" }'
    trial.check(
        run_kotlin(
            format,
            trial.program("kotlin"),
            lambda model: MAIN.format(model=f"{model}, {names}", show=show),
            tmp_path,
        )
    )


def test_kotlin_uses_the_package_of_today(made: Manifest) -> None:
    program = snippet(manifest_of(made, "tflite", CASES["color"]), "kotlin", Path("net.tflite"))
    assert "com.google.ai.edge.litert:litert:" in program and "org.tensorflow:tensorflow-lite" not in program


@pytest.mark.parametrize(("format", "load"), [("tflite", "Interpreter(model"), ("onnx", "createSession(model")])
def test_kotlin_loads_the_file_once_for_all_calls(format: str, load: str, made: Manifest) -> None:
    program = snippet(manifest_of(made, format, CASES["color"]), "kotlin", Path(f"net.{format}"))
    assert program.count(load) == 1 and load in program.partition("class Classifier(")[2].partition("fun classify(")[0]


MAIN = """
fun main() {{
    val image = javaPicture("picture.png")
    val found = Classifier({model}).use {{ it.classify(image.third, image.first, image.second) }}
    println({show})
}}

fun javaPicture(path: String): Triple<Int, Int, IntArray> {{
    val image = javax.imageio.ImageIO.read(java.io.File(path))
    val pixels = image.getRGB(0, 0, image.width, image.height, null, 0, image.width)
    return Triple(image.width, image.height, pixels)
}}
"""


@pytest.mark.parametrize(("format", "name"), WAYS)
def test_the_kotlin_function_hands_over_the_same(format: str, name: str, made: Manifest, tmp_path: Path) -> None:
    trial = Trial(tmp_path, manifest_of(made, format, CASES[name]))
    trial.prepare()
    is_index = trial.manifest.output == "argmax"
    show = "found" if is_index else 'found.joinToString("\\n") { "${it.first} ${it.second}" }'
    trial.check(
        run_kotlin(format, trial.program("kotlin"), lambda model: MAIN.format(model=model, show=show), tmp_path)
    )


@pytest.mark.parametrize("name", ["gray", "color", "swapped", "alpha"])
def test_the_python_program_prepares_what_an_evaluation_does(name: str, made: Manifest, tmp_path: Path) -> None:
    trial = Trial(tmp_path, manifest_of(made, "onnx", CASES[name]))
    trial.prepare()
    found: dict[str, Any] = {"__file__": "program.py"}
    exec(trial.program("python").partition("x = pixels(")[0], found)
    how = trial.manifest.preprocessing
    want = apply(how, decode(tmp_path / "picture.png", alpha=how.has_alpha), (24, 32))
    assert np.allclose(found["pixels"](tmp_path / "picture.png").transpose(2, 0, 1), want, atol=1e-5)


@pytest.mark.parametrize("language", ["python", "cpp", "kotlin"])
def test_what_a_snippet_cannot_call_is_said(language: str, made: Manifest) -> None:
    with pytest.raises(UsageError, match="not a tensorrt one"):
        snippet(made.model_copy(update={"format": "tensorrt"}), language, Path("net.engine"))


def test_inspect_calls_the_file_by_its_own_name(made: Manifest, tmp_path: Path) -> None:
    one = edgekit.export("lenet5", format=["onnx"], out=tmp_path).artifacts[0]
    beside = manifest_path(one.path)
    raw = json.loads(beside.read_text())
    raw["file"] = "../x'; import os #.onnx"
    beside.write_text(json.dumps(raw))
    told = edgekit.inspect(one.path, snippet="python").snippet
    assert told is not None and f"with_name('{one.path.name}')" in told and "import os" not in told


BROKEN: dict[str, dict[str, Any]] = {
    "no inputs": {"inputs": []},
    "no outputs": {"outputs": []},
    "an unknown type": {"inputs": [{"name": "x", "dtype": "float33", "shape": [1, 1, 28, 28], "layout": "NCHW"}]},
    "a scale of nothing": {
        "inputs": [{"name": "x", "dtype": "int8", "shape": [1], "layout": "N", "scale": 0.0, "zero_point": 0}]
    },
    "a scale without end": {
        "inputs": [{"name": "x", "dtype": "int8", "shape": [1], "layout": "N", "scale": float("inf"), "zero_point": 0}]
    },
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_manifest_that_cannot_be_called_is_broken(name: str, made: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx.json"
    path.write_text(json.dumps(made.model_dump(mode="json") | BROKEN[name]))
    with pytest.raises(UsageError, match="is broken at"):
        read_manifest(path)


def test_a_manifest_that_never_ends_is_not_read(made: Manifest, tmp_path: Path) -> None:
    deep, huge, pipe, device = (tmp_path / name for name in ("deep", "huge", "pipe", "device"))
    deep.write_text('{"version": 1, "details": ' + "[" * 200_000 + "]" * 200_000 + "}")
    with huge.open("wb") as stream:
        stream.truncate(1 << 40)
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path, said in ((deep, "nested too deep"), (huge, "larger than"), (pipe, "regular"), (device, "regular")):
        with pytest.raises(UsageError, match=said):
            read_manifest(path)


@pytest.mark.parametrize("language", ["python", "cpp", "kotlin"])
def test_a_type_that_a_language_has_no_code_for_is_said(language: str, made: Manifest) -> None:
    halves = made.inputs[0].model_copy(update={"dtype": "float64"})
    with pytest.raises(UsageError, match="float64"):
        snippet(made.model_copy(update={"inputs": (halves,)}), language, Path("net.onnx"))


def test_a_program_calls_an_archive_of_torch(tmp_path: Path) -> None:
    import torch

    class Two(torch.nn.Module):
        def forward(self, image: Any, state: Any) -> Any:
            return image * 2, state.argmax(1)

    shapes = [(1, 3, 4, 4), (1, 5)]
    (one,) = edgekit.export(Two().eval(), input=shapes, format=["pt2"], out=tmp_path).artifacts
    assert one.manifest is not None
    values = {x.name: np.arange(np.prod(x.shape), dtype=np.float32).reshape(x.shape) for x in one.manifest.inputs}
    np.savez(tmp_path / "example.npz", **values)  # type: ignore[arg-type]
    (tmp_path / "program.py").write_text(snippet(one.manifest, "python", one.path))
    printed = run([sys.executable, "program.py", "example.npz"], tmp_path)
    assert "94." in printed and printed.split()[-1] == "[4]"
