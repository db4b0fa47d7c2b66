from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest

from edgekit.bench.ondevice.sensors.linux import processor
from edgekit.comparison.command import CompareResult, compare
from edgekit.errors import EdgekitError, UsageError
from edgekit.measure import pair
from edgekit.measure.command import bench
from edgekit.records.conditions import fact
from edgekit.records.measurement import Measurement, Memory, ProcessRun, Protocol, Sensed, Snapshot
from edgekit.stats import ratio
from edgekit.storage.store import Store, new_id, now
from edgekit.util.files import file_sha256
from tests.reporting.conftest import manifest

SPREAD = (-0.004, -0.002, -0.001, 0.0, 0.001, 0.003)  # how six processes differ
FOUND = {"threads": 1, "batch": 1, "processor": "A", "machine": "x86_64", "runtime_version": "1.20.0"}


def record(
    name: str = "a.onnx",
    ms: float = 10.0,
    session: str = "0" * 12,
    processes: int = 6,
    blocks: bool = False,
    spread: tuple[float, ...] = SPREAD,
    found: dict[str, Any] | None = None,
    **fields: Any,
) -> Measurement:
    """A measurement whose processes have medians around `ms`."""
    runs = tuple(
        ProcessRun(
            samples_ns=(int(ms * 1e6 * (1 + spread[index % len(spread)])),) * 3,
            warmup_ns=(),
            load_ns=1,
            first_ns=1,
            wall_ns=10,
            block=index if blocks else None,
            position=index % 2 if blocks else None,
        )
        for index in range(processes)
    )
    values: dict[str, Any] = {
        "id": new_id(), "created": now(), "artifact": name, "sha256": f"of {name}", "bytes": 1, "format": "onnx",
        "manifest": None, "device": "local", "runtime": "onnxruntime", "protocol": Protocol(), "runs": runs,
        "memory": Memory(peak_bytes=1, baseline_bytes=1, method="m"), "found": FOUND | (found or {}),
        "session": session, "verdict": "valid",
    }  # fmt: skip
    return Measurement(**values | fields)


def test_measurements_apart_that_differ_less_than_their_processes_cannot_be_told() -> None:
    lucky = [-0.002, 0.0, 0.001, 0.003, 0.002, 0.5]  # one process of six fell into a burst
    base, new = record(spread=tuple(lucky)), record(ms=13, spread=(*lucky[:5], 0.004))
    assert ratio.decide(ratio.unpaired(pair.medians(base), pair.medians(new)), 0.05) != "same"
    found = pair.compared(base, new, 0.05)
    assert found["verdict"] == "cannot tell"
    steady, slow = record(spread=(0.0, 0.12) * 3), record(ms=10.5, spread=(0.1, 0.12) * 3)
    assert ratio.decide(ratio.unpaired(pair.medians(steady), pair.medians(slow)), 0.02) == "slower"
    found = pair.compared(steady, slow, 0.02)
    assert (found["verdict"], found["status"]) == ("cannot tell", "measured")
    assert "differ by 12%" in found["reason"] and "--versus" in found["reason"]
    assert pair.compared(record(), record(ms=11), 0.05)["verdict"] == "slower"


def test_turns_of_one_round_are_compared_with_each_other() -> None:
    """What slows the machine for half of a process moves its median, and not the ratio of two turns."""
    weather = [1.0] * 5 + [1.5] * 5
    one, two = record(blocks=True), record("b.onnx", blocks=True)

    def in_turns(found: Measurement, factor: float, seen: list[float]) -> Measurement:
        samples = tuple(int(1e6 * factor * slow) for slow in seen for _ in range(3))
        run = found.runs[0].model_copy(update={"samples_ns": samples, "turns": (3,) * 10})
        runs = tuple(run.model_copy(update={"block": block}) for block in range(6))
        return found.model_copy(update={"runs": runs})

    one, two = in_turns(one, 1.0, weather), in_turns(two, 1.1, [1.0, *weather[:-1]])
    assert pair.ratios_by_block(one, two) == pytest.approx([1.1] * 6)
    assert pair.medians_by_turn(one.runs[0]) == pytest.approx([1e6 * slow for slow in weather])
    assert pair.compared(one, two, 0.02)["verdict"] == "slower"
    apart = two.model_copy(update={"session": "another"})
    assert pair.ratios_by_block(one, apart) == []


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEKIT_STORE", raising=False)


