"""Code that calls a file: each program is compiled and run, hands over what an evaluation hands over, and ranks alike.

The Python one runs with the real runtimes (tests/inspection/test_command.py). The C++ and Kotlin ones are compiled
against doubles of the runtimes' interfaces, which keep the input and give an output: they prove the code, not the
libraries.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import edgekit
from edgekit.data.decode import decode
from edgekit.errors import UsageError
from edgekit.exporting.stored_values import dequantized, from_layout, quantized, stored, to_layout
from edgekit.inspection.snippets import snippet
from edgekit.inspection.snippets_call import cpp_literal, in_comment, kotlin_literal
from edgekit.records.manifest import Manifest, TensorRecord, manifest_path, read_manifest
from edgekit.records.preprocessing import Preprocessing, apply

DOUBLES = Path(__file__).resolve().parent / "snippet_doubles"
GRAY = Preprocessing(channels="L", mean=(33.0,), std=(78.0,), crop_fraction=1.0)
COLOR = Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
SWAPPED = Preprocessing(
    channels="BGR", square_crop=False, class_offset=1, mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0)
)
ALPHA = Preprocessing(channels="RGBA", mean=(120.0, 110.0, 100.0, 0.0), std=(60.0, 61.0, 62.0, 255.0))
PIXELS = TensorRecord(name="x", dtype="uint8", shape=(1, 24, 32, 3), layout="NHWC", scale=1.0, zero_point=0)
SHIFTED = TensorRecord(name="x", dtype="int8", shape=(1, 24, 32, 3), layout="NHWC", scale=1.0, zero_point=-128)
ROUNDED = TensorRecord(name="x", dtype="int8", shape=(1, 24, 32, 3), layout="NHWC", scale=0.05, zero_point=7)
SCORES = TensorRecord(name="y", dtype="float32", shape=(1, 12), layout="NC")


@dataclass(frozen=True)
class Case:
    """One way in which a file can want its input and give its output."""

    how: Preprocessing
    given: TensorRecord | None = None  # None: float32
    taken: TensorRecord = SCORES
    output: str = "logits"


INTEGERS = SCORES.model_copy(update={"dtype": "uint8", "scale": 0.25, "zero_point": 100})
INDEX = {
    "onnx": TensorRecord(name="y", dtype="int64", shape=(1,), layout="N"),
    "tflite": TensorRecord(name="y", dtype="int32", shape=(1,), layout="N"),
}
CASES = {
    "gray": Case(GRAY),
    "color": Case(COLOR, output="softmax"),
    "swapped": Case(SWAPPED),
    "alpha": Case(ALPHA),
    "pixels": Case(COLOR, PIXELS, INTEGERS),
    "shifted": Case(COLOR, SHIFTED, INTEGERS.model_copy(update={"dtype": "int8", "zero_point": -3})),
    "rounded": Case(COLOR, ROUNDED),
    "index": Case(SWAPPED, output="argmax"),
}
WAYS = [
    (format, name)
    for name, case in CASES.items()
    for format in ("onnx", "tflite")
    if format == "tflite" or not case.given
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    (one,) = edgekit.export("lenet5", format=["onnx"], out=tmp_path_factory.mktemp("made")).artifacts
    assert one.manifest
    return one.manifest


def manifest_of(made: Manifest, format: str, case: Case) -> Manifest:
    """A manifest of 24x32 pixels and 12 outputs that asks for what the case asks."""
    channels = len(case.how.mean)
    layout, shape = ("NCHW", (1, channels, 24, 32)) if format == "onnx" else ("NHWC", (1, 24, 32, channels))
    given = case.given or TensorRecord(name="x", dtype="float32", shape=shape, layout=layout)
    taken = INDEX[format] if case.output == "argmax" else case.taken
    variant = made.variant.model_copy(update={"input_shape": (1, channels, 24, 32)})
    fields = {"format": format, "file": f"net.{format}", "preprocessing": case.how, "variant": variant}
    return made.model_copy(update={**fields, "inputs": (given,), "outputs": (taken,), "output": case.output})


PAM = "P7\nWIDTH 91\nHEIGHT 60\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"


@dataclass(frozen=True)
class Trial:
    """A picture, what a runtime would answer, and what a program must make of both."""

    folder: Path
    manifest: Manifest

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


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("format", "name"), WAYS)
def test_the_cpp_program_hands_over_what_an_evaluation_does(
    format: str, name: str, made: Manifest, tmp_path: Path
) -> None:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here")
    trial = Trial(tmp_path, manifest_of(made, format, CASES[name]))
    trial.prepare()
    (tmp_path / "program.cc").write_text(snippet(trial.manifest, "cpp"))
    elements = int(np.prod(trial.manifest.inputs[0].shape))
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{DOUBLES}", f"-DINPUT_ELEMENTS={elements}"]
    run([compiler, *flags, "program.cc", "-o", "program"], tmp_path)
    trial.check(run(["./program", "picture.ppm"], tmp_path))
    broken = subprocess.run(["./program", "output0.bin"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert broken.returncode == 1 and "no picture in P" in broken.stderr


@pytest.mark.parametrize("name", ["color", "index"])
def test_programs_name_the_classes_of_a_file_with_labels(name: str, made: Manifest, tmp_path: Path) -> None:
    plain = manifest_of(made, "tflite", CASES[name])
    trial = Trial(tmp_path, plain.model_copy(update={"labels": tuple(f"class {index}" for index in range(300))}))
    offset, is_index = plain.preprocessing.class_offset, name == "index"
    kotlin = snippet(trial.manifest, "kotlin")
    assert f'arrayOf(\n    "class {offset}", "class {offset + 1}"' in kotlin and '"class 299",\n)' in kotlin
    assert (": String {" if is_index else ": List<Pair<String, Float>> {") in kotlin and "NAMES" in kotlin.partition(
        "fun classify"
    )[2]
    assert "NAMES" not in snippet(plain, "kotlin") and "kNames" not in snippet(plain, "cpp")
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here")
    trial.prepare()
    (tmp_path / "program.cc").write_text(snippet(trial.manifest, "cpp"))
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{DOUBLES}", f"-DINPUT_ELEMENTS={24 * 32 * 3}"]
    run([compiler, *flags, "program.cc", "-o", "program"], tmp_path)
    lines = run(["./program", "picture.ppm"], tmp_path).splitlines()
    assert len(lines) == (1 if is_index else 5)
    assert all(line.endswith(f" class {int(line.split()[0]) + offset}") for line in lines)


def test_kotlin_uses_the_package_of_today(made: Manifest) -> None:
    program = snippet(manifest_of(made, "tflite", CASES["color"]), "kotlin")
    assert "com.google.ai.edge.litert:litert:" in program and "org.tensorflow:tensorflow-lite" not in program


MAIN = """
fun main() {{
    val image = javaPicture("picture.png")
    val found = classify({model}, image.third, image.first, image.second)
    println({show})
}}

