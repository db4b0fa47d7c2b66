"""What an ARM processor answers, against this machine: docs/measured/arm.md.

    make board-check

Trains two small networks on handwritten digits, exports each in both formats and precisions, and compares every answer
on some images bit by bit with those of a board of system.py. Where ../shared/data lies beside the checkout, MobileNet
with Google's weights is compared too. One file goes the whole way of a user: `devices check`, `eval` and `bench`. What
is made and found is kept in build/board until the page is written, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import base64
import datetime
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgekit
from edgekit.bench.links.base import Link
from edgekit.bench.ondevice.sensors.linux import instructions, processor
from edgekit.data.images import labeled
from edgekit.demonstration import command as demonstration
from edgekit.device.registry import load, open_target
from edgekit.evaluation.input import FileInput, file_input
from edgekit.records.artifact import open_artifact
from edgekit.records.preprocessing import to_pixels
from edgekit.records.runtime import choose, open_session
from edgekit.stats.accuracy import correct1, hit
from edgekit.util.files import write_atomically
from scripts import kept
from scripts.board import answers
from scripts.board.system import RUNTIMES, emulator, running

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/measured/arm.md"
WORK = ROOT / "build/board"
ROWS = "rows.jsonl"
HOSTED = ROOT / ".." / "shared/data"
CORES = {"cortex-a76": "one with the dot product (Raspberry Pi 5)", "cortex-a72": "one without it (Raspberry Pi 4)"}
IMAGES = 50
HEAD = """# Answers of an ARM processor

Written by `make board-check`. The board is not one: arm64 Debian, its Python and the runtimes' own aarch64 wheels run
below {emulator}, which executes ARM's instructions as the named core would.
{cores}.
So the answers are an ARM processor's, and no time is worth anything: each measurement there is `invalid`, and says that
the processor is emulated. On each core the first file went the way of a user: a real sshd, `devices check`, `eval` and
`bench`. All files of a core were then asked by one process there, because runtimes start slowly below an emulator.

Against {processor} ({machine}: {instructions}), {versions} on both sides;
{images} images each; files of {date}.
`equal` counts the images whose answers are the same bit by bit; then the largest difference of any answer, of the
largest; how often the best class is the same; and how many of the best classes are right, there and here.

| file | core | equal | largest difference | same best class | right, there / here |
|---|---|---|---|---|---|
"""
COURSES = (demonstration.Course("lenet5", None, 3), demonstration.Course("mobilenet", 0.25, 4))


@dataclass(frozen=True)
class Row:
    """One file on one core: how many of the images have the same bits, the largest difference, the same best class."""

    file: str
    core: str
    images: int
    equal: int
    largest: float
    agree: int
    scale: float  # the largest answer here
    right: tuple[int, int]  # there, and here


@dataclass(frozen=True)
class Asked:
    """A file, and the folder of labeled images that it is asked about."""

    path: Path
    images: Path


def main() -> None:
    """Fill in what is missing, then write the page."""
    WORK.mkdir(parents=True, exist_ok=True)
    asked = [*_digits(), *_hosted()]
    try:
        for core in CORES:
            _fill(core, asked)
        write_atomically(PAGE, _page([*_known().values()]).encode())
    except LookupError as error:
        sys.exit(f"no board can be made here: {error}")
    shutil.rmtree(WORK)
    print(PAGE)


# Files and images


def _digits() -> Iterator[Asked]:
    """Two networks that were trained for a moment; every machine can make them."""

    def make(folder: Path) -> None:
        demonstration.COURSES = COURSES  # type: ignore[assignment]
        demonstration.demo(out=folder)
        _few(folder / "images/test", folder / "asked")

    yield from _asked(_once("digits", make))


def _hosted() -> Iterator[Asked]:
    """MobileNet with Google's weights and real images, where they are at hand."""
    weights = HOSTED / "mobilenet_v1_hosted/mobilenet_v1_0_5_160_quant.tflite"

    def make(folder: Path) -> None:
        edgekit.export(
            "mobilenet", weights=str(weights), precision=["fp32", "int8"], out=folder / "artifacts",
            data=HOSTED / "imagenet_calibration",
        )  # fmt: skip
        _few(HOSTED / "imagenet_val", folder / "asked")

    if weights.is_file():
        yield from _asked(_once("hosted", make))


