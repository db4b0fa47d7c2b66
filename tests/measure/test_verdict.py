"""Verdicts on hand-made records, and one on a machine that is really disturbed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.measure.command import bench
from edgekit.measure.verdict import PROCESSOR, assess
from edgekit.records.measurement import INVALID, ProcessRun, Sensed, Snapshot

QUIET: dict[str, Any] = {
    "cpus": 4, "busy_s": 100.0, "steal_s": 1.0, "total_s": 4000.0, "own_waiting_ns": 0, "involuntary_switches": 3,
    "pressure_us": 1000, "load1": 0.1, "mhz": (3000.0, 800.0), "celsius": {"0 cpu": 40.0}, "throttle_count": 5,
    "cooling": 0,
}  # fmt: skip
# After two seconds in which the runner alone had one processor.
AFTER = {"busy_s": 102.02, "total_s": 4008.0, "own_waiting_ns": 1_000_000, "involuntary_switches": 6}


def sensed(sentinel: tuple[int, int] | None = (1000, 1010), before: Any = (), **after: Any) -> Sensed:
    start = Snapshot(time_ns=0, own_cpu_ns=0, **QUIET | dict(before))
    end = Snapshot(time_ns=2_000_000_000, own_cpu_ns=2_000_000_000, **QUIET | AFTER | dict(before) | after)
    return Sensed(before=start, after=end, sentinel_ns=sentinel)


def run(facts: Sensed | None = None, samples: Any = None, **fields: Any) -> ProcessRun:
    noise = np.random.default_rng(0).normal(1e6, 3e3, 500) if samples is None else np.asarray(samples)
    taken = tuple(int(value) for value in noise)
    values: dict[str, Any] = {"warmup_ns": (), "load_ns": 1, "first_ns": 1, "wall_ns": 2_000_000_000, "settled": True}
    return ProcessRun(samples_ns=taken, sensed=facts or sensed(), **values | fields)


def test_a_quiet_machine_is_valid() -> None:
    found = assess([run()] * 6)
    assert (found.word, found.reasons, found.unknown) == ("valid", (), ())


def test_a_runner_that_may_use_few_processors_still_sees_what_is_busy_on_the_others() -> None:
    pinned: dict[str, Any] = {"cpus": 1, "all_cpus": 4}
    assert assess([run(sensed(before=pinned, busy_s=104.0, **pinned))]).word == "invalid"
    assert assess([run(sensed(before=pinned, busy_s=102.4, **pinned))]).word == "suspect"


def test_a_sentinel_that_changes_by_chance_goes_either_way() -> None:
    apart = [sensed((1000, 1050)), sensed((1050, 1000))] * 3
    assert assess([run(one) for one in apart]).word == "valid"


@pytest.mark.parametrize(
    ("after", "word", "said"),
    [
        ({"busy_s": 104.0}, "invalid", "kept 25% of all processors busy"),
        ({"busy_s": 102.4}, "suspect", "kept 0.20 processors busy"),
        ({"busy_s": 102.1}, "valid", ""),
        ({"steal_s": 1.2}, "suspect", "hypervisor took 2.5%"),
        ({"steal_s": 2.0}, "invalid", "hypervisor took 12.5%"),
        ({"own_waiting_ns": 40_000_000}, "suspect", "the runner waited 2.0%"),
        ({"own_waiting_ns": 400_000_000}, "invalid", "the runner waited 20.0%"),
        ({"involuntary_switches": 203}, "suspect", "lost its processor 100 times a second"),
        ({"pressure_us": 101_000}, "suspect", "tasks waited 5.0%"),
        ({"mhz": (2700.0, 2000.0)}, "suspect", "clock fell by 10%"),
        ({"mhz": (800.0, 3000.0)}, "valid", ""),  # another processor is the fast one now
        ({"mhz": (1500.0, 800.0)}, "invalid", "clock fell by 50%"),
        ({"throttle_count": 6}, "invalid", "slowed for heat (1)"),
        ({"cooling": 2}, "invalid", "slowed for heat (2)"),
        ({"sentinel": (1000, 1050)}, "suspect", "changed by +5.0%"),
        ({"sentinel": (1050, 1000)}, "suspect", "changed by -4.8%"),
        ({"sentinel": (1000, 1300)}, "invalid", "changed by +30.0%"),
    ],
)
def test_each_interference(after: dict[str, Any], word: str, said: str) -> None:
    found = assess([run(sensed(**after))] * 6)
    assert found.word == word and (said in " ".join(found.reasons) if said else not found.reasons)
    assert all(reason.startswith(("suspect: ", "invalid: ")) and "; " in reason for reason in found.reasons)


def test_a_few_disturbed_processes_make_it_suspect_and_half_of_them_invalid() -> None:
    quiet, busy, odd = run(), run(sensed(busy_s=104.0)), run(sensed(busy_s=102.4))
    assert assess([quiet] * 5 + [busy]).word == "suspect"
    assert assess([quiet] * 4 + [busy] * 2).word == "suspect"
    assert assess([quiet] * 3 + [busy] * 3).word == "invalid"
    assert assess([quiet] * 5 + [odd]).word == "valid"
    assert "in 3 of 6 processes" in assess([quiet] * 3 + [busy] * 3).reasons[0]


def test_one_of_nine_samples_lies_outside_by_chance() -> None:
    steady = [1.00e6, 1.01e6, 0.99e6, 1.00e6, 1.01e6, 0.99e6, 1.00e6, 1.01e6]
    assert assess([run(samples=[*steady, 1.10e6])]).word == "valid"
    assert "outliers" in " ".join(assess([run(samples=[*steady, *steady, 1.10e6, 1.10e6, 1.10e6])]).reasons)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"settled": False}, "had not settled"),
        ({"hot": True}, "still hot"),
        ({"samples": np.linspace(1.00e6, 1.03e6, 500)}, "the second half differs by +1."),
        ({"samples": np.linspace(1.00e6, 1.06e6, 500)}, "the second half differs by +3.0%"),
        ({"samples": np.random.default_rng(0).uniform(0.8e6, 1.2e6, 500)}, "scatter by"),
        ({"samples": ([1.0e6] * 10 + [1.2e6] * 10) * 20}, "alternate"),
        ({"samples": [1e6] * 80 + [2e6] * 15 + [1e6]}, "outliers"),
    ],
)
def test_restless_samples_are_suspect(fields: dict[str, Any], said: str) -> None:
    found = assess([run(**fields)] * 6)
    if said.endswith("+1."):  # within the limit of 2 %
        assert found.word == "valid"
        return
    assert found.word == "suspect" and any(said in reason for reason in found.reasons)


def test_one_process_that_began_hot_is_enough() -> None:
    """The wait for cooling was spent: the device throttles, whatever the other processes' times say."""
    found = assess([run(hot=False)] * 9 + [run(hot=True)])
    assert found.word == "suspect" and "still hot at the start in 1 of 10 processes" in found.reasons[0]
    assert assess([run(settled=True)] * 9 + [run(settled=False)]).word == "valid"


