"""Evaluation: right answers are counted, and what would mean nothing is refused.

The network of most tests is real and small: it answers with the mean of each colour, so that a red picture is class 0,
a green one class 1 and a blue one class 2.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from edgekit.data.decode import decode
from edgekit.data.images import pixel_hash
from edgekit.errors import BackendMissing, EdgekitError, MeasurementInvalid, UsageError
from edgekit.evaluation.command import _remarks, eval
from edgekit.evaluation.result import Evaluated
from edgekit.records.manifest import (
    CalibrationRecord,
    Manifest,
    ParityRecord,
    TensorRecord,
    VariantRecord,
    WeightsRecord,
    manifest_path,
)
from edgekit.records.preprocessing import Preprocessing
from edgekit.storage.store import open_store
from edgekit.util.files import file_sha256
from tests.paths import DATA, NO_DATA

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
WHOLE = Preprocessing(crop_fraction=1.0)

COLOURS = ((230, 20, 30), (10, 240, 20), (5, 30, 250))


def network(
    path: Path, batch: int | str = 1, dtype: str = "float32", background: bool = False, spoil: float = 1.0
) -> Path:
    """Write the colour network; `background` puts an output before the three, `spoil` multiplies them."""
    from onnx import TensorProto, helper

    kind = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}[dtype]
    outputs = 4 if background else 3
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["m", "spoil"], ["s"]),
    ]
    if background:
        nodes.append(helper.make_node("Pad", ["s", "pads", "low"], ["y"]))
    else:
        nodes.append(helper.make_node("Identity", ["s"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("x", kind, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, outputs])],
        [
            helper.make_tensor("spoil", TensorProto.FLOAT, [], [spoil]),
            helper.make_tensor("pads", TensorProto.INT64, [4], [0, 1, 0, 0]),
            helper.make_tensor("low", TensorProto.FLOAT, [], [-1000.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def sealed(
    path: Path,
    preprocessing: Preprocessing = WHOLE,
    trained: bool = True,
    calibration: CalibrationRecord | None = None,
    tensor: TensorRecord | None = None,
) -> Path:
    """Write the manifest beside a file."""
    tensor = tensor or TensorRecord(name="x", dtype="float32", shape=(1, 3, 8, 8), layout="NCHW")
    manifest = Manifest(
        edgekit="0",
        file=path.name,
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        format="onnx",
        precision="fp32",
        variant=VariantRecord(
            name="colours_8",
            model="colours",
            family="test",
            alpha=1.0,
            resolution=8,
            classes=3,
            input_shape=(1, 3, 8, 8),
        ),
        weights=WeightsRecord(origin="random", id="random0", sha256=None, trained=trained),
        preprocessing=preprocessing,
        inputs=(tensor,),
        outputs=(TensorRecord(name="y", dtype="float32", shape=(1, 3), layout="NC"),),
        calibration=calibration,
        parity=ParityRecord(
            passed=True, n=1, n_real=0, max_abs_error=0, max_rel_error=0, cosine=1, top1_agreement=1, snr_db=None
        ),
        macs=0,
        params=0,
        activation_elements=0,
        remaining_batch_norms=(),
        operators={},
        tool_versions={},
        seconds=0.0,
        created="2026-01-01T00:00:00+00:00",
    )
    manifest_path(path).write_text(manifest.model_dump_json(), encoding="utf-8")
    return path


def calibrated_on(*pixels: str, synthetic: bool = False) -> CalibrationRecord:
    """A record of these images."""
    return CalibrationRecord(
        hash="0" * 16, n=len(pixels), synthetic=synthetic, method="minmax", source="data", seed=0, pixels=pixels
    )


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten pictures: red, green and blue in turn; the last is green and labelled blue."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = []
    for index in range(10):
        colour = 1 if index == 9 else index % 3
        pixels = np.clip(np.array(COLOURS[colour]) + random.integers(-5, 6, (8, 8, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
        rows.append((f"{index}.png", 2 if index == 9 else colour))
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "class"), *rows])
    return folder


@pytest.fixture
def evaluate(pictures: Path, tmp_path: Path) -> Callable[..., Any]:
    """eval on the ten pictures, into a store of its own."""

    def call(*artifacts: Path, **options: Any) -> Any:
        return eval(artifacts, **{"data": pictures, "store": str(tmp_path / "store.db"), **options})

    return call


def foreign_yaml(folder: Path, text: str = "crop: 1.0") -> Path:
    """A preprocessing file."""
    path = folder / "preprocess.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("foreign", [False, True])
def test_a_file_that_changes_meanwhile_has_no_accuracy_and_hides_no_other(
    gone: bool, foreign: bool, tmp_path: Path, evaluate: Callable[..., Any]
) -> None:
    changing, other = network(tmp_path / "a.onnx"), sealed(network(tmp_path / "b.onnx"))
    if not foreign:
        sealed(changing)

    def change(*_: object) -> None:
        changing.unlink(missing_ok=True)
        if not gone:
            network(changing, spoil=2.0)

    said = foreign_yaml(tmp_path) if foreign else None
    result = evaluate(changing, other, preprocess=said, progress=change)
    ((failure,), (kept,)) = result.failed, result.results
    assert failure.part == {"artifact": str(changing)} and "while it was used" in failure.error.message
    assert result.exit_code == 2
    assert kept.artifact == other and len(open_store(str(tmp_path / "store.db")).accuracies()) == 1


def test_a_folder_whose_name_is_no_text_is_named_as_far_as_it_goes(
    pictures: Path, tmp_path: Path, evaluate: Callable[..., Any]
) -> None:
    try:
        other = pictures.rename(tmp_path / os.fsdecode(b"bad\xff"))
    except OSError:
        pytest.skip("this file system has no such names")
    evaluate(sealed(network(tmp_path / "a.onnx")), data=other)
    assert open_store(str(tmp_path / "store.db")).accuracies()[0].dataset == r"bad\udcff"


def test_right_answers_are_counted_and_stored(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    result = evaluate(sealed(network(tmp_path / "a.onnx")))
    (row,) = result.to_json()["results"]
    assert (row["n"], row["top1"], row["top5"], row["foreign"]) == (10, 0.9, 1.0, False)
    low, high = row["top1_ci95"]
    assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)  # Wilson's interval of 9 in 10
    (stored,) = open_store(str(tmp_path / "store.db")).accuracies()
    assert stored == result.results[0].accuracy
    assert stored.hits == "111111111" + "5" and stored.dataset == "pictures" and stored.runtime == "onnxruntime"
    assert result.exit_code == 0 and stored.images_per_second > 0


def test_limits_on_accuracy_decide_the_exit_code(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    good, bad = sealed(network(tmp_path / "a.onnx")), sealed(network(tmp_path / "b.onnx", background=True))
    wanted = {"min_top1": 50, "max_drop": "20", "against": good}
    result = evaluate(bad, **wanted)
    assert [one.artifact for one in result.results] == [bad, good]
    (least, most) = result.to_json()["gates"]
    assert result.exit_code == 3 and [one["gate"] for one in (least, most)] == ["min-top1", "max-drop"]
    assert (least["measured"], least["passed"], least["verdict"]) == (0.1, False, "failed")
    assert (most["measured"], most["passed"], most["base"]) == (pytest.approx(0.8), False, str(good))
    assert most["reason"].startswith("a drop of +80.00 points from a.onnx (95 % paired ")


@pytest.mark.parametrize("batch", [4, "N"])
def test_the_batch_does_not_change_the_answers(tmp_path: Path, evaluate: Callable[..., Any], batch: int | str) -> None:
    tensor = TensorRecord(
        name="x", dtype="float32", shape=(batch if isinstance(batch, int) else -1, 3, 8, 8), layout="NCHW"
    )
    one, many = network(tmp_path / "one.onnx"), network(tmp_path / "many.onnx", batch)
    result = evaluate(sealed(one), sealed(many, tensor=tensor))
    assert [evaluated.accuracy.hits for evaluated in result.results] == ["1111111115"] * 2


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_integer_inputs_get_pixels(tmp_path: Path, evaluate: Callable[..., Any], dtype: str) -> None:
    result = evaluate(network(tmp_path / "a.onnx", dtype=dtype), preprocess=foreign_yaml(tmp_path))
    assert result.results[0].accuracy.hits == "1111111115"


def test_the_class_offset_skips_the_background(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    path = network(tmp_path / "a.onnx", background=True)
    shifted = evaluate(path, preprocess=foreign_yaml(tmp_path, "{crop: 1.0, class_offset: 1}"))
    assert shifted.results[0].accuracy.correct1 == 9
    unshifted = evaluate(path, preprocess=foreign_yaml(tmp_path, "crop: 1.0"))
    assert unshifted.results[0].accuracy.correct1 == 1  # the green picture that is called blue


def test_the_channel_order_counts(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    path = sealed(network(tmp_path / "a.onnx"), Preprocessing(crop_fraction=1.0, channels="BGR"))
    assert evaluate(path).results[0].accuracy.hits == "51551551" + "55"


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A folder for each colour but green."""
    for index, name in ((0, "red"), (2, "the blue")):
        folder = tmp_path / "colours" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8), COLOURS[index]).save(folder / "0.png")
    return tmp_path / "colours"


