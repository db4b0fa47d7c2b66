"""`make fuzz`: every parser of foreign texts on damaged ones. Nothing but its own refusal may come out of one.

A text is a sample of the real tool, cut, doubled, mixed with another and with numbers that no tool means. What a parser
gives must be numbers that exist: finite, and small enough for every step that follows. The same seed gives the same
texts. `python -m scripts.fuzz 1000 jetson` takes fewer, and the parsers whose name begins so.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.bench.android import benchmark_model, dumpsys
from edgekit.bench.links import base
from edgekit.bench.ondevice.runtimes import onnxruntime as runtime_onnxruntime
from edgekit.bench.ondevice.runtimes import trtexec as runtime_trtexec
from edgekit.bench.ondevice.sensors import jetson_tools, nvidia_smi
from edgekit.device import android_check, check, config_file
from edgekit.errors import EdgekitError, UsageError
from edgekit.tensorrt import trtexec, trtexec_exports

SAMPLES = Path(__file__).resolve().parents[1] / ".." / "shared" / "samples"
INPUTS = 100_000  # for each parser
LARGEST = 2**63  # what a database, a file of JSON and another language can hold
SLOW_SECONDS = 1.0  # for one text; more is a parser that goes over it again and again
LONGEST = 20_000  # characters
NUMBERS = (
    *("1e999", "-1e999", "1e308", "inf", "-inf", "nan", "NaN", "Infinity", "0", "-0", "-1", "1e-400", "0x1p9", "1_000"),
    *(
        "9" * 19,
        "9" * 4301,
        "1" + "0" * 400,
        "0." + "9" * 5000,
        "1e99999999999999999999",
        "٣",
        "³",
        "½",
        "",
        "1.2.3",
        "--",
    ),
)
SIGNS = "\0\x1b\x7f\x85\u202e\u2028\ud800\U0001f600\r\n\t \"'\\{}[]()<>=:,;%@/|"
WORD = re.compile(r"\W?\S{1,12}[^\S\n]?|[^\S\n]+")
NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True)
class Parser:
    """A function of a text, the samples that it is meant for, and how it refuses a text."""

    read: Callable[[str], Any]
    samples: str  # how their names begin; several are divided by blanks
    example: str  # for where there are no samples
    refuses: tuple[type[Exception], ...] = ()


def _log(text: str) -> Any:
    log = benchmark_model.parse(text)
    try:
        return log, benchmark_model.read(log)
    except ValueError:
        return log


def _answer(text: str) -> Any:
    return base.parsed(text.encode("utf-8", "surrogatepass")) and None  # what it holds is for the one who asked


def _memory(text: str) -> Any:
    return android_check.free(text), check.memory_line(text, "MemTotal")


def _thermal_zones(text: str) -> Any:
    rows = dict(line.partition(": ")[::2] for line in text.splitlines())
    return jetson_tools.thermal_zones(rows)


PARSERS: Mapping[str, Parser] = {
    "dumpsys properties": Parser(
        lambda text: dumpsys.identity(dumpsys.properties(text)), "getprop", "[ro.build.version.sdk]: [34]\n"
    ),
    "dumpsys thermal": Parser(
        dumpsys.thermal,
        "dumpsys_thermal",
        "Thermal Status: 1\nCurrent temperatures from HAL:\n"
        "\tTemperature{mValue=41.5, mType=3, mName=skin, mStatus=1}\nCurrent cooling devices from HAL:\n"
        "\tCoolingDevice{mValue=3, mType=2, mName=cpu}\n",
    ),
    "dumpsys battery": Parser(
        dumpsys.battery, "dumpsys_battery", "  level: 80\n  scale: 100\n  temperature: 301\n  voltage: 4000\n"
    ),
    "dumpsys meminfo": Parser(
        dumpsys.meminfo,
        "dumpsys_meminfo",
        " App Summary\n  Native Heap:    100\n     Graphics:      7\n"
        "  TOTAL PSS:    1000    TOTAL RSS:  2000      TOTAL SWAP (KB):  0\n",
    ),
    "dumpsys frequencies": Parser(
        dumpsys.frequencies, "-", "".join(f"{dumpsys.POLICIES}/policy{n}/{name}: 0\n" for n in (0, 4) for name in (
            "related_cpus", "scaling_max_freq", "cpuinfo_max_freq"))
    ),
    "adb devices": Parser(dumpsys.seen, "-", "List of devices attached\n0123 device\n"),
    "benchmark_model": Parser(
        _log,
        "tflite_benchmark litert_benchmark",
        "INFO: Initialized session in 21.3ms.\nINFO: count=50 first=9 curr=8 min=7 max=10 avg=8.5 std=1\n"
        "INFO: count=1 curr=8\n"
        "INFO: Replacing 31 out of 31 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions.\n",
    ),
    "trtexec log": Parser(
        trtexec.parse_log,
        "trtexec_v",
        "&&&& RUNNING TensorRT.trtexec [TensorRT v101601] # trtexec\n"
        "[01/02/2025-10:11:12] [I] Enqueue Time: min = 1 ms, max = 2 ms, mean = 1.5 ms, median = 1.5 ms\n"
        "[01/02/2025-10:11:12] [I] GPU Compute Time: min = 1 ms, max = 2 ms, mean = 1.5 ms, median = 1.5 ms\n"
        "&&&& PASSED TensorRT.trtexec [TensorRT v101601] # trtexec\n",
    ),
    "trtexec times": Parser(
        trtexec_exports.parse_times, "trtexec_exportTimes",
        '[{"computeMs": 1.5, "latencyMs": 2, "startEnqMs": 0, "endEnqMs": 1}]', (UsageError,),
    ),
    "trtexec profile": Parser(
        trtexec_exports.parse_profile, "trtexec_exportProfile",
        '[{"count": 5}, {"name": "conv", "timeMs": 1, "averageMs": 1, "medianMs": 1, "percentage": 50}]', (UsageError,),
    ),
    "trtexec layers": Parser(
        trtexec_exports.parse_layers, "trtexec_exportLayerInfo", '{"Layers": [{"LayerType": "a"}]}', (UsageError,)
    ),
    "trtexec version": Parser(
        lambda text: [runtime_trtexec.version(found) for found in re.findall(r"v([0-9]{4,6})\]", text)],
        "trtexec_v", "[TensorRT v8601]",
    ),
    "jetson tegrastats": Parser(
        lambda text: [jetson_tools.tegrastats(line) for line in text.splitlines()],
        "tegrastats",
        "RAM 1/2MB (lfb 3x4MB) SWAP 1/2MB (cached 3MB) CPU [1%@2,off] EMC_FREQ 1%@2 GR3D_FREQ 3%@[4,5] NVDEC off "
        "MTS fg 1% bg 2% cpu@41.5C VDD_IN 1mW/2mW\n",
    ),
    "jetson power mode": Parser(jetson_tools.power_mode, "nvpmodel_q", "NV Power Mode: 25W\n1\n"),
    "jetson power modes": Parser(jetson_tools.power_modes, "nvpmodel_modes", "< POWER_MODEL ID=1 NAME=25W >\n"),
    "jetson power limits": Parser(
        lambda text: jetson_tools.limits(text, "25W"), "nvpmodel_verbose",
        "NVPM VERB: PM_CONFIG: DEFAULT=15W(0)\nNVPM VERB: POWER_MODEL: ID=1 NAME=25W\nNVPM VERB: GPU MAX 10\n",
    ),
    "jetson clocks": Parser(
        jetson_tools.locked, "jetson_clocks",
        "cpu0: Online=1 Governor=x MinFreq=1 MaxFreq=2 CurrentFreq=1 IdleStates: WFI=1\n"
        "GPU MinFreq=1 MaxFreq=2 CurrentFreq=1\nFAN PWM=3\n",
    ),
    "jetson release": Parser(
        lambda text: (jetson_tools.release(text), jetson_tools.package_release(text)), "nv_tegra",
        "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic, DATE: Wed\n",
    ),
    "jetson thermal zones": Parser(
        _thermal_zones, "thermal_zones",
        "/sys/class/thermal/thermal_zone0/type: cpu\n/sys/class/thermal/thermal_zone0/temp: 41500\n",
    ),
    "nvidia-smi": Parser(
        nvidia_smi.table,
        "nvidia-smi_query",
        "name, clocks.sm [MHz], clocks_event_reasons.active\nH200, 1980 MHz, 0x4\n",
    ),
    "onnxruntime arenas": Parser(
        runtime_onnxruntime.arenas, "-", "Extending BFCArena for Cpu. x\nTotal allocated bytes: 1048576\n"
    ),
    "meminfo": Parser(
        _memory, "-",
        "MemTotal:       16384 kB\n/dev/a 1 2 3 4% /data\n",
    ),
    "answer": Parser(_answer, "-", '{"ok": {"runs": [1, 2.5, null]}, "error": {"kind": "a", "message": "b"}}'),
    "devices.yaml": Parser(
        config_file.parse, "-", "devices:\n  a: {link: ssh, host: b, power_modes: [15W], sensors: jetson}\n",
        (UsageError,),
    ),
}  # fmt: skip


def seeds(parser: Parser) -> list[str]:
    """The texts that are damaged: the example, and the samples where they are there."""
    found = [parser.example]
    if SAMPLES.is_dir() and parser.samples != "-":
        names = sorted(path for path in SAMPLES.iterdir() if path.name.startswith(tuple(parser.samples.split())))
        found += [path.read_text(encoding="utf-8", errors="replace")[:LONGEST] for path in names]
    return found


def damaged(chance: random.Random, texts: Sequence[str]) -> str:
    """One of the texts with a few damages."""
    text = chance.choice(texts)
    for _ in range(chance.randint(1, 4)):
        text = chance.choice(DAMAGES)(chance, text, texts)[: 5 * LONGEST]
    return text


def _number(chance: random.Random, text: str, _: Sequence[str]) -> str:
    places = list(NUMBER.finditer(text))
    if not places:
        return text
    place = chance.choice(places)
    return text[: place.start()] + chance.choice(NUMBERS) + text[place.end() :]


def _cut(chance: random.Random, text: str, _: Sequence[str]) -> str:
    start, end = sorted(chance.randint(0, len(text)) for _ in range(2))
    return chance.choice((text[:start], text[start:], text[:start] + text[end:]))


def _doubled(chance: random.Random, text: str, _: Sequence[str]) -> str:
    start = chance.randint(0, len(text))
    part = text[start : start + chance.randint(1, 200)]
    return text[:start] + part * chance.choice((2, 3, 500)) + text[start:]


def _sign(chance: random.Random, text: str, _: Sequence[str]) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice(SIGNS) * chance.choice((1, 1, 2000)) + text[at:]


def _mixed(chance: random.Random, text: str, texts: Sequence[str]) -> str:
    other = chance.choice(texts)
    lines = text.splitlines(keepends=True) + other.splitlines(keepends=True)
    chance.shuffle(lines)
    return "".join(lines[: chance.randint(1, len(lines) or 1)])


def _without_ends(chance: random.Random, text: str, _: Sequence[str]) -> str:
    return text.replace("\n", chance.choice((" ", "", "\r", "\n\n")))


def _long(chance: random.Random, text: str, _: Sequence[str]) -> str:
    """One word of the text, with what stands around it, so often that its line is long."""
    words = list(WORD.finditer(text))
    if not words:
        return text
    word = chance.choice(words)
    many = word.group() * (chance.choice((1, 3, 10)) * LONGEST // (4 * len(word.group())) + 1)
    return text[: word.start()] + many + text[word.end() :]


DAMAGES = (_long, _number, _number, _number, _cut, _doubled, _sign, _mixed, _without_ends)


def wrong(parser: Parser, text: str) -> str | None:
    """What is wrong with a parser's reading of a text; None where nothing is."""
    try:
        found = parser.read(text)
    except parser.refuses as error:
        told = error.message if isinstance(error, EdgekitError) else str(error)
        return None if told and "\n" not in told else f"a refusal that is no line: {told!r}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    strange = next((value for value in _numbers(found) if abs(value) >= LARGEST or value != value), None)
    return None if strange is None else f"it gives {str(strange)[:40]}"


