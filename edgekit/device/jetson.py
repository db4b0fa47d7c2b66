"""A Jetson: a machine on ssh whose power mode is seen to, set where that is wished, and put back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.bench.links.owner import owner
from edgekit.bench.links.ssh.link import SshLink
from edgekit.bench.ondevice.sensors.jetson_tools import power_modes
from edgekit.device.config import SshDevice
from edgekit.device.linux import LinuxTarget
from edgekit.device.linux_check import MODES, NVPMODEL, mode_of
from edgekit.errors import EnvironmentRefused, MeasurementInvalid


class JetsonTarget(LinuxTarget):
    """A Jetson and the link to it. `power_mode` is the nvpmodel mode to measure in (None: the one that is found)."""

    def __init__(self, device: SshDevice, link: SshLink, power_mode: str | None = None) -> None:
        super().__init__(device, link, power_mode)
        self._ssh = link
        self._changed = False

    def close(self) -> None:
        """Put the power mode back, and end the session."""
        try:
            if self._changed:
                self._ssh.undone()
        finally:
            super().close()

    def _refuse_change(self, mode: str | None) -> None:
        expected = self._power_mode or self.facts().get("power_mode")
        if None not in (mode, expected) and mode != expected:
            raise MeasurementInvalid(
                f"{self.name} was in power mode {mode} at the end, and was to be measured in {expected}",
                "see who else sets it there, and measure again",
            )

    def _make_ready(self) -> None:
        """See that the power mode is right, or set it.

        Raises MeasurementInvalid in a mode that devices.yaml does not name, EnvironmentRefused where it cannot be set.
        """
        wanted, allowed = self._power_mode, self._device.modes
        if wanted is not None:
            self._lock()  # first: the mode that is found may be another command's, and not last
        found = self._mode()
        if wanted is None:
            if allowed and found not in allowed:
                raise MeasurementInvalid(
                    f"{self.name} is in power mode {found}, and devices.yaml measures in {' or '.join(allowed)}",
                    f"add --power-mode {allowed[0]}, or set it on the device",
                )
        elif wanted != found:
            self._set_mode(found, wanted)

    def _mode(self) -> str | None:
        return mode_of(self._run([{"argv": NVPMODEL}])[0])

    def _lock(self) -> None:
        """Be the one command there that sets the power mode. Raises EnvironmentRefused where another is."""
        answer = self._run([{"argv": [self._ssh.python, self._ssh.tools(), "device_lock", self._ssh.work]}])[0]
        if answer is None or answer["code"] != 0:
            why = " ".join(answer["err"].split())[-200:] if answer else "its Python is gone"
            raise EnvironmentRefused(f"{self.name} cannot be locked: {why}", "see whether its disk is full")
        try:
            other = json.loads(answer["out"])
            known = other is None or bool(other.get("machine"))
        except (ValueError, RecursionError, AttributeError):
            known = False
        if not known:
            raise EnvironmentRefused(
                f"{self.name} cannot be locked: {answer['out'][:80]!r}", "see what its shell prints"
            )
        if other is not None:
            where = "this machine" if other.get("machine") == owner()["machine"] else "another machine"
            raise EnvironmentRefused(
                f"the power mode of {self.name} is set by another command: process {other.get('pid')} of {where}",
                "wait until that has ended",
            )

    def _set_mode(self, before: str | None, wanted: str) -> None:
        """Change the mode, after the device was told how to undo it."""
        name = self.name
        known = power_modes(self._ssh.look({"files": [MODES]})["files"].get(MODES, ""))
        if wanted not in known or before not in known:
            raise EnvironmentRefused(
                f"{name} is in power mode {before} and knows {', '.join(known) or 'no modes'}: {wanted} cannot be set",
                f"see `nvpmodel -q` and {MODES} there",
            )
        check = {"check": {"argv": NVPMODEL}, "expect": f"NV Power Mode: {before}\n"}
        change = _set(known[wanted])
        detached = [self._ssh.python, self._ssh.tools(), "run_detached", self._ssh.work]
        self._changed = True
        self._ssh.undo([{**_set(known[before]), **check}])
        done = self._run([{**change, "argv": [*detached, *change["argv"]]}])[0]
        if self._mode() != wanted:  # its exit code tells nothing: a question that was declined is 0
            said = " ".join((done["err"] or done["out"]).split())[-200:] if done else "there is no nvpmodel"
            raise EnvironmentRefused(
                f"{name} stays in power mode {self._mode()}: {said}",
                f"set it there (`sudo nvpmodel -m {known[wanted]}`; it may need a reboot), or allow it in sudoers",
            )

    def _run(self, commands: Sequence[Mapping[str, Any]]) -> list[Any]:
        return list(self._ssh.look({"commands": list(commands)})["commands"])


def _set(number: int) -> dict[str, Any]:
    """Setting a mode asks whether to reboot, where it would need to: no."""
    return {"argv": ["sudo", "-n", "nvpmodel", "-m", str(number)], "input": "no\n"}