fun javaPicture(path: String): Triple<Int, Int, IntArray> {{
    val image = javax.imageio.ImageIO.read(java.io.File(path))
    val pixels = image.getRGB(0, 0, image.width, image.height, null, 0, image.width)
    return Triple(image.width, image.height, pixels)
}}
"""


def compile_kotlin(double: Path, folder: Path) -> None:
    """Compile Program.kt; Debian's kotlinc, 1.3, looks into classes that Java 17 keeps closed unless it is told."""
    inside = ("lang", "util", "util.concurrent.atomic", "io")
    names = (*(f"java.{one}" for one in inside), "sun.nio.ch")
    opened = " ".join(f"--add-opens java.base/{name}=ALL-UNNAMED" for name in names)
    command = ["kotlinc", "Program.kt", str(double), "-include-runtime", "-d", "program.jar"]
    environment = os.environ | {"JAVA_OPTS": f"-Xmx512M {opened}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("format", "name"), WAYS)
def test_the_kotlin_function_hands_over_the_same(format: str, name: str, made: Manifest, tmp_path: Path) -> None:
    if shutil.which("kotlinc") is None:
        pytest.skip("no Kotlin compiler here")
    trial = Trial(tmp_path, manifest_of(made, format, CASES[name]))
    trial.prepare()
    read = f'java.io.File("{trial.manifest.file}").readBytes()'
    model = read if format == "onnx" else f"ByteBuffer.wrap({read})"
    is_index = trial.manifest.output == "argmax"
    show = "found" if is_index else 'found.joinToString("\\n") { "${it.first} ${it.second}" }'
    (tmp_path / "Program.kt").write_text(snippet(trial.manifest, "kotlin") + MAIN.format(model=model, show=show))
    double = DOUBLES / ("DoubleOnnx.kt" if format == "onnx" else "Double.kt")
    compile_kotlin(double, tmp_path)
    trial.check(run(["java", "-cp", "program.jar", "ProgramKt"], tmp_path))


@pytest.mark.parametrize("name", ["gray", "color", "swapped", "alpha"])
def test_the_python_program_prepares_what_an_evaluation_does(name: str, made: Manifest, tmp_path: Path) -> None:
    trial = Trial(tmp_path, manifest_of(made, "onnx", CASES[name]))
    trial.prepare()
    found: dict[str, Any] = {}
    exec(snippet(trial.manifest, "python").partition("x = pixels(")[0], found)
    how = trial.manifest.preprocessing
    want = apply(how, decode(tmp_path / "picture.png", alpha=how.has_alpha), (24, 32))
    assert np.allclose(found["pixels"](tmp_path / "picture.png").transpose(2, 0, 1), want, atol=1e-5)


# Arrays: what takes no image, has several inputs or outputs, or gives maps


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


@dataclass(frozen=True)
class Arrays:
    """An example in files of numpy, what a runtime would answer, and what a program must hand over and print."""

    folder: Path
    manifest: Manifest

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
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here")
    trial = Arrays(tmp_path, of_arrays(made, format))
    trial.prepare()
    (tmp_path / "program.cc").write_text(snippet(trial.manifest, "cpp"))
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{DOUBLES}", "-DINPUT_ELEMENTS=24,5"]
    run([compiler, *flags, "program.cc", "-o", "program"], tmp_path)
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
    val answers = run({model}, given[0], given[1])
    for ((name, answer) in listOf("maps", "index").zip(answers))
        println(name + ": " + answer.take(10).joinToString(" ") + " ...")
}}
"""


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_the_kotlin_function_of_arrays_does_the_same(format: str, made: Manifest, tmp_path: Path) -> None:
    program = snippet(of_arrays(made, format), "kotlin")
    assert "x0: FloatArray, x1: FloatArray): List<FloatArray>" in program
    if shutil.which("kotlinc") is None:
        pytest.skip("no Kotlin compiler here")
    trial = Arrays(tmp_path, of_arrays(made, format))
    trial.prepare()
    read = f'java.io.File("{trial.manifest.file}").readBytes()'
    model = read if format == "onnx" else f"ByteBuffer.wrap({read})"
    (tmp_path / "Program.kt").write_text(program + ARRAYS_MAIN.format(model=model))
    double = DOUBLES / ("DoubleOnnx.kt" if format == "onnx" else "Double.kt")
    compile_kotlin(double, tmp_path)
    trial.check(run(["java", "-cp", "program.jar", "ProgramKt"], tmp_path))


@pytest.mark.parametrize("language", ["python", "cpp", "kotlin"])
def test_what_a_snippet_cannot_call_is_said(language: str, made: Manifest) -> None:
    with pytest.raises(UsageError, match="not a tensorrt one"):
        snippet(made.model_copy(update={"format": "tensorrt"}), language)


# Names that a stranger's manifest brings

NASTY = (
    *(chr(code) for code in (*range(1, 32), 0x7F, 0x85, 0xA0, 0x2028, 0x2029, 0x202E, 0x2066, 0xFEFF, 0x1F600)),
    *(
        '"',
        "'",
        "\\",
        "$",
        "${1}",
        "$x",
        "%s%n",
        "*/",
        "/*",
        '"""',
        "??/",
        "\\u0022",
        "\\x41f",
        "{}",
        "{0}",
        "\t1",
        "é1",
    ),
    '"); import os; os.system("touch ran"); ("',
)
EVERY = "a" + "b".join(NASTY) + "7"


