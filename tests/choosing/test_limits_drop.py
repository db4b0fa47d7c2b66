"""What a file lost against its own float file decides under --max-drop, image by image."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from edgekit.choosing.command import choose
from edgekit.cli.views import choose as views
from edgekit.errors import UsageError
from edgekit.records.measurement import Accuracy
from edgekit.reporting.command import report
from tests.reporting.conftest import Records, accuracy, manifest, measurement

FULL, SMALL = manifest(), manifest(precision="int8")


def evaluated(known: object, hits: str, **other: object) -> Accuracy:
    found = accuracy(known, hits.count("1") / len(hits), n=len(hits), **other)  # type: ignore[arg-type]
    return found.model_copy(update={"hits": hits})


def hits(correct: int, n: int) -> str:
    return "1" * correct + "-" * (n - correct)


@pytest.mark.parametrize(
    ("correct", "n", "verdict", "code", "told"),
    [
        (6990, 10000, "chosen", 0, f"a loss of 0.10 points against {FULL.file} (95 % paired -"),
        (6500, 10000, "none fits", 3, ""),
        (42, 60, "cannot decide", 3, "fails --max-drop 2, but 60 images cannot tell it from the limit; about "),
    ],
)
def test_choose_names_only_what_loses_little(
    tmp_path: Path, correct: int, n: int, verdict: str, code: int, told: str
) -> None:
    full = hits(7000 if n == 10000 else 44, n)
    store = Records(tmp_path).store(
        [measurement(one, 2.0, processes=8) for one in (FULL, SMALL)],
        [evaluated(FULL, full), evaluated(SMALL, hits(correct, n))],
    )
    found = choose(max_drop=2, precision="int8", store=store)
    assert (found.verdict, found.exit_code) == (verdict, code)
    one = found.chosen or found.provisional
    assert told in (one.loss.told if one and one.loss else ""), one
    if verdict == "cannot decide":
        assert choose(max_drop=2, store=store).reason == "the only one that is known to hold every limit"
    assert choose(max_drop="2", precision="fp32", store=store).verdict == "chosen"


def test_the_file_that_is_named_says_what_it_lost_without_a_limit(tmp_path: Path) -> None:
    store = Records(tmp_path).store(
        [measurement(FULL, 4.0, processes=8), measurement(SMALL, 2.0, processes=8)],
        [evaluated(FULL, hits(44, 60)), evaluated(SMALL, hits(43, 59) + "-")],
    )
    found = choose(store=store)
    assert found.chosen and found.chosen.row.precision == "int8" and found.chosen.loss
    told = f"a loss of 1.67 points against {FULL.file} (95 % paired "
    assert found.chosen.loss.told.startswith(told)
    assert ": 60 images cannot tell it from no change; about " in found.chosen.loss.told
    document = found.to_json()["chosen"]["loss"]
    assert (document["against"], document["images"], document["top1"]) == (FULL.file, 60, pytest.approx(1 / 60))
    assert told in repr(found), "in a notebook, too"
    shown = Console(width=200, record=True, file=io.StringIO())
    for line in views.choose(found.to_json(), 200):
        shown.print(line)
    assert [line for line in shown.export_text().splitlines() if line.split()[:2] == ["loss", "a"]]
    page, text, data = (path.read_text() for path in report(store, tmp_path / "r", "html,md,json").paths)
    assert "; a loss of 1.67 points against " in text and "A loss of 1.67 points against " in page
    assert json.loads(data)["answers"][0]["chosen"]["loss"] == document


def test_without_a_float_file_the_loss_is_unknown(tmp_path: Path) -> None:
    store = Records(tmp_path).store([measurement(SMALL, processes=8)], [accuracy(SMALL, 0.7)])
    found = choose(max_drop=2, store=store)
    assert found.verdict == "cannot decide" and found.remedy and "its fp32 file on the same images" in found.remedy
    with pytest.raises(UsageError, match="--max-drop is in points"):
        choose(max_drop="some", store=store)
