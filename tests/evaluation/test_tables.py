"""The CSV tables of an evaluation."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from edgekit.evaluation.answers import breakdown
from edgekit.evaluation.result import Evaluated
from edgekit.evaluation.tables import write
from tests.evaluation.test_answers import ASKED, NAMES, answered
from tests.reporting.conftest import accuracy, manifest


def test_tables_are_written_for_each_file(tmp_path: Path) -> None:
    answers = answered()
    record = accuracy(manifest()).model_copy(update={"breakdown": breakdown(answers, NAMES)})
    write(tmp_path, [Evaluated(Path(folder) / "a.onnx", record, answers) for folder in ("old", "new")])
    assert len(list(tmp_path.iterdir())) == 6 and (tmp_path / "a.onnx-2.images.csv").is_file()

    def read(table: str) -> list[dict[str, Any]]:
        return list(csv.DictReader((tmp_path / f"a.onnx.{table}.csv").read_text().splitlines()))

    assert [(one["name"], one["correct"]) for one in read("classes")] == [("cat", "1"), ("dog", "0"), ("'=fox", "1")]
    assert sum(int(one["images"]) for one in read("confusion")) == 5
    images = read("images")
    assert [one["image"] for one in images] == [image for image, *_ in ASKED]
    assert [one["said_name"] for one in images] == ["cat", "dog", "dog", "'=fox", "'=fox"]
    assert sum(int(one["correct"]) for one in images) == 2 and float(images[2]["confidence"]) > 0.99
