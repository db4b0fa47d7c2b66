"""Tables for people: units, and columns that are left out rather than broken where the terminal is narrow."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from edgekit.cli.tables import Column, facts, interval, milliseconds, percent, ratio, table
from edgekit.cli.views import accuracy, bench, export, report, reproduce, sweep
from edgekit.cli.views import compare as compared
from edgekit.cli.views import store as stored
from edgekit.cli.views.network import models
from edgekit.exporting.thresholds import in_words
from edgekit.measure.result import KEYS
from edgekit.util.formatting import count, counted, shape_text, size

COLUMNS = (
    Column("file", lambda row: row["file"], left=True),
    Column("median ms", lambda row: milliseconds(row["ms"])),
    Column("p90", lambda row: milliseconds(row["ms"]), rank=1),
    Column("verdict", lambda row: "not assessed", rank=2),
)
ROWS: list[dict[str, Any]] = [
    {"file": "mobilenet_0.5_160_random0_fp32.tflite", "ms": 1.64},
    {"file": "[red]x", "ms": None},
]


def shown(width: int) -> str:
    """The table as printed in `width` columns."""
    console = Console(file=(stream := io.StringIO()), width=width, markup=False)
    for part in table(COLUMNS, ROWS, width):
        console.print(part)
    return stream.getvalue()


def test_a_wide_terminal_shows_every_column() -> None:
    text = shown(120)
    assert "verdict" in text and "also shows" not in text


def test_a_narrow_one_leaves_out_the_least_important_and_says_which() -> None:
    text = shown(62)
    assert "p90" in text.splitlines()[0] and "verdict" not in text.splitlines()[0]
    assert "also shows: verdict" in " ".join(text.split())
    assert "mobilenet_0.5_160_random0_fp32.tflite" in text and len(text.splitlines()[1]) <= 62


def test_where_nothing_fits_the_first_column_folds_and_the_others_stay_whole() -> None:
    lines = shown(24).splitlines()
    assert all(len(line) <= 24 for line in lines) and "1.64" in lines[1]
    assert "".join(line[:13].strip() for line in lines[1:4]) == "mobilenet_0.5_160_random0_fp32.tflite"


MEASURED = dict.fromkeys(KEYS) | {"artifact": "a/mobilenet_0.25_224_ce8f61fe_int8.tflite", "threads": 1, "batch": 1}
MEASURED |= {"median_ms": 12.34, "ci95_ms": [12.31, 12.36], "verdict": "invalid", "reasons": [], "top1": 0.65}
CELL: dict[str, Any] = {
    "variant": "mobilenet_0.25_224",
    "format": "tflite",
    "precision": "int8",
    "device": "local",
    "status": "done",
}
CELL |= dict.fromkeys(("sha256", "loss"))
RECORD: dict[str, Any] = {"kind": "measurements", "id": "0123456789ab", "created": "2026-11-20T10:00:00.000+00:00"}
RECORD |= CELL | {
    "artifact": None,
    "runtime": "litert",
    "verdict": "invalid",
    "median_ms": 12.34,
    "top1": None,
    "replaced_by": "abc",
}
WAY = dict.fromkeys(sweep.WAYS)
BUSY = MEASURED | {"bytes": 584_000, "macs": 49_000, "reasons": ["1.2 cores were busy"]}
ANSWER: dict[str, Any] = {
    "setting": "local, 1 thread",
    "chosen": None,
    "reason": "every latency is invalid",
    "remedy": "run it again",
}
ANSWER |= {"by_format": ()}
SWEPT = {"dry_run": False, "seconds": 1, "preset": "default"}
DEMO = {"rows": [BUSY], "failed": [], "answers": [ANSWER], "seconds": 1, "report": "r.html"}
DOCUMENTS: dict[str, tuple[Callable[[Any, int], Any], Any]] = {
    "bench": (bench.bench, {"measurements": [MEASURED]}),
    "demo": (report.demo, DEMO),
    "store": (stored.listed, {"store": "edgekit.db", "records": [RECORD]}),
    "sweep": (
        sweep.sweep,
        {"cells": [WAY | CELL | {"measurement": MEASURED, "accuracy": None}], **SWEPT},
    ),
}


ACCURACY: dict[str, Any] = {
    **{"artifact": "x/a.tflite", "n": 100, "top1": 0.9, "top1_ci95": [0.8, 0.95], "top5": None},
    **{"images_per_second": 9.0, "breakdown": {"summary": {"weakest class": "owl, 50.0 % of 2"}}},
}
PAIR = {"artifact": "x/a.tflite", "base": "x/b.tflite", "top1_difference": -0.01, "ci95": [-0.02, 0.0]}
GATE: dict[str, Any] = {"artifact": "x/a.tflite", "reason": "top-1 holds --min-top1 50", "passed": True}


@pytest.mark.parametrize(("files", "last"), [(1, "weakest class: owl, 50.0 % of 2"), (2, "(where each file errs: ")])
def test_an_evaluation_answers_first_and_tells_mistakes_below(files: int, last: str) -> None:
    document = {"results": [ACCURACY] * files, "paired": [PAIR], "gates": [GATE], "failed": []}
    console = Console(file=(stream := io.StringIO()), width=120, markup=False)
    for part in accuracy.eval(document, 120):
        console.print(part)
    lines = stream.getvalue().splitlines()[files + 1 :]
    assert len(lines) == 3 and lines[0].startswith("a.tflite: -1.00 points") and lines[1].endswith(GATE["reason"])
    assert lines[2].startswith(last)


def test_a_figure_of_parity_stands_with_what_it_is_held_against() -> None:
    parity = {"cosine": 0.99, "max_rel_error": 0.0412, "passed": True, "asked": in_words("int8")}
    parity |= {"top1_agreement": 0.9375, "told_of": 64, "snr_db": 21.7}
    row = {"path": "x/a.tflite", "bytes": 5, "seconds": 1.0, "precision": "int8", "parity": parity}
    row |= {"format": "tflite", "accuracy_drop": None}
    built = row | {
        "precision": "fp16",
        "parity": parity | {"passed": None, "top1_agreement": None, "asked": in_words("fp16")},
    }
    console = Console(file=(stream := io.StringIO()), width=160, markup=False)
    for part in export.export({"artifacts": [row, built], "failed": []}, 160):
        console.print(part)
    parity["max_rel_error"] = 4e-8
    for part in export.export({"artifacts": [row], "failed": []}, 160):
        console.print(part)
    assert "  < 0.001 %" in stream.getvalue()
    assert " 4.1 %" in stream.getvalue() and "fp16 passes" not in stream.getvalue()
    assert "tflite int8 has the network's top-1 on 93.8 % of 64 inputs, 22 dB of signal over noise" in stream.getvalue()
    assert "what that loses on labeled images: edgekit eval x/a.tflite --data IMAGES" in stream.getvalue()
    assert "int8 passes with an answer as near as its simulation's; of trained weights also" in stream.getvalue()
    assert in_words("fp32") == "an error of at most 0.03 % of the largest output"


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_terminal_is_too_narrow_for_the_verdict(name: str, width: int) -> None:
    view, document = DOCUMENTS[name]
    console = Console(file=(stream := io.StringIO()), width=width, markup=False)
    for part in view(document, width):
        console.print(part)
    assert " invalid" in stream.getvalue() and "12.3" in stream.getvalue()


def test_names_are_printed_as_they_are() -> None:
    assert "[red]x" in shown(120)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (count(4_231_976), "4.23 M"),
        (count(567_716_352), "568 M"),
        (count(12), "12"),
        (count(None), "-"),
        (size(5_316_992), "5.32 MB"),
        (size(12), "12 B"),
        (milliseconds(1.6449), "1.64"),
        (milliseconds(0.0342), "0.0342"),
        (milliseconds(123.4), "123"),
        (milliseconds(0), "0"),
        (milliseconds(None), "-"),
        (percent(0.7061), "70.6 %"),
        (percent(389 / 400), "97.3 %"),
        (percent(57 / 400), "14.3 %"),
        (percent(None), "-"),
        (interval([0.66, 0.7], percent), "66.0 .. 70.0 %"),
        (interval(None, percent), "-"),
        (interval([1.6312, 1.6344], milliseconds), "1.631 .. 1.634"),
        (interval([0.99991, 1.0], percent), "99.99 .. 100.00 %"),
        (interval([1.0001, 1.0004], ratio), "1.0001 .. 1.0004"),
        (interval([1.63, 1.63], milliseconds), "no spread"),
        (shape_text([1, 3, 224, 224]), "1x3x224x224"),
    ],
)
def test_numbers_carry_their_units(found: str, wanted: str) -> None:
    assert found == wanted


def test_ways_to_run_a_file_have_columns_where_they_differ() -> None:
    none = {"measurement": None, "accuracy": None, "there": ["file"], "todo": ["latency"]}
    cells = [WAY | CELL | none | {"threads": threads} for threads in (1, 2)]
    header = io.StringIO()
    console = Console(file=header, width=140)
    for part in sweep.sweep({"cells": cells, "dry_run": True, "seconds": 1}, 140):
        console.print(part)
    assert "threads" in header.getvalue() and "batch" not in header.getvalue()


def test_a_failure_says_where_how_often_and_what_was_said_last() -> None:
    failed = {"status": "failed", "reason": "it died", "remedy": "try again", "tried_on": "pi-2", "attempts": 3}
    cell = WAY | CELL | failed | {"measurement": None, "accuracy": None, "log": ["a", "b", "c", "d", "last words"]}
    lines = [str(part) for part in sweep._failures([cell, cell | {"tried_on": None, "attempts": 1}])]
    assert lines == [
        "failed: mobilenet_0.25_224 tflite int8 on pi-2 (3 times), mobilenet_0.25_224 tflite int8: it died",
        "   fix: try again", "   | b", "   | c", "   | d", "   | last words",
    ]  # fmt: skip


def test_a_sweep_says_of_each_file_what_it_lost() -> None:
    cell = WAY | CELL | {"measurement": None, "accuracy": None, "sha256": "a", "loss": {"told": "a loss of 1 point"}}
    cells = [cell, cell | {"threads": 4}, cell | {"sha256": "b", "loss": None}]
    lines = [str(part) for part in sweep.sweep({"cells": cells, **SWEPT}, 140)]
    assert [line for line in lines if "loss" in line] == ["mobilenet_0.25_224 tflite int8: a loss of 1 point"]


def test_a_comparison_says_once_why_files_are_invalid() -> None:
    def row(name: str, busy: str) -> Any:
        reason = f"{name} is invalid: {busy} processors were busy; measure again"
        own = {"base": name, "new": name, "ratio": 1.0, "ratio_ci95": None, "status": "invalid", "reason": reason}
        return own | {"verdict": "cannot tell"}

    rows = [row("a.onnx", "0.5"), row("b.onnx", "1.25"), row("b.onnx", "1.25")]
    console = Console(file=(stream := io.StringIO()), width=160)
    for part in compared.ratios(rows, 160):
        console.print(part)
    assert stream.getvalue().count("processors were busy") == 1
    assert "invalid: 0.5 to 1.25 processors were busy; measure again (all 2)" in stream.getvalue()


def test_a_sweep_says_why_its_latencies_are_invalid_each_reason_once() -> None:
    def cell(format: str, busy: str) -> Any:
        taken = {"device": "pi", "verdict": "invalid", "median_ms": 1.0, "ci95_ms": None}
        own = {"measurement": taken | {"reasons": [f"invalid: {busy} processors were busy; measure again"]}}
        return (
            WAY | CELL | {"variant": "a", "format": format, "precision": "fp32", "device": "pi", "status": "done"} | own
        )

    cells = [one | {"accuracy": None} for one in (cell("onnx", "0.5"), cell("tflite", "1.25"))]
    console = Console(file=(stream := io.StringIO()), width=160)
    document = {"cells": cells, "dry_run": False, "seconds": 1, "preset": "quick"}
    for part in sweep.sweep(document, 160):
        console.print(part)
    assert "sweep again with --continue --preset quick," in stream.getvalue()
    assert "invalid: 0.5 to 1.25 processors were busy; measure again (all 2)" in stream.getvalue()


@pytest.mark.parametrize("number, said", [(1, "1 cell: 1 failed; 2 s"), (2, "2 cells: 2 failed; 2 s")])
def test_one_is_one(number: int, said: str) -> None:
    cells: Any = [{"status": "failed"}] * number
    assert sweep._sum({"cells": cells, "dry_run": False, "seconds": 2}).plain == said
    assert [counted(one, "variant") for one in (0, 1, 2000)] == ["0 variants", "1 variant", "2,000 variants"]


def test_facts_fold_what_is_long() -> None:
    console = Console(file=(stream := io.StringIO()), width=40)
    pairs: list[tuple[str, Any]] = [("key", "word " * 20)]
    console.print(facts(pairs))
    assert max(map(len, stream.getvalue().splitlines())) <= 40


@pytest.mark.parametrize("width", [80, 100, 120, 140, 200])
def test_a_mark_is_explained_where_it_is_seen(width: int) -> None:
    row = {
        "name": "alexnet", "input_shape": (1, 3, 224, 224), "params": 61_000_000, "macs": 714_000_000, "alphas": (),
        "published": [
            {
                "params": 60e6, "params_agrees": False, "macs": 714e6, "macs_agrees": True, "top1": 0.5, "top5": 0.8,
                "alpha": 1.0, "resolution": None, "options": {},
            },
        ],
    }  # fmt: skip
    console = Console(file=(stream := io.StringIO()), width=width, markup=False)
    for part in models({"models": [{**row, "name": "alexnet" + 50 * "x"}]}, width):
        console.print(part)
    text = " ".join(stream.getvalue().split())
    assert ("60.0 M*" in text) == ("* differs" in text)
    assert "published, published" not in text and (width == 200) == ("* differs" in text and "also shows" not in text)


@pytest.mark.parametrize(
    ("is_dry", "said"), [(True, "would remove 1 measurement from"), (False, "removed 1 measurement")]
)
def test_a_removal_says_whether_it_happened(is_dry: bool, said: str) -> None:
    document = {"store": "edgekit.db", "dry_run": is_dry, "records": [RECORD]}
    lines = [str(part) for part in stored.removed(document, 100)]
    assert lines[-1].startswith(said) and ("add --yes" in lines[-1]) == is_dry


def test_a_demo_with_invalid_latencies_still_teaches() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=160)
    for part in report.demo(DEMO, 160):
        console.print(part)
    told = stream.getvalue()
    assert "65.0 %" in told and "584 kB" in told and "49.0 k" in told, "what needs no quiet machine"
    assert "invalid: 1.2 cores were busy" in told and "no file can be named" in told and "run it again" in told


def test_bench_shows_no_table_where_nothing_was_measured() -> None:
    row = {"artifact": "gone.onnx", "energy_mj": None, "error": {"message": "it is gone", "remedy": "make it"}}
    told = [str(part) for part in bench.bench({"measurements": [row]}, 80)]
    assert len(told) == 2 and "it is gone" in told[0] and "make it" in told[1]


def test_a_reproduction_shows_the_best_file_of_each_precision_beside_what_was_printed() -> None:
    paper = {"top1": 0.706, "macs": 569e6, "differs": True}
    line = {"variant": "net", "macs": 568_740_352, "params": 4_231_976, "paper": paper, "slim": None}
    cells = [
        CELL | {"variant": "net", "precision": "fp32", "status": "done", "accuracy": {"top1": top1}}
        | {"measurement": {"median_ms": ms, "verdict": verdict}}
        for top1, ms, verdict in ((0.70, 2.0, "invalid"), (0.71, 3.0, "suspect"))
    ]  # fmt: skip
    failed: dict[str, Any] = {
        "status": "failed",
        "reason": "no",
        "remedy": "yes",
        "measurement": None,
        "accuracy": None,
    }
    cells.append(CELL | failed)
    document = {
        "tables": [{"title": "Table 6", "rows": [line]}], "cells": cells, "paths": ["report.html"],
        "correlations": [{"series": "onnx fp32", "published": "paper", "n": 1, "spearman": None}],
    }  # fmt: skip
    console = Console(file=(stream := io.StringIO()), width=160, markup=False)
    for part in reproduce.reproduce(document, 160):
        console.print(part)
    title, head, row, *below = (line for line in stream.getvalue().splitlines() if line)
    assert title == "Table 6" and head.split()[0] == "network"
    assert row.split() == ["net", "568.74", "M", "569*", "-", "4.232", "M", "70.6", "%", "-", "71.0", "%", "-",
                           "3.00?", "-"]  # fmt: skip
    assert "rank correlation of onnx fp32 with paper: - over 1 variant" in below
    assert below[-3:] == ["failed: 1 of 3 cells: no", "   fix: yes", "report.html"]
