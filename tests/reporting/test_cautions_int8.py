"""int8 that costs more than it brings is told, and nothing is told of what was not measured on both sides."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from edgekit.reporting.cautions import instructions_apart, not_worth_it
from edgekit.reporting.rows import Row
from edgekit.stats.accuracy import drop
from edgekit.stats.losses import Loss


def row(precision: str, **known: Any) -> Row:
    values: dict[str, Any] = dict.fromkeys((field.name for field in fields(Row)), None)
    return Row(
        **values | {"label": f"net {precision}", "variant": "net", "format": "tflite", "precision": precision} | known
    )


def hits(correct: int, n: int) -> str:
    return "1" * correct + "-" * (n - correct)


def evaluated(correct: int, n: int = 1000) -> dict[str, Any]:
    """Of a row: what it got right; its sha256 stands for its hits."""
    return {"top1": correct / n, "dataset": "test", "dataset_hash": "a", "sha256": hits(correct, n)}


def said_of(*found: Row) -> list[str]:
    """What is said of an fp32 row and of those that come from it."""
    full, *small = (one.sha256 for one in found)
    return not_worth_it(found, {one: Loss(drop(full, one, 0.0), "net.tflite") for one in small if one})


FP32 = row("fp32", median_ms=2.0, ci95_ms=(1.9, 2.1), **evaluated(700))


@pytest.mark.parametrize(
    ("int8", "words"),
    [
        (row("int8", median_ms=1.0, ci95_ms=(0.9, 1.1), **evaluated(695)), []),
        (row("int8", median_ms=1.8, ci95_ms=(1.7, 1.95)), ["not faster than fp32: net int8 (1.8 ms against 2 ms)"]),
        (row("int8", median_ms=3.0, ci95_ms=(2.9, 3.1)), ["not faster"]),
        (
            row("int8", **evaluated(660)),
            ["int8 loses more than 2 points of top-1: net int8 (a loss of 4.00 points (95 % "],
        ),
        (
            row("int8", **evaluated(675)),
            ["1,000 images cannot tell whether int8 loses more than 2 points of top-1: net"],
        ),
        (row("int8", median_ms=3.0, ci95_ms=(2.9, 3.1), threads=4), []),
        (row("int8", median_ms=3.0, ci95_ms=(2.9, 3.1), verdict="invalid"), []),
        (
            row("int8", median_ms=3.0, ci95_ms=(2.9, 3.1), verdict="invalid", **evaluated(500)),
            ["net int8 (a loss of 20.00 points"],
        ),
        (
            row("int8", median_ms=3.0, ci95_ms=(2.9, 3.1), **evaluated(500)),
            ["not faster", "net int8 (a loss of 20.00 points"],
        ),
    ],
)
def test_what_is_said(int8: Row, words: list[str]) -> None:
    said = said_of(FP32, int8)
    assert len(said) == len(words)
    assert all(word in one for word, one in zip(words, said, strict=True))


def test_what_so_few_images_cannot_tell_is_not_stated() -> None:
    """44 of 60 right in fp32 and 42 in int8, of which some are others: 3.33 points, or far more, or none."""
    full, small = "1" * 44 + "-" * 16, "-" * 3 + "1" * 41 + "1" + "-" * 15
    known = {"dataset": "test", "dataset_hash": "a"}
    found = [
        row("fp32", top1=44 / 60, sha256=full, **known),
        row("int8", top1=42 / 60, sha256=small, **known),
    ]
    (said,) = said_of(*found)
    assert said.startswith(
        "60 images cannot tell whether int8 loses more than 2 points of top-1: net int8 (a loss of 3.33"
    )
    assert " .. +" in said and " images would)." in said


def test_many_are_one_sentence() -> None:
    slow = [row("int8", median_ms=3.0, ci95_ms=(2.9, 3.1), label=f"net {number}") for number in range(5)]
    (said,) = said_of(FP32, *slow)
    assert said.endswith("net 2 (3 ms against 2 ms) and 2 more.")


OLD, NEW = "avx2", "avx2 avx512f avx512_vnni"
TIMED = {"median_ms": 1.0, "ci95_ms": (0.9, 1.1), "place": "local"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("int8", **TIMED, instructions=OLD), row("fp32", **TIMED, instructions=OLD)], []),
        ([row("int8", **TIMED, instructions=OLD), row("fp32", **TIMED, instructions=NEW)], ["Latencies on local"]),
        ([row("int8", **TIMED, instructions=OLD), row("fp32", **TIMED, instructions=None)], []),  # an older record
        ([row("int8", **TIMED, instructions=OLD), row("fp32", **TIMED | {"place": "b"}, instructions=NEW)], []),
        (
            [row("int8", top1=0.5, accuracy_instructions=OLD), row("int8", top1=0.5, accuracy_instructions=NEW)],
            ["Accuracies of int8"],
        ),
        ([row("fp32", top1=0.5, accuracy_instructions=OLD), row("fp32", top1=0.5, accuracy_instructions=NEW)], []),
        (
            [row("int8", **TIMED, instructions=NEW, top1=0.5, accuracy_instructions=OLD)],
            [f"net int8 was timed with {NEW} and evaluated with {OLD}"],
        ),
    ],
)
def test_numbers_of_other_instructions_do_not_stand_side_by_side_without_a_word(
    rows: list[Row], words: list[str]
) -> None:
    said = instructions_apart(rows)
    assert len(said) == len(words)
    assert all(word in sentence for word, sentence in zip(words, said, strict=True))
