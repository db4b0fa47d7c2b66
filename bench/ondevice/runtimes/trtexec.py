"""TensorRT without its Python package: trtexec answers on inputs from files, one process for each question.

It is loaded by edgekit here, and by infer.py on a device. It is for proving a file and for its accuracy, and slow.
Times are taken by trtexec itself (edgekit.tensorrt.trtexec_measure).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..tensor import Tensor

PROGRAMS = ("trtexec", "/usr/src/tensorrt/bin/trtexec")
SECONDS = 240.0  # for one question; loading an engine takes seconds
BANNER = re.compile(r"TensorRT\.trtexec \[TensorRT v([0-9]+)\]")
# 8.5 says it the first way, 8.6 and later the second, 10 with the type.
BINDING = (
    re.compile(r"Created (input|output) binding for (.+) with dimensions ([0-9x]+)"),
    re.compile(r"(Input|Output) binding for (.+) with dimensions ([0-9x]+)(?: and type (\w+))? is created"),
)
DTYPES = {"fp32": "float32", "fp16": "float16", "int8": "int8", "uint8": "uint8", "int32": "int32", "int64": "int64"}
COPIES_SINCE = 110000  # from this banner on nothing is copied unless it is asked for
NOT_A_NUMBER, INFINITE = re.compile(r"(?<=[\[ ,])-?nan(?=[ ,\]])"), re.compile(r"(?<=[\[ ,])(-?)inf(?=[ ,\]])")
PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


class Session:
    """An engine that trtexec can load."""

    def __init__(self, path: str) -> None:
        self._program, self._path = program(), str(Path(path).resolve())
        self._flags = ["--iterations=1", "--duration=0", "--warmUp=0"]
        log = self._asked([])
        tensors = [match for line in log.splitlines() for pattern in BINDING for match in pattern.finditer(line)]
        sides = {"input": [], "output": []}  # type: dict[str, list[Tensor]]
        for match in tensors:
            dtype = DTYPES.get(match.groups()[3] or "fp32") if len(match.groups()) > 3 else "float32"
            if dtype is None:
                raise RuntimeError(f"'{match.group(2)}' is a {match.group(4)}, which cannot be handed over")
            shape = tuple(int(size) for size in match.group(3).split("x"))
            sides[match.group(1).lower()].append(Tensor(match.group(2), dtype, shape))
        self.inputs, self.outputs = sides["input"], sides["output"]
        if not self.inputs or not self.outputs:
            raise RuntimeError("trtexec does not say what goes in and out of " + Path(path).name)
        banner = BANNER.search(log)
        if banner and int(banner.group(1)) >= COPIES_SINCE:
            self._flags.append("--includeDataTransfers")
        self.found = {"runtime_version": banner and version(banner.group(1)), "threads": 1, "provider": "trtexec"}

    def run(self, arrays: list[Any]) -> list[Any]:
        """Return the outputs for one array per input."""
        import numpy as np

        with tempfile.TemporaryDirectory(prefix="trtexec-") as folder:
            loads, shapes = [], []
            for index, (tensor, array) in enumerate(zip(self.inputs, arrays)):  # noqa: B905 (Python 3.8)
                data = np.ascontiguousarray(array, dtype=tensor.dtype)
                (Path(folder) / str(index)).write_bytes(data.tobytes())
                loads.append(f"{_quoted(tensor.name)}:{index}")
                if data.shape != tensor.shape:
                    shapes.append(f"{_quoted(tensor.name)}:{'x'.join(map(str, data.shape))}")
            flags = ["--loadInputs=" + ",".join(loads), "--exportOutput=outputs.json"]
            self._asked([*flags, "--shapes=" + ",".join(shapes)] if shapes else flags, folder)
            told = _read(Path(folder) / "outputs.json")
        return [_output(tensor, told) for tensor in self.outputs]

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """Raise RuntimeError: each call would be a process; trtexec takes its own times."""
        raise RuntimeError("trtexec is no runtime to be timed from outside")

    def _asked(self, flags: list[str], folder: str | None = None) -> str:
        """What trtexec prints. Raises RuntimeError where its exit code or its verdict says that it failed."""
        command = [self._program, "--loadEngine=" + self._path, *self._flags, *flags]
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False
        )
        text = done.stdout.decode(errors="replace")
        if done.returncode != 0 or "&&&& PASSED TensorRT.trtexec" not in text:
            errors = [line for line in text.splitlines() if "[E]" in line] or text.splitlines()[-1:]
            raise RuntimeError(f"trtexec failed (exit code {done.returncode}): {' '.join(errors[:1]).strip()}")
        return text


def program() -> str:
    """trtexec on PATH, or where TensorRT's packages put it. Raises ImportError where there is none."""
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            return found
    raise ImportError("there is no trtexec, neither on PATH nor at " + PROGRAMS[1])


def preload() -> None:
    """Nothing is loaded into this process."""


def open_session(path: str, options: dict[str, Any]) -> Session:
    """Open an engine. Raises ImportError without trtexec, RuntimeError where trtexec does not load it."""
    for name in ("provider", "delegate"):
        if options.get(name):
            raise ValueError("trtexec has no " + name)
    return Session(path)


def version(packed: str) -> str:
    """8601 as 8.6.1, 101601 as 10.16.1."""
    number, one = int(packed), 1000 if len(packed) < 5 else 10000
    return f"{number // one}.{number % one // 100}.{number % 100}"


def _read(path: Path) -> Any:
    """The file of --exportOutput, whose numbers are written as C++ writes them."""
    try:
        return json.loads(INFINITE.sub(r"\1Infinity", NOT_A_NUMBER.sub("NaN", path.read_text())))
    except (OSError, ValueError) as error:
        raise RuntimeError(f"trtexec wrote no outputs that can be read: {error}") from error


def _quoted(name: str) -> str:
    """A name as trtexec takes it: in quotes where it holds what separates names from values."""
    return name if PLAIN.fullmatch(name) else f"'{name}'"


def _output(tensor: Tensor, told: Any) -> Any:
    """An output as --exportOutput writes it: a name, sizes such as 1x1000, and the values."""
    import numpy as np

    for entry in told:
        if entry.get("name") == tensor.name:
            shape = tuple(int(size) for size in str(entry["dimensions"]).split("x"))
            return np.asarray(entry["values"], dtype=tensor.dtype).reshape(shape)
    raise RuntimeError(f"trtexec exported no output '{tensor.name}'")
