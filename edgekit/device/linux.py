"""A machine with Linux and Python, here or over ssh: what it is, its heat, the energy that an inference takes."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.bench.links.base import Link, ask
from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.remote_session import FarSession
from edgekit.bench.ondevice.runner import wants_gpu
from edgekit.bench.ondevice.sensors import jetson_tools
from edgekit.bench.ondevice.sensors.linux import anonymous, host, temperatures
from edgekit.device.check import Check
from edgekit.device.config import LOCAL, LocalDevice, SshDevice
from edgekit.device.linux_check import check_device
from edgekit.device.target import RUN, Identity, Opened
from edgekit.errors import DeviceUnreachable, EdgekitError, UsageError, nearest
from edgekit.records.artifact import Artifact
from edgekit.records.measurement import Protocol
from edgekit.records.runtime import RUNTIMES, choose
from edgekit.tensorrt import trtexec_measure
from edgekit.tensorrt.compatibility import refuse_elsewhere
from edgekit.tensorrt.trtexec_measure import Trtexec

IDLE_SECONDS, BUSY_SECONDS = 5.0, 10.0  # the rails are averaged over a second or so
SETTLE_SECONDS = 1.0  # at the start of either stretch
FEWEST_SAMPLES = 10
ENERGY_METHOD = "{} in a pass of its own: mean power x time / inferences"
SYSFS = "/sys"
CARD = "GPU board"  # as bench/ondevice/energy.py calls it
MACHINE_ID, CPUINFO, MODEL = "/etc/machine-id", "/proc/cpuinfo", "/proc/device-tree/model"


class LinuxTarget:
    """A machine and the link to it (edgekit.device.target.Target)."""

    has_runner = True

    def __init__(
        self, device: LocalDevice | SshDevice = LOCAL, link: Link | None = None, power_mode: str | None = None
    ) -> None:
        self.link: Link = link or LocalLink()
        self.name, self.runtimes, self.is_local = self.link.name, device.runtimes, self.link.is_local
        self._device = device
        self._power_mode = power_mode
        self._facts: dict[str, Any] | None = None
        self._admitted: set[tuple[str, str]] = set()  # files and runtimes
        self._trtexec = Trtexec(self.link)
        self._session = ""  # in which the facts were found
        if power_mode is not None and power_mode not in device.modes:
            raise _not_allowed(power_mode, self.name, device.modes)

    def check(self, load: bool = False) -> Check:
        """Return what the machine is and has, and what it lacks; over a link with `load` also what does not load."""
        return check_device(self._device, self.link, load and not self.is_local)

    def identity(self) -> Identity:
        """Return which machine it is, its architecture and power mode, and the versions of its runtimes."""
        if self.is_local:
            versions = {runtime.name: runtime.version for _, runtime in RUNTIMES.items()}
            return Identity((host(), platform.machine()), versions)
        packages = sorted({package for _, runtime in RUNTIMES.items() for package in runtime.packages})
        seen = self.link.look({"files": [MACHINE_ID, CPUINFO, MODEL], "packages": packages, "commands": []})
        return Identity((_host(seen), seen["system"][4], self._mode()), seen["packages"])

    def facts(self) -> dict[str, Any]:
        """Return what the machine is, for the record; the first call makes it ready to measure.

        Empty for this machine, of which the runner tells all. Raises MeasurementInvalid or EnvironmentRefused where it
        is not fit.
        """
        if self.is_local:
            return {}
        if self._facts is None or self._session != self.link.session:
            with self._unbroken():
                self._make_ready()
                self._facts = self.check().facts()
            self._session = self.link.session
        return self._facts

    def _make_ready(self) -> None:
        """Bring the machine into the state that it is to be measured in."""

    def _mode(self) -> str | None:
        """The power mode that it is in; None where it has none."""
        return None

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        """One session from the beginning to the end: with another one, what the first changed is put back.

        Raises DeviceUnreachable where it was lost, whatever that made fail.
        """
        session = self.link.begin()
        try:
            yield
        except EdgekitError as error:
            if session != self.link.session:
                raise self._lost() from error
            raise
        if session != self.link.session:
            raise self._lost()

    def _lost(self) -> DeviceUnreachable:
        return DeviceUnreachable(f"the connection to {self.name} was lost meanwhile", "measure again")

    def ask(self, job: Mapping[str, Any], timeout_seconds: float, command: str = RUN) -> dict[str, Any]:
        """Return what the runner there answers to a job. Raises what it refuses or dies of."""
        self.facts()
        for one in job.get("jobs", [job]):
            self._admit(one)
        # A Jetson's GPU takes the machine's own memory.
        shared = {"unified": True} if self._device.is_jetson and command == RUN else {}
        if job["runtime"] == trtexec_measure.NAME:
            answer = self._trtexec.ask(job, timeout_seconds, command)
        else:
            answer = ask(self.link, {**job, **shared}, timeout_seconds, command)
        mode = self._mode()
        if self._session != self.link.session:  # when a session ends, the device puts its power mode back
            raise self._lost()
        self._refuse_change(mode)
        return answer

    def _refuse_change(self, mode: str | None) -> None:
        """Raise MeasurementInvalid where it is in another power mode than it was to be measured in."""

    def _admit(self, job: Mapping[str, Any]) -> None:
        """See, once for each file, that an engine belongs here."""
        what = (str(job.get("artifact", "")), str(job["runtime"]))
        if what not in self._admitted:
            if what[0]:
                refuse_elsewhere(Path(what[0]), what[1], self.link)
            self._admitted.add(what)

    def hottest(self) -> float | None:
        """Return the highest temperature in degrees Celsius; None where none is told."""
        if self.is_local:
            found = temperatures() or {}
        else:
            zones = "/sys/class/thermal/thermal_zone*/"
            found = jetson_tools.thermal_zones(self.link.look({"files": [zones + "type", zones + "temp"]})["files"])
        # A Jetson's PMIC shows a constant: it would hide every other zone.
        return max((celsius for name, celsius in found.items() if "PMIC" not in name), default=None)

    def passes(self, job: Mapping[str, Any]) -> dict[str, Callable[[float], dict[str, Any]]]:
        """Return the energy pass where power is told: of a Jetson's rails, or an NVIDIA GPU's board."""
        if not (self._device.is_jetson or wants_gpu(job["runtime"], job["provider"])):
            return {}
        return {"energy": lambda seconds: self._energy(job, seconds)}

    def _energy(self, job: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """Energy per inference and how it was found, or why it was not."""
        wish = {**job, "idle_seconds": IDLE_SECONDS, "busy_seconds": BUSY_SECONDS, "sysfs": SYSFS}
        try:
            return energy_of(self.ask(wish, timeout_seconds, "energy"))
        except EdgekitError as error:
            return {"gross_mj": None, "net_mj": None, "reason": error.message}

    def open_session(
        self, path: Path, runtime: str | None = None, threads: int = 1, delegate: str | None = None
    ) -> Opened:
        """Open a file in a process of its own, here or there: it may crash its runtime, or not end.

        Raises BackendMissing or UsageError.
        """
        chosen = choose(path, runtime, None if self.is_local else self.runtimes, self.is_local).name
        if chosen == "null":
            raise UsageError("the null runtime answers nothing that could be right", "leave --runtime out")
        if not self.is_local:
            refuse_elsewhere(path, chosen, self.link)
            if self._facts is None:
                self._facts = self.check().facts()
        far = FarSession(self.link, path, chosen, threads, delegate)
        return Opened(chosen, far, {**far.found, **({} if self.is_local else {"device": self._facts})}, far.close)

    def fitted(self, preset: str, protocol: Protocol) -> Protocol:
        """Return the protocol itself: the runner follows any."""
        return protocol

    def refuse(self, artifact: Artifact, runtime: str, batch: int) -> None:
        """Refuse nothing: the runner says itself what it cannot do."""

    def building(self) -> dict[str, Any]:
        """Return the memory that TensorRT may work in, and the DLA core to build for."""
        return {"workspace_mib": self._device.workspace_mib, "dla": 0 if self._device.dla else None}

    def close(self) -> None:
        """End the link."""
        self.link.close()


def _not_allowed(wanted: str, name: str, allowed: Sequence[str]) -> UsageError:
    return UsageError(
        f"devices.yaml does not allow the power mode '{wanted}' for {name}{nearest(wanted, allowed)}",
        f"choose one of: {', '.join(allowed)}" if allowed else "name it there under power_modes, or leave it out",
    )


def _host(seen: Mapping[str, Any]) -> str:
    """Eight hex digits for a machine, by what bench/ondevice makes them of there."""
    told = seen["files"].get(MACHINE_ID, "")
    named = re.search(r"^model name[^:]*:(.*)", seen["files"].get(CPUINFO, ""), re.MULTILINE)
    processor = named.group(1).strip() if named else seen["files"].get(MODEL, "")
    return anonymous(told if re.fullmatch("[0-9a-f]{32}", told) else seen["system"][1], processor)


def energy_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """mJ per inference from the readings of an energy pass: in all (`gross`), and above the idle device (`net`).

    None with a `reason` where the rails do not tell. The means are over the samples, without the first second of each
    stretch.
    """
    powers = [(when, total) for when, rails in found["readings"] if (total := _total(rails)) is not None]
    idle, busy = ([total[0] for when, total in powers if _within(when, found[name])] for name in ("idle", "busy"))
    unknown: dict[str, Any] = {"gross_mj": None, "net_mj": None}
    if not found["readings"]:
        return {**unknown, "reason": f"{found['method']}: nothing was said that could be read"}
    if not powers:
        return {**unknown, "reason": "this device has no rails that add up to what it draws"}
    if min(len(idle), len(busy)) < FEWEST_SAMPLES:
        return {**unknown, "reason": f"only {len(idle)} samples of the idle and {len(busy)} of the busy device"}
    start, stop = found["busy"]
    idle_mw, busy_mw = sum(idle) / len(idle), sum(busy) / len(busy)
    each = (stop - start) / 1e9 / found["inferences"]  # mW x s = mJ
    return {
        "gross_mj": busy_mw * each,
        "net_mj": (busy_mw - idle_mw) * each,
        "busy_mw": busy_mw,
        "idle_mw": idle_mw,
        "samples": len(busy),
        "inferences": found["inferences"],
        "rails": powers[0][1][1],
        "method": ENERGY_METHOD.format(found["method"]),
    }


def _total(rails: Mapping[str, float]) -> tuple[float, list[str]] | None:
    """What all of it draws; a GPU's board stands for itself."""
    return (rails[CARD], [CARD]) if CARD in rails else jetson_tools.total(rails)


def _within(when: int, stretch: Sequence[int]) -> bool:
    return stretch[0] + SETTLE_SECONDS * 1e9 <= when < stretch[1]
