"""`make zoo`: it goes on where it stopped, and the page says what is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edgekit.network.spec import MODELS
from scripts import kept
from scripts.zoo import page as zoo_page
from scripts.zoo import table as zoo_table
from tests.paths import ROOT

PARITY = {"max_rel_error": 4e-7, "snr_db": 31.4}


def cell(precision: str, **changes: Any) -> zoo_page.Cell:
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
        "cpu_seconds": 1.23,
        **changes,
    }


def test_a_row_has_both_precisions() -> None:
    text = zoo_page.page([cell("fp32"), cell("int8", bytes=70_000, undelegated=[])])
    assert "| lenet5 | tflite | 0.25, 0.07 | 4e-07 | 31 | 2, 2 | 2 | 1 | TANH; none | 1.2, 1.2 |" in text
    assert "latency" not in text.partition("| network")[0]


def test_noise_as_loud_as_the_signal_is_no_negative_zero() -> None:
    assert "| 4e-07 | 0 |" in zoo_page.page([cell("fp32"), cell("int8", parity=PARITY | {"snr_db": -0.3})])


def test_times_stand_there_only_when_they_were_measured() -> None:
    timed = cell("fp32", median_ms=0.456, verdict="valid", processor="Abacus 1")
    text = zoo_page.page([timed, cell("int8")])
    assert "| 1.2, 1.2 | 0.456, - |" in text
    assert "on one thread of Abacus 1, at least" in text


def test_what_neither_precision_has_is_one_dash() -> None:
    timed = cell("fp32", network="vgg16", median_ms=1, verdict="valid")
    assert "| lenet5 | tflite | 0.25, 0.07 | 4e-07 | 31 | 2, 2 | 2 | 1 | TANH | 1.2, 1.2 | - |" in zoo_page.page(
        [timed, cell("fp32"), cell("int8", bytes=70_000)]
    )


def test_the_page_has_every_network_in_its_order_or_says_that_it_is_not_done() -> None:
    text = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert text.startswith(zoo_page.INTRODUCTION)
    rows = re.findall(r"^\| (\w+) \| (onnx|tflite) \|", text, re.MULTILINE)
    left = re.search(r"not done yet, `make zoo` goes on: (.*)", text)
    assert rows == sorted(set(rows)) and {name for name, _ in rows} | set(left[1].split(", ") if left else ()) == {
        *MODELS
    }


def test_what_is_told_on_the_way_is_time_of_its_file() -> None:
    marks = [("fold", 0.0), ("onnx fp32", 1.0), ("onnx fp32: prove", 2.0), ("onnx int8", 3.0)]
    marks += [("calibrate: 2 of 32 images", 4.0), ("onnx int8: prove", 8.0), ("tflite fp32", 10.0)]
    assert zoo_table.spent(marks, 11.5) == {"onnx fp32": 2.0, "onnx int8": 7.0, "tflite fp32": 1.5}


def test_a_disturbed_time_stands_in_brackets() -> None:
    text = zoo_page.page([cell("fp32", median_ms=0.456, verdict="suspect"), cell("int8", median_ms=2, verdict="valid")])
    assert "| (0.456), 2 |" in text


def test_what_is_missing_is_said() -> None:
    failed = {"network": "lenet5", "format": "onnx", "precision": "int8", "reason": "parity failed"}
    text = zoo_page.page([cell("fp32"), failed])
    assert "* lenet5, onnx int8: parity failed" in text
    assert "not done yet" in text and "vgg16" in text.partition("not done yet")[2]


def test_a_line_that_was_cut_off_is_done_again_and_the_later_line_counts(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    lines = [json.dumps(cell("fp32")), json.dumps(cell("fp32", bytes=1)), json.dumps(cell("int8"))[:40]]
    file.write_text("\n".join(lines))
    found = zoo_table.known(file)
    assert list(found) == [("lenet5", "tflite", "fp32")]
    assert found["lenet5", "tflite", "fp32"]["bytes"] == 1


def keep_all(file: Path, **changes: Any) -> str:
    """A file with every cell of LeNet-5."""
    for _, format, precision in zoo_table.wanted("lenet5"):
        kept.keep(file, cell(precision, format=format, path=f"lenet5.{format}", **changes))
    return file.read_text()


def test_what_is_known_is_not_done_again(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    before = keep_all(file)
    zoo_table.make(file, ["lenet5"])
    assert file.read_text() == before


def test_a_failed_cell_is_made_again_and_then_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "zoo.jsonl"
    keep_all(file, reason="parity failed")
    zoo_table.make(file, ["lenet5"])
    rows = zoo_table.known(file).values()
    assert len(rows) == 4 and not any(row["reason"] for row in rows)
    assert all((tmp_path / "zoo" / row["path"]).stat().st_size == row["bytes"] for row in rows)
    assert all(0 < row["cpu_seconds"] < 60 for row in rows)
    zoo_table.measure(file, None)
    assert all(row["median_ms"] > 0 and row["verdict"] for row in zoo_table.known(file).values())
    assert "4/4 lenet5" in capsys.readouterr().out


def test_a_network_that_ends_its_process_is_a_reason(tmp_path: Path) -> None:
    found = zoo_table.made("lenet6", tmp_path / "zoo.jsonl")
    assert [cell["reason"] for cell in found] == ["unknown network 'lenet6'; did you mean 'lenet5'?"] * 4


def test_a_file_that_is_gone_is_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "zoo.jsonl"
    before = keep_all(file)
    zoo_table.measure(file, ["lenet5"])
    assert file.read_text() == before
    assert "1/4 lenet5.onnx: not there" in capsys.readouterr().out


def test_a_time_that_was_not_disturbed_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    before = keep_all(file, median_ms=1.0, verdict="suspect")
    zoo_table.measure(file, None)
    assert file.read_text() == before
