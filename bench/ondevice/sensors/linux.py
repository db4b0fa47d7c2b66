"""What this machine is doing, read from /proc and /sys: snapshots for before and after a measured loop.

The runner reads it in its own process, here or on a device, and the parent reads temperatures between processes.
Whatever a machine does not tell is None, never a zero. Nothing here judges.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
import platform
import re
import resource
import statistics
import time
from pathlib import Path
from typing import Any

from .kernel_files import number, text

PROC, SYS, ETC = Path("/proc"), Path("/sys"), Path("/etc")
# About half a millisecond a round: long against the clock, short in all.
SENTINEL_WARMUP, SENTINEL_ROUNDS, SENTINEL_STEPS = 4, 21, 25_000
# The sentinel walks through numbers of which Python keeps one object each: new ones would be as slow as the place in
# memory that they get, by 8 % either way from one call to the next.
WALK = tuple((number * 77 + 13) % 256 for number in range(256))
# Instructions that int8 and fp16 kernels look for, as Linux names them.
INSTRUCTIONS = (
    *("avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "sve"),
)
# Of x86-64: with one of these a kernel adds products of int8 in 32 bits.
EXACT_INT8 = ("avx512_vnni", "avx_vnni", "amx_int8")


def snapshot() -> dict[str, Any]:
    """Counters since boot or since this process began, and levels at this moment; about a millisecond."""
    cpus = _cpus()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "time_ns": time.perf_counter_ns(),
        "own_cpu_ns": time.process_time_ns(),
        "own_threads": len(_tasks()) or None,
        "own_waiting_ns": _own_waiting(),
        "involuntary_switches": usage.ru_nivcsw,
        "voluntary_switches": usage.ru_nvcsw,
        "cpus": len(cpus),
        **_cpu_times(),
        "pressure_us": _pressure(),
        **_load(),
        "mhz": _per_cpu(cpus, "cpufreq/scaling_cur_freq", 1e-3),
        "celsius": temperatures(),
        "throttle_count": _throttle_count(cpus),
        "cooling": _cooling(),
    }


def settings() -> dict[str, Any]:
    """Return what does not change while a loop runs: the machine, its processor, and how its clock is governed."""
    cpus = _cpus()
    governors = {text(_cpu(cpu) / "cpufreq/scaling_governor") for cpu in cpus} - {None}
    highest = _per_cpu(cpus, "cpufreq/cpuinfo_max_freq", 1e-3)
    return {
        "processor": processor(),
        "instructions": instructions(),
        "host": host(),
        "governors": sorted(str(name) for name in governors) or None,
        "max_mhz": max(highest) if highest else None,
        "turbo": _turbo(),
        "virtual": _virtual(),
        "emulated": emulated(text(PROC / "sys/kernel/arch"), text(SYS / "devices/system/cpu/modalias")),
    }


def processor() -> str | None:
    """Return the processor's own name, or the board's where the processor has none (ARM).

    None where neither is told.
    """
    for line in (text(PROC / "cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return text(PROC / "device-tree/model") or platform.processor() or None


def instructions() -> list[str] | None:
    """Return those of INSTRUCTIONS that the first processor has; None where the system does not tell."""
    for line in (text(PROC / "cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):  # ARM's word
            return [name for name in INSTRUCTIONS if name in value.split()]
    return None


def adds_in_16_bits(found: list[str] | None) -> bool | None:
    """Return whether onnxruntime adds two products of int8 in 16 bits with these instructions; None: unknown."""
    if found is None:
        return None
    return "avx2" in found and not any(name in found for name in EXACT_INT8)


def host() -> str:
    """Eight hex digits for this machine, the same at every boot: a keyed hash, as machine-id(5) asks of programs.

    They tell neither the machine's id nor its name. Without an id, as in many containers, the name stands for it. The
    processor goes in too, because images of machines are copied with their id.
    """
    told = text(ETC / "machine-id") or ""
    return anonymous(told if re.fullmatch("[0-9a-f]{32}", told) else platform.node(), processor() or "")


def anonymous(secret: str, model: str) -> str:
    """Eight hex digits for a machine of a model, of which only who knows the secret can say how they came about."""
    key, text = secret.encode("utf-8", "replace"), ("edgekit " + model).encode("utf-8", "replace")
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:8]


def _virtual() -> bool | None:
    """Whether this is a guest of a hypervisor; only x86 tells that it is none."""
    for line in (text(PROC / "cpuinfo") or "").splitlines():
        if line.startswith("flags"):
            return "hypervisor" in line.split()
    is_guest = (SYS / "hypervisor/type").exists() or (PROC / "device-tree/hypervisor").exists()
    return True if is_guest else None


def emulated(arch: str | None, modalias: str | None, machine: str = "") -> str | None:
    """Return the processor that really is there, where it emulates the one that programs see.

    None where nothing says so.

    `arch` is the kernel's own processor (Linux 6.1), `modalias` its name for the first core; `machine` is what programs
    are told (empty: this one). A 32-bit program on the same processor is not emulated.
    """
    told = arch or (modalias or "").partition("cpu:type:")[2].partition(":")[0].partition(",")[0]
    families = [_family(name) for name in (told, machine or platform.machine())]
    return told if None not in families and families[0] != families[1] else None


def _family(machine: str) -> str | None:
    kinds = {
        "x86": "x86",
        "i386": "x86",
        "i686": "x86",
        "amd64": "x86",
        "arm": "arm",
        "aarch64": "arm",
        "riscv": "riscv",
    }
    return next((family for start, family in kinds.items() if machine.lower().startswith(start)), None)


def temperatures() -> dict[str, float] | None:
    """Degrees Celsius by thermal zone, those that answer; None where there is none."""
    found: dict[str, float] = {}
    for zone in sorted((SYS / "class/thermal").glob("thermal_zone*")):
        raw = number(zone / "temp")
        if raw is not None and -40_000 < raw < 200_000 and raw != 0:
            found[f"{zone.name[12:]} {text(zone / 'type') or 'unnamed'}"] = raw / 1000
    return found or None


def sentinel() -> int:
    """Nanoseconds of a small fixed piece of work, the median of some: it slows when clocks fall or others interfere.

    The first rounds are left out: Python itself warms up in them.
    """
    clock, rounds = time.perf_counter_ns, []
    for _ in range(SENTINEL_WARMUP + SENTINEL_ROUNDS):
        value, start = 1, clock()
        for _ in itertools.repeat(None, SENTINEL_STEPS):
            value = WALK[value]
        rounds.append(clock() - start)
    return int(statistics.median(rounds[SENTINEL_WARMUP:]))


def _cpus() -> list[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _cpu(index: int) -> Path:
    return SYS / f"devices/system/cpu/cpu{index}"


def _cpu_times() -> dict[str, Any]:
    """Seconds since boot, summed over all processors: busy (by anybody), stolen by the hypervisor, and in all.

    Over all of them, not only ours: a neighbor shares clock, caches and often the core itself.
    """
    lines = [line.split() for line in (text(PROC / "stat") or "").splitlines() if line.startswith("cpu")]
    if not lines or len(lines[0]) < 9:
        return {"busy_s": None, "steal_s": None, "total_s": None, "all_cpus": None}
    user, nice, system, idle, waiting, hard, soft, stolen = map(int, lines[0][1:9])
    busy, tick = user + nice + system + hard + soft, os.sysconf("SC_CLK_TCK")
    total = (busy + stolen + idle + waiting) / tick
    return {"busy_s": busy / tick, "steal_s": stolen / tick, "total_s": total, "all_cpus": len(lines) - 1}


def _pressure() -> int | None:
    """Microseconds since boot in which some task had to wait for a processor."""
    for line in (text(PROC / "pressure/cpu") or "").splitlines():
        if line.startswith("some "):
            return int(line.rpartition("total=")[2])
    return None


def _load() -> dict[str, Any]:
    words = (text(PROC / "loadavg") or "").split()
    if len(words) < 4:
        return {"load1": None, "running": None}
    return {"load1": float(words[0]), "running": int(words[3].partition("/")[0])}


def _tasks() -> list[Path]:
    try:
        return list((PROC / "self/task").iterdir())
    except OSError:
        return []


def _own_waiting() -> int | None:
    """Nanoseconds in which threads of this process could run and had no processor."""
    waited, seen = 0, False
    for task in _tasks():
        words = (text(task / "schedstat") or "").split()
        if len(words) >= 2:
            waited, seen = waited + int(words[1]), True
    return waited if seen else None


def _throttle_count(cpus: list[int]) -> int | None:
    """How often x86 processors were slowed for heat since boot."""
    cores = [number(_cpu(cpu) / "thermal_throttle/core_throttle_count") for cpu in cpus]
    packages = [number(_cpu(cpu) / "thermal_throttle/package_throttle_count") for cpu in cpus]
    known = [count for count in (*cores, *packages) if count is not None]
    return sum(known) if known else None


def _cooling() -> int | None:
    """The highest state of what slows processors for heat (0: not slowed), where the kernel has such devices."""
    states = []
    for device in (SYS / "class/thermal").glob("cooling_device*"):
        kind = (text(device / "type") or "").lower()
        state = number(device / "cur_state")
        if state is not None and ("cpufreq" in kind or kind == "processor"):
            states.append(state)
    return max(states) if states else None


def _turbo() -> bool | None:
    off = number(SYS / "devices/system/cpu/intel_pstate/no_turbo")
    if off is not None:
        return off == 0
    boost = number(SYS / "devices/system/cpu/cpufreq/boost")
    return None if boost is None else boost == 1


def _per_cpu(cpus: list[int], name: str, scale: float) -> list[float] | None:
    values = [number(_cpu(cpu) / name) for cpu in cpus]
    return [round(value * scale, 1) for value in values if value is not None] or None
