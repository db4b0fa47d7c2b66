"""Nothing that others wrote makes a terminal obey: names, notes, errors and answers of devices are shown escaped."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli.app import command
from edgekit.cli.failure import describe, tell
from edgekit.cli.output import Outcome, Progress, notice, write
from edgekit.cli.views import bench, compare, inspect, report, sweep
from edgekit.errors import EdgekitError, UsageError
from edgekit.records.failure import FailedCell
from edgekit.records.manifest import Manifest
from edgekit.records.measurement import Measurement
from edgekit.records.release import release
from edgekit.reporting.command import of_records
from edgekit.reporting.text import as_csv
from edgekit.storage import results
from edgekit.storage.store import Store
from edgekit.sweeps.journal import Journal
from edgekit.util.formatting import csv_cell, escaped
from edgekit.util.table_text import as_csv as as_csv_table
from edgekit.util.table_text import as_latex, as_markdown
from tests.cli.test_tables import ANSWER, CELL, MEASURED
from tests.comparison.records import NEW, record, two
from tests.reporting.conftest import manifest
from tests.reporting.conftest import measurement as timed

POISON = "\x1b]0;owned\x07\x1b[2J\r\n\x00\x7f\x85\x9b31m\u202e\u2066\u200f\u061c\u2028x"
NO_TEXT = f"{POISON}\udcff"  # with what stands for a byte of a name that is no text
FORMULAS = tuple("=+@-\uff1d\uff0b\uff20\uff0d")  # what begins one in a spreadsheet
TEXTS = (".html", ".md", ".csv", ".json", ".xml", ".svg", ".tex", ".txt")
OBEYED = {*map(chr, (*range(0x20), *range(0x7F, 0xA0))), *"\u061c\u200e\u200f\u2028\u2029"}
OBEYED |= {*map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))}


class Terminal(io.StringIO):
    """A stream that says that a person looks at it."""

    def isatty(self) -> bool:
        return True


def obeyed(text: str, styles: bool = False) -> set[str]:
    """The characters in a text that a terminal would obey; the ends of lines, and our own styles, are meant."""
    if styles:
        for own in ("\x1b[1m", "\x1b[2m", "\x1b[0m", "\r\x1b[2K"):
            text = text.replace(own, "")
    return set(text) & OBEYED - {"\n"}


def poisoned(value: Any) -> Any:
    """A document with the poison in each of its texts that is no word of ours."""
    if isinstance(value, dict):
        return {key: one if key in ("status", "verdict") else poisoned(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [poisoned(one) for one in value]
    return f"a{POISON}" if isinstance(value, str) else value


WAY = dict.fromkeys(sweep.WAYS)
INSPECTED: dict[str, Any] = {
    "path": "x", "format": "onnx", "bytes": 5, "intact": None, "foreign": True, "operators": {f"Conv{POISON}": 3},
    "operators_reason": None, "labels": ["cat", "dog"], "manifest": None, "layers": [{"layer": "x", "snr_db": 3.0}],
    "snippet": None,
}  # fmt: skip
FAILED = {"code": "usage", "reason": "because", "remedy": "do", "exit_code": 2, "format": "onnx", "precision": "fp32"}
DOCUMENTS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "bench": (bench.bench, {"measurements": [MEASURED | {"reasons": ["hot"]}], "pairs": [], "failed": []}),
    "sweep": (
        sweep.sweep,
        {
            "cells": [dict.fromkeys(sweep.WAYS) | CELL | {"measurement": MEASURED, "accuracy": None}],
            "dry_run": False,
            "preset": "default",
            "seconds": 1,
        },
    ),
    "inspect": (inspect.inspect, INSPECTED),
    "code": (inspect.inspect, INSPECTED | {"snippet": "print(1)"}),
    "report": (report.report, {"paths": ["a", "b"], "rows": 1, "answers": [ANSWER]}),
}


@pytest.mark.parametrize("terminal", [Terminal, io.StringIO])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_view_shows_poison_escaped(name: str, terminal: type[io.StringIO]) -> None:
    view, document = DOCUMENTS[name]
    stream = terminal()
    write(Outcome(poisoned(document), view), False, stream)
    assert not obeyed(stream.getvalue(), styles=True) and "\\x1b]0;owned\\x07" in stream.getvalue()


def test_json_keeps_every_character_as_an_escape() -> None:
    stream = io.StringIO()
    write(Outcome(poisoned(INSPECTED), inspect.inspect), True, stream)
    assert not obeyed(stream.getvalue()) and stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue()) == poisoned(INSPECTED)


def test_text_for_other_programs_is_escaped_in_its_lines() -> None:
    stream = io.StringIO()
    write(Outcome({}, compare.compare, 0, f"one\ttwo\n{POISON}\n"), False, stream)
    assert not obeyed(stream.getvalue()) - {"\t"} and stream.getvalue().startswith("one\ttwo\n")


@pytest.mark.parametrize("error", [UsageError(f"a{POISON}", f"b{POISON}"), ValueError(POISON), OSError(28, POISON)])
@pytest.mark.parametrize("as_json", [True, False])
def test_errors_are_told_escaped(
    error: Exception, as_json: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    out = io.StringIO()
    tell(describe(error, []), out if as_json else None)
    told = out.getvalue() if as_json else capsys.readouterr().err
    assert told and not obeyed(told)


def test_a_bug_is_shown_escaped_where_its_traceback_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_DEBUG", "1")
    describe(RuntimeError(POISON), [])
    assert "RuntimeError" in (told := capsys.readouterr().err) and not obeyed(told)


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_progress_and_notices_are_escaped(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(stream) as progress:
        progress(f"exporting {POISON}", 1, 2)
    notice(f"note: {POISON}")
    assert not obeyed(stream.getvalue(), styles=True) and not obeyed(capsys.readouterr().err)


def test_a_file_with_such_a_name_is_shown_with_escapes(
    tiny_onnx: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "\x1b[31mred\n.onnx"
    tiny_onnx().rename(tmp_path / name)
    outcome = command(["inspect", name])
    assert outcome is not None
    write(outcome, False, stream := io.StringIO())
    assert "\\x1b[31mred\\n.onnx" in stream.getvalue() and not obeyed(stream.getvalue())


@pytest.mark.parametrize("sign", [*FORMULAS, "\t=", "\r=", "\n=", "x\r="])
def test_samples_and_rows_are_no_formulas(sign: str, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    evil = f"{sign}HYPERLINK(1)"
    fields = {"id": evil, "artifact": evil, "device": evil, "runtime": evil, "sha256": evil}
    one = record().model_copy(update=fields)
    result = of_records([one], [], out=tmp_path / "r.csv", format="csv", assets=tmp_path / "assets")
    for text in ((tmp_path / "assets" / "samples.csv").read_text(), as_csv(result.rows)):
        assert not obeyed(text) and csv_cell(evil) in text
        assert all(cell[:1] not in FORMULAS for line in text.split("\n") for cell in line.split(",") if cell)


def test_only_control_characters_are_escaped() -> None:
    assert escaped("müller ─ \U0001f600 日本 עברית") == "müller ─ \U0001f600 日本 עברית"
    assert escaped("a\nb\tc", lines=True) == "a\nb\tc" and escaped("a\nb\tc") == "a\\nb\\tc"
    assert csv_cell("a=b") == "a=b" and csv_cell("") == ""


def test_a_store_of_a_stranger_is_listed_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("edgekit.db")
    for session in ("base", "new"):
        store.append(record(session=session).model_copy(update={"artifact": f"{POISON}.onnx", "device": POISON}))
    failed = {"variant": POISON, "format": POISON, "precision": POISON, "device": POISON, "code": "usage"}
    outcome = command(["choose"])
    assert outcome is not None
    write(outcome, False, stream := io.StringIO())
    assert not obeyed(stream.getvalue())
    store.append(FailedCell(id="xx", created="2026", reason=POISON, remedy=POISON, **failed))
    measured = store.measurements()[0].id
    commands = [["compare", "latest~1", "latest", "--format", format] for format in ("text", "md", "json")]
    commands += [["store", "list"], ["store", "show", measured], ["store", "show", "xx"], ["store", "rm", "xx"]]
    for words in commands:
        outcome = command(words)
        assert outcome is not None
        write(outcome, False, stream := io.StringIO())
        assert not obeyed(stream.getvalue())


def stranger(poison: str) -> Measurement:
    """A measurement with poison in each text that a stranger's manifest, file or device says."""
    taken = timed(manifest("mobilenet_0.5_160"))
    assert taken.manifest is not None
    variant = taken.manifest.variant.model_copy(update=dict.fromkeys(("name", "model", "family"), poison))
    known = taken.manifest.model_copy(update={"variant": variant, "labels": (poison,)})
    names = dict.fromkeys(("artifact", "device", "runtime"), poison)
    return taken.model_copy(update={**names, "manifest": known, "reasons": (poison,), "found": {poison: poison}})


