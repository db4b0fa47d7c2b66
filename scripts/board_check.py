"""What an ARM processor answers, against this machine: docs/measured/arm.md.

    make board-check

Trains two small networks on handwritten digits, exports each in both formats and precisions, and has them checked,
evaluated and measured on a board of scripts/board.py, as a user would; then every answer on 50 images is compared bit
by bit. Where ../shared/data lies beside the checkout, MobileNet with Google's weights is compared too. Some minutes.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgekit
from edgekit.bench.links.remote_session import FarSession
from edgekit.bench.ondevice.sensors.linux import processor
from edgekit.data.images import labelled
from edgekit.demonstration import command as demonstration
from edgekit.device.registry import load, open_target
from edgekit.evaluation.input import file_input
from edgekit.records.manifest import Artifact, open_artifact
from edgekit.records.preprocessing import to_pixels
from edgekit.records.runtime import Session, choose, open_session
from scripts.board import RUNTIMES, running

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/measured/arm.md"
HOSTED = ROOT / ".." / "shared/data"
CORES = {"cortex-a76": "with the dot product (Raspberry Pi 5)", "cortex-a72": "without it (Raspberry Pi 4)"}
IMAGES = 50
HEAD = """# Answers of an ARM processor

Written by `make board-check`. The board is not one: arm64 Debian, its Python and the runtimes' own aarch64 wheels run
below qemu-user, which executes ARM's instructions as the named core would ({cores}).
So the answers are an ARM processor's, and no time is worth anything: each measurement there is `invalid`, and says that
the processor is emulated. Everything went the way of a user: a real sshd, `devices check`, `eval` and `bench`.

Against {processor} ({machine}), {versions} on both sides; {images} images each. `equal` counts the
images whose answers are the same bit by bit; then the largest difference of any answer, of the largest; how often
the best class is the same; and how many of the best classes are right, there and here.

