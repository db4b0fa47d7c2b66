"""A phone while it measures: its own benchmark_model runs the file, and the phone says how warm it is.

No Python runs at the other end of its link.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgekit.bench.android import benchmark_model, delegates, dumpsys
from edgekit.bench.android.benchmark_model import Log
from edgekit.bench.android.delegates import PARTIAL, Coverage
from edgekit.bench.links.adb import AdbLink
from edgekit.device.android_answers import compared
from edgekit.device.android_check import IDENTITY, NAME, check_phone, host_of, parts, program
from edgekit.device.android_session import PhoneSession
from edgekit.device.android_tool import PhoneTool, state
from edgekit.device.check import Check
from edgekit.device.config import AdbDevice
from edgekit.device.target import RUN, Identity, Opened
from edgekit.errors import BackendMissing, MeasurementInvalid, UsageError
from edgekit.records.artifact import Artifact
from edgekit.records.measurement import Protocol
from edgekit.records.runtime import choose
from edgekit.stats.medians import MIN_PROCESSES
from edgekit.util.files import file_sha256

# It tells means, not samples: several short processes instead of one long one, at least as many as an interval needs.
SHORT: dict[str, dict[str, Any]] = {
    "quick": {"processes": 6, "min_seconds": 0.5},
    "default": {"processes": 12, "min_seconds": 1.0},
    "rigorous": {"processes": 30, "min_seconds": 2.0},
}
MEMORY_METHOD = (
    "benchmark_model's peak, looked at every 50 ms in a process of its own; a GPU's own memory may be missing"
)
GRAPHICS_METHOD = "dumpsys meminfo, Graphics, while it ran"
MEMORY_SECONDS = 2  # dumpsys takes some tenths of a second
COOL = "unplug it, take it out of the sun and its case, let it cool, and measure again"
COMPILE = (
    "put the maker's compiler plugin into npu_libraries (docs/android.md), or compile the file for the chip before"
)
TOO_HOT, TOO_THROTTLED = 45.0, 2  # degrees of skin or battery; the thermal status `moderate`


class AndroidTarget:
    """A phone and the link to it (edgekit.device.target.Target)."""

    is_local = has_runner = False

    def __init__(self, device: AdbDevice, link: AdbLink, power_mode: str | None = None) -> None:
        if power_mode is not None:
            raise UsageError(f"{link.name} is a phone and has no power modes", "leave --power-mode out")
        self.link = link
        self.name, self.runtimes = link.name, device.runtimes
        self._device = device
        self._facts: dict[str, Any] | None = None
        self._checked: dict[str, Any] | None = None  # the same without a look at its heat
        self._host: str | None = None
        self._tool = PhoneTool(device, link)

    def check(self, load: bool = False) -> Check:
        """Return what the phone is and has, and what it lacks; its tool is brought there and asked what it is."""
        return check_phone(self._device, self.link, self._tool.prepared)

    def identity(self) -> Identity:
        """Return which phone it is and on which cores it measures; benchmark_model tells no version."""
        which = host_of(dumpsys.properties(parts(self.link, IDENTITY[:1])[0]))
        return Identity((which, self._device.cores), {NAME: file_sha256(program(self._device, self.link))})

    def facts(self) -> dict[str, Any]:
        """Return what the phone is, for the record. Raises MeasurementInvalid for one that is too warm."""
        if self._facts is None:
            self._refuse_heat()
            props = dumpsys.properties(parts(self.link, IDENTITY)[0])
            who = dumpsys.identity(props)
            self._host = host_of(props)
            more = {"build": who.build, "abis": who.abis, "emulator": who.is_emulator or None}
            found = self.check().facts()
            self._facts = {**found, **{key: value for key, value in more.items() if value}}
        return self._facts

    def _refuse_heat(self) -> None:
        """Raise MeasurementInvalid for a phone that is so warm that it is, or soon will be, slowed."""
        heat, battery, _ = self._state()
        surface, name = _surface(heat, battery), self.name
        if surface is not None and surface >= TOO_HOT:
            raise MeasurementInvalid(f"the skin or battery of {name} is at {surface:.1f} degrees", COOL)
        if heat.status is not None and heat.status >= TOO_THROTTLED:
            raise MeasurementInvalid(f"the thermal status of {name} is {dumpsys.STATUSES[heat.status]}", COOL)

    def hottest(self) -> float | None:
        """Return what it throttles by, in degrees Celsius: the warmest of skin and battery.

        None where neither is told.
        """
        heat, battery, _ = self._state()
        return _surface(heat, battery)

    def passes(self, job: Mapping[str, Any]) -> dict[str, Callable[[float], dict[str, Any]]]:
        """Return the answers, held against LiteRT's here."""

        def answers(seconds: float) -> dict[str, Any]:
            flags = {**self._tool.flags(job), "num_runs": 1, "warmup_runs": 1}
            known = self._tool.prepared()[0]
            return compared(known, self.link, job, lambda more: self._tool.run({**flags, **more}, seconds, job))

        return {"answers": answers}

    def ask(self, job: Mapping[str, Any], timeout_seconds: float, command: str = RUN) -> dict[str, Any]:
        """Run one process of benchmark_model; return what it found, or what it says of memory.

        Raises BackendMissing for what it cannot run, MeasurementInvalid where a delegate took only part.
        """
        if command != RUN:
            raise BackendMissing(f"{NAME} only measures whole files", "leave --profile out for a phone")
        if job["mode"] == "baseline":
            return {"peak_bytes": None, "reason": f"{NAME} cannot run without a file"}
        if job["provider"] is not None:
            raise UsageError("benchmark_model has delegates, not providers", "give --delegate gpu, nnapi or xnnpack")
        tool, _, digest = self._tool.prepared()
        flags = self._tool.flags(job)
        if job["mode"] == "memory":
            return self._memory(job, flags, timeout_seconds)
        loops = {
            "warmup_runs": job["warmup_runs"], "warmup_min_secs": f"{job['warmup_seconds']:g}",
            "num_runs": job["min_runs"], "min_secs": f"{job['min_seconds']:g}", "max_secs": f"{job['max_seconds']:g}",
        }  # fmt: skip
        before, start = self._snapshot(), time.monotonic_ns()
        log = self._tool.run({**flags, **loops}, timeout_seconds, job)
        wall, after = time.monotonic_ns() - start, self._snapshot()
        try:
            found = benchmark_model.read(log)
        except ValueError as error:
            raise MeasurementInvalid(f"benchmark_model on {self.name}: {error}", "see its own output there") from error
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
                "cpus": sum(len(policy.cpus) for policy in self._tool.policies()) or None,
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
        proved = delegates.coverage(log, asked)
        if asked == "none" and proved.delegate:
            raise MeasurementInvalid(
                f"{NAME} on {self.link.name} ran XNNPACK where none was asked for",
                "take another one, or --delegate xnnpack",
            )
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
        plain = asked.removesuffix(PARTIAL)
        counted = f" ({proved.taken} of {proved.nodes} operators)" if proved.nodes else ""
        if proved.how == "not":
            raise BackendMissing(
                f"{plain} ran nothing of {file} on {self.name}",
                COMPILE if plain == "npu" else "choose another --delegate, or none for the default",
            )
        if proved.how == "partially" and plain != "xnnpack" and not asked.endswith(PARTIAL):
            raise MeasurementInvalid(
                f"{plain} ran only a part of {file} on {self.name}{counted}",
                f"give --delegate {plain}{PARTIAL} to measure it so",
            )

    def _memory(self, job: Mapping[str, Any], flags: Mapping[str, object], seconds: float) -> dict[str, Any]:
        wish = {**flags, "num_runs": 5, "min_secs": MEMORY_SECONDS, "report_peak_memory_footprint": "true"}
        log, rest = self._tool.watched(wish, seconds, job)
        peak = round(log.peak_mb[0] * benchmark_model.MIB) if len(log.peak_mb) == 1 else None
        reason = None if peak else f"this {NAME} does not tell its peak"
        seen = dumpsys.meminfo(rest)
        graphics = {"gpu_bytes": seen.graphics_bytes, "gpu_method": GRAPHICS_METHOD} if seen.graphics_bytes else {}
        return {"peak_bytes": peak, "pss_bytes": seen.pss_bytes, "method": MEMORY_METHOD, "reason": reason, **graphics}

    def open_session(
        self, path: Path, runtime: str | None = None, threads: int = 1, delegate: str | None = None
    ) -> Opened:
        """Open a file that answers there; what is found is complete after the first images.

        Raises BackendMissing where the tool takes no inputs, or lacks the delegate.
        """
        chosen = choose(path, runtime, self.runtimes, here=False).name
        if chosen != NAME:
            raise BackendMissing(f"{self.name} is a phone, and {chosen} does not run there", "leave --runtime out")
        if self._checked is None:
            self._checked = self.check().facts()
        job = {"artifact": str(path), "threads": threads, "delegate": delegate}
        session = PhoneSession(self._tool, self.link, job, lambda log: self._delegated(log, job))
        session.found |= {"tool": f"{NAME} ({self._tool.prepared()[0].kind})", "cores": self._device.cores or "all"}
        session.found["device"] = self._checked
        return Opened(chosen, session, session.found, session.close, session.ahead)

    def fitted(self, preset: str, protocol: Protocol) -> Protocol:
        """Return the protocol in several short processes, because the program tells means and no samples."""
        return protocol.model_copy(update=SHORT.get(preset, {"processes": MIN_PROCESSES}))

    def refuse(self, artifact: Artifact, runtime: str, batch: int) -> None:
        """Raise BackendMissing or UsageError for what no benchmark_model runs."""
        if runtime != NAME or artifact.format != "tflite":
            raise BackendMissing(
                f"{self.name} is a phone, and {runtime} does not run there",
                f"export to tflite, and leave --runtime out for {NAME}",
            )
        own = artifact.manifest.inputs[0].shape[0] if artifact.manifest and artifact.manifest.inputs else 1
        if batch != max(own, 1):
            raise UsageError(
                f"{NAME} runs {artifact.path.name} with its own batch of {max(own, 1)}, not {batch}",
                f"give --batch {max(own, 1)}",
            )

    def building(self) -> dict[str, Any]:
        """Return nothing: no engine is built on a phone."""
        return {}

    def close(self) -> None:
        """End the link."""
        self.link.close()

    def _state(self) -> tuple[dumpsys.Thermal, dumpsys.Battery, tuple[dumpsys.Policy, ...]]:
        return state(self.link)

    def _snapshot(self) -> dict[str, Any]:
        heat, battery, policies = self._state()
        celsius = {f"{one.kind} {one.name}": one.celsius for one in heat.sensors}
        if battery.celsius is not None:
            celsius["battery"] = battery.celsius
        # What a clock may reach, not what it is at while nothing runs: heat lowers it.
        allowed = tuple(policy.highest_mhz for policy in policies if policy.highest_mhz is not None)
        return {
            "time_ns": time.monotonic_ns(),
            "mhz": allowed or None,
            "celsius": celsius or None,
            "cooling": heat.cpu_cooling,
            "thermal_status": heat.status,
            "surface_celsius": _surface(heat, battery),
            "charge_uah": battery.charge_uah,
            "battery_mv": battery.millivolts,
            "on_cable": bool(battery.powered),
        }


def _surface(heat: dumpsys.Thermal, battery: dumpsys.Battery) -> float | None:
    known = [value for value in (heat.hottest("SKIN", "BATTERY"), battery.celsius) if value is not None]
    return max(known, default=None)