def _report(folder: Path) -> None:
    pytest.importorskip("vl_convert")
    texts = {"reason": NO_TEXT, "remedy": NO_TEXT, "variant": NO_TEXT}
    failed = FailedCell(id="x", created="2026", format="onnx", precision="fp32", device="pi", code="usage", **texts)
    formats = ("html", "md", "csv", "json")
    of_records([stranger(NO_TEXT)], [], [failed], out=folder / "report", format=formats, assets=folder)


def _comparison(folder: Path) -> None:
    one = record(name=f"{POISON}.onnx", device=POISON)
    result = two(one, one.model_copy(update={"id": NEW}), junit=folder / "junit.xml")
    (folder / "pull.md").write_text(result.to_markdown())


def _records(folder: Path) -> None:
    one = stranger(POISON)
    assert one.manifest is not None
    (folder / "results.json").write_text("".join(results.lines({"measurements": [one]})))
    (folder / "draft").write_bytes(b"x")
    release(folder / "draft", folder / "x.onnx", one.manifest)
    Journal(folder).put("latency", "key", {"name": NO_TEXT}, reason=NO_TEXT)
    assert Manifest.model_validate_json((folder / "x.onnx.json").read_text()) == one.manifest


def _tables(folder: Path) -> None:
    for name, write_table in {"csv": as_csv_table, "md": as_markdown, "tex": as_latex}.items():
        (folder / f"table.{name}").write_text(write_table([NO_TEXT], [[NO_TEXT]]))


