"""A little of `make fuzz`, and the texts that once broke a parser."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.bench.android import benchmark_model, dumpsys
from edgekit.tensorrt import trtexec
from scripts import fuzz

INPUTS = 60
STAMP = "[01/02/2025-10:11:12] [I] "


@pytest.mark.parametrize("name", fuzz.PARSERS)
def test_a_parser_refuses_or_reads(name: str) -> None:
    found, _ = fuzz.attack(name, INPUTS, seed=1)
    assert not {finding: text for finding, text in found.items() if not finding.startswith("slow")}


BROKE: dict[str, str] = {
    "dumpsys thermal": fuzz.PARSERS["dumpsys thermal"].example.replace("41.5", "1e999"),
    "dumpsys battery": fuzz.PARSERS["dumpsys battery"].example.replace("301", "9" * 5000),
    "dumpsys meminfo": fuzz.PARSERS["dumpsys meminfo"].example.replace("1000", "1" * 5000),
    "dumpsys frequencies": fuzz.PARSERS["dumpsys frequencies"].example.replace(": 0", f": {'1' * 5000}"),
    "dumpsys properties": f"[ro.build.version.sdk]: [{'3' * 5000}]\n",
    "benchmark_model": "Initialized session in 1e999ms.\ncount=1 curr=1e999\ncount=1 curr=5\n",
    "jetson tegrastats": f"RAM {'1' * 5000}/2MB\n",
    "jetson power mode": f"NV Power Mode: MAXN\n{'1' * 5000}\n",
    "jetson thermal zones": f"/sys/class/thermal/thermal_zone0/temp: {'4' * 5000}\n",
    "nvidia-smi": f"name, clocks.sm [MHz]\nH200, {'1' * 5000} MHz\n",
    "onnxruntime arenas": f"Extending BFCArena for Cpu. x\nTotal allocated bytes: {'1' * 5000}\n",
    "meminfo": f"MemTotal:       {'1' * 5000} kB\n",
    "trtexec times": '[{"computeMs": 1e308, "latencyMs": 2, "startEnqMs": 0, "endEnqMs": 1}]',
    "devices.yaml": "devices: " + "[" * 20_000,
}


@pytest.mark.parametrize("name", BROKE)
def test_a_text_that_broke_a_parser(name: str) -> None:
    assert fuzz.wrong(fuzz.PARSERS[name], BROKE[name]) is None


def test_a_loop_that_tells_its_mean_alone_is_read() -> None:
    loops = "count=3 first=9 min=7 max=10 avg=8.5 std=1\ncount=5 first=9 min=7 max=10 avg=8 std=1\n"
    text = f"Initialized session in 2ms.\n{loops}"
    assert benchmark_model.read(benchmark_model.parse(text)).mean_ns == 8000


# A parser that goes through a line once is done with a hundred thousand words before anybody notices; one that does so
# for each of its words takes hours.
LONG: dict[str, tuple[Any, str]] = {
    "enqueue times": (trtexec.parse_log, f"{STAMP}Enqueue Time: min = {', median = ' * 50_000}\n"),
    "a number of digits": (trtexec.parse_log, f"{STAMP}Engine built in {'9' * 200_000}x sec\n"),
    "clocks": (fuzz.PARSERS["jetson clocks"].read, "cpu0: CurrentFreq=1 " + "x" * 200_000),
    "power modes": (fuzz.PARSERS["jetson power modes"].read, " \n" * 100_000),
    "memory": (dumpsys.meminfo, "App Summary\na" + " " * 200_000 + "\n"),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_line_is_gone_through_once(name: str) -> None:
    read, text = LONG[name]
    read(text)
