"""A phone while it measures: its own benchmark_model runs the file, and the phone says how warm it is.

The same calls as edgekit.device_board's Board, over a link that has no Python at its other end.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from edgekit.artifact import Artifact, file_sha256
from edgekit.bench import android, benchmark_model
from edgekit.bench.benchmark_model import PARTIAL, Coverage, Log, Tool
from edgekit.bench.link import Done, Link
from edgekit.bench.link_adb import AdbLink
from edgekit.device_board import Board
from edgekit.device_check import Check, RuntimeFound
from edgekit.device_models import AdbDevice, AnyDevice
from edgekit.errors import (
    BackendMissing,
    EdgekitError,
    EnvironmentRefused,
    MeasurementInvalid,
    UsageError,
    nearest,
)

NAME = "benchmark_model"
# It tells means, not samples: several short processes instead of one long one, at least as many as an interval needs.
SHORT: dict[str, dict[str, Any]] = {
    "quick": {"processes": 6, "min_seconds": 0.5},
    "default": {"processes": 12, "min_seconds": 1.0},
    "rigorous": {"processes": 30, "min_seconds": 2.0},
}
MEMORY_METHOD = (
    "benchmark_model's peak, looked at every 50 ms in a process of its own; a GPU's own memory may be missing"
)
MACHINES = {3: "x86", 8: "mips", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a", 243: "riscv64"}  # of ELF
NOT_RUN = ("not executable", "Exec format error", "cannot execute", "syntax error", "CANNOT LINK")
PART = "__edgekit_part"
STATE = ("dumpsys thermalservice", "dumpsys battery", android.FREQUENCIES)
IDENTITY = (
    *(
        "getprop",
        "uname -r",
        "nproc",
        "head -3 /proc/meminfo",
        "df -k /data/local/tmp",
        "settings get global low_power",
    ),
    *STATE[:2],
)
GIB = 1 << 30


class Phone:
    """One phone and the link to it."""

    is_jetson = False

    def __init__(self, device: AdbDevice, link: AdbLink, power_mode: str | None = None) -> None:
        if power_mode is not None:
            raise UsageError(f"{link.name} is a phone and has no power modes", "leave --power-mode out")
        self.link = link
        self._device = device
        self._facts: dict[str, Any] | None = None
        self._tool: tuple[Tool, str, str] | None = None  # with its path there and its sha256

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        return None

    def facts(self) -> dict[str, Any]:
        """What the phone is, for the record."""
        if self._facts is None:
            props = android.properties(_parts(self.link, IDENTITY)[0])
            who = android.identity(props)
            more = {"build": who.build, "abis": who.abis, "emulator": who.is_emulator or None}
            found = check_phone(self._device, self.link).facts()
            self._facts = {**found, **{key: value for key, value in more.items() if value}}
        return self._facts

    def hottest(self) -> float | None:
        """What it throttles by, in degrees Celsius: the warmest of skin and battery; None where neither is told."""
        heat, cell, _ = self._state()
        return _surface(heat, cell)

    def energy(self, job: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any] | None:
        """Nothing: a battery's gauge is too coarse for an inference."""
        return None

    def ask(self, job: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """One process of benchmark_model, or what it says of memory.

        Raises BackendMissing for what it cannot run, MeasurementInvalid where a delegate took only part.
        """
        if job["mode"] == "baseline":
            return {"peak_bytes": None}
        if job["provider"] is not None:
            raise UsageError("benchmark_model has delegates, not providers", "give --delegate gpu, nnapi or xnnpack")
        tool, program, digest = self._prepared()
        try:
            flags = benchmark_model.delegate_flags(tool, job["delegate"])
        except ValueError as error:
            raise BackendMissing(f"{self.link.name}: {error}", "choose another --delegate") from error
        there = self.link.place(Path(job["artifact"]))
        if job["mode"] == "memory":
            return self._memory(job, {"graph": there, "num_threads": job["threads"], **flags}, timeout_seconds)
        loops = {
            "warmup_runs": job["warmup_runs"], "warmup_min_secs": f"{job['warmup_seconds']:g}",
            "num_runs": job["min_runs"], "min_secs": f"{job['min_seconds']:g}", "max_secs": f"{job['max_seconds']:g}",
        }  # fmt: skip
        before, start = self._snapshot(), time.monotonic_ns()
        log = self._run({"graph": there, "num_threads": job["threads"], **loops, **flags}, timeout_seconds, job)
        wall, after = time.monotonic_ns() - start, self._snapshot()
        try:
            found = benchmark_model.read(log)
        except ValueError as error:
            raise MeasurementInvalid(
                f"benchmark_model on {self.link.name}: {error}", "see its own output there"
            ) from error
        return {
            "samples_ns": (found.mean_ns,),
            "inferences_per_sample": found.count,
            "warmup_ns": (),
            "load_ns": found.load_ns,
            "first_ns": found.first_ns,
            "wall_ns": min(wall, found.mean_ns * found.count),
            "sensed": {"before": before, "after": after},
            "found": {
                "threads": job["threads"],
                "cpus": len(self._cpus()) or None,
                **self._delegated(log, job),
                "tool": f"{NAME} ({tool.kind})",
                "tool_sha256": digest,
                "tool_tells": sorted(found.microseconds),
                "cores": self._device.cores or "all",
                "remarks": [f"{NAME} tells no samples: each process gives one, the mean of its inferences"],
            },
        }

    def _delegated(self, log: Log, job: Mapping[str, Any]) -> dict[str, Any]:
        asked = job["delegate"]
        proved = benchmark_model.coverage(log, asked)
        if asked not in (None, "none"):
            self._assert(proved, str(asked), Path(job["artifact"]).name)
        return {
            "delegate": proved.delegate,
            "nodes": proved.nodes,
            "nodes_delegated": proved.taken,
            "coverage": proved.how if proved.delegate else None,
            "precision": {"gpu": "fp32", "gpu-fp16": "fp16"}.get(str(proved.delegate)),
        }

    def _assert(self, proved: Coverage, asked: str, file: str) -> None:
        plain, counted = (
            asked.removesuffix(PARTIAL),
            f" ({proved.taken} of {proved.nodes} operators)" if proved.nodes else "",
        )
        if proved.how == "not":
            raise BackendMissing(
                f"{plain} ran nothing of {file} on {self.link.name}",
                "choose another --delegate, or none for the default",
            )
        if proved.how == "partially" and plain != "xnnpack" and not asked.endswith(PARTIAL):
            raise MeasurementInvalid(
                f"{plain} ran only a part of {file} on {self.link.name}{counted}",
                f"give --delegate {plain}{PARTIAL} to measure it so",
            )

    def _memory(self, job: Mapping[str, Any], flags: Mapping[str, object], seconds: float) -> dict[str, Any]:
        log = self._run({**flags, "num_runs": 5, "report_peak_memory_footprint": "true"}, seconds, job)
        peak = round(log.peak_mb[0] * benchmark_model.MIB) if len(log.peak_mb) == 1 else None
        reason = None if peak else f"this {NAME} does not tell its peak"
        return {"peak_bytes": peak, "method": MEMORY_METHOD, "reason": reason}

    def _run(self, flags: Mapping[str, object], seconds: float, job: Mapping[str, Any]) -> Log:
        tool, program, _ = self._prepared()
        try:
            arguments = benchmark_model.arguments(tool, flags)
        except ValueError as error:
            raise BackendMissing(f"{self.link.name}: {error}", "take a newer one") from error
        chosen = self._chosen(int(job["threads"]))
        affinity = ["taskset", android.mask(chosen)] if chosen else []
        command = shlex.join([*affinity, program, *arguments])
        done = self.link.tended(f"cd {self.link.work} && LC_ALL=C exec {command} 2>&1", seconds)
        if done.code:
            raise self._failed(done)
        return benchmark_model.parse(done.stdout.decode(errors="replace"))

    def _failed(self, done: Done) -> EdgekitError:
        text, name = done.stdout.decode(errors="replace"), self.link.name
        log = benchmark_model.parse(text + "\n")
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        why = log.errors[0] if log.errors else last[:200]
        if done.code in (126, 127) or any(sign in text for sign in NOT_RUN):
            return BackendMissing(
                f"{name} cannot run this {NAME}: {why}", "name one that was built for it in devices.yaml"
            )
        if done.code == 137:
            return EnvironmentRefused(f"{NAME} was killed on {name}", "see whether memory ran out there")
        return BackendMissing(
            f"{NAME} failed on {name} (exit code {done.code}): {why}", "try another --delegate or file"
        )

    def _prepared(self) -> tuple[Tool, str, str]:
        """The tool, brought there and recognised by what it says of its flags."""
        if self._tool is None:
            path = program(self._device, self.link)
            abis = android.identity(android.properties(_parts(self.link, IDENTITY[:1])[0])).abis
            built = machine(path)
            if built is not None and abis and built not in abis:
                raise _wrong_machine(path, built, self.link.name, abis)
            there = self.link.place(path)
            done = self.link.run(f"{shlex.quote(there)} --help 2>&1")
            tool = benchmark_model.recognise(done.stdout.decode(errors="replace"))
            if tool is None and (done.code in (126, 127) or any(sign in str(done.stdout) for sign in NOT_RUN)):
                raise self._failed(done)
            if tool is None:
                raise BackendMissing(
                    f"{path} is no {NAME}: it does not list its flags", "name the right file in devices.yaml"
                )
            self._tool = tool, there, file_sha256(path)
        return self._tool

    def _cpus(self) -> tuple[int, ...]:
        return tuple(cpu for policy in self._policies() for cpu in policy.cpus)

    def _policies(self) -> tuple[android.Policy, ...]:
        return self._state()[2]

    def _chosen(self, threads: int) -> tuple[int, ...]:
        """The processors to run on; none for all of them."""
        wish = self._device.cores
        if wish in (None, "all"):
            return ()
        found = android.cluster(self._policies(), str(wish))
        if found is None:
            raise BackendMissing(
                f"{self.link.name} does not tell {wish} processors from others", "write `cores: all` into devices.yaml"
            )
        if threads > len(found):
            raise UsageError(
                f"{self.link.name} has {len(found)} {wish} processors, and --threads is {threads}",
                f"give --threads {len(found)} at most",
            )
        return found

    def _state(self) -> tuple[android.Thermal, android.Battery, tuple[android.Policy, ...]]:
        heat, cell, clocks = _parts(self.link, STATE)
        return android.thermal(heat), android.battery(cell), android.frequencies(clocks)

    def _snapshot(self) -> dict[str, Any]:
        heat, cell, policies = self._state()
        celsius = {f"{one.kind} {one.name}": one.celsius for one in heat.sensors}
        if cell.celsius is not None:
            celsius["battery"] = cell.celsius
        # What a clock may reach, not what it is at while nothing runs: heat lowers it.
        allowed = tuple(policy.highest_mhz for policy in policies if policy.highest_mhz is not None)
        return {
            "time_ns": time.monotonic_ns(),
            "mhz": allowed or None,
            "celsius": celsius or None,
            "cooling": heat.cpu_cooling,
            "thermal_status": heat.status,
            "surface_celsius": _surface(heat, cell),
        }


def check_phone(device: AdbDevice, link: AdbLink) -> Check:
    """What a phone is and has, as it tells itself; what it does not tell is None."""
    texts = _parts(link, IDENTITY)
    who = android.identity(android.properties(texts[0]))
    kernel, cpus, memory, space, saver = (text.strip() for text in texts[1:6])
    heat, cell = android.thermal(texts[6]), android.battery(texts[7])
    total = next((line.split()[1] for line in memory.splitlines() if line.startswith("MemTotal: ")), "")
    free = (space.splitlines() or [""])[-1].split()
    free_bytes = int(free[3]) * 1024 if len(free) > 3 and free[3].isdecimal() else None
    api = f" (API {who.sdk})" if who.sdk else ""
    return Check(
        name=link.name,
        model=who.model,
        os=f"Android {who.android}{api}" if who.android else None,
        kernel=kernel or None,
        soc=who.soc,
        processor=None,
        cpus=int(cpus) if cpus.isdecimal() else None,
        memory_bytes=int(total) * 1024 if total.isdecimal() else None,
        free_bytes=free_bytes,
        python=None,
        missing=tuple(_missing(heat, cell, saver, free_bytes, who)),
        runtimes=tuple(_runtime(name, device, link, who.abis) for name in device.runtimes),
    )


def _missing(
    heat: android.Thermal, cell: android.Battery, saver: str, free: int | None, who: android.Identity
) -> list[str]:
    found = []
    if who.is_emulator:
        found.append("it is an emulator, whose times mean nothing: take a phone")
    if heat.status:
        found.append(f"its thermal status is {android.STATUSES[heat.status]}: let it cool")
    if cell.percent is not None and cell.percent < 30:
        found.append(f"its battery is at {cell.percent:.0f} %: charge it")
    if saver == "1":
        found.append("it saves its battery: switch battery saver off")
    if free is not None and free < GIB:
        found.append(f"only {free // 2**20} MiB are free: free some")
    return found


def _runtime(name: str, device: AdbDevice, link: AdbLink, abis: tuple[str, ...]) -> RuntimeFound:
    if name != NAME:
        return RuntimeFound(name, None, f"no '{name}' runs on a phone{nearest(name, [NAME])}", f"write {NAME}")
    try:
        path = program(device, link)
        built = machine(path)
        if built is not None and abis and built not in abis:
            raise _wrong_machine(path, built, link.name, abis)
    except EdgekitError as error:
        return RuntimeFound(name, None, error.message, error.remedy)
    return RuntimeFound(name, f"sha256 {file_sha256(path)[:16]}")


def program(device: AdbDevice, link: AdbLink) -> Path:
    """The benchmark_model that devices.yaml names, a file here. Raises BackendMissing."""
    remedy = f"write the path of one built for the phone into devices.yaml, as `{NAME}: PATH`"
    if device.benchmark_model is None:
        raise BackendMissing(f"devices.yaml names no {NAME} for {link.name}", remedy)
    path = Path(device.benchmark_model).expanduser()
    if not path.is_file():
        raise BackendMissing(f"{path}, the {NAME} of {link.name}, does not exist", remedy)
    return path


def machine(path: Path) -> str | None:
    """The processors that a program was built for, as Android names them; None where its head does not tell."""
    with path.open("rb") as stream:
        head = stream.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return MACHINES.get(number, f"machine {number}")


def _wrong_machine(path: Path, built: str, name: str, abis: tuple[str, ...]) -> BackendMissing:
    return BackendMissing(
        f"{path} is built for {built}, and {name} runs {', '.join(abis)}",
        f"name one built for {abis[0]} in devices.yaml",
    )


def _surface(heat: android.Thermal, cell: android.Battery) -> float | None:
    known = [value for value in (heat.hottest("SKIN", "BATTERY"), cell.celsius) if value is not None]
    return max(known, default=None)


def _parts(link: AdbLink, scripts: tuple[str, ...]) -> list[str]:
    """What each script prints, asked for at once; empty where it fails."""
    done = link.run("; ".join(f"({script}) 2>/dev/null; echo; echo {PART}" for script in scripts))
    parts = done.stdout.decode(errors="replace").split(f"\n{PART}\n")
    return [*parts, *[""] * len(scripts)][: len(scripts)]


def refuse(artifact: Artifact, runtime: str, batch: int, device: str) -> None:
    """Raises BackendMissing or UsageError for what no benchmark_model runs."""
    if runtime != NAME or artifact.format != "tflite":
        raise BackendMissing(
            f"{device} is a phone, and {runtime} does not run there",
            f"export to tflite, and leave --runtime out for {NAME}",
        )
    own = artifact.manifest.inputs[0].shape[0] if artifact.manifest and artifact.manifest.inputs else 1
    if batch != max(own, 1):
        raise UsageError(
            f"{NAME} runs {artifact.path.name} with its own batch of {max(own, 1)}, not {batch}",
            f"give --batch {max(own, 1)}",
        )


AnyBoard = Board | Phone


def board_of(device: AnyDevice, link: Link, power_mode: str | None = None) -> AnyBoard:
    """What measures on a device."""
    if isinstance(device, AdbDevice) and isinstance(link, AdbLink):
        return Phone(device, link, power_mode)
    return Board(device, link, power_mode)