def test_processes_that_differ_are_suspect() -> None:
    runs = [run(samples=np.random.default_rng(0).normal(level, 2e3, 500)) for level in (1e6, 1e6, 1e6, 1.07e6)]
    assert "the processes' medians differ by 7" in assess(runs).reasons[0]


@pytest.mark.parametrize(("virtual", "why"), [(True, "a virtual machine"), (False, "fix the processor's clock")])
def test_restless_times_of_an_idle_machine_have_one_cause(virtual: bool, why: str) -> None:
    levels = [run(sensed((1000, 1050)), np.random.default_rng(0).normal(one, 2e3, 500)) for one in (1e6, 1e6, 1.5e6)]
    (reason,) = assess(levels, virtual=virtual).reasons
    assert why in reason and "changed by +5.0%" in reason and "medians differ by 50" in reason
    busy = [one.model_copy(update={"sensed": sensed((1000, 1050), busy_s=102.4)}) for one in levels]
    assert len(assess(busy, virtual=virtual).reasons) == 3 and "stop what else" in assess(busy).reasons[1]


@pytest.mark.parametrize(
    ("after", "where"), [(1010, "in shared caches and memory"), (1900, "up to 1.90 times as long")]
)
def test_the_sentinel_tells_what_neighbors_slowed(after: int, where: str) -> None:
    medians = zip((1e6, 1.1e6, 1e6), (1000, after, 1000), strict=True)
    runs = [run(sensed((1000, then)), np.random.default_rng(0).normal(one, 2e3, 500)) for one, then in medians]
    assert where in assess(runs, virtual=True).reasons[0] and where not in assess(runs, virtual=False).reasons[0]


def test_no_sample_is_invalid() -> None:
    assert assess([run(samples=[])]).word == "invalid"


def test_what_a_device_does_not_tell_is_unknown() -> None:
    dark: dict[str, Any] = dict.fromkeys(QUIET) | {"cpus": 2}
    shy = run(sensed(before={"mhz": None, "celsius": None, "throttle_count": None, "cooling": None}, mhz=None,
                     celsius=None, throttle_count=None, cooling=None))  # fmt: skip
    assert assess([shy]).word == "valid"  # load and speed are known by other facts
    assert assess([shy]).reasons == ("unknown on this device: clock frequency, temperature, throttling",)
    blind = run(sensed(None, dark, **dark))
    found = assess([blind])
    assert found.word == "suspect" and {"background load", "speed", "temperature"} <= set(found.unknown)
    assert assess([run().model_copy(update={"sensed": None})]).word == "suspect"


def test_threads_that_wait_for_each_other_accuse_nobody_else() -> None:
    found = assess([run(sensed(own_waiting_ns=10**9, pressure_us=10**6, involuntary_switches=10**4))], threads=8)
    assert found.word == "suspect" and "8 threads share fewer processors" in found.reasons[0]


@pytest.fixture
def busy_core() -> Iterator[None]:
    """Another process that keeps one processor busy."""
    command = [sys.executable, "-c", "print('busy', flush=True)\nwhile True: pass"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        yield
        process.kill()


def test_a_machine_with_a_busy_core_is_never_valid(
    busy_core: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/proc/stat").exists() or len(os.sched_getaffinity(0)) > 4:
        pytest.skip("one busy processor of many is not much, and nothing tells it without /proc/stat")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.onnx").write_bytes(b"anything")
    result = bench("x.onnx", runtime="null", preset="quick", store="sqlite:///s.db")
    assert result.measurements[0].verdict == "invalid" and result.exit_code == 6


def test_an_emulated_processor_keeps_no_time() -> None:
    found = assess([], emulated=PROCESSOR.format("x86_64"))
    cause = "this processor is emulated by x86_64, whose times are those of the computer that runs it"
    assert found.word == INVALID and cause in found.reasons[0]
