from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.links.base import FOLDER
from edgekit.bench.ondevice import interleave, runner

SHORT = {"warmup_seconds": 0.01, "warmup_runs": 3, "min_seconds": 0.02, "min_runs": 30, "max_seconds": 5}


@dataclass
class Artifact:
    """Counts its inferences in a log that it shares with the others."""

    name: str
    log: list[str]
    job: runner.Job
    repeat: int = 1

    def step(self) -> None:
        self.log.append(self.name)


def artifacts(seconds: float, runs: int, most: float = 5.0) -> tuple[list[Artifact], list[str]]:
    job = runner.Job("latency", "null", min_seconds=seconds, min_runs=runs, max_seconds=most)
    log: list[str] = []
    return [Artifact(name, log, job) for name in "abc"], log


def test_every_round_gives_each_artifact_one_turn() -> None:
    ready, log = artifacts(0, 8)
    found = interleave.interleaved(ready, 0.0)
    assert [row["turns"] for row in found] == [[1] * 8] * 3  # one sample a turn: its time is over at once
    assert all(sum(row["turns"]) == len(row["samples_ns"]) for row in found)
    pairs = list(zip(log[::2], log[1::2], strict=True))
    assert all(untimed == timed for untimed, timed in pairs)  # each turn begins with one that is not timed
    rounds = [tuple(name for name, _ in pairs[start : start + 3]) for start in range(0, len(pairs), 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)


def test_the_order_of_a_round_is_random() -> None:
    ready, log = artifacts(0, 60)
    interleave.interleaved(ready, 0.0)
    assert {tuple(log[start : start + 6 : 2]) for start in range(0, len(log), 6)} > {("a", "b", "c"), ("c", "b", "a")}


def test_rounds_go_on_until_every_artifact_has_time_and_count() -> None:
    ready, _ = artifacts(0.01, 8)
    found = interleave.interleaved(ready, 0.001)
    assert all(row["wall_ns"] >= 10_000_000 and len(row["samples_ns"]) >= 8 for row in found)
    endless, _ = artifacts(1000, 1, most=0.01)
    assert all(row["turns"] for row in interleave.interleaved(endless, 0.001))


@pytest.mark.parametrize("runtimes", [("null", "null"), ("null", "missing")])
def test_it_is_asked_and_answers_like_the_runner(runtimes: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"a")
    jobs = [{"mode": "latency", "runtime": name, "artifact": str(tmp_path / "a.onnx"), **SHORT} for name in runtimes]
    (tmp_path / "job.json").write_text(json.dumps({"runtime": "null", "jobs": jobs, "turn_seconds": 0.001}))
    command = [sys.executable, str(FOLDER), "interleave", str(tmp_path / "job.json")]
    answer: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    if "missing" in runtimes:
        assert answer["error"]["kind"] == "missing" and "runtimes/missing.py" in answer["error"]["message"]
        return
    one, two = answer["ok"]["answers"]
    alone = runner.measure(json.dumps(jobs[0]))
    assert one.keys() == two.keys() == alone.keys() | {"turns"}
    assert len(one["turns"]) == len(two["turns"]) and one["sensed"] == two["sensed"]
