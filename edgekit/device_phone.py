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
from edgekit.bench import android, benchmark_model, sensors
from edgekit.bench.benchmark_model import PARTIAL, Coverage, Log, Tool
from edgekit.bench.link import Done, Link
from edgekit.bench.link_adb import AdbLink
from edgekit.device_board import Board
from edgekit.device_models import AdbDevice, AnyDevice
from edgekit.device_phone_check import IDENTITY, NAME, STATE, check_phone, machine, parts, program, wrong_machine
from edgekit.errors import (
    BackendMissing,
    EdgekitError,
    EnvironmentRefused,
    MeasurementInvalid,
    UsageError,
)

# It tells means, not samples: several short processes instead of one long one, at least as many as an interval needs.
SHORT: dict[str, dict[str, Any]] = {
    "quick": {"processes": 6, "min_seconds": 0.5},
    "default": {"processes": 12, "min_seconds": 1.0},
    "rigorous": {"processes": 30, "min_seconds": 2.0},
}
MEMORY_METHOD = (
    "benchmark_model's peak, looked at every 50 ms in a process of its own; a GPU's own memory may be missing"
)
NOT_RUN = ("not executable", "Exec format error", "cannot execute", "syntax error", "CANNOT LINK")


class Phone:
    """One phone and the link to it."""

    is_jetson = False

    def __init__(self, device: AdbDevice, link: AdbLink, power_mode: str | None = None) -> None:
        if power_mode is not None:
            raise UsageError(f"{link.name} is a phone and has no power modes", "leave --power-mode out")
        self.link = link
        self._device = device
        self._facts: dict[str, Any] | None = None
        self._host: str | None = None
        self._groups: tuple[android.Policy, ...] | None = None
        self._tool: tuple[Tool, str, str] | None = None  # with its path there and its sha256

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        return None

    def facts(self) -> dict[str, Any]:
        """What the phone is, for the record."""
        if self._facts is None:
            props = android.properties(parts(self.link, IDENTITY)[0])
            who = android.identity(props)
            serial = props.get("ro.serialno") or props.get("ro.boot.serialno")
            self._host = sensors.anonymous(serial, who.model or "") if serial else None
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
                "host": self._host,
                "cpus": sum(len(policy.cpus) for policy in self._policies()) or None,
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
            abis = android.identity(android.properties(parts(self.link, IDENTITY[:1])[0])).abis
            built = machine(path)
            if built is not None and abis and built not in abis:
                raise wrong_machine(path, built, self.link.name, abis)
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

    def _policies(self) -> tuple[android.Policy, ...]:
        """The groups of processors; they do not change."""
        if self._groups is None:
            self._groups = self._state()[2]
        return self._groups

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
        heat, cell, clocks = parts(self.link, STATE)
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


def _surface(heat: android.Thermal, cell: android.Battery) -> float | None:
    known = [value for value in (heat.hottest("SKIN", "BATTERY"), cell.celsius) if value is not None]
    return max(known, default=None)


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
