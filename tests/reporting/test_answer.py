"""The first lines of a report: which file to ship to each device, or why none can be named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit.records.measurement import Accuracy, Measurement
from edgekit.reporting import page
from edgekit.reporting import text as report_text
from edgekit.reporting.answer import Answer, answers
from edgekit.reporting.command import of_records
from edgekit.reporting.rows import rows

if TYPE_CHECKING:
    from tests.reporting.conftest import Records

BUSY: dict[str, Any] = {"verdict": "invalid", "reasons": ("background load: 1.2 cores were busy",)}
LADDER = (("big", 20.0, 0.80), ("middle", 9.0, 0.70), ("near", 8.0, 0.69), ("small", 2.0, 0.50))


def ladder(make: Records, device: str = "local", **other: Any) -> tuple[list[Measurement], list[Accuracy]]:
    """Four files, each less accurate and quicker than the one before."""
    known = [make.manifest(f"{name}_1.0_160") for name, _, _ in LADDER]
    measured = [
        make.measurement(one, ms, device=device, **other) for one, (_, ms, _) in zip(known, LADDER, strict=True)
    ]
    return measured, [make.accuracy(one, top1, n=5000) for one, (_, _, top1) in zip(known, LADDER, strict=True)]


def answered(measured: list[Measurement], evaluated: list[Accuracy]) -> tuple[Answer, ...]:
    return answers(rows(measured, evaluated), {one.sha256: one.hits for one in evaluated})


def test_the_most_accurate_file_and_the_quicker_ones_behind_it(make: Records) -> None:
    (found,) = answered(*ladder(make))
    chosen = found.decision.chosen
    assert chosen is not None and chosen.row.variant == "big_1.0_160" and found.setting == "local, 1 thread, batch 1"
    assert [row.variant for row in found.quicker] == ["middle_1.0_160", "small_1.0_160"], "near is no step from middle"
    assert found.decision.remedy is None and found.to_json()["chosen"]["sha256"] == chosen.row.sha256


def test_an_interval_whose_ends_are_the_same_is_told_as_no_spread(make: Records) -> None:
    known = rows(*ladder(make))
    steady = tuple(replace(row, ci95_ms=(row.median_ms, row.median_ms)) for row in known)  # type: ignore[arg-type]
    shown = [report_text.as_markdown(found, (), "now", answers(found, {})) for found in (known, steady)]
    pages = [
        page.page(found, "now", "", answers=answers(found, {})).partition("<script")[0] for found in (known, steady)
    ]
    assert ["no spread" in one for one in (*shown, *pages)] == [False, True, False, True]


def test_each_device_has_its_answer(make: Records) -> None:
    here, evaluated = ladder(make)
    there = [make.measurement(here[3].manifest, 4.0, device="phone")]
    local, phone = answered([*here, *there], evaluated)
    assert local.setting == "local, 1 thread, batch 1" and phone.setting == "phone, 1 thread, batch 1"
    assert phone.decision.chosen is not None and phone.decision.chosen.row.variant == "small_1.0_160"


@pytest.mark.parametrize(
    ("kind", "reason", "remedy"),
    [
        ("invalid", "background load", "edgekit bench` on these files again"),
        ("unmeasured", "(a_1.0_160_fp32.onnx, b_1.0_160_fp32.onnx)", "edgekit bench FILE...`"),
        ("random", "random weights", "--weights"),
    ],
)
def test_why_no_file_can_be_named(make: Records, kind: str, reason: str, remedy: str) -> None:
    known = [make.manifest(f"{name}_1.0_160", trained=kind != "random") for name in "ab"]
    measured = [make.measurement(one, **(BUSY if kind == "invalid" else {})) for one in known]
    evaluated = [make.accuracy(one, 0.7) for one in known]
    (found,) = answered([] if kind == "unmeasured" else measured, evaluated)
    assert found.decision.verdict == "cannot decide" and reason in found.decision.reason
    assert found.decision.remedy and remedy in found.decision.remedy
    shown = page.page(rows(measured, evaluated), "now", "", answers=(found,))
    assert "No file can be named yet" in shown and "What to do" in shown
    told = report_text.as_markdown(rows(measured, evaluated), (), "now", (found,))
    is_likely = kind != "random"  # whose accuracies mean nothing
    assert ("ship it if" in shown) is is_likely is ("Likely **" in told) is (found.decision.provisional is not None)
    assert known[0].file.replace("_", "_<wbr>") in shown.partition('<dl class="facts">')[0].replace(".<wbr>", "."), (
        "it still teaches what is known"
    )


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
