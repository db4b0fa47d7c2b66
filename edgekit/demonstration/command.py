"""`edgekit demo`: the whole way on images that every machine has, through the same functions that a user calls."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import BackendMissing, MeasurementInvalid, worst_exit_code
from edgekit.util.files import make_folder, write_atomically
from edgekit.util.tabled import Tabled

if TYPE_CHECKING:
    from edgekit.demonstration.digits import Digits
    from edgekit.records.artifact import Artifact

Progress = Callable[[str, int | None, int | None], None]
PRECISIONS = ("fp32", "int8")
STORE = "demo.db"  # not the name of a store of the user's own, which may lie in the same folder
# Digits have no border to cut off, which MobileNet's own preprocessing would.
PREPROCESS = b"crop: 1.0\nchannels: RGB\nmean: 127.5\nstd: 127.5\n"


@dataclass(frozen=True)
class Course:
    """A network and how long it is trained: narrow ones are cheap, and need more epochs."""

    model: str
    alpha: float | None
    epochs: int

    def __str__(self) -> str:
        return self.model if self.alpha is None else f"{self.model}_{self.alpha}"


COURSES = (
    Course("lenet5", None, 15),
    Course("mobilenet", 1.0, 6),
    Course("mobilenet", 0.75, 7),
    Course("mobilenet", 0.5, 9),
    Course("mobilenet", 0.25, 14),
)


@dataclass(frozen=True, repr=False)
class DemoResult(Tabled):
    """Where everything is, a row per file, what failed, and which file to ship."""

    report: Path
    store: str
    rows: tuple[dict[str, Any], ...]
    failed: tuple[dict[str, Any], ...]
    answers: tuple[dict[str, Any], ...]  # which file to ship, as of the report
    exit_code: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Everything under plain keys; the report's path is absolute."""
        return {
            "rows": list(self.rows),
            "failed": list(self.failed),
            "answers": list(self.answers),
            "store": self.store,
            "seconds": self.seconds,
            "report": str(self.report.resolve()),
        }


def demo(out: str | Path = "demo", progress: Progress | None = None) -> DemoResult:
    """Train LeNet-5 and MobileNet at four widths on handwritten digits; export, prove, evaluate, measure and report.

    Everything goes under `out`; a store that an earlier demo left there is replaced. Needs no download. Raises
    BackendMissing before the first step where a package is not installed.
    """
    import edgekit

    _require()
    started, say = time.monotonic(), progress or _silent
    folder = make_folder(Path(out))
    calibration, test, sources = _prepare(folder, say)
    exports = []
    for index, (course, weights) in enumerate(sources.items()):
        say(f"export {course}", index, len(sources))
        exports.append(
            edgekit.export(
                course.model,
                alpha=course.alpha,
                res=32,
                classes=10,
                weights=str(weights),
                preprocess=None if course.alpha is None else folder / "preprocess.yaml",
                precision=PRECISIONS,
                data=calibration,
                out=folder / "artifacts",
            )
        )
    made = [artifact for result in exports for artifact in result.artifacts]
    paths = [artifact.path for artifact in made]
    store = f"sqlite:///{folder / STORE}"
    accuracy = edgekit.eval(paths, data=test, store=store, progress=progress)
    latency = edgekit.bench(paths, preset="quick", store=store, progress=progress)
    say("write the report", None, None)
    written = edgekit.report(store=store, out=folder / "report.html")
    # A busy machine spoils latencies, and the report says of which; the demo has gone the whole way all the same.
    codes = [*(result.exit_code for result in exports), accuracy.exit_code, latency.exit_code]
    return DemoResult(
        report=folder / "report.html",
        store=store,
        rows=_rows(made, accuracy.to_json()["results"], latency.to_json()["measurements"]),
        failed=tuple(row for result in exports for row in result.to_json()["failed"]),
        answers=tuple(written.to_json()["answers"]),
        exit_code=worst_exit_code(code for code in codes if code != MeasurementInvalid.exit_code),
        seconds=time.monotonic() - started,
    )


def _silent(message: str, done: int | None, total: int | None) -> None: ...


def _require() -> None:
    needed = {"torch": "export", "onnx": "export", "safetensors": "export", "onnxruntime": "onnxruntime",
              "ai_edge_litert": "litert", "PIL": "litert", "sklearn": "demo", "vl_convert": "report"}  # fmt: skip
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendMissing(f"the demo needs {', '.join(missing)}", "pip install 'edgekit[all]'")


def _prepare(folder: Path, say: Progress) -> tuple[Path, Path, dict[Course, Path]]:
    """Images and trained weights: the folders of calibration and test images, and a weights file per course."""
    from edgekit.demonstration.digits import Digits

    say("write the images", None, None)
    digits = Digits()
    (folder / STORE).unlink(missing_ok=True)
    write_atomically(folder / "preprocess.yaml", PREPROCESS)
    calibration = digits.write("calibration", folder / "images" / "calibration")
    test = digits.write("test", folder / "images" / "test")
    own = make_folder(folder / "weights")
    return calibration, test, {course: _train(course, digits, own, say) for course in COURSES}


def _train(course: Course, digits: Digits, folder: Path, say: Progress) -> Path:
    """The weights file of a trained network."""
    import importlib

    import torch
    from safetensors.torch import save

    from edgekit.demonstration.digits import SIZE, train
    from edgekit.network.spec import MODELS, variant
    from edgekit.records.preprocessing import Preprocessing

    importlib.import_module("edgekit.models")  # registers the zoo
    own = MODELS[course.model].preprocessing
    inputs, classes = digits.tensors("train", own if course.alpha is None else Preprocessing(crop_fraction=1.0))
    torch.manual_seed(0)
    network = variant(course.model, course.alpha, SIZE, 10).build()
    train(network, inputs, classes, course.epochs, lambda epoch: say(f"train {course}", epoch, course.epochs))
    path = folder / f"{course}.safetensors"
    write_atomically(path, save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))
    return path


def _rows(
    made: Sequence[Artifact], accuracies: Sequence[Any], measurements: Sequence[Any]
) -> tuple[dict[str, Any], ...]:
    """A row per file, joined by its path; what failed is null."""
    top1 = {row["artifact"]: row for row in accuracies}
    time_of = {row["artifact"]: row for row in measurements}
    return tuple(_row(one, top1.get(str(one.path), {}), time_of.get(str(one.path), {})) for one in made)


def _row(made: Artifact, accuracy: Mapping[str, Any], latency: Mapping[str, Any]) -> dict[str, Any]:
    known = made.manifest
    return {
        "artifact": str(made.path),
        "bytes": known.bytes if known else None,
        "macs": known.macs if known else None,
        "n": accuracy.get("n"),
        "top1": accuracy.get("top1"),
        "median_ms": latency.get("median_ms"),
        "verdict": latency.get("verdict"),
        "reasons": latency.get("reasons", []),
    }