def named(made: Manifest, format: str, name: str) -> Manifest:
    """A manifest in which everything that is free text is `name`."""
    manifest = manifest_of(made, format, CASES["color"])
    variant = manifest.variant.model_copy(update={"name": name})
    given, taken = (one.model_copy(update={"name": name}) for one in (manifest.inputs[0], manifest.outputs[0]))
    fields = {"file": name, "variant": variant, "precision": name, "inputs": (given,), "outputs": (taken,)}
    return manifest.model_copy(update={**fields, "labels": (name,) * 12})


@pytest.mark.parametrize("format", ["onnx", "tflite"])
@pytest.mark.parametrize("name", [*NASTY, EVERY], ids=ascii)
def test_a_name_in_python_is_that_name_and_nothing_else(name: str, format: str, made: Manifest) -> None:
    tree, plain = (ast.parse(snippet(named(made, format, given), "python")) for given in (name, "a"))
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == name]
    assert len(strings) >= 1
    assert [type(node) for node in ast.walk(tree)] == [type(node) for node in ast.walk(plain)]


@pytest.mark.parametrize("literal", [cpp_literal, kotlin_literal])
def test_a_literal_has_one_line_of_plain_signs(literal: Callable[[str], str]) -> None:
    for text in (*NASTY, EVERY, *map(chr, range(256))):
        written = literal(text)
        assert written.isascii() and written.isprintable() and "$" not in written and "*/" not in written
        assert written[0] == written[-1] == '"' and '"' not in written[1:-1]