def keep(*records: Measurement, store: str = "edgekit.db") -> None:
    for one in records:
        Store(store).append(one)


def two(base: Measurement, new: Measurement, **options: Any) -> CompareResult:
    """Compare two measurements by their ids."""
    keep(base, new)
    return compare(base.id, new.id, **options)


BASE, NEW = "b" * 12, "c" * 12


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


OURS, THEIRS = {"host": "3fc95c0b"}, {"host": "00ff00ff"}


def test_two_machines_of_one_name_are_told_apart_and_not_compared() -> None:
    keep(record(found=OURS, session=BASE), record(ms=20, found=THEIRS, session=BASE))
    keep(record(ms=20, found=THEIRS, session=NEW), record(found=OURS, session=NEW))
    result = compare("latest~1", "latest")
    assert [row.verdict for row in result.rows] == ["same", "same"], "each with its own"
    assert ["3fc95c0b" in row.name for row in result.rows] == [True, False] and "00ff00ff" in result.rows[1].name
    (row,) = two(record("b.onnx", found=OURS), record("b.onnx", found=THEIRS)).rows
    assert row.verdict == "not comparable" and "host 3fc95c0b and 00ff00ff" in row.reason


def test_a_record_from_before_machines_were_told_is_compared() -> None:
    (row,) = two(record(), record(ms=11, found=OURS)).rows
    assert row.verdict == "slower"


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


def test_no_file_of_one_command_is_left_out() -> None:
    """Two folders that hold a model.onnx each; one of them became nine times slower."""
    keep(record("m.onnx", 1, BASE, sha256="a1"), record("m.onnx", 2, BASE, sha256="b1"))
    keep(record("m.onnx", 9, NEW, sha256="c1"), record("m.onnx", 2, NEW, sha256="b1"))
    keep(record("m.onnx", 9, NEW, sha256="c1"), record("m.onnx", 2, NEW, sha256="b1"), store="other.db")
    for new in ("latest", "other.db"):
        result = compare("latest~1", new)
        assert [row.verdict for row in result.rows] == ["slower", "same"]
        assert [row.base_ms for row in result.rows] == pytest.approx([1, 2], rel=0.01)
        assert [row.new_ms for row in result.rows] == pytest.approx([9, 2], rel=0.01)
        assert result.exit_code == 3 and len({row.name for row in result.rows}) == 2
    with pytest.raises(UsageError, match=r"m\.onnx is the name of several files"):
        compare("m.onnx", "other.db")


@pytest.mark.parametrize(
    ("base", "new"), [(("a1", "b1"), ("c1", "d1")), (("a1",), ("c1", "d1")), (("a1", "b1"), ("c1",))]
)
def test_files_that_nothing_tells_apart_are_not_guessed(base: tuple[str, ...], new: tuple[str, ...]) -> None:
    keep(*(record("m.onnx", session=BASE, sha256=each) for each in base))
    keep(*(record("m.onnx", session=NEW, sha256=each) for each in new))
    with pytest.raises(UsageError, match=r"cannot tell which of m\.onnx") as caught:
        compare(BASE, NEW)
    assert "ids" in caught.value.remedy


def test_files_of_one_variant_are_told_apart_by_their_weights() -> None:
    def of(weights: str, session: str, ms: float) -> Measurement:
        known = manifest()
        known = known.model_copy(update={"weights": known.weights.model_copy(update={"id": weights})})
        return record(f"net_{weights}.onnx", ms, session, sha256=f"{weights} in {session}", manifest=known)

    keep(of("one", BASE, 1), of("two", BASE, 2), of("two", NEW, 2), of("one", NEW, 9))
    assert [row.verdict for row in compare(BASE, NEW).rows] == ["slower", "same"]
    keep(of("one", BASE, 1), store="base.db")
    keep(of("three", NEW, 9), store="branch.db")
    assert compare("base.db", "branch.db").verdict == "slower", "trained again: one on each side"


def test_what_a_later_command_measured_takes_the_place_of_what_it_replaces() -> None:
    keep(record("m.onnx", 1, "1" * 12, sha256="a1"), record("m.onnx", 2, "1" * 12, sha256="b1"), store="new.db")
    keep(record("m.onnx", 1, "2" * 12, sha256="c1"), store="new.db")  # a namesake: the file was exported again
    keep(record("m.onnx", 1, sha256="d1"))
    (row,) = compare("edgekit.db", "new.db").rows
    assert row.verdict == "same"


