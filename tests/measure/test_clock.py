"""The time of day may jump while something is measured: no duration is taken from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit.sweeps.journal import Journal

# Every reading of the time of day is a day too early or two hours too late, in turn; other clocks are left alone.
JUMPS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
  static int readings;
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int code = real(clock, now);
  if (clock == CLOCK_REALTIME) now->tv_sec += ++readings % 2 ? -86400 : 7200;
  return code;
}
"""
TIMES = "import time; print(time.time(), time.time())"
COMPILER = shutil.which("cc") or shutil.which("gcc")


@pytest.fixture(scope="module")
def jumping(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the clock jumps."""
    if COMPILER is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("clock")
    (folder / "jumps.c").write_text(JUMPS)
    library = folder / "jumps.so"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, folder / "jumps.c", "-ldl"], check=True)
    environment = os.environ | {"LD_PRELOAD": str(library)}
    told = subprocess.run([sys.executable, "-c", TIMES], env=environment, capture_output=True, text=True, check=True)
    first, second = map(float, told.stdout.split())
    if second - first < 90_000:
        pytest.skip("this Python does not read its clock through the C library")
    return environment


def test_latencies_do_not_notice(jumping: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "any.onnx").write_bytes(b"read by no runtime")
    command = [sys.executable, "-m", "edgekit", "bench", "any.onnx", "--runtime", "null", "--preset", "quick", "--json"]
    done = subprocess.run(command, env=jumping, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode in (0, 6), done.stderr  # 6: something else ran here
    (row,) = json.loads(done.stdout)["measurements"]
    assert 0 < row["min_ms"] <= row["median_ms"] < 1 and 0 < row["load_ms"] < 60_000 and row["throughput_per_s"] > 1000


def test_what_a_sweep_wrote_before_its_clock_went_back_counts_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1e9)
    Journal(tmp_path).put("file", "key", {}, path="a")
    monkeypatch.undo()
    found = Journal(tmp_path).get("file", "key")
    assert found is not None and found["path"] == "a"