def test_a_comment_never_ends_early() -> None:
    for text in (*NASTY, EVERY):
        shown = in_comment(text)
        assert shown.isprintable() and not set(shown) & set("\\\"'*/?$\n\r") and len(shown) == len(text)


def test_cpp_reads_back_every_sign(tmp_path: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here")
    texts = [*NASTY, EVERY, *(chr(code) for code in range(1, 0x180))]
    rows = "\n".join(f"  {cpp_literal(text)}," for text in texts)
    (tmp_path / "a.cc").write_text(
        f"#include <cstdio>\nconst char* all[] = {{\n{rows}\n}};\nint main() {{ for (auto s : all) std::puts(s); }}\n"
    )
    run([compiler, "-std=c++14", "-trigraphs", "-Wall", "-Werror", "a.cc", "-o", "a"], tmp_path)
    printed = subprocess.run([str(tmp_path / "a")], capture_output=True, check=True).stdout
    assert printed == b"".join(text.encode() + b"\n" for text in texts)


def test_kotlin_reads_back_every_sign() -> None:
    """By the rules of its grammar: \\uXXXX is one UTF-16 unit, and there is no other escape in ours."""
    for text in (*NASTY, EVERY, *(chr(code) for code in range(0x180))):
        inside = kotlin_literal(text)[1:-1]
        units = re.findall(r"\\u([0-9a-f]{4})|([^\\])", inside)
        assert re.fullmatch(r"(\\u[0-9a-f]{4}|[^\\$\"])*", inside)
        codes = b"".join((int(code, 16) if code else ord(sign)).to_bytes(2, "big") for code, sign in units)
        assert codes.decode("utf-16-be") == text


@pytest.mark.parametrize("format", ["onnx", "tflite"])
@pytest.mark.parametrize("language", ["cpp", "kotlin"])
def test_a_program_is_the_same_but_for_its_names(language: str, format: str, made: Manifest) -> None:
    for name in (*NASTY, EVERY):
        text, plain = (snippet(named(made, format, given), language) for given in (name, "a"))
        literal = cpp_literal if language == "cpp" else kotlin_literal
        back = text.replace(literal(name), literal("a")).replace(in_comment(name), "a")
        assert back == plain.replace(in_comment(name), "a")
        assert "ran" not in plain and text.count("\n") == plain.count("\n")


def test_inspect_calls_the_file_by_its_own_name(made: Manifest, tmp_path: Path) -> None:
    one = edgekit.export("lenet5", format=["onnx"], out=tmp_path).artifacts[0]
    beside = manifest_path(one.path)
    raw = json.loads(beside.read_text())
    raw["file"] = "../x'; import os #.onnx"
    beside.write_text(json.dumps(raw))
    told = edgekit.inspect(one.path, snippet="python").snippet
    assert told is not None and f"InferenceSession('{one.path.name}'" in told and "import os" not in told


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
        snippet(made.model_copy(update={"inputs": (halves,)}), language)


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
    (one.path.parent / "program.py").write_text(snippet(one.manifest, "python"))
    printed = run([sys.executable, "program.py", str(tmp_path / "example.npz")], one.path.parent)
    assert "94." in printed and printed.split()[-1] == "[4]"