def test_the_latest_is_by_the_clock_and_not_by_the_place_in_a_store() -> None:
    """A merged store has a colleague's older records behind one's own."""
    times = [f"2026-11-{day:02}T10:00:00.000+00:00" for day in (1, 2, 3)]
    days = [record(ms=10 * (day + 1), session=f"{day}" * 12, created=time) for day, time in enumerate(times)]
    keep(days[1], days[2], days[0])
    (row,) = compare("latest~1", "latest").rows
    assert (row.base, row.new) == (days[1].id, days[2].id)
    keep(record(ms=30), store="other.db")
    assert compare("other.db", "edgekit.db").rows[0].new == days[2].id


def test_an_invalid_measurement_is_no_ground_for_a_verdict() -> None:
    result = two(record(), record(ms=20, verdict="invalid", reasons=("invalid: others ran",)))
    assert (result.verdict, result.exit_code, result.rows[0].status) == ("invalid", 6, "invalid")
    assert ": invalid" in result.to_markdown().splitlines()[0]
    assert "others ran" in result.rows[0].reason


def test_a_suspect_measurement_is_compared_and_named() -> None:
    (row,) = two(record(), record(ms=20, verdict="suspect")).rows
    assert row.verdict == "slower" and "suspect: a.onnx" in row.reason


def on_gpu(name: str) -> tuple[ProcessRun, ...]:
    """Runs beside which nvidia-smi told of a GPU, as onnxruntime's are."""
    cards: Any = ([{"name": name}], [{"name": name}])
    sensed = Sensed(before=Snapshot(time_ns=0), after=Snapshot(time_ns=1), gpus=cards)
    return tuple(run.model_copy(update={"sensed": sensed}) for run in record().runs)


def in_mode(mode: str) -> dict[str, Any]:
    """What a Jetson tells of itself, as it is recorded."""
    return {"device": {"model": "NVIDIA Orin Nano", "power_mode": mode}}


def test_power_modes_are_different_run_conditions() -> None:
    keep(record(session=BASE, found=in_mode("15W")), record(session=NEW, ms=5, found=in_mode("25W")))
    (row,) = compare(BASE, NEW).rows
    assert row.verdict == "not comparable" and row.reason == "power_mode 15W and 25W" and "local 15W" in row.name
    keep(record(session="d" * 12, found=in_mode("25W")), record(session="d" * 12, ms=5, found=in_mode("15W")))
    keep(record(session="e" * 12, ms=5, found=in_mode("15W")), record(session="e" * 12, found=in_mode("25W")))
    assert [row.verdict for row in compare("d" * 12, "e" * 12).rows] == ["same", "same"], "each with its own"


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


def test_they_are_matched_by_their_run_conditions_first() -> None:
    threads = [{"threads": count} for count in (1, 2)]
    keep(*(record(session=BASE, ms=10 * (index + 1), found=one) for index, one in enumerate(threads)))
    keep(*(record(session=NEW, ms=10 * (2 - index), found=one) for index, one in enumerate(reversed(threads))))
    assert [row.verdict for row in compare(BASE, NEW).rows] == ["same", "same"]


def test_what_must_agree_is_what_is_recorded(tiny_onnx: Callable[..., Path]) -> None:
    """The records here are made by hand: a key that no code writes would prove nothing."""
    pytest.importorskip("onnxruntime")
    (real,) = bench([tiny_onnx()], preset="quick", store="real.db").measurements
    assert set(FOUND) <= set(real.found)
    assert fact(real, "machine") == platform.machine() and fact(real, "processor") == processor()


# What names what


def test_files_by_name_and_by_content(tmp_path: Path) -> None:
    keep(record("old.onnx"), record("new.onnx", ms=20))
    result = compare("old.onnx", "new.onnx")  # files need not be there any more
    assert result.verdict == "slower" and result.rows[0].name.startswith("new.onnx against old.onnx on local")
    for word in ("somewhere/new.onnx", "./new.onnx", str(tmp_path / "new.onnx")):
        with pytest.raises(UsageError, match=r"new\.onnx does not exist"):
            compare("old.onnx", word)
    (tmp_path / "old.onnx").write_bytes(b"built again")
    with pytest.raises(UsageError, match=r"old\.onnx as it is now was never measured"):
        compare("old.onnx", "new.onnx")


