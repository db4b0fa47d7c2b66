"""The published tables beside exact counts, the correlation with what was measured, and the whole way once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import EnvironmentRefused, UsageError
from edgekit.network.spec import MODELS, ModelSpec
from edgekit.records.manifest import Manifest, VariantRecord
from edgekit.records.measurement import Accuracy
from edgekit.reproduction.tables import Table, correlations, tables
from edgekit.stats.pareto import front
from edgekit.sweeps.result import SweepResult
from tests.paths import HOSTED, IMAGENET

pytest.importorskip("torch")
MINE = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1001))
"""


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    import edgekit.models  # noqa: F401

    return MODELS["mobilenet"]


@pytest.fixture(scope="module")
def found(spec: ModelSpec) -> tuple[Table, ...]:
    from edgekit.network.catalog import chosen, counted

    def counts(name: str, alpha: float, res: int) -> tuple[int, int]:
        table = counted(chosen(name, alpha, res, None, None, None))
        return table.macs, table.params

    return tables(spec, MODELS["conv_mobilenet"], counts)


def test_the_papers_tables_are_as_printed(found: tuple[Table, ...]) -> None:
    printed = {
        table.title.partition(".")[0]: [
            (line.variant, line.paper.top1, (line.paper.macs or 0) / 1e6, (line.paper.params or 0) / 1e6)
            for line in table.lines
            if line.paper
        ]
        for table in found[:3]
    }
    whole = ("mobilenet_1.0_224", 0.706, 569, 4.2)
    assert printed == {
        "Table 4": [("conv_mobilenet_1.0_224", 0.717, 4866, 29.3), whole],
        "Table 6": [
            whole,
            ("mobilenet_0.75_224", 0.684, 325, 2.6),
            ("mobilenet_0.5_224", 0.637, 149, 1.3),
            ("mobilenet_0.25_224", 0.506, 41, 0.5),
        ],
        "Table 7": [
            whole,
            ("mobilenet_1.0_192", 0.691, 418, 4.2),
            ("mobilenet_1.0_160", 0.672, 290, 4.2),
            ("mobilenet_1.0_128", 0.644, 186, 4.2),
        ],
    }


def test_what_is_more_than_rounding_is_marked(found: tuple[Table, ...]) -> None:
    slim = found[3].lines
    assert len(slim) == 16
    marked = {line.variant for line in slim if line.slim and line.slim.differs}
    assert marked == {f"mobilenet_0.75_{res}" for res in (224, 192, 160, 128)} | {"mobilenet_0.25_192"}
    paper = {line.variant for table in found[:3] for line in table.lines if line.paper and line.paper.differs}
    assert paper == {"conv_mobilenet_1.0_224"}, "it leaves the classifier out"
    assert {line.variant: line.macs for line in slim}["mobilenet_0.5_160"] == 76_524_800


def test_the_front_of_the_published_rows_over_exact_macs(found: tuple[Table, ...]) -> None:
    points = [(float(line.macs), line.slim.top1 or 0) for line in found[3].lines if line.slim]
    dominated = {line.variant for line, kept in zip(found[3].lines, front(points), strict=True) if not kept}
    assert dominated == {"mobilenet_0.5_192", "mobilenet_1.0_128"}


def accuracy(alpha: float, res: int, correct: int) -> Accuracy:
    """Of 100 images; only what a correlation reads is there."""
    variant = VariantRecord(
        name="x", model="mobilenet", family="MobileNet", alpha=alpha, resolution=res, classes=1001,
        input_shape=(1, 3, res, res),
    )  # fmt: skip
    record = Accuracy(
        id="x", created="", artifact="x.onnx", sha256="00", format="onnx", manifest=None, device="local",
        runtime="onnxruntime", dataset="images", dataset_hash="11", n=100, correct1=correct, correct5=correct,
        hits="", images_per_second=1.0,
    )  # fmt: skip
    known: dict[str, Any] = {"variant": variant}
    return record.model_copy(update={"manifest": Manifest.model_construct(**known)})


def test_correlation_is_over_the_variants_that_were_measured_and_published(spec: ModelSpec) -> None:
    measured = {(1.0, 224): 80, (0.75, 224): 70, (0.5, 224): 60, (0.25, 224): 65, (0.3, 96): 1}
    records = [("onnx fp32", accuracy(*point, correct)) for point, correct in measured.items()]
    both = {one.published: one for one in correlations(records, spec)}
    assert both["TF-slim"].n == both["paper"].n == 4
    assert both["TF-slim"].spearman == pytest.approx(0.8) and both["paper"].spearman == pytest.approx(0.8)
    alone = correlations(records[:1], spec)
    assert [(one.n, one.spearman) for one in alone] == [(1, None), (1, None)]


def test_only_what_was_published_can_be_reproduced() -> None:
    from edgekit.reproduction.command import reproduce

    with pytest.raises(UsageError, match="did you mean 'mobilenet'"):
        reproduce("mobilnet")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("precision", ("int8",)), ("format", ("onnx",)), ("threads", 4), ("device", "nonsense"), ("preset", "quick"),
        ("jobs", 1), ("int8_effort", "fast"), ("devices", Path("devices.yaml")), ("alpha", (0.5,)), ("data", "images"),
    ],
)  # fmt: skip
def test_the_zoo_refuses_what_it_does_not_heed(name: str, value: Any, tmp_path: Path) -> None:
    from edgekit.reproduction.command import reproduce

    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} has nothing to say"):
        reproduce("zoo", out=tmp_path / "out", **{name: value})
    assert not (tmp_path / "out").exists()


