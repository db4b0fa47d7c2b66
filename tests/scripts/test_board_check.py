"""`make board-check`: one process there answers about many files, and what is known is not asked again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.links.local import LocalLink
from edgekit.records.runtime import open_session
from scripts.board import check
from scripts.board.check import Asked, Row


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    """Three images of which the classes are 0, 1 and 2."""
    (tmp_path / "labels.csv").write_text("file,class\n" + "".join(f"{name}.png,{name}\n" for name in "012"))
    for name in "012":
        (tmp_path / f"{name}.png").touch()
    return Asked(tmp_path / "net_0123abcd_int8.tflite", tmp_path)


def test_one_process_answers_about_several_files(tiny_onnx: Callable[..., Path], tmp_path: Path) -> None:
    path = tiny_onnx()
    session = open_session(path)
    images = np.random.default_rng(0).normal(size=(3, *session.inputs[0].shape[1:])).astype(np.float32)
    np.save(tmp_path / "inputs.npy", images)
    want = np.stack([session.run([image[None]])[0][0] for image in images])
    with check._board(LocalLink()) as far:
        for _ in range(2):
            assert far(path, tmp_path / "inputs.npy").tobytes() == want.tobytes()


def test_a_row_counts_equal_answers_and_right_ones(asked: Asked) -> None:
    near = np.eye(3, dtype=np.float32)
    there = near.copy()
    there[2] = [1.5, 0, 1]
    row = check._row(asked, "cortex-a72", near, there, 0)
    assert (row.equal, row.images, row.largest, row.agree, row.right) == (2, 3, 1.5, 2, (2, 3))


def test_an_interrupted_run_goes_on(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "WORK", tmp_path)
    row = Row("net_0123abcd_int8.tflite", "cortex-a72", 3, 3, 0.0, 3, 1.0, (3, 3))
    cut = json.dumps(asdict(row))
    (tmp_path / "rows.jsonl").write_text(f'\n{cut[:20]}\n{cut}\n{{"file": "other')
    assert check._known() == {(row.file, row.core): row}
    check._fill("cortex-a72", [asked])  # without a board: nothing is missing
    for _ in range(2):  # the second time there is nothing to make, or the folder would be in the way
        assert check._once("digits", Path.mkdir) == tmp_path / "digits"


def test_the_page_names_processor_emulator_and_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "emulator", lambda: "qemu-aarch64 version 10")
    monkeypatch.setattr(check, "processor", lambda: "Abacus 1")
    monkeypatch.setattr(check, "instructions", lambda: ["avx2"])
    text = check._page([Row("net_0123abcd_int8.tflite", "cortex-a72", 50, 49, 0.25, 50, 26.6, (39, 38))])
    assert "below qemu-aarch64 version 10, which" in text and "Against Abacus 1 (" in text and ": avx2)" in text
    assert "| net_int8.tflite | cortex-a72 | 49 / 50 | 0.25 of 26.6 | 50 / 50 | 39 / 38 |" in text
    assert max(map(len, text.splitlines())) <= 120