def test_folders_are_the_classes_that_they_are_called(tmp_path: Path, colours: Path, evaluate: Any) -> None:
    file, how, names = network(tmp_path / "colours.onnx"), foreign_yaml(tmp_path), tmp_path / "names.txt"
    with pytest.raises(UsageError, match="there are 2 class folders, and colours.onnx knows 3 classes"):
        evaluate(file, data=colours, preprocess=how)
    shifted = evaluate(file, data=colours, preprocess=how, classes_by_order=True).results[0]
    assert shifted.accuracy.hits == "15"
    names.write_text("Red\ngreen\nthe_blue\n")
    assert evaluate(file, data=colours, preprocess=how, labels=names).results[0].accuracy.hits == "11"
    names.write_text("red\ngreen\n")
    with pytest.raises(UsageError, match="2 names, and the network 3 outputs"):
        evaluate(file, data=colours, preprocess=how, labels=names)


def test_an_overlap_with_the_calibration_is_refused_under_any_name(
    tmp_path: Path, pictures: Path, evaluate: Callable[..., Any]
) -> None:
    Image.open(pictures / "3.png").save(tmp_path / "calibration.bmp")
    record = calibrated_on("f" * 16, pixel_hash(decode(tmp_path / "calibration.bmp")))
    path = sealed(network(tmp_path / "a.onnx"), calibration=record)
    with pytest.raises(UsageError, match=r"a\.onnx was calibrated on 3\.png"):
        evaluate(path)
    assert open_store(str(tmp_path / "store.db")).accuracies() == []
    assert evaluate(sealed(path, calibration=calibrated_on("f" * 16))).results[0].accuracy.n == 10


