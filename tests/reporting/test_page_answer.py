"""The first lines of a report name the file to ship, as text and with its hash, in every format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.reporting import page
from edgekit.reporting import text as report_text
from edgekit.reporting.answer import answers
from edgekit.reporting.command import of_records
from edgekit.reporting.rows import rows
from tests.reporting.ladder import ladder

if TYPE_CHECKING:
    from tests.reporting.conftest import Records


def test_the_first_lines_name_the_file_in_every_format(make: Records, tmp_path: Path) -> None:
    measured, evaluated = ladder(make)
    path = "artifacts/big/big.onnx"
    measured = [one.model_copy(update={"found": one.found | {"path": path}}) for one in measured]
    result = of_records(measured, evaluated, out=tmp_path / "r", format="md,json")
    sha256 = measured[0].sha256
    first = result.paths[0].read_text().splitlines()[2]
    assert first.startswith(f"- Ship **{path}**") and sha256 in first and "20." in first and "80.0 (" in first
    document = json.loads(result.paths[1].read_text())
    assert (
        document["answers"] == json.loads(json.dumps(result.to_json()["answers"]))
        and document["answers"][0]["chosen"]["path"] == path
    )
    shown = page.page(result.rows, "now", "", answers=result.answers)
    head = shown.partition('<dl class="facts">')[0]
    assert path in head and sha256 in head and "80.0 %" in head and "If that is too slow" in head
    assert report_text.as_markdown((), (), "now").splitlines()[2] == ""


def test_names_in_the_first_lines_are_text(make: Records) -> None:
    evil = "<script>alert(1)</script>"
    known = make.manifest(evil)
    found = rows([make.measurement(known, artifact=evil, device=evil)], [make.accuracy(known, dataset=evil)])
    shown = page.page(found, "now", "", answers=answers(found, {}))
    assert "<script>alert" not in shown
