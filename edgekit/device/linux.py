"""A device while it measures: what it is, its power mode, its heat, the energy that an inference takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from edgekit.bench import jetson, sensors
from edgekit.bench.links.base import Link, ask
from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.ssh.link import SshLink
from edgekit.bench.links.ssh.owner import owner
from edgekit.bench.runner import wants_gpu
from edgekit.device.config import LOCAL, AnyDevice, SshDevice
from edgekit.device.linux_check import MODES, NVPMODEL, check_device, mode_of
from edgekit.errors import DeviceUnreachable, EdgekitError, EnvironmentRefused, MeasurementInvalid, UsageError, nearest
from edgekit.tensorrt import trtexec_measure
from edgekit.tensorrt.compatibility import refuse_elsewhere
from edgekit.tensorrt.trtexec_measure import Trtexec

IDLE_SECONDS, BUSY_SECONDS = 5.0, 10.0  # the rails are averaged over a second or so
SETTLE_SECONDS = 1.0  # at the start of either stretch
FEWEST_SAMPLES = 10
ENERGY_METHOD = "{} in a pass of its own: mean power x time / inferences"
SYSFS = "/sys"
CARD = "GPU board"  # as bench/energy.py calls it


class Board:
    """One device and the link to it. In a `with` block, its power mode is put back at the end.

    `power_mode` is the nvpmodel mode to measure in (None: the one that is found).
    """

    def __init__(self, device: AnyDevice = LOCAL, link: Link | None = None, power_mode: str | None = None) -> None:
        self.link: Link = link or LocalLink()
        self._device = device
        self._power_mode = power_mode
        self._facts: dict[str, Any] | None = None
        self._changed = False
        self._admitted: set[tuple[str, str]] = set()  # files and runtimes
        self._trtexec = Trtexec(self.link)
        self._session = ""  # in which the facts were found
        self.is_jetson = isinstance(device, SshDevice) and device.sensors == "jetson"
        if power_mode is not None:
            self._refuse_mode(power_mode)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._changed and isinstance(self.link, SshLink):
            self.link.undone()

    def facts(self) -> dict[str, Any]:
        """What the device is, for the record; the first call sees that its power mode is right, or sets it.

        Empty for this machine, of which the runner tells all. Raises MeasurementInvalid in a mode that devices.yaml
        does not name, EnvironmentRefused where the mode cannot be set.
        """
        if isinstance(self.link, LocalLink):
            return {}
        if self._facts is None or self._session != self._session_now():
            with self._unbroken():
                if self.is_jetson:
                    self._in_mode()
                self._facts = check_device(self._device, self.link).facts()
            self._session = self._session_now()
        return self._facts

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        """One session from the beginning to the end: with another one, what the first changed is put back.

        Raises DeviceUnreachable where it was lost, whatever that made fail.
        """
        session = self.link.begin() if isinstance(self.link, SshLink) else ""
        try:
            yield
        except EdgekitError as error:
            if session != self._session_now():
                raise self._lost() from error
            raise
        if session != self._session_now():
            raise self._lost()

    def _lost(self) -> DeviceUnreachable:
        return DeviceUnreachable(f"the connection to {self.link.name} was lost meanwhile", "measure again")

    def ask(self, job: Mapping[str, Any], timeout_seconds: float, script: str = "runner.py") -> dict[str, Any]:
        """What the runner there answers to a job."""
        self.facts()
        for one in job.get("jobs", [job]):
            self._admit(one)
        # A Jetson's GPU takes the machine's own memory.
        shared = {"unified": True} if self.is_jetson and script == "runner.py" else {}
        if job["runtime"] == trtexec_measure.NAME:
            answer = self._trtexec.ask(job, timeout_seconds, script)
        else:
            answer = ask(self.link, {**job, **shared}, timeout_seconds, script)
        mode = self._mode() if self.is_jetson else None
        if self._session != self._session_now():  # when a session ends, the device puts its power mode back
            raise self._lost()
        self._refuse_change(mode)
        return answer

    def _refuse_change(self, mode: str | None) -> None:
        """Raise MeasurementInvalid where the device is in another power mode than it was to be measured in."""
        expected = self._power_mode or self.facts().get("power_mode")
        if None not in (mode, expected) and mode != expected:
            raise MeasurementInvalid(
                f"{self.link.name} was in power mode {mode} at the end, and was to be measured in {expected}",
                "see who else sets it there, and measure again",
            )

    def _admit(self, job: Mapping[str, Any]) -> None:
        """See, once for each file, that an engine belongs here."""
        what = (str(job.get("artifact", "")), str(job["runtime"]))
        if what not in self._admitted:
            if what[0]:
                refuse_elsewhere(Path(what[0]), what[1], self.link)
            self._admitted.add(what)

    def _session_now(self) -> str:
        return self.link.session if isinstance(self.link, SshLink) else ""

    def hottest(self) -> float | None:
        """The highest temperature in degrees Celsius; None where none is told."""
        if isinstance(self.link, LocalLink):
            found = sensors.temperatures() or {}
        else:
            zones = "/sys/class/thermal/thermal_zone*/"
            found = jetson.thermal_zones(self.link.look({"files": [zones + "type", zones + "temp"]})["files"])
        # A Jetson's PMIC shows a constant: it would hide every other zone.
        return max((celsius for name, celsius in found.items() if "PMIC" not in name), default=None)

    def passes(self, job: Mapping[str, Any]) -> dict[str, Callable[[float], dict[str, Any]]]:
        """What else can be found of a job, each in a pass of its own that takes so many seconds at most.

        Energy where power is told: a Jetson's rails, an NVIDIA GPU's board.
        """
        if not (self.is_jetson or wants_gpu(job["runtime"], job["provider"])):
            return {}
        return {"energy": lambda seconds: self._energy(job, seconds)}

    def _energy(self, job: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """Energy per inference and how it was found, or why it was not."""
        wish = {**job, "idle_seconds": IDLE_SECONDS, "busy_seconds": BUSY_SECONDS, "sysfs": SYSFS}
        try:
            return energy_of(self.ask(wish, timeout_seconds, "energy.py"))
        except EdgekitError as error:
            return {"gross_mj": None, "net_mj": None, "reason": error.message}

    def _refuse_mode(self, wanted: str) -> None:
        allowed = self._device.power_modes if self.is_jetson and isinstance(self._device, SshDevice) else ()
        if wanted not in allowed:
            raise UsageError(
                f"devices.yaml does not allow the power mode '{wanted}' for {self.link.name}{nearest(wanted, allowed)}",
                f"choose one of: {', '.join(allowed)}"
                if allowed
                else "name it there under power_modes, or leave it out",
            )

    def _in_mode(self) -> None:
        assert isinstance(self._device, SshDevice)
        wanted, allowed = self._power_mode, self._device.power_modes
        if wanted is not None:
            self._claim()  # first: the mode that is found may be another command's, and not last
        found = self._mode()
        if wanted is None:
            if allowed and found not in allowed:
                raise MeasurementInvalid(
                    f"{self.link.name} is in power mode {found}, and devices.yaml measures in {' or '.join(allowed)}",
                    f"add --power-mode {allowed[0]}, or set it on the device",
                )
        elif wanted != found:
            self._set_mode(found, wanted)

    def _mode(self) -> str | None:
        return mode_of(self._run([{"argv": NVPMODEL}])[0])

    def _claim(self) -> None:
        """Be the one command there that sets the power mode. Raises EnvironmentRefused where another is."""
        assert isinstance(self.link, SshLink)
        answer = self._run([{"argv": [self.link.python, f"{self.link.tools()}/claim.py", self.link.work]}])[0]
        if answer is None or answer["code"] != 0:
            why = " ".join(answer["err"].split())[-200:] if answer else "its Python is gone"
            raise EnvironmentRefused(f"{self.link.name} cannot be claimed: {why}", "see whether its disk is full")
        other = json.loads(answer["out"])
        if other is not None:
            where = "this machine" if other.get("machine") == owner()["machine"] else "another machine"
            raise EnvironmentRefused(
                f"the power mode of {self.link.name} is set by another command: process {other.get('pid')} of {where}",
                "wait until that has ended",
            )

    def _set_mode(self, before: str | None, wanted: str) -> None:
        """Change the mode, after the device was told how to undo it."""
        name = self.link.name
        known = jetson.power_modes(self.link.look({"files": [MODES]})["files"].get(MODES, ""))
        if wanted not in known or before not in known:
            raise EnvironmentRefused(
                f"{name} is in power mode {before} and knows {', '.join(known) or 'no modes'}: {wanted} cannot be set",
                f"see `nvpmodel -q` and {MODES} there",
            )
        assert isinstance(self.link, SshLink)
        check = {"check": {"argv": NVPMODEL}, "expect": f"NV Power Mode: {before}\n"}
        change = _set(known[wanted])
        lasting = [self.link.python, f"{self.link.tools()}/lasting.py", self.link.work]
        self._changed = True
        self.link.undo([{**_set(known[before]), **check}])
        done = self._run([{**change, "argv": [*lasting, *change["argv"]]}])[0]
        if self._mode() != wanted:  # its exit code tells nothing: a question that was declined is 0
            said = " ".join((done["err"] or done["out"]).split())[-200:] if done else "there is no nvpmodel"
            raise EnvironmentRefused(
                f"{name} stays in power mode {self._mode()}: {said}",
                f"set it there (`sudo nvpmodel -m {known[wanted]}`; it may need a reboot), or allow it in sudoers",
            )

    def _run(self, commands: Sequence[Mapping[str, Any]]) -> list[Any]:
        return list(self.link.look({"commands": list(commands)})["commands"])


def _set(number: int) -> dict[str, Any]:
    """Setting a mode asks whether to reboot, where it would need to: no."""
    return {"argv": ["sudo", "-n", "nvpmodel", "-m", str(number)], "input": "no\n"}


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
    return (rails[CARD], [CARD]) if CARD in rails else jetson.total(rails)


def _within(when: int, stretch: Sequence[int]) -> bool:
    return stretch[0] + SETTLE_SECONDS * 1e9 <= when < stretch[1]
