"""What answers say beside top-1: classes, confusions, mistakes, and confidence by whatever the scores are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgekit.evaluation.answers import Answers, breakdown, details
from edgekit.evaluation.command import _described
from edgekit.records.breakdown import Breakdown
from edgekit.records.manifest import TensorRecord
from tests.reporting.conftest import manifest

NAMES = {0: "cat", 1: "dog", 2: "=fox"}
# Image, class, logits: two cats taken for dogs, the second surely; a dog for a fox, barely.
ASKED: tuple[tuple[str, int, list[float]], ...] = (
    ("a.png", 0, [9, 0, 0]),
    ("b.png", 0, [0, 1, 0]),
    ("c.png", 0, [0, 9, 0]),
    ("d.png", 1, [0, 0.1, 0.2]),
    ("e.png", 2, [0, 0, 3]),
)


def answered(output: TensorRecord | None = None, head: str | None = None, offset: int = 0) -> Answers:
    found = Answers(head, output, offset)
    for image, label, scores in ASKED:
        found.add(image, label, np.array([0.0] * offset + scores, np.float32))
    return found


def integers(scale: float | None, zero_point: int | None = 0) -> TensorRecord:
    return TensorRecord(name="y", dtype="uint8", shape=(1, 3), layout="NC", scale=scale, zero_point=zero_point)


@pytest.mark.parametrize("offset", [0, 1])
def test_where_an_accuracy_is_lost(offset: int) -> None:
    found = breakdown(answered(offset=offset), NAMES)
    assert Breakdown.model_validate_json(found.model_dump_json()) == found
    told = details(found)
    assert [(one["name"], one["n"], one["correct"]) for one in told["classes"]] == [
        ("cat", 3, 1), ("dog", 1, 0), ("=fox", 1, 1),
    ]  # fmt: skip
    matrix = {(one["class"], one["said"]): one["n"] for one in told["confusion_matrix"]}
    assert matrix == {(0, 0): 1, (0, 1): 2, (1, 2): 1, (2, 2): 1}
    assert told["confusions"][0] == {"class": 0, "said": 1, "n": 2, "images": ["b.png", "c.png"]}
    assert [one["image"] for one in told["mistakes"]] == ["c.png", "b.png", "d.png"]
    assert told["confidence"]["method"] == "softmax of the file's scores"
    assert told["summary"]["weakest class"] == "dog, 0.0 % of 1"
    assert told["summary"]["most confused"] == "cat as dog, 2 (b.png, c.png)"
    assert told["summary"]["surest mistake"] == "c.png (cat) as dog, 100.0 %"


@pytest.mark.parametrize(
    ("scores", "output", "head", "method", "sure"),
    [
        ([[0.9, 0.1], [0.4, 0.6]], None, None, "the file's own probabilities", [0.9, 0.6]),
        ([[0.9, 0.1], [2.0, 0.0]], None, None, "softmax of the file's scores", [0.69, 0.881]),
        ([[230, 26], [128, 128]], integers(1 / 256), "logits", "the file's own probabilities", [0.898, 0.5]),
        ([[20, 10], [0, 10]], integers(0.1, 10), "logits", "softmax of the file's scores", [0.731, 0.731]),
        ([[200, 5], [0, 0]], integers(1 / 256), "softmax", "the file's own probabilities", [0.781, 0.0]),
        ([[230, 26], [128, 128]], None, None, "the file's scores are integers, and nothing says their scale", None),
        ([[0.5, np.inf]], None, None, "the file's scores are not all finite", None),
        ([[1], [0]], None, "argmax", "the file answers with the index of the best class", None),
    ],
)
def test_confidence_is_of_what_the_scores_are(
    scores: list[list[float]], output: TensorRecord | None, head: str | None, method: str, sure: list[float] | None
) -> None:
    found = Answers(head, output)
    kind = np.uint8 if "integer" in method or output else np.float32
    for index, row in enumerate(scores):
        found.add(str(index), 0, np.array(row, kind))
    got, how = found.confidence()
    assert how == method and (got is None) == (sure is None)
    assert got is None or got == pytest.approx(sure, abs=1e-3)
    assert (breakdown(found, {}).confidence_reason == method) == (sure is None)


def test_an_output_is_known_by_its_name_where_there_are_several() -> None:
    names = ("scores", "least")
    records = tuple(TensorRecord(name=name, dtype="float32", shape=(1, 3), layout="NC") for name in names)
    several = manifest().model_copy(update={"outputs": records})
    session: Any = SimpleNamespace(outputs=[SimpleNamespace(name=name) for name in reversed(names)])
    assert _described(several, session, 0) == records[1] and _described(several, session, 1) == records[0]
    assert _described(manifest(), session, 0) == manifest().outputs[0] and _described(None, session, 0) is None