def _numbers(value: Any) -> Iterator[float]:
    """Every number in what a parser gives."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, (int, float)):
        yield value


def attack(name: str, inputs: int, seed: int = 0) -> tuple[dict[str, str], float]:
    """Each kind of finding with the first text that gave it, and the seconds of the slowest text."""
    parser, chance, slowest = PARSERS[name], random.Random(f"{seed}{name}"), 0.0
    found: dict[str, str] = {}
    texts = seeds(parser)
    for _ in range(inputs):
        text = damaged(chance, texts)
        begin = time.process_time()
        finding = wrong(parser, text)
        taken = time.process_time() - begin
        slowest = max(slowest, taken)
        if finding is None and taken > SLOW_SECONDS:
            finding = f"slow: {len(text)} characters"
        if finding is not None:
            found.setdefault(re.sub(r"[0-9]+", "N", finding), text)
    return found, slowest


def main(arguments: Sequence[str]) -> int:
    """Attack the parsers; 1 where one gave way."""
    inputs = int(arguments[0]) if arguments else INPUTS
    wanted = [name for name in PARSERS if name.startswith(tuple(arguments[1:]) or "")]
    failed = False
    for name in wanted:
        begin = time.perf_counter()
        found, slowest = attack(name, inputs)
        took = time.perf_counter() - begin
        print(f"{name:22} {inputs:>9,} texts  {took:6.1f} s  slowest {1000 * slowest:7.1f} ms  {len(found)} findings")
        for finding, text in found.items():
            print(f"    {finding}\n      {json.dumps(text[:300])}")
        failed = failed or bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
