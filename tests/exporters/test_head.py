"""Files that answer with a softmax or an index, and bear the names of their outputs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit
from edgekit.errors import GateFailed, UsageError
from edgekit.exporting import head_proof
from edgekit.exporting.reference import Reference
from edgekit.records.artifact import Artifact
from edgekit.records.formats import HEADS
from edgekit.records.manifest import labels_path
from edgekit.records.runtime import open_session

NAMES = tuple(f"digit {index}" for index in range(10))
PRECISIONS = ("fp32", "fp16", "int8", "int8w")
FILES = [(format, precision) for format in ("onnx", "tflite") for precision in PRECISIONS]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Artifact]:
    """LeNet-5 in every format, precision and head."""
    folder = tmp_path_factory.mktemp("heads")
    (folder / "names.txt").write_text("\n".join(NAMES))
    found: dict[tuple[str, str, str], Artifact] = {}
    for output in HEADS:
        result = edgekit.export(
            "lenet5", precision=PRECISIONS, synthetic_calibration=True, int8_effort="fast", output=output,
            labels=folder / "names.txt", out=folder / output,
        )  # fmt: skip
        assert not result.failed, result.failed
        found |= {(a.manifest.format, a.manifest.precision, output): a for a in result.artifacts if a.manifest}
    return found


def answers(artifact: Artifact, count: int = 8) -> NDArray[Any]:
    manifest = artifact.manifest
    assert manifest is not None
    inputs = np.random.default_rng(1).standard_normal((count, *manifest.inputs[0].shape)).astype(np.float32)
    session = open_session(artifact.path)
    return np.concatenate([np.asarray(session.run([x])[0]) for x in inputs])


@pytest.mark.parametrize(("format", "precision"), FILES)
def test_a_head_answers_with_what_the_plain_file_says(made: Any, format: str, precision: str) -> None:
    logits, softmax, index = (answers(made[format, precision, output]) for output in HEADS)
    raised = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(
        softmax, raised / raised.sum(1, keepdims=True), atol=2e-3 if precision == "fp16" else 1e-5
    )
    assert index.shape == (8,) and np.issubdtype(index.dtype, np.integer)
    assert index.tolist() == logits.argmax(1).tolist() and len(set(index.tolist())) > 1


@pytest.mark.parametrize(("format", "precision"), FILES)
def test_names_stand_in_the_file_and_in_its_manifest(made: Any, format: str, precision: str) -> None:
    artifact = made[format, precision, "argmax"]
    found = edgekit.inspect(artifact.path)
    assert found.labels == NAMES and artifact.manifest.labels == NAMES and artifact.manifest.output == "argmax"
    assert artifact.manifest.for_records().labels == ()
    assert labels_path(artifact.path).read_text().splitlines() == list(NAMES), "beside it, for programs that call it"
    if format == "tflite":
        assert zipfile.ZipFile(artifact.path).read("labels.txt").decode().splitlines() == list(NAMES)


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_a_file_without_names_has_none(format: str, tmp_path: Path) -> None:
    (plain,) = edgekit.export("lenet5", format=[format], out=tmp_path).artifacts
    assert not labels_path(plain.path).exists()
    assert edgekit.inspect(plain.path).labels == () and not zipfile.is_zipfile(plain.path)


def test_names_of_people_have_no_ids(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("".join(f"n0000000{index} digit {index}\n" for index in range(10)))
    (made,) = edgekit.export("lenet5", format=["onnx"], labels=tmp_path / "names.txt", out=tmp_path).artifacts
    assert edgekit.inspect(made.path).labels == NAMES and labels_path(made.path).read_text().startswith("digit 0\n")
    assert made.manifest and made.manifest.labels[3] == "n00000003 digit 3", "by which folders are found"


def test_integers_out_keep_their_head(tmp_path: Path) -> None:
    for output, dtype in (("softmax", "uint8"), ("argmax", "int32")):
        (artifact,) = edgekit.export(
            "lenet5", format=["tflite"], precision=["int8"], synthetic_calibration=True, io="uint8", output=output,
            out=tmp_path / output,
        ).artifacts  # fmt: skip
        assert artifact.manifest is not None and artifact.manifest.outputs[0].dtype == dtype
        if output == "softmax":
            assert (artifact.manifest.outputs[0].scale, artifact.manifest.outputs[0].zero_point) == (1 / 256, 0)


def test_an_evaluation_of_an_index_knows_no_top_5(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEKIT_STORE", raising=False)
    for label in range(3):
        (tmp_path / "set" / str(label)).mkdir(parents=True)
        pixels = np.random.default_rng(label).integers(0, 256, (32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / str(label) / "a.png")
    (tmp_path / "set" / "classes.txt").write_text("0\n1\n2\n")
    found: dict[str, Any] = {}
    for output in ("logits", "argmax"):
        artifact = made["tflite", "fp32", output]
        manifest = artifact.manifest.model_copy(
            update={"weights": artifact.manifest.weights.model_copy(update={"trained": True})}
        )
        path = tmp_path / f"{output}.tflite"
        path.write_bytes(artifact.path.read_bytes())
        Path(f"{path}.json").write_text(manifest.model_dump_json())
        (found[output],) = edgekit.eval([path], data=tmp_path / "set").results
    assert found["argmax"].accuracy.correct1 == found["logits"].accuracy.correct1
    assert found["argmax"].accuracy.correct5 is None and found["argmax"].to_json()["top5"] is None
    assert json.loads(edgekit.report(out=tmp_path / "r.json", format="json").paths[0].read_text())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"output": "sofmax"}, "did you mean 'softmax'"),
        ({"model": "inception_module", "output": "softmax"}, "the network gives 1x480x28x28"),
        ({"labels": Path("nowhere.txt")}, "cannot be read"),
        ({"model": "inception_module", "labels": Path("nowhere.txt")}, "the network gives none"),
    ],
)
def test_what_no_output_can_have_is_refused(more: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        edgekit.export(**{"model": "lenet5", "format": ["onnx"], "out": tmp_path / "no", **more})
    assert not (tmp_path / "no").exists()


def test_a_wrong_head_is_found(made: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for output in ("softmax", "argmax"):
        monkeypatch.setattr(head_proof, "_softmax", lambda scores: np.full(scores.shape, 0.1))
        plain, headed = made["onnx", "fp32", "logits"], made["onnx", "fp32", output]
        one, other = ((open_session(file.path), file.manifest.outputs[0]) for file in (plain, headed))
        inputs = np.random.default_rng(0).standard_normal((4, 1, 32, 32)).astype(np.float32)
        reference = Reference((inputs,), (np.zeros((4, 10), np.float32),), 0, False)
        if output == "argmax":
            one = Negated(one[0]), one[1]
        with pytest.raises(GateFailed, match=f"{output} failed its proof"):
            head_proof.check_head(output, one, other, plain.manifest.inputs[0], "fp32", reference)


class Negated:
    """A session that answers with the negative."""

    inputs: Any = ()
    outputs: Any = ()

    def __init__(self, session: Any) -> None:
        self.session = session
        self.found: dict[str, Any] = {}

    def prepare(self, arrays: list[Any]) -> Any:
        raise NotImplementedError

    def run(self, arrays: list[Any]) -> list[Any]:
        return [-np.asarray(one) for one in self.session.run(arrays)]
