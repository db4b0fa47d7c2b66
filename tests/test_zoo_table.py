"""`make zoo`: it goes on where it stopped, and the page says what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import zoo_table

PARITY = {"max_rel_error": 4e-7, "snr_db": 31.4}


def cell(precision: str, **changes: Any) -> zoo_table.Cell:
    return {
        "network": "lenet5",
        "format": "tflite",
        "precision": precision,
        "reason": None,
        "bytes": 250_000,
        "parity": PARITY,
        "operators": {"PAD": 2, "QUANTIZE": 1, "DEQUANTIZE": 1},
        "float_islands": ["lrn"],
        "undelegated": ["TANH"],
        "timed": False,
        **changes,
    }


def test_a_row_has_both_precisions() -> None:
    text = zoo_table.page([cell("fp32"), cell("int8", bytes=70_000, undelegated=[])])
    assert "| lenet5 | tflite | 0.25, 0.07 | 4e-07 | 31 | 2, 2 | 2 | 1 | TANH; none |" in text
    assert "latency" not in text.partition("| network")[0]


def test_times_stand_there_only_when_they_were_measured() -> None:
    timed = cell("fp32", timed=True, seconds=1.23, median_ms=0.456, verdict="valid")
    text = zoo_table.page([timed, cell("int8")])
    assert "| 1.2, - | 0.456, - |" in text


def test_what_is_missing_is_said() -> None:
    failed = {"network": "lenet5", "format": "onnx", "precision": "int8", "reason": "parity failed"}
    text = zoo_table.page([cell("fp32"), failed])
    assert "* lenet5, onnx int8: parity failed" in text
    assert "not done yet" in text and "vgg16" in text.partition("not done yet")[2]


def test_a_line_that_was_cut_off_is_done_again_and_the_later_line_counts(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    lines = [json.dumps(cell("fp32")), json.dumps(cell("fp32", bytes=1)), json.dumps(cell("int8"))[:40]]
    file.write_text("\n".join(lines))
    found = zoo_table.known(file)
    assert list(found) == [("lenet5", "tflite", "fp32")]
    assert found["lenet5", "tflite", "fp32"]["bytes"] == 1


def test_what_is_known_is_not_done_again(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    whole = [cell(precision, format=format) for _, format, precision in zoo_table.wanted("lenet5")]
    file.write_text("".join(json.dumps(row) + "\n" for row in whole))
    before = file.read_text()
    zoo_table.fill(file, "lenet5", timed=False)
    assert file.read_text() == before