def test_what_the_store_refused_of_ones_own_network_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekit.reproduction import command

    def sweep(model: str, **asked: Any) -> SweepResult:
        refused = EnvironmentRefused("the store is full", "make room")
        return SweepResult((), 1.0, unstored=None if model == "mobilenet" else refused)

    monkeypatch.setattr(command, "sweep", sweep)
    (tmp_path / "mine.py").write_text(MINE)
    result = command.reproduce(own=f"{tmp_path}/mine.py:build", out=tmp_path / "out")
    assert result.exit_code == 7 and result.notes[0] == "the store is full; make room"


def test_a_format_and_a_precision_may_be_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekit.reproduction import command

    asked: list[dict[str, Any]] = []

    def sweep(model: str, **given: Any) -> SweepResult:
        asked.append(given)
        return SweepResult((), 1.0)

    monkeypatch.setattr(command, "sweep", sweep)
    command.reproduce(format="tflite", precision="half,int8", out=tmp_path / "out")
    assert asked[0]["format"] == ("tflite",) and asked[0]["precision"] == ("fp16", "int8")


def test_images_to_calibrate_with_need_int8(tmp_path: Path) -> None:
    from edgekit.reproduction.command import reproduce

    with pytest.raises(UsageError, match="--calibration is for int8"):
        reproduce(calibration=tmp_path, precision=("fp32",), out=tmp_path / "out")


@pytest.mark.data
def test_the_whole_way_with_real_weights_and_images_and_a_network_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("onnx", "onnxruntime", "ai_edge_litert", "vl_convert", "PIL"):
        pytest.importorskip(package)
    from edgekit.reproduction.command import Reproduction, reproduce

    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    images = tmp_path / "images"
    images.mkdir()
    rows = (IMAGENET / "labels.csv").read_text().splitlines()[:21]
    (images / "labels.csv").write_text("\n".join(rows) + "\n")
    for row in rows[1:]:
        (images / row.partition(",")[0]).symlink_to((IMAGENET / row.partition(",")[0]).resolve())
    (tmp_path / "mine.py").write_text(MINE)
    with ThreadPoolExecutor(1) as pool:
        result = reproduce(
            weights=HOSTED, data=images, alpha=(0.75, 0.5, 0.25), res=(128,), format=("tflite",), precision=("fp32",),
            preset="quick", out=tmp_path / "out", store=f"sqlite:///{tmp_path}/store.db", executor=pool,
            save=[tmp_path / "rows.csv", tmp_path / "chart.svg"], own=[f"{tmp_path}/mine.py:build"],
        )  # fmt: skip
    assert isinstance(result, Reproduction)
    assert [path.name for path in result.saved] == ["rows.csv", "chart.svg"]
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 5
    chart = (tmp_path / "chart.svg").read_text()
    assert chart.startswith("<svg") and "mine" in chart
    bare, half, quarter, mine = result.sweep.cells
    assert mine.accuracy is not None and mine.accuracy.n == 20 and mine.measurement is not None
    assert mine.measurement.manifest and mine.measurement.manifest.calibration is None
    (line,), macs = result.tables[0].lines, 3 * 8 * 9 * 63 * 63 + 8 * 1001
    assert (result.tables[0].title, line.variant, line.macs) == ("Own networks", mine.variant, macs)
    assert any("the preprocessing of" in note and "assumed" in note for note in result.notes)
    assert bare.measurement is not None and bare.accuracy is None, "no weights: latency only"
    assert half.accuracy is not None and half.accuracy.n == 20 and half.measurement is not None
    assert quarter.accuracy is not None and quarter.accuracy.correct1 <= half.accuracy.correct1
    assert any("no weights are here for 1 of the variants" in note for note in result.notes)
    assert {(one.series, one.published, one.n) for one in result.correlations} == {
        ("tflite fp32", "paper", 0), ("tflite fp32", "TF-slim", 2),
    }  # fmt: skip
    names = {path.name for path in result.report.paths} if result.report else set()
    assert {"report.html", "report.md", "accuracy-macs.svg", "accuracy-params.svg"} <= names
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert len(document["tables"]) == 5 and len(document["cells"]) == 4
    from edgekit.cli.views.reproduce import reproduce as view

    assert len(list(view(document, 200))) > 10


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"save": ["a.pdf"]}, "no suffix that says a format"),
        ({"save": ["a.svg"]}, "none is measured"),
        ({"own": ["mine.py:net=71.5"]}, "measures the accuracy itself"),
        ({"preprocess": "mine.yaml"}, "is for networks of your own"),
    ],
)
def test_what_cannot_be_saved_or_shown_is_said_before_anything_is_measured(
    given: dict[str, Any], cause: str, tmp_path: Path
) -> None:
    from edgekit.reproduction.command import reproduce

    with pytest.raises(UsageError, match=cause):
        reproduce(out=tmp_path / "out", **given)
    assert not list(tmp_path.iterdir())
