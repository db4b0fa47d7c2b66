from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.bench.android import benchmark_model
from edgekit.bench.android.benchmark_model import CLASSIC, LITERT, Tool, parse, read, recognize
from edgekit.bench.android.delegates import Coverage, coverage
from tests.paths import GOLDENS, sample

GOLDEN = json.loads((GOLDENS / "android_samples.json").read_text())
LOGS = [name for name in GOLDEN if "benchmark" in name]
LOG = """INFO: STARTING!
INFO: Num threads: [2]
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 31 out of 33 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 2 partitions.
INFO: The input model file size (MB): 1.5
INFO: Initialized session in 12.5ms.
INFO: count=5 first=410 curr=390 min=380 max=410 avg=395.5 std=9 p5=380 median=394 p95=410

INFO: count=50 first=391 curr=388 min=377 max=402 avg=389.25 std=6 p5=379 median=388 p95=400

INFO: Inference timings in us: Init: 12500, First inference: 410, Warmup (avg): 395.5, Inference (avg): 389.25
INFO: Memory footprint delta from the start of the tool (MB): init=4.5 overall=6.25
INFO: Overall peak memory footprint (MB) via periodic monitoring: 25.0508
"""


@pytest.mark.parametrize("name", LOGS)
def test_samples(name: str) -> None:
    log, wish = parse(sample(name)), GOLDEN[name]
    found: dict[str, Any] = {
        "loops": list(log.statistics),
        "session_ms": list(log.session_ms),
        "taken": [[one.delegate, one.nodes, one.of] for one in log.taken],
        "applied": [[one.delegate, one.how] for one in log.applied],
        "created": list(log.created),
        "peak": list(log.peak_mb),
        "last_error": log.errors[-1] if log.errors else None,
        "coverage": {name: coverage(log, name).how for name in wish.get("coverage", {})},
    }
    try:
        found["reading"] = {key: value for key, value in asdict(read(log)).items() if key in wish["reading"]}
    except ValueError:
        found["reading"] = None
    assert {key: found[key] for key in wish} == wish


def test_the_log_of_a_run() -> None:
    log = parse(LOG)
    found = read(log)
    assert (found.load_ns, found.first_ns, found.mean_ns) == (12_500_000, 410_000, 389_250)
    assert found.count == 50 and found.microseconds["median"] == 388
    assert coverage(log, None) == Coverage("xnnpack", 33, 31, "partially")
    assert coverage(log, "none").delegate == "xnnpack"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 runs"),
        (LOG * 2, "2 runs"),
        (
            LOG.replace("INFO: Num", "WARNING: Unconsumed cmdline flags: --use_xnpack=1\nINFO: Num"),
            "not know --use_xnpack=1",
        ),
        (LOG.replace("avg=389.25", "avg=0"), "tells no time"),
        (LOG.replace("avg=389.25", "avg=nan"), "1 loops"),
        (LOG.replace("avg=389.25", "avg=389.25 size=3"), "1 loops"),
        (LOG.replace("avg=389.25", "avg=38,925"), "1 loops"),
        (LOG.replace("avg=389.25", "avg=-5"), "1 loops"),
    ],
)
def test_what_is_not_one_run(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(parse(text))


def test_a_cut_log_gives_the_same_numbers_or_none() -> None:
    whole = parse(LOG)
    for cut in range(len(LOG)):
        log = parse(LOG[:cut])
        assert log.statistics == whole.statistics[: len(log.statistics)]
        assert log.peak_mb in ((), whole.peak_mb)
        assert log.taken in ((), whole.taken) and log.session_ms in ((), whole.session_ms)


def test_which_tool_it_is() -> None:
    common = "Flags:\n\t--graph=\tstring\n\t--num_threads=-1\tint32\n\t--num_runs=50\tint32\n"
    classic, own = recognize(common + "\t--use_nnapi=false\n\t--use_xnnpack=x\n"), recognize(common + "\t--use_npu=0\n")
    assert classic and own and (classic.kind, own.kind) == (CLASSIC, LITERT)
    assert recognize("usage: ls [OPTION]...\n  --color=auto\n") is None and recognize("") is None


def test_flags_that_the_tool_does_not_know_are_an_error() -> None:
    tool = Tool(CLASSIC, frozenset({"graph", "num_runs"}))
    assert benchmark_model.arguments(tool, {"graph": "a b", "num_runs": 5}) == ["--graph=a b", "--num_runs=5"]
    with pytest.raises(ValueError, match="knows no --num_run$"):
        benchmark_model.arguments(tool, {"num_run": 5})


def numbers(value: Any) -> list[float]:
    """Every number in a log that was read."""
    if isinstance(value, (int, float)):
        return [float(value)]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [number for item in items for number in numbers(item)]


TOKEN = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A log with lines cut, doubled, in another order, run together or replaced by anything."""
    rows = draw(st.lists(st.sampled_from(LOG.splitlines(keepends=True)), max_size=20))
    for _ in range(draw(st.integers(0, 6))):
        if not rows:
            break
        index = draw(st.integers(0, len(rows) - 1))
        row, place = rows[index], draw(st.integers(0, len(rows[index])))
        other = draw(st.one_of(st.text(max_size=30), st.sampled_from(rows)))
        rows[index] = draw(
            st.sampled_from([row[:place], row[place:], row[:place] + other + row[place:], row + row, other])
        )
    return "".join(rows)


@settings(max_examples=300)
@given(st.one_of(damaged(), st.text()))
def test_damaged_logs_yield_no_number_that_is_not_there(text: str) -> None:
    log = parse(text)
    there = {float(token) for token in TOKEN.findall(text)}
    assert set(numbers(asdict(log))) <= there
    for delegate in (None, "xnnpack", "none", "gpu", "gpu-fp16", "nnapi", "npu"):
        coverage(log, delegate)
    try:
        found = read(log)
    except ValueError:
        return
    assert found.mean_ns > 0 and found.count >= 1