def _bug(folder: Path) -> None:
    remedy = describe(RuntimeError(NO_TEXT), []).remedy
    assert str(folder) in remedy


@pytest.mark.parametrize("writes", [_report, _comparison, _records, _tables, _bug])
def test_every_file_that_is_written_is_text_that_nothing_obeys(
    writes: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    writes(tmp_path)
    texts = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.suffix in TEXTS}
    assert texts and {path.name: obeyed(text) - {"\t"} for path, text in texts.items() if obeyed(text) - {"\t"}} == {}


LONG = "a" * 5000
TOO_LONG = (
    ("inspect", f"{LONG}.onnx"),
    ("bench", f"{LONG}.tflite"),
    ("export", f"{LONG}.py:build", "--input", "1,3,8,8"),
    ("export", f"{LONG}.pt2"),
    ("export", "lenet5", "--weights", f"{LONG}.pth"),
    ("export", "lenet5", "--out", LONG),
    ("sweep", f"{LONG}.yaml"),
    ("report", "--format", "csv", "--store", LONG),
    ("compare", LONG, "latest"),
    ("choose", "--device", LONG),
    ("choose", "--store", LONG),
    ("devices", "--devices", LONG),
)


@pytest.mark.parametrize("arguments", TOO_LONG, ids=lambda words: " ".join(words)[:20])
def test_a_name_that_no_file_can_have_is_a_usage_error(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - what it is told as counts
        command(list(arguments))
    failure = describe(caught.value, list(arguments))
    assert failure.exit_code == 2 and "bug of edgekit" not in failure.message


@pytest.mark.parametrize("position", range(0, 1200, 60))
def test_a_store_with_damaged_names_is_damaged(position: int, tmp_path: Path) -> None:
    Store(str(tmp_path / "a.db")).append(record())
    data = bytearray((tmp_path / "a.db").read_bytes())
    names = data.index(b"measurements")
    for at in range(names, names + 3000, 61):
        data[at + position % 61] = 0x80
    (tmp_path / "a.db").write_bytes(data)
    with pytest.raises(EdgekitError):
        Store(str(tmp_path / "a.db")).measurements()
