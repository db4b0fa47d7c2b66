"""How results show themselves: as text, in a notebook, as a data frame."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import types
from dataclasses import dataclass
from typing import Any

import pytest

import edgekit
from edgekit.errors import BackendMissing
from edgekit.util import tabled
from edgekit.util.tabled import MOST, Several, Tabled


@dataclass(frozen=True, repr=False)
class Result(Tabled):
    document: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return self.document


FILE = {
    "artifact": "a/b/<net>.tflite",
    "runtime": "litert",
    "median_ms": 1.63491,
    "ci95_ms": (1.6, 1.7),
    "threads": None,
}
BENCH = Result({"measurements": [FILE, FILE | {"peak_memory_bytes": 92_000_000}], "unstored": None})


def test_a_result_prints_as_a_short_table() -> None:
    head, first, second = str(BENCH).splitlines()
    assert head.split() == ["artifact", "runtime", "median_ms", "ci95_ms", "peak_memory_bytes"], (
        "no column without values"
    )
    assert first.split() == ["<net>.tflite", "litert", "1.635", "1.6", "..", "1.7", "-"] and "92,000,000" in second
    many = str(Result({"measurements": [FILE] * (MOST + 5)})).splitlines()
    assert len(many) == MOST + 2 and many[-1].startswith("... 5 more of 25; to_pandas() ")


def test_a_choice_leads_with_its_reason_and_the_chosen_file() -> None:
    chosen = {"artifact": "a.onnx", "path": "x/a.onnx", "sha256": "01234567" * 8, "top1": 0.9725, "status": "chosen"}
    told = str(Result({"verdict": "chosen", "reason": "the only candidate", "chosen": chosen, "others": []}))
    assert told.splitlines()[:2] == ["chosen: the only candidate", f"x/a.onnx  {'01234567' * 8}"]
    assert told.splitlines()[3].split() == ["a.onnx", "01234567", "97.3", "%", "chosen"]


def test_where_nothing_is_chosen_the_way_out_stands_below_the_reason() -> None:
    document = {"verdict": "cannot decide", "reason": "every latency is invalid", "remedy": "measure again"}
    told = str(Result(document | {"chosen": None, "others": [{"artifact": "a.onnx", "status": "cannot tell"}]}))
    assert told.splitlines()[:2] == ["cannot decide: every latency is invalid", "   fix: measure again"]
    likely = {"artifact": "a.onnx", "path": "x/a.onnx", "sha256": "0123", "condition": "its latency holds"}
    told = str(Result(document | {"chosen": None, "provisional": likely, "others": [{"artifact": "a.onnx"}]}))
    assert "   likely: x/a.onnx (sha256 0123), if its latency holds" in told.splitlines()
    likely["beside_best"] = "its top-1 is 65.0 %"
    told = str(Result(document | {"chosen": None, "provisional": likely, "others": [{"artifact": "a.onnx"}]}))
    assert "if its latency holds; but its top-1 is 65.0 %" in told


def test_what_was_written_is_named_by_its_path() -> None:
    answer = {"setting": "pi", "chosen": None, "verdict": "none fits", "reason": "too slow", "remedy": "take int8"}
    for answers in ([], [answer]):
        told = str(Result({"paths": ["a/report.html", "a/report.md"], "rows": 2, "answers": answers}))
        assert told.splitlines()[-2:] == ["wrote a/report.html", "wrote a/report.md"]
        assert ("no file can be named for pi: too slow; take int8" in told) == bool(answers)
    assert str(Result({"report": "/a/report.html", "rows": []})).splitlines()[-1] == "wrote /a/report.html"


def test_an_interval_of_accuracies_is_in_percent_as_they_are() -> None:
    told = str(Result({"results": [{"artifact": "a.onnx", "n": 9, "top1": 0.5, "top1_ci95": [0.4, 0.61234]}]}))
    assert told.splitlines()[1].split() == ["a.onnx", "9", "50.0", "%", "40.0", "..", "61.2", "%"]


def test_what_has_no_rows_tells_its_facts() -> None:
    assert str(Result({"path": "x/a.onnx", "intact": True, "manifest": {}})).split() == [
        *("what", "value", "path", "a.onnx", "intact", "yes"),
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [[], [{"artifact": "a.onnx", "n": 10, "top1": 0.5}]])
def test_what_failed_what_does_not_hold_and_notes_stand_below_the_table(rows: list[Any]) -> None:
    failed = {"artifact": "b.onnx", "reason": "it is empty", "remedy": "export it again"}
    held, missed = ({"artifact": "x/a.onnx", "verdict": one, "reason": one} for one in ("passed", "failed"))
    document = {"results": rows, "failed": [failed], "gates": [held, missed], "notes": ["std is assumed"]}
    below = ["failed: b.onnx: it is empty", "   fix: export it again", "failed: a.onnx: failed", "note: std is assumed"]
    assert str(Result(document)).splitlines()[-4:] == below and below[-1] in Result(document)._repr_html_()


def test_a_notebook_shows_names_as_text() -> None:
    shown = BENCH._repr_html_()
    assert shown.count("<tr>") == 3 and "&lt;net&gt;.tflite" in shown and "<net>" not in shown


class _Rows(list[Any]):
    """What the test asks of pandas' DataFrame."""

    def to_dict(self, orient: str) -> list[Any]:
        assert orient == "records"
        return list(self)