| file | core | equal | largest difference | same best class | right, there / here |
|---|---|---|---|---|---|
"""
COURSES = (demonstration.Course("lenet5", None, 3), demonstration.Course("mobilenet", 0.25, 4))


@dataclass(frozen=True)
class Row:
    """One file on one core: how many of the images have the same bits, the largest difference, the same best class."""

    file: str
    runtime: str
    core: str
    images: int
    equal: int
    largest: float
    agree: int
    scale: float  # the largest answer here
    top1: tuple[int, int]  # right answers there, and here


@dataclass(frozen=True)
class Set:
    """Files, and the folder of labelled images that they are asked about."""

    files: list[Path]
    images: Path


def main() -> None:
    """Measure and write the page."""
    with tempfile.TemporaryDirectory(prefix="edgekit-board-") as name:
        folder = Path(name)
        sets = [*_digits(folder), *_hosted(folder)]
        try:
            rows = [row for core in CORES for row in _on(core, folder / core, sets)]
        except LookupError as error:
            sys.exit(f"no board can be made here: {error}")
    PAGE.write_text(_page(rows), encoding="utf-8")
    print(PAGE)


def _digits(folder: Path) -> Iterator[Set]:
    """Two networks that were trained for a moment; every machine can make them."""
    demonstration.COURSES = COURSES  # type: ignore[assignment]
    demonstration.demo(out=folder / "demo")
    yield Set(_files(folder / "demo/artifacts"), _few(folder / "demo/images/test", folder / "digits"))


def _hosted(folder: Path) -> Iterator[Set]:
    """MobileNet with Google's weights and real images, and Google's own file, where they are at hand."""
    own = HOSTED / "mobilenet_v1_hosted/mobilenet_v1_0_5_160_quant.tflite"
    if not own.is_file():
        return
    edgekit.export(
        "mobilenet", alpha=0.5, res=160, weights=str(own), precision=["fp32", "int8"], out=folder / "hosted",
        data=HOSTED / "imagenet_calibration",
    )  # fmt: skip
    yield Set(_files(folder / "hosted"), _few(HOSTED / "imagenet_val", folder / "photographs"))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".onnx", ".tflite"))


def _few(data: Path, folder: Path) -> Path:
    """A folder with every n-th of the images, so many that there are IMAGES."""
    samples = labelled(data)
    folder.mkdir()
    rows = ["file,class"]
    for index, sample in enumerate(samples[:: len(samples) // IMAGES][:IMAGES]):
        sample.load().save(folder / f"{index}.png")
        rows.append(f"{index}.png,{sample.label}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def _on(core: str, folder: Path, sets: Sequence[Set]) -> Iterator[Row]:
    """Check, evaluate and measure as a user would, then compare every answer."""
    folder.mkdir()
    device = {"link": "ssh", "host": "board", "runtimes": ["litert", "onnxruntime"]}
    (folder / "devices.yaml").write_text(json.dumps({"devices": {"board": device}}))
    wish: dict[str, Any] = {"device": "board", "devices": folder / "devices.yaml", "store": f"sqlite:///{folder}/db"}
    with running(folder / "ssh", core):
        check = edgekit.devices(check="board", devices=wish["devices"]).check
        assert check is not None and check.architecture == "aarch64" and len(check.missing) == 1, check
        for one in sets:
            there = edgekit.eval(one.files, data=one.images, **wish).results
            here = edgekit.eval(one.files, data=one.images, store=wish["store"]).results
            for path, far, near in zip(one.files, there, here, strict=True):
                print(f"{core}: {path.name}", flush=True)
                counts = (far.accuracy.correct1, near.accuracy.correct1)
                yield _compared(path, one.images, core, wish["devices"], counts)
        measured = edgekit.bench(sets[0].files[:1], preset="quick", **wish).measurements[0]
        assert measured.verdict == "invalid" and "emulated" in measured.reasons[0], measured.reasons


def _compared(path: Path, images: Path, core: str, devices: Path, top1: tuple[int, int]) -> Row:
    artifact, runtime = open_artifact(path), choose(path).name
    here = open_session(path)
    with open_target("board", load(devices)["board"]) as target:
        far = FarSession(target.link, path, runtime)
        try:
            pairs = [(_answer(here, image), _answer(far, image)) for image in _inputs(artifact, here, images)]
        finally:
            far.close()
    return Row(
        file=path.name,
        runtime=runtime,
        core=core,
        images=len(pairs),
        equal=sum(near.tobytes() == there.tobytes() for near, there in pairs),
        largest=max(float(np.abs(near.astype(np.float64) - there).max()) for near, there in pairs),
        scale=max(float(np.abs(near).max()) for near, _ in pairs),
        agree=sum(int(near.argmax()) == int(there.argmax()) for near, there in pairs),
        top1=top1,
    )


def _inputs(artifact: Artifact, session: Session, images: Path) -> Iterator[NDArray[Any]]:
    taken = file_input(artifact, session, None)
    for sample in labelled(images):
        yield taken.stored(to_pixels(taken.preprocessing, sample.load(), taken.size))[None]


def _answer(session: Session, image: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(session.run([image])[0])


def _page(rows: Sequence[Row]) -> str:
    table = [
        f"| {_short(row.file)} | {row.core} | {row.equal} / {row.images} | {row.largest:.2g} of {row.scale:.3g} | "
        f"{row.agree} / {row.images} | {row.top1[0]} / {row.top1[1]} |"
        for row in sorted(rows, key=lambda row: row.file)
    ]
    head = HEAD.format(
        processor=processor(),
        machine=platform.machine(),
        images=IMAGES,
        versions=", ".join(f"{name} {metadata.version(name)}" for name in RUNTIMES),
        cores="; ".join(f"{core}: {what}" for core, what in CORES.items()),
    )
    return head + "\n".join(table) + "\n"


def _short(name: str) -> str:
    """A file's name without the hash of its weights, which a training of a moment makes anew."""
    return re.sub("_[0-9a-f]{8}_", "_", name)


if __name__ == "__main__":
    main()