def test_one_file_that_is_refused_does_not_hide_the_others(tmp_path: Path, pictures: Path, evaluate: Any) -> None:
    record = calibrated_on(pixel_hash(decode(pictures / "5.png")))
    bad, good = network(tmp_path / "bad.onnx"), network(tmp_path / "good.onnx")
    result = evaluate(sealed(bad, calibration=record), sealed(good), tmp_path / "gone.onnx")
    assert [evaluated.artifact for evaluated in result.results] == [good]
    reasons = {Path(row["artifact"]).name: row["reason"] for row in result.to_json()["failed"]}
    assert "calibrated on 5.png" in reasons["bad.onnx"] and "does not exist" in reasons["gone.onnx"]
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"trained": False}, "random weights"),
        ({"calibration": calibrated_on(synthetic=True)}, "calibrated on noise"),
        ({"preprocessing": Preprocessing(crop_fraction=1.0, class_offset=1)}, "has class 2, and a.onnx knows 0 to 1"),
    ],
)
def test_what_would_mean_nothing_is_refused(tmp_path: Path, evaluate: Any, options: dict[str, Any], cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        evaluate(sealed(network(tmp_path / "a.onnx"), **options))


def test_a_changed_file_is_refused(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    path = sealed(network(tmp_path / "a.onnx"))
    network(path, spoil=2.0)
    with pytest.raises(UsageError, match="sha256 differs"):
        evaluate(path)


def test_nan_is_no_accuracy(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    with pytest.raises(MeasurementInvalid, match="NaN"):
        evaluate(sealed(network(tmp_path / "a.onnx", spoil=float("nan"))))


@pytest.mark.parametrize(
    ("yaml", "cause"),
    [
        (None, "--preprocess FILE"),
        ("size: 16", "takes images of 8x8"),
        ("layout: NHWC", "not 3 channels of an image in NHWC"),
        ("channels: L", "not 1 channels"),
    ],
)
def test_a_foreign_file_needs_a_fitting_preprocessing(
    tmp_path: Path, evaluate: Any, yaml: str | None, cause: str
) -> None:
    path = network(tmp_path / "a.onnx")
    with pytest.raises(UsageError) as caught:
        evaluate(path, preprocess=foreign_yaml(tmp_path, yaml) if yaml else None)
    assert cause in f"{caught.value.message} {caught.value.remedy}"


def test_a_manifest_is_not_overruled(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="for foreign files"):
        evaluate(sealed(network(tmp_path / "a.onnx")), preprocess=foreign_yaml(tmp_path))


@pytest.mark.parametrize(
    ("options", "error", "cause"),
    [
        ({"device": "pixel-8"}, UsageError, "there is no device 'pixel-8'"),
        ({"runtime": "litert"}, BackendMissing, "does not run onnx files"),
        ({"runtime": "null"}, UsageError, "null runtime"),
        ({"data": Path("nowhere")}, UsageError, "nowhere does not exist"),
    ],
)
def test_wrong_arguments_are_refused(
    tmp_path: Path, evaluate: Any, options: dict[str, Any], error: type[EdgekitError], cause: str
) -> None:
    with pytest.raises(error, match=cause):
        evaluate(sealed(network(tmp_path / "a.onnx")), **options)


def test_no_artifact_is_refused(evaluate: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="no artifact"):
        evaluate()


def test_a_broken_picture_is_named_and_nothing_is_stored(tmp_path: Path, pictures: Path, evaluate: Any) -> None:
    (pictures / "7.png").write_bytes(b"broken")
    with pytest.raises(UsageError, match=r"7\.png cannot be read"):
        evaluate(sealed(network(tmp_path / "a.onnx")))
    assert open_store(str(tmp_path / "store.db")).accuracies() == []


def test_files_are_compared_image_by_image(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    good, mirrored = sealed(network(tmp_path / "a.onnx")), sealed(network(tmp_path / "b.onnx", spoil=-1.0))
    (pair,) = evaluate(good, mirrored).to_json()["paired"]
    assert pair["base"] == str(good) and pair["artifact"] == str(mirrored)
    assert pair["top1_difference"] == -0.9 and pair["ci95"][0] < -0.9 < pair["ci95"][1]
    assert (pair["only_base"], pair["only_artifact"]) == (9, 0)


def test_an_image_twice_is_said(tmp_path: Path, pictures: Path, evaluate: Callable[..., Any]) -> None:
    (pictures / "4.png").write_bytes((pictures / "1.png").read_bytes())
    result = evaluate(sealed(network(tmp_path / "a.onnx")))
    assert result.notes and result.notes[0].startswith("1 of 10 images have the same pixels")


def test_the_dataset_hash_knows_pixels_and_labels(tmp_path: Path, pictures: Path, evaluate: Any) -> None:
    path = sealed(network(tmp_path / "a.onnx"))
    hashes = [evaluate(path).results[0].accuracy.dataset_hash for _ in range(2)]
    table = pictures / "labels.csv"
    table.write_text(table.read_text().replace("9.png,2", "9.png,1"))
    assert hashes[0] == hashes[1] != evaluate(path).results[0].accuracy.dataset_hash


def test_progress_counts_every_image(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    seen: list[tuple[Any, Any]] = []
    evaluate(sealed(network(tmp_path / "a.onnx")), progress=lambda message, done, total: seen.append((done, total)))
    assert seen == [(done, 10) for done in range(1, 11)]


def test_without_pillow_the_remedy_is_said(tmp_path: Path, evaluate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sealed(network(tmp_path / "a.onnx"))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(BackendMissing, match="pillow") as caught:
        evaluate(path)
    assert "pip install 'edgekit[" in caught.value.remedy


@pytest.fixture
def validation(tmp_path: Path) -> Path:
    """The first 120 images of the validation subset, by link."""
    source = DATA / "imagenet_val"
    if not source.is_dir():
        pytest.skip(NO_DATA)
    lines = (source / "labels.csv").read_text().splitlines()[:121]
    folder = tmp_path / "validation"
    folder.mkdir()
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    for line in lines[1:]:
        name = line.split(",")[0]
        (folder / name).symlink_to((source / name).resolve())
    return folder


def test_a_hosted_file_reaches_its_accuracy_on_real_images(tmp_path: Path, validation: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    hosted = DATA / "mobilenet_v1_hosted" / "mobilenet_v1_0_5_160_quant.tflite"
    store = str(tmp_path / "store.db")
    right = foreign_yaml(tmp_path, "{crop: 0.875, mean: 127.5, std: 127.5, layout: NHWC, class_offset: 1}")
    (row,) = eval([hosted], data=validation, preprocess=right, store=store).to_json()["results"]
    assert row["n"] == 120 and row["foreign"] and row["runtime"] == "litert"
    assert row["top1"] > 0.62 and row["top5"] > 0.85  # 0.706 and 0.900 on all 650
    wrong = foreign_yaml(tmp_path, "{crop: 0.875, class_offset: 0}")
    (row,) = eval([hosted], data=validation, preprocess=wrong, store=store).to_json()["results"]
    assert row["top1"] < 0.1


@pytest.mark.parametrize(
    ("instructions", "pairs", "said"),
    [
        (["avx2", "avx512_vnni"], None, "on x86-64 without VNNI"),
        (["avx2"], None, "in onnxruntime here"),
        (["avx2"], {"layers": 1}, None),
        (None, None, None),
    ],
)
def test_an_int8_accuracy_that_holds_for_some_processors_says_so(
    instructions: list[str] | None, pairs: object, said: str | None
) -> None:
    manifest = SimpleNamespace(precision="int8", details={"weight_pairs": pairs})
    accuracy = SimpleNamespace(runtime="onnxruntime", manifest=manifest, found={"instructions": instructions})
    one = cast(Evaluated, SimpleNamespace(artifact=Path("n.onnx"), accuracy=accuracy))
    remarks = list(_remarks([one]))
    assert remarks == [] if said is None else said in remarks[0]
