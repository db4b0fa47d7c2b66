"""Tables for other programs: CSV, Markdown and LaTeX, of one and of several."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.cli import written
from edgekit.cli.app import command
from edgekit.cli.written import Fields
from edgekit.errors import UsageError

FIELDS: Fields = {"name": lambda row: row["name"], "count": lambda row: row["count"]}
ROWS: list[dict[str, Any]] = [{"name": "a", "count": 1234567}, {"name": "b", "count": None}]


def printed(*arguments: str) -> str:
    outcome = command(list(arguments))
    assert outcome is not None and outcome.text is not None
    return outcome.text


def test_a_table_takes_its_fields_from_each_row() -> None:
    assert written.text("csv", {}, FIELDS, ROWS) == "name,count\na,1234567\nb,\n"


@pytest.mark.parametrize(("given", "known"), [("markdown", "md"), ("tex", "latex"), ("csv", "csv")])
def test_other_names_of_a_format(given: str, known: str) -> None:
    assert written.checked(given) == known


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown format 'cvs'; did you mean 'csv'"):
        command(["models", "--format", "cvs"])


def test_models_as_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(printed("models", "vgg16", "lenet5", "--format", "csv"))))
    assert [(row["network"], row["parameters"], row["MACs"]) for row in rows] == [
        ("vgg16", "138357544", "15470264320"),
        ("lenet5", "61706", "416520"),
    ]
    assert (rows[0]["published top-1"], rows[0]["source"]) == ("0.71592", "torchvision IMAGENET1K_V1")


def test_summaries_of_several_stand_in_one_table() -> None:
    rows = list(csv.DictReader(io.StringIO(printed("summary", "lenet5", "squeezenet1_1", "-f", "csv"))))
    sums = {
        name: sum(int(row["MACs"]) for row in rows if row["variant"] == name)
        for name in ("lenet5_32", "squeezenet1_1_224")
    }
    assert sums == {"lenet5_32": 416_520, "squeezenet1_1_224": edgekit.summary("squeezenet1_1").table.macs}
    assert "sum" not in {row["layer"] for row in rows}
    assert printed("summary", "lenet5", "--format", "md").splitlines()[-1].startswith("| lenet5\\_32 | sum |")


def test_json_of_several_and_of_one() -> None:
    one, several = (json.loads(printed("summary", *names, "-f", "json")) for names in (["lenet5"], ["lenet5", "nin"]))
    assert one["variant"] == "lenet5_32"
    assert [document["variant"] for document in several["summaries"]] == ["lenet5_32", "nin_224"]


def test_files_stand_in_one_table(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    made = edgekit.export("lenet5", format=["onnx", "tflite"], out=tmp_path).artifacts
    rows = list(csv.DictReader(io.StringIO(printed("inspect", *(str(one.path) for one in made), "--format", "csv"))))
    assert [(row["format"], row["network"], int(row["bytes"])) for row in rows] == [
        (one.format, "lenet5_32", one.path.stat().st_size) for one in made
    ]