def _once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that `make` filled, in this run or in one that was interrupted later."""
    if not (WORK / name).is_dir():
        with tempfile.TemporaryDirectory(dir=WORK) as draft:
            make(Path(draft) / name)
            (Path(draft) / name).rename(WORK / name)
    return WORK / name


def _asked(folder: Path) -> Iterator[Asked]:
    for path in sorted((folder / "artifacts").rglob("*")):
        if path.suffix in (".onnx", ".tflite"):
            yield Asked(path, folder / "asked")


def _few(data: Path, folder: Path) -> None:
    """A folder with every n-th of the images, so many that there are IMAGES."""
    samples = labeled(data)
    folder.mkdir()
    rows = ["file,class"]
    for index, sample in enumerate(samples[:: len(samples) // IMAGES][:IMAGES]):
        sample.load().save(folder / f"{index}.png")
        rows.append(f"{index}.png,{sample.label}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


# What is known


def _known() -> dict[tuple[str, ...], Row]:
    """The rows that were found so far, by file and core."""
    rows = kept.known(WORK / ROWS, "file", "core")
    return {key: Row(**{**row, "right": tuple(row["right"])}) for key, row in rows.items()}


def _fill(core: str, asked: Sequence[Asked]) -> None:
    """Add the rows of a core that are missing."""
    known = _known()
    missing = [one for one in asked if (one.path.name, core) not in known]
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="edgekit-board-") as name:
        folder = Path(name)
        devices = folder / "devices.yaml"
        device = {"link": "ssh", "host": "board", "runtimes": ["litert", "onnxruntime"]}
        devices.write_text(json.dumps({"devices": {"board": device}}))
        with running(folder / "ssh", core):
            if len(missing) == len(asked):
                _as_a_user(asked[0], devices, f"sqlite:///{folder}/db")
            with open_target("board", load(devices)["board"]) as target:
                for row in _rows(missing, core, target.link, folder):
                    kept.keep(WORK / ROWS, asdict(row))
                    print(f"{core}: {row.file}", flush=True)


def _as_a_user(asked: Asked, devices: Path, store: str) -> None:
    """Check, evaluate and measure; AssertionError where a command says what it should not."""
    check = edgekit.devices(check="board", devices=devices).check
    assert check is not None and check.architecture == "aarch64" and len(check.missing) == 1, check
    wish: dict[str, Any] = {"device": "board", "devices": devices, "store": store}
    accuracy = edgekit.eval([asked.path], data=asked.images, **wish).results[0].accuracy
    assert accuracy.n == IMAGES, accuracy
    measured = edgekit.bench([asked.path], preset="quick", **wish).measurements[0]
    assert measured.verdict == "invalid" and "emulated" in measured.reasons[0], measured.reasons


# Answers


def _rows(asked: Sequence[Asked], core: str, link: Link, folder: Path) -> Iterator[Row]:
    with _board(link) as far:
        for one in asked:
            artifact, session = open_artifact(one.path), open_session(one.path)
            taken = file_input(artifact, session, None)
            images = _inputs(taken, one.images)
            near = np.stack([np.asarray(session.run([image[None]])[0])[0] for image in images])
            np.save(folder / "inputs.npy", images)
            there = far(one.path, folder / "inputs.npy")
            yield _row(one, core, near, there, taken.preprocessing.class_offset)


def _inputs(taken: FileInput, images: Path) -> NDArray[Any]:
    pixels = (to_pixels(taken.preprocessing, sample.load(), taken.size) for sample in labeled(images))
    return np.stack([taken.stored(one) for one in pixels])


@contextmanager
def _board(link: Link) -> Iterator[Callable[[Path, Path], NDArray[Any]]]:
    """What asks the one process there about a file and a .npy file of images."""
    command = [link.python, link.place(Path(answers.__file__)), link.tools()]
    with subprocess.Popen(link.argv(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask(path: Path, inputs: Path) -> NDArray[Any]:
            job = {"file": link.place(path), "runtime": choose(path).name, "inputs": link.place(inputs)}
            stdin.write(json.dumps(job).encode() + b"\n")
            stdin.flush()
            found: NDArray[Any] = np.load(io.BytesIO(base64.b64decode(stdout.readline())), allow_pickle=False)
            return found

        yield ask


def _row(asked: Asked, core: str, near: NDArray[Any], there: NDArray[Any], offset: int) -> Row:
    labels = [sample.label + offset for sample in labeled(asked.images) if sample.label is not None]
    right = [correct1("".join(map(hit, scores, labels))) for scores in (there, near)]
    return Row(
        file=asked.path.name,
        core=core,
        images=len(near),
        equal=sum(one.tobytes() == other.tobytes() for one, other in zip(near, there, strict=True)),
        largest=float(np.abs(near.astype(np.float64) - there).max()),
        scale=float(np.abs(near).max()),
        agree=int((near.argmax(1) == there.argmax(1)).sum()),
        right=(right[0], right[1]),
    )


def _page(rows: Sequence[Row]) -> str:
    table = [
        f"| {_short(row.file)} | {row.core} | {row.equal} / {row.images} | {row.largest:.2g} of {row.scale:.3g} | "
        f"{row.agree} / {row.images} | {row.right[0]} / {row.right[1]} |"
        for row in sorted(rows, key=lambda row: row.file)
    ]
    head = HEAD.format(
        emulator=emulator(),
        processor=processor(),
        machine=platform.machine(),
        instructions=", ".join(instructions() or ["instructions unknown"]),
        images=IMAGES,
        versions=", ".join(f"{name} {metadata.version(name)}" for name in RUNTIMES),
        cores="; ".join(f"{core} is {what}" for core, what in CORES.items()),
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    )
    return head + "\n".join(table) + "\n"


def _short(name: str) -> str:
    """A file's name without the hash of its weights, which a training of a moment makes anew."""
    return re.sub("_[0-9a-f]{8}_", "_", name)


if __name__ == "__main__":
    main()
