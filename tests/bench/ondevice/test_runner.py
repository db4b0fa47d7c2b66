from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bench.links.base import FOLDER
from edgekit.bench.ondevice import loop, runner
from edgekit.bench.ondevice.tensor import Tensor
from tests.waiting import PATIENCE


def start(folder: Path = FOLDER, **pipes: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(folder), "run"], stdout=subprocess.PIPE, **pipes)


def ask(job: dict[str, Any], folder: Path = FOLDER) -> dict[str, Any]:
    """The answer of a runner that was given its job in a file, as on a device."""
    path = folder / "job.json" if folder != FOLDER else Path(os.environ["PYTEST_JOB"])
    path.write_text(json.dumps(job))
    done = subprocess.run([sys.executable, str(folder), "run", str(path)], stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(autouse=True)
def job_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_JOB", str(tmp_path / "job.json"))


SHORT = {"warmup_seconds": 0.01, "warmup_runs": 3, "min_seconds": 0.02, "min_runs": 7, "max_seconds": 5}


def test_a_job_is_parsed_strictly() -> None:
    job = runner.parse('{"mode": "latency", "runtime": "null", "batch": 3}')
    assert (job.mode, job.runtime, job.batch, job.threads) == ("latency", "null", 3, 1)
    for text, said in (
        ("[]", "JSON object"),
        ("no json", "Expecting value"),
        ('{"mode": "speed", "runtime": "null"}', "mode must be"),
        ('{"mode": "latency"}', "needs the name of a runtime"),
        ('{"mode": "latency", "runtime": "../etc"}', "needs the name of a runtime"),
        ('{"mode": "latency", "runtime": "null", "bacth": 1}', "no 'bacth'"),
    ):
        with pytest.raises(ValueError, match=said):
            runner.parse(text)


def test_inputs_are_seeded_and_fit_their_type() -> None:
    tensors = [Tensor(dtype, dtype, (2, 500)) for dtype in ("float32", "float16", "uint8", "int8", "int64", "bool")]
    arrays = runner.make_inputs(tensors, seed=1)
    assert [str(array.dtype) for array in arrays] == [tensor.dtype for tensor in tensors]
    assert all(np.array_equal(a, b) for a, b in zip(arrays, runner.make_inputs(tensors, seed=1), strict=True))
    assert not np.array_equal(arrays[0], runner.make_inputs(tensors, seed=2)[0])
    assert (arrays[2].min(), arrays[2].max()) == (0, 255) and (arrays[3].min(), arrays[3].max()) == (-128, 127)
    assert 0.8 < float(arrays[0].std()) < 1.2


def test_null_shows_what_the_harness_adds() -> None:
    found = ask({"mode": "latency", "runtime": "null", **SHORT})["ok"]
    assert found["inferences_per_sample"] > 1  # one call is too short for the clock
    assert sorted(found["samples_ns"])[len(found["samples_ns"]) // 2] < 5000
    assert found["found"]["clock_ns"] > 0 and found["first_ns"] > 0
    assert 0 < found["harness_ns"] < 5000


def test_a_pause_at_the_end_of_a_warm_up_does_not_pass_for_the_time_of_an_inference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "warm_up", lambda *_: ([200] * 50 + [4_000_000], True))
    monkeypatch.setattr(loop, "clock_cost", lambda: 30)
    monkeypatch.setattr("gc.disable", lambda: None)
    job = runner.Job("latency", "null", __file__, min_seconds=0.04, warmup_runs=2, max_samples=1000)
    assert runner.ready(job).repeat == 200


def test_what_was_sensed_goes_with_the_samples() -> None:
    sensed = ask({"mode": "latency", "runtime": "null", **SHORT})["ok"]["sensed"]
    assert sensed["after"]["time_ns"] - sensed["before"]["time_ns"] >= 20_000_000
    assert sensed["after"]["own_cpu_ns"] > sensed["before"]["own_cpu_ns"] and min(sensed["sentinel_ns"]) > 0


def test_counts_of_a_real_run(tiny_onnx: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime")
    job = {"mode": "latency", "runtime": "onnxruntime", "artifact": str(tiny_onnx(batch="N")), "batch": 2, **SHORT}
    found = ask(job)["ok"]
    assert len(found["samples_ns"]) >= 7 and len(found["warmup_ns"]) >= 3 and found["load_ns"] > 0
    assert found["wall_ns"] >= sum(found["samples_ns"]) * found["inferences_per_sample"]
    assert found["found"]["threads"] == 1 and found["found"]["batch"] == 2 and found["found"]["kernel"]


def test_memory_is_above_its_baseline(tiny_onnx: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime")
    path = tiny_onnx(channels=200_000)  # 26 MB of weights
    baseline = ask({"mode": "baseline", "runtime": "onnxruntime"})["ok"]["peak_bytes"]
    found = ask({"mode": "memory", "runtime": "onnxruntime", "artifact": str(path)})["ok"]
    peak = found["peak_bytes"]
    assert 1 << 20 <= found["arena_bytes"] < peak, "the arena begins with a mebibyte"
    if baseline is None:
        pytest.skip("no VmHWM here")
    assert peak - baseline > 20e6


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        ({"mode": "latency", "runtime": "nonesuch"}, "missing"),
        ({"mode": "latency", "runtime": "null", "delegate": "x"}, "usage"),
        ({"mode": "latency", "runtime": "null", "artifact": "/no/such/file"}, "usage"),
        ({"mode": "nonsense"}, "usage"),
        ({"mode": "latency", "runtime": "raising"}, "backend"),
    ],
)
def test_what_cannot_be_done_is_an_answer(job: dict[str, Any], kind: str, tmp_path: Path) -> None:
    folder = pushed(tmp_path, "def preload(): pass\ndef open_session(path, options): raise OSError('no such device')")
    error = ask(job, folder)["error"]
    assert error["kind"] == kind and error["message"] and "\n" not in error["message"]


def test_stdout_carries_the_answer_alone_whatever_a_runtime_prints(tmp_path: Path) -> None:
    noisy = (
        "import os\ndef preload():\n    print('hello')\n    os.system('echo from a child')\n    os.write(1, b'raw')\n"
    )
    folder = pushed(tmp_path, noisy)
    with start(folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(b'{"mode": "baseline", "runtime": "raising"}\n')
        process.stdin.flush()
        assert process.stdout and process.stderr
        answer, noise = process.stdout.read(), process.stderr.read()
    assert list(json.loads(answer)) == ["ok"]
    assert all(word in noise for word in (b"hello", b"from a child", b"raw"))


def test_it_runs_where_edgekit_is_not(tmp_path: Path) -> None:
    looks = "import sys\ndef preload():\n    ours = [name for name in sys.modules if name.startswith('edgekit')]\n"
    looks += "    raise OSError(' '.join(ours) + '|' + ' '.join(sys.path))"
    message = ask({"mode": "baseline", "runtime": "raising"}, pushed(tmp_path, looks))["error"]["message"]
    modules, _, path = message.partition("|")
    assert modules == ""
    assert str(tmp_path / "pushed") not in path.split()  # its folder shadows no package


def test_it_ends_when_nobody_waits_any_more(tmp_path: Path) -> None:
    folder = pushed(tmp_path, "import time\ndef preload():\n    print('loading', flush=True)\n    time.sleep(10**6)\n")
    process = start(folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin and process.stderr and process.stdout
    process.stdin.write(b'{"mode": "baseline", "runtime": "raising"}\n')
    process.stdin.flush()
    assert process.stderr.readline() == b"loading\n"
    process.stdin.close()
    assert process.wait(timeout=PATIENCE) == 3
    process.stdout.close()
    process.stderr.close()


def pushed(tmp_path: Path, runtime: str) -> Path:
    """A folder as on a device: the device side, and a runtime of the test's own called `raising`."""
    folder = tmp_path / "pushed"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "runtimes" / "raising.py").write_text(runtime)
    return folder
