"""The gate: verdicts, exit codes, and what may not be compared."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.ondevice.sensors.linux import processor
from edgekit.comparison.command import compare
from edgekit.measure.command import bench
from edgekit.records.conditions import fact
from edgekit.util.files import file_sha256
from tests.command_line import edgekit
from tests.comparison.records import BASE, FOUND, NEW, keep, on_gpu, record, two


@pytest.mark.parametrize(
    ("ms", "verdict", "code", "strict_code"),
    [(10.0, "same", 0, 0), (10.2, "same", 0, 0), (11.0, "slower", 3, 3), (9.0, "faster", 0, 0)],
)
def test_verdicts(ms: float, verdict: str, code: int, strict_code: int) -> None:
    keep(record(session=BASE), record(ms=ms, session=NEW))
    result = compare("latest~1", "latest")
    assert (result.verdict, result.exit_code) == (verdict, code)
    assert compare("latest~1", "latest", strict=True).exit_code == strict_code
    (row,) = json.loads(json.dumps(result.to_json()))["rows"]
    assert set(row) >= {"base", "new", "ratio", "ratio_ci95", "verdict", "reason"}
    assert row["ratio"] == pytest.approx(ms / 10, rel=0.005)
    assert row["ratio_ci95"][0] <= row["ratio"] <= row["ratio_ci95"][1]


def test_the_margin_is_what_was_asked() -> None:
    base, new = record(), record(ms=10.6)
    assert two(base, new).verdict == "slower"
    assert compare(base.id, new.id, max_slowdown="10%").verdict == "same"
    assert compare(base.id, new.id, max_slowdown=0.1).verdict == "same"


def test_noise_leaves_it_open_and_strict_does_not_accept_that() -> None:
    wide = (-0.1, -0.05, 0.0, 0.02, 0.06, 0.1)
    base, new = record(spread=wide), record(ms=10.3, spread=wide)
    result = two(base, new)
    assert (result.verdict, result.exit_code) == ("cannot tell", 0) and "reaches beyond 5%" in result.rows[0].reason
    assert compare(base.id, new.id, strict=True).exit_code == 3


def test_too_few_processes_leave_it_open_with_the_ratio() -> None:
    (row,) = two(record(processes=1), record(ms=20, processes=1)).rows
    assert (row.verdict, row.ratio_ci95) == ("cannot tell", None) and row.ratio == pytest.approx(2)
    assert "1 process: no interval" in row.reason


def test_blocks_are_compared_pair_by_pair() -> None:
    weather = (0.0, 0.5, 0.1, 0.9, 0.3, 0.2)  # what moved both files alike
    pair = [record(ms=ms, session=NEW, blocks=True, spread=weather) for ms in (10.0, 11.0)]
    (row,) = two(*pair).rows
    assert row.verdict == "slower" and row.ratio_ci95 == pytest.approx([1.1, 1.1])
    apart = [record(ms=10, spread=weather), record(ms=11, spread=weather)]
    assert two(*apart).verdict == "cannot tell"


def test_missing_rows_fail_and_new_ones_do_not() -> None:
    keep(record("a.onnx", session=BASE), record("b.onnx", session=BASE))
    keep(record("b.onnx", session=NEW), record("c.onnx", session=NEW))
    result = compare(BASE, NEW)
    assert [(row.status, row.verdict) for row in result.rows] == [
        ("missing", "cannot tell"), ("measured", "same"), ("added", "cannot tell"),
    ]  # fmt: skip
    assert (result.verdict, result.exit_code) == ("missing", 3) and (result.rows[0].new, result.rows[2].base) == (
        None,
        None,
    )


def test_nothing_is_compared_with_itself(tmp_path: Path) -> None:
    keep(record("a.onnx"), record("b.onnx"))
    for words in (("latest", "latest"), ("edgekit.db", "latest"), ("a.onnx", "a.onnx")):
        result = compare(*words)
        assert (result.verdict, result.exit_code) == ("not comparable", 2), words
        assert result.rows[0].reason == "both sides are this one measurement"
    for name in ("before", "after"):  # a file that did not change has not become slower
        (tmp_path / f"{name}.onnx").write_bytes(b"the same")
    keep(record(sha256=file_sha256(tmp_path / "after.onnx")))
    assert compare("before.onnx", "after.onnx").exit_code == 0


def test_an_invalid_measurement_is_no_ground_for_a_verdict() -> None:
    result = two(record(), record(ms=20, verdict="invalid", reasons=("invalid: others ran",)))
    assert (result.verdict, result.exit_code, result.rows[0].status) == ("invalid", 6, "invalid")
    assert ": invalid" in result.to_markdown().splitlines()[0]
    assert "others ran" in result.rows[0].reason


@pytest.mark.parametrize(
    ("base", "new", "whose"),
    [
        ("invalid", "valid", ("the base (release.db): others ran; measure the base again",)),
        ("valid", "invalid", ("the new side (branch.db): others ran; measure it again",)),
        ("invalid", "invalid", ("the base (release.db): ", "the new side (branch.db): ")),
    ],
)
def test_it_is_told_whose_measurement_is_invalid(base: str, new: str, whose: tuple[str, ...]) -> None:
    keep(record(verdict=base, reasons=("invalid: others ran",)), store="release.db")
    keep(record(verdict=new, reasons=("invalid: others ran",)), store="branch.db")
    result = compare("release.db", "branch.db", max_growth="10%")
    assert result.exit_code == 6 and all(told in result.rows[0].reason for told in whose)
    ended = edgekit("compare", "release.db", "branch.db", "--max-growth", "10%")
    shown = " ".join(ended.stdout.split())
    assert ended.returncode == 6 and all(told in shown for told in whose)
    told = (
        "not judged: latency; held: size fix: measure again while nothing else runs there, as on a quieter runner; or "
    )
    assert told + "hold no latency here, with --max-slowdown none beside another limit" in shown
    assert shown.count("invalid: ") == 1 and compare("release.db", "branch.db", max_growth="10%").remedy
    (row,) = result.to_json()["rows"]
    assert (row["verdict"], row["status"]) == ("invalid", "invalid")


def test_what_made_several_measurements_invalid_is_said_once_with_the_files() -> None:
    busy = "invalid: 0.{} processors were busy; stop what else runs there, and measure again"
    names = ["a.onnx", "b.onnx", "c.onnx"]
    keep(*(record(name, session=BASE) for name in names))
    keep(*(record(name, session=NEW, verdict="invalid", reasons=(busy.format(4 + at),)) for at, name in
           enumerate(names[:2])), record("c.onnx", session=NEW))  # fmt: skip
    shown = " ".join(edgekit("compare", BASE, NEW).stdout.split())
    assert (
        shown.count(f"invalid: the new side ({NEW}): 0.4 to 0.5 processors were busy")
        == shown.count("stop what else")
        == 1
    )
    assert shown.count("measure it again") == 1 and "measure again (" not in shown
    assert "measure it again (a.onnx, b.onnx)" in shown


def test_a_suspect_measurement_is_compared_and_named() -> None:
    (row,) = two(record(), record(ms=20, verdict="suspect")).rows
    assert row.verdict == "slower" and "suspect: a.onnx" in row.reason


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device": "orin"}, "device local and orin"),
        ({"runtime": "torch"}, "runtime onnxruntime and torch"),
        ({"found": {"threads": 2}}, "threads 1 and 2"),
        ({"found": {"batch": 8}}, "batch 1 and 8"),
        ({"found": {"processor": "B"}}, "processor A and B"),
        ({"found": {"provider": "CUDAExecutionProvider"}}, "provider None and CUDA"),
        ({"found": {"device": {"model": "NVIDIA Orin Nano"}}}, "model None and NVIDIA Orin Nano"),
        ({"found": {"gpu": "Orin"}}, "gpu None and Orin"),
        ({"runs": on_gpu("NVIDIA H100")}, "gpu None and NVIDIA H100"),
        ({"found": {"runtime_version": "2.0"}}, "onnxruntime 1.20.0 and 2.0"),
    ],
)
def test_what_may_not_be_compared_is_told(change: dict[str, Any], said: str) -> None:
    keep(record(session=BASE), record(session=NEW, **change))
    result = compare(BASE, NEW)
    (row,) = result.rows
    assert (result.verdict, result.exit_code, row.verdict) == ("not comparable", 2, "not comparable")
    assert said in row.reason and row.ratio is None and row.base_ms and row.new_ms


def test_a_newer_minor_version_may_be_compared() -> None:
    assert two(record(), record(found={"runtime_version": "1.31.1"})).verdict == "same"


def test_what_must_agree_is_what_is_recorded(tiny_onnx: Callable[..., Path]) -> None:
    """The records here are made by hand: a key that no code writes would prove nothing."""
    pytest.importorskip("onnxruntime")
    (real,) = bench([tiny_onnx()], preset="quick", store="real.db").measurements
    assert set(FOUND) <= set(real.found)
    assert fact(real, "machine") == platform.machine() and fact(real, "processor") == processor()


def test_the_command() -> None:
    keep(record("a.onnx", session=BASE), record("a.onnx", ms=20, session=NEW))
    shown = edgekit("compare", "latest~1", "latest")
    assert shown.returncode == 3 and shown.stdout.endswith("failed: latency\n")
    as_json = edgekit("compare", "latest~1", "latest", "--json")
    assert as_json.returncode == 3 and json.loads(as_json.stdout)["verdict"] == "slower"
    assert edgekit("compare", "latest~1", "latest", "--format", "json").stdout == as_json.stdout
    assert edgekit("compare", "latest~1", "latest", "--format", "md").stdout.startswith(
        "### latest against latest~1: slower"
    )
    wrong = edgekit("compare", "latest~1", "latest", "--format", "mdd")
    assert wrong.returncode == 2 and "did you mean 'md'" in wrong.stderr


def test_comparing_imports_nothing_heavy() -> None:
    keep(record(session=BASE), record(session=NEW))
    heavy = ("torch", "onnx", "onnxruntime", "ai_edge_litert", "altair")
    code = (
        f"import edgekit, sys; edgekit.compare('latest~1', 'latest'); print([n for n in {heavy} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("base", "new", "verdict"),
    [
        (["avx2"], ["avx2", "avx512f", "avx512_vnni"], "not comparable"),
        (["avx2"], ["avx2"], "same"),
        (None, ["avx2"], "same"),  # an older record tells none
    ],
)
def test_other_instructions_are_other_processors(
    base: list[str] | None, new: list[str] | None, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = (record(blocks=True, found={"instructions": found}) for found in (base, new))
    (row,) = two(one, other).rows
    assert row.verdict == verdict
    if verdict == "not comparable":
        assert row.reason == "instructions avx2 and avx2 avx512f avx512_vnni"
