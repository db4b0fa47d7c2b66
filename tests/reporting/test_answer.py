"""The first lines of a report: which file to ship to each device, or why none can be named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from edgekit.records.measurement import Accuracy, Measurement
from edgekit.reporting import page
from edgekit.reporting import text as report_text
from edgekit.reporting.answer import Answer, answers
from edgekit.reporting.rows import rows
from tests.reporting.ladder import ladder

if TYPE_CHECKING:
    from tests.reporting.conftest import Records

BUSY: dict[str, Any] = {"verdict": "invalid", "reasons": ("background load: 1.2 cores were busy",)}


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


def test_a_likely_file_that_is_not_the_most_accurate_says_so(make: Records) -> None:
    best, quick = (make.manifest(f"{name}_1.0_160") for name in "ab")
    measured = [make.measurement(best, 5.0, **BUSY), make.measurement(quick, 2.0, **BUSY)]
    evaluated = [make.accuracy(best, 0.703, n=1000), make.accuracy(quick, 0.70, n=1000)]
    (found,) = answered(measured, evaluated)
    assert found.decision.provisional is not None and found.decision.provisional.row.variant == "b_1.0_160"
    shown = page.page(rows(measured, evaluated), "now", "", answers=(found, found)).partition('<dl class="facts">')[0]
    told = report_text.as_markdown(rows(measured, evaluated), (), "now", (found,))
    assert "; but its top-1 is 70.0 %, and 70.3 % that of a_1.0_160_fp32.onnx" in shown and "(top-1 70.0 %)" in shown
    assert r"; but its top-1 is 70.0 %, and 70.3 % that of a\_1.0\_160\_fp32.onnx" in told and "`edgekit bench`" in told


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
    assert r"\`" not in told, "a command stays code"
    is_likely = kind != "random"  # whose accuracies mean nothing
    assert ("ship it if" in shown) is is_likely is ("Likely **" in told) is (found.decision.provisional is not None)
    assert known[0].file.replace("_", "_<wbr>") in shown.partition('<dl class="facts">')[0].replace(".<wbr>", "."), (
        "it still teaches what is known"
    )


def test_each_other_format_has_its_file(make: Records) -> None:
    """An app takes one format and a board another: the report names the file of each."""
    kinds = [make.manifest(format=format, precision=one) for format in ("onnx", "tflite") for one in ("fp32", "int8")]
    measured = [make.measurement(one, ms, processes=8) for one, ms in zip(kinds, (4.0, 2.0, 3.0, 1.0), strict=True)]
    evaluated = [make.accuracy(one, 0.7) for one in kinds]
    (found,) = answered(measured, evaluated)
    (other,) = found.to_json()["by_format"]
    assert found.decision.chosen and found.decision.chosen.row.artifact == kinds[3].file
    assert (other["format"], other["verdict"], other["file"]["artifact"]) == ("onnx", "chosen", kinds[1].file)
    shown = page.page(rows(measured, evaluated), "now", "", answers=(found,))
    assert "Of onnx files <b>" in shown
    assert r"Of onnx files **mobilenet\_0" in report_text.as_markdown(rows(measured, evaluated), (), "now", (found,))