def test_a_data_frame_has_all_rows_with_all_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pandas itself where it is installed, else of a stand-in with its constructor."""
    if importlib.util.find_spec("pandas") is None:
        pandas = types.ModuleType("pandas")
        vars(pandas)["DataFrame"] = _Rows
        monkeypatch.setitem(sys.modules, "pandas", pandas)
    wanted, found = BENCH.document["measurements"], BENCH.to_pandas().to_dict("records")
    known = [key for key in FILE if FILE[key] is not None and key != "ci95_ms"]
    assert {*FILE} - {"ci95_ms"} <= {*found[0]}, "also what is null in this row"
    assert [[row[key] for key in known] for row in found] == [[row[key] for key in known] for row in wanted]
    assert [(row["ci95_ms_low"], row["ci95_ms_high"]) for row in found] == [(1.6, 1.7)] * 2, "as in a report's CSV"
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BackendMissing) as caught:
        BENCH.to_pandas()
    assert caught.value.remedy == "pip install pandas"


@pytest.mark.parametrize("name", [*edgekit.COMMANDS])
def test_every_verb_has_its_own_signature_and_a_result_that_shows_itself(name: str) -> None:
    signature = inspect.signature(getattr(edgekit, name))
    assert not [one for one in signature.parameters.values() if one.kind is inspect.Parameter.VAR_KEYWORD]
    assert len(signature.parameters) >= 2 or name == "models"
    module = sys.modules[edgekit.COMMANDS[name][0]]
    told = signature.return_annotation
    names = [part.strip() for part in getattr(told, "__name__", str(told)).split("|")]
    found = [vars(module)[one] for one in names if one != "None"]  # `worker` runs until it is ended
    assert all(issubclass(kind, Tabled) for one in found for kind in getattr(one, "__args__", (one,)))


def test_dir_shows_what_is_ours() -> None:
    assert dir(edgekit) == sorted(edgekit.__all__)


def test_a_mapping_is_a_column_for_each_key_and_ones_own_rows_lead() -> None:
    flat = tabled._flat({"ms": {"fp32": 1.5, "int8": None}, "parity": {"passed": True, "worst": {"x": 2}}})
    assert flat == {"ms_fp32": 1.5, "ms_int8": None, "parity_passed": True, "parity_worst_x": 2}
    points = [{"label": f"p{index}", "family": "VGG"} for index in range(MOST + 5)]
    assert "mine" in str(Result({"points": [*points, {"label": "mine", "family": "own"}]})).splitlines()[1]


@dataclass(frozen=True, repr=False)
class Both(Several[Result]):
    key = "summaries"
    of = "variant"


def test_several_results_are_one_after_the_other() -> None:
    one, two = (Result({"variant": name, "layers": [{"name": f"{name}.conv", "params": 7}]}) for name in "ab")
    both = Both((one, two))
    assert str(both) == f"{one}\n\n{two}" and both._repr_html_() == one._repr_html_() + two._repr_html_()
    assert both.to_json() == {"summaries": [one.document, two.document]} and (len(both), both[1]) == (2, two)
    assert both.table_rows()[1] == {"variant": "b", "name": "b.conv", "params": 7} and list(both) == [one, two]
