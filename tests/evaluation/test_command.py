"""Evaluation: right answers are counted, and what would mean nothing is refused.

The network of most tests is real and small: it answers with the mean of each color, so that a red picture is class 0,
a green one class 1 and a blue one class 2.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.evaluation.command import _remarks, eval
from edgekit.evaluation.result import Evaluated
from edgekit.records.manifest import (
    TensorRecord,
)
from edgekit.records.preprocessing import Preprocessing
from edgekit.storage.store import open_store
from tests.evaluation.files import COLORS, foreign_yaml, network, sealed
from tests.paths import DATA, NO_DATA

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")


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


def test_right_answers_are_counted_and_stored(tmp_path: Path, pictures: Path, evaluate: Callable[..., Any]) -> None:
    path = sealed(network(tmp_path / "a.onnx"))
    result = evaluate(path)
    (row,) = result.to_json()["results"]
    assert (
        eval(str(path), data=pictures, store=str(tmp_path / "o.db")).to_json()["results"][0]["top1"] == row["top1"]
    ), "one file alone"
    assert (row["n"], row["top1"], row["top5"], row["foreign"]) == (10, 0.9, 1.0, False)
    low, high = row["top1_ci95"]
    assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)  # Wilson's interval of 9 in 10
    (stored,) = open_store(str(tmp_path / "store.db")).accuracies()
    assert stored == result.results[0].accuracy
    assert stored.hits == "111111111" + "5" and stored.dataset == "pictures" and stored.runtime == "onnxruntime"
    assert result.exit_code == 0 and stored.images_per_second > 0


def test_no_thread_is_refused(evaluate: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="--threads must be at least 1, not 0"):
        evaluate("a.onnx", threads=0)


def test_limits_on_accuracy_decide_the_exit_code(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    good, bad = sealed(network(tmp_path / "a.onnx")), sealed(network(tmp_path / "b.onnx", background=True))
    wanted = {"min_top1": 50, "max_drop": "20", "against": good}
    result = evaluate(bad, **wanted)
    assert [one.artifact for one in result.results] == [bad, good]
    (least, most) = result.to_json()["gates"]
    assert result.exit_code == 3 and [one["gate"] for one in (least, most)] == ["min-top1", "max-drop"]
    assert (least["measured"], least["passed"], least["verdict"]) == (0.1, False, "failed")
    assert (most["measured"], most["passed"], most["base"]) == (pytest.approx(0.8), False, str(good))
    assert most["reason"].startswith("a loss of 80.00 points against a.onnx (95 % paired -")


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
def colors(tmp_path: Path) -> Path:
    """A folder for each color but green."""
    for index, name in ((0, "red"), (2, "the blue")):
        folder = tmp_path / "colors" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8), COLORS[index]).save(folder / "0.png")
    return tmp_path / "colors"


def test_folders_are_the_classes_that_they_are_called(tmp_path: Path, colors: Path, evaluate: Any) -> None:
    file, how, names = network(tmp_path / "colors.onnx"), foreign_yaml(tmp_path), tmp_path / "names.txt"
    with pytest.raises(UsageError, match="there are 2 class folders, and colors.onnx knows 3 classes"):
        evaluate(file, data=colors, preprocess=how)
    shifted = evaluate(file, data=colors, preprocess=how, classes_by_order=True).results[0]
    assert shifted.accuracy.hits == "15"
    names.write_text("Red\ngreen\nthe_blue\n")
    assert evaluate(file, data=colors, preprocess=how, labels=names).results[0].accuracy.hits == "11"
    names.write_text("red\ngreen\n")
    with pytest.raises(UsageError, match="2 names, and the network 3 outputs"):
        evaluate(file, data=colors, preprocess=how, labels=names)


def test_files_are_compared_image_by_image(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    good, mirrored = sealed(network(tmp_path / "a.onnx")), sealed(network(tmp_path / "b.onnx", spoil=-1.0))
    (pair,) = evaluate(good, mirrored).to_json()["paired"]
    assert pair["base"] == str(good) and pair["artifact"] == str(mirrored)
    assert pair["top1_difference"] == -0.9 and pair["ci95"][0] < -0.9 < pair["ci95"][1]
    assert (pair["only_base"], pair["only_artifact"]) == (9, 0)


def test_answers_no_better_than_chance_are_said(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    good, mirrored = sealed(network(tmp_path / "a.onnx")), sealed(network(tmp_path / "b.onnx", spoil=-1.0))
    notes = [note for note in evaluate(good, mirrored).notes if "chance" in note]
    assert len(notes) == 1 and notes[0].startswith("b.onnx: its top-1 is not above chance, 1 of 3 classes")


def test_an_image_twice_is_said(tmp_path: Path, pictures: Path, evaluate: Callable[..., Any]) -> None:
    (pictures / "4.png").write_bytes((pictures / "1.png").read_bytes())
    result = evaluate(sealed(network(tmp_path / "a.onnx")))
    assert result.notes and result.notes[0].startswith("1 of 10 images have the same pixels")


def test_images_that_cannot_be_read_are_left_out_counted_and_said(
    tmp_path: Path, pictures: Path, evaluate: Callable[..., Any]
) -> None:
    path, told = sealed(network(tmp_path / "a.onnx")), []
    whole = evaluate(path).results[0].accuracy
    for index in (0, 4, 8):
        (pictures / f"{index}.png").write_bytes((pictures / f"{index}.png").read_bytes()[:60])
    result = evaluate(path, progress=lambda *said: told.append(said))
    (row,), record = result.to_json()["results"], result.results[0].accuracy
    assert (row["n"], row["unreadable"], record.correct1) == (7, 3, whole.correct1 - 3)
    assert result.notes[0].startswith("3 of 10 images are left out, unreadable: 0.png, 4.png, 8.png (the image")
    assert told[-1] == ("evaluating", 10, 10)
    assert open_store(str(tmp_path / "store.db")).accuracies()[-1].unreadable == 3
    assert record.dataset_hash != whole.dataset_hash


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
    one = cast(Evaluated, SimpleNamespace(artifact=Path("n.onnx"), accuracy=accuracy, answers=None))
    remarks = list(_remarks([one]))
    assert remarks == [] if said is None else said in remarks[0]


def two_outputs(path: Path) -> Path:
    """The color network with a second output, `least`, whose largest is the color that is least there."""
    model = onnx.load(network(path))
    model.graph.node.append(onnx.helper.make_node("Neg", ["s"], ["least"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("least", onnx.TensorProto.FLOAT, [1, 3]))
    onnx.save(model, path)
    return path


def test_of_several_outputs_the_named_one_classifies(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    path, said = two_outputs(tmp_path / "two.onnx"), foreign_yaml(tmp_path)
    results = {name: evaluate(path, preprocess=said, output_name=name).to_json()["results"] for name in ("y", "least")}
    assert {name: row["top1"] for name, (row,) in results.items()} == {"y": 0.9, "least": 0.0}
    with pytest.raises(UsageError, match="two.onnx has 2 outputs: y, least") as refused:
        evaluate(path, preprocess=said)
    assert "--output-name" in refused.value.remedy
    with pytest.raises(UsageError, match="two.onnx has no output 'leasd'; did you mean 'least'") as refused:
        evaluate(path, preprocess=said, output_name="leasd")
    assert "y, least" in refused.value.remedy


def test_a_file_of_several_inputs_is_refused(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    model = onnx.load(network(tmp_path / "a.onnx"))
    model.graph.input.append(onnx.helper.make_tensor_value_info("state", onnx.TensorProto.FLOAT, [1, 2]))
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(UsageError, match="a.onnx has 2 inputs"):
        evaluate(tmp_path / "a.onnx", preprocess=foreign_yaml(tmp_path))


def test_a_file_without_inputs_is_refused(tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    model = onnx.load(network(tmp_path / "a.onnx"))
    image = onnx.helper.make_tensor("x", onnx.TensorProto.FLOAT, [1, 3, 2, 2], [0.0] * 12)
    model.graph.initializer.append(image)
    del model.graph.input[:]
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(UsageError, match="a.onnx has 0 inputs, and an image fills one"):
        evaluate(tmp_path / "a.onnx", preprocess=foreign_yaml(tmp_path))
    (tmp_path / "arrays" / "0").mkdir(parents=True)
    np.save(tmp_path / "arrays" / "0" / "a.npy", np.zeros((3, 2, 2), np.float32))
    with pytest.raises(UsageError, match="a.onnx has no inputs"):
        evaluate(tmp_path / "a.onnx", data=tmp_path / "arrays")


def test_folders_of_wordnet_ids_are_matched_with_the_labels(
    tmp_path: Path, pictures: Path, evaluate: Callable[..., Any]
) -> None:
    ids = ("n01818515", "n01440764", "n01443537")  # not in their order
    for index in range(9):
        (tmp_path / "set" / ids[index % 3]).mkdir(parents=True, exist_ok=True)
        (pictures / f"{index}.png").rename(tmp_path / "set" / ids[index % 3] / f"{index}.png")
    (tmp_path / "labels.txt").write_text("\n".join(ids))
    options = {"data": tmp_path / "set", "preprocess": foreign_yaml(tmp_path)}
    file = network(tmp_path / "a.onnx")
    assert evaluate(file, labels=tmp_path / "labels.txt", **options).results[0].accuracy.hits == "1" * 9
    with pytest.raises(UsageError, match="nothing says which class 'n01440764'"):
        evaluate(file, **options)