def test_another_store() -> None:
    keep(record(), store="base.db")
    keep(record(ms=5), record(ms=20))
    assert compare("base.db", "edgekit.db").verdict == "slower"  # the latest of each counts
    assert compare("sqlite:///base.db", "latest").verdict == "slower"
    assert compare("base.db", "latest", store="base.db").verdict == "not comparable"


def test_ids_may_be_shortened() -> None:
    keep(record(id="aaaa11112222", session=BASE), record(id="aaaa33334444", session=BASE, ms=20))
    assert compare("aaaa1", "aaaa3").verdict == "slower"
    with pytest.raises(UsageError, match="beginning of 2 ids"):
        compare("aaaa", "aaaa3")


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        (("latest", "latest~1"), {}, "there is no latest~1"),
        (("nonsense", "latest"), {}, "names no measurement"),
        (("ffff", "latest"), {}, "begins with ffff"),
        (("x.onnx", "latest"), {}, "no file x.onnx was ever measured"),
        (("missing.db", "latest"), {}, "there is no store missing.db"),
        (("latest", "latest"), {"max_slowdown": "five"}, "--max-slowdown cannot be 'five'"),
        (("latest", "latest"), {"max_slowdown": "-5%"}, "--max-slowdown cannot be"),
        (("latest", "latest"), {"max_slowdown": "5"}, "--max-slowdown cannot be"),
        (("latest", "latest"), {"max_slowdown": "1%"}, "below the noise of 2%"),
    ],
)
def test_wrong_words(words: tuple[str, str], options: dict[str, Any], said: str) -> None:
    keep(record())
    with pytest.raises(UsageError, match=said):
        compare(*words, **options)


def test_an_empty_store_has_no_latest() -> None:
    with pytest.raises(UsageError, match="0 bench commands"):
        compare("latest", "latest")
    assert not Path("edgekit.db").exists()


# What is written


def mixed(**options: Any) -> CompareResult:
    """A gate with a slower, a missing, an unsure and an added row, and a name that tries to be markup."""
    evil = "<script>|`a`\x00.onnx"
    keep(record(evil, session=BASE), record("b.onnx", session=BASE), record("c.onnx", session=BASE, processes=1))
    keep(record(evil, ms=20, session=NEW), record("c.onnx", session=NEW, processes=1), record("d.onnx", session=NEW))
    return compare(BASE, NEW, **options)


def test_markdown_is_a_table_whatever_the_names() -> None:
    text = mixed().to_markdown()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 5 and "<script" not in text and "\\|" in text and "**fails** (exit code 3)" in text
    assert [row.replace("\\|", "").count("|") for row in rows] == [8] * 5


def test_junit_says_what_failed(tmp_path: Path) -> None:
    mixed(junit=tmp_path / "junit.xml")
    root = xml.fromstring((tmp_path / "junit.xml").read_bytes())
    (suite,) = root
    assert [[part.tag for part in case] for case in suite] == [["failure"], ["failure"], ["skipped"], ["skipped"]]
    assert dict(suite.items())["failures"] == "2" and dict(suite.items())["tests"] == "4"
    assert str(suite[1][0].get("message")).startswith("missing: ")
    strict = xml.fromstring(compare(BASE, NEW, strict=True).to_junit().encode())
    assert [[part.tag for part in case] for case in strict[0]][2] == ["failure"]


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError):
        mixed(junit=tmp_path / "no" / "folder.xml")


def edgekit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "edgekit", *arguments], capture_output=True, text=True, check=False)


def test_the_command() -> None:
    keep(record("a.onnx", session=BASE), record("a.onnx", ms=20, session=NEW))
    shown = edgekit("compare", "latest~1", "latest")
    assert shown.returncode == 3 and "slower: the gate of 5.0 % slowdown fails" in shown.stdout
    as_json = edgekit("compare", "latest~1", "latest", "--json")
    assert as_json.returncode == 3 and json.loads(as_json.stdout)["verdict"] == "slower"
    assert edgekit("compare", "latest~1", "latest", "--format", "json").stdout == as_json.stdout
    assert edgekit("compare", "latest~1", "latest", "--format", "md").stdout.startswith("### Latency of latest against")
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
