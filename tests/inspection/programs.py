"""What the tests of snippets share: manifests of every kind of input and output, and compilers of what is printed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgekit.inspection.snippets import snippet
from edgekit.records.manifest import Manifest, TensorRecord
from edgekit.records.preprocessing import Preprocessing
from tests.waiting import PATIENCE

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


def manifest_of(made: Manifest, format: str, case: Case) -> Manifest:
    """A manifest of 24x32 pixels and 12 outputs that asks for what the case asks."""
    channels = len(case.how.mean)
    layout, shape = ("NCHW", (1, channels, 24, 32)) if format == "onnx" else ("NHWC", (1, 24, 32, channels))
    given = case.given or TensorRecord(name="x", dtype="float32", shape=shape, layout=layout)
    taken = INDEX[format] if case.output == "argmax" else case.taken
    variant = made.variant.model_copy(update={"input_shape": (1, channels, 24, 32)})
    fields = {"format": format, "file": f"net.{format}", "preprocessing": case.how, "variant": variant}
    return made.model_copy(update={**fields, "inputs": (given,), "outputs": (taken,), "output": case.output})


@dataclass(frozen=True)
class Printed:
    """A manifest, and the folder in which its file and the programs of it are."""

    folder: Path
    manifest: Manifest

    def program(self, language: str) -> str:
        return snippet(self.manifest, language, self.folder / self.manifest.file)


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def compile_cpp(program: str, elements: str, folder: Path) -> None:
    """Compile a program as `program`, against doubles whose inputs have so many elements; skip without a compiler."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here")
    (folder / "program.cc").write_text(program)
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{DOUBLES}", f"-DINPUT_ELEMENTS={elements}"]
    run([compiler, *flags, "program.cc", "-o", "program"], folder)


def run_kotlin(format: str, program: str, main: Callable[[str], str], folder: Path) -> str:
    """Compile a program against the double of a format's runtime, with a main() that is given the file, and run it.

    Skip without a compiler. Debian's kotlinc, 1.3, looks into classes that Java 17 keeps closed unless it is told.
    """
    if shutil.which("kotlinc") is None:
        pytest.skip("no Kotlin compiler here")
    read = f'java.io.File("net.{format}").readBytes()'
    model = read if format == "onnx" else f"ByteBuffer.wrap({read})"
    (folder / "Program.kt").write_text(program + main(model))
    double = DOUBLES / ("DoubleOnnx.kt" if format == "onnx" else "Double.kt")
    inside = ("lang", "util", "util.concurrent.atomic", "io")
    names = (*(f"java.{one}" for one in inside), "sun.nio.ch")
    opened = " ".join(f"--add-opens java.base/{name}=ALL-UNNAMED" for name in names)
    command = ["kotlinc", "Program.kt", str(double), "-include-runtime", "-d", "program.jar"]
    environment = os.environ | {"JAVA_OPTS": f"-Xmx512M {opened}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return run(["java", "-cp", "program.jar", "ProgramKt"], folder)
