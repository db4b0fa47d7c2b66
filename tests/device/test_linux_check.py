"""What is made of what a Jetson tells of itself, told here by a link that has no other end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from edgekit.bench.links.ssh.link import SshLink
from edgekit.device.check import Check
from edgekit.device.config import SshDevice
from edgekit.device.linux_check import check_device

CPU, FREQ = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_", "/sys/class/devfreq/{}/"
NO = {"code": 1, "out": "", "err": "sudo: a password is required\n"}


class Told(SshLink):
    """A link to a board that tells these files, and answers these commands; any other needs a password."""

    def __init__(
        self, files: Mapping[str, str], answers: Mapping[str, str], lacks: str = "", managed: bool = False
    ) -> None:
        super().__init__("board", "h")
        self._packages = {"numpy": "1.26.4", "ai-edge-litert": "2.3.0", lacks: None}
        self._files, self._answers = dict(files), dict(answers)
        self._managed = managed

    def look(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """What it tells."""
        found = [self._answers.get(" ".join(command["argv"])) for command in wish["commands"]]
        commands = [NO if out is None else {"code": 0, "out": out, "err": ""} for out in found]
        about = {
            "python": "3.10.12",
            "managed": self._managed,
            "system": ["Linux", "board", "5.15", "", "aarch64"],
            "cpus": 8,
            "free_bytes": 1 << 40,
        }
        return {"files": self._files, "commands": commands, "packages": self._packages, **about}


def checked(files: Mapping[str, str] | None = None, answers: Mapping[str, str] | None = None) -> Check:
    device = SshDevice(link="ssh", host="h", runtimes=("null",), sensors="jetson", power_modes=("15W", "25W"))
    return check_device(device, Told(files or {}, {"nvpmodel -q": "NV Power Mode: 15W\n0\n", **(answers or {})}))


def held(folder: str, low: int, high: int) -> dict[str, str]:
    return {folder + "min_freq": str(low), folder + "max_freq": str(high)}


@pytest.mark.parametrize("gpu", ["17000000.gpu", "17000000.ga10b", "gpu-gpc-0"])
def test_clocks_are_those_of_processors_and_gpu(gpu: str) -> None:
    cpus = {**held(CPU.format(0), 1728000, 1728000), **held(CPU.format(7), 1728000, 1728000)}
    # jetson_clocks leaves these alone.
    video = {**held(FREQ.format("15340000.vic"), 115, 729), **held(FREQ.format("154c0000.nvenc"), 115, 793)}
    assert checked({**cpus, **video, **held(FREQ.format(gpu), 612, 612)}).clocks == "locked"
    assert checked({**cpus, **video, **held(FREQ.format(gpu), 306, 612)}).clocks == "floating"
    assert checked({**cpus, **held(CPU.format(3), 729600, 1728000), **video}).clocks == "floating"
    assert checked(video).clocks is None


def test_what_sudo_may_is_asked_of_nvpmodel_alone() -> None:
    """As with `NOPASSWD: /usr/sbin/nvpmodel`, which allows nothing else."""
    assert any("sudoers" in line for line in checked().missing)
    allowed = checked(answers={"sudo -n -l nvpmodel -m 0": "/usr/sbin/nvpmodel -m 0\n"})
    assert not any("sudo" in line for line in allowed.missing)


def told(**wish: Any) -> Check:
    files = wish.pop("files", {})
    return check_device(SshDevice(link="ssh", host="h", runtimes=("null", "litert")), Told(files, {}, **wish))


def test_how_packages_are_installed_for_a_python_that_the_system_owns() -> None:
    """Debian and Raspberry Pi OS refuse `pip install` (PEP 668)."""
    for managed, way in ((True, "python3 -m venv ~/edgekit && ~/edgekit/bin/pip install "), (False, "-m pip install ")):
        found = told(managed=managed, lacks="numpy")
        (_, litert) = found.runtimes
        assert litert.version is None and litert.remedy and f"{way}numpy`" in litert.remedy
        assert f"{way}numpy`" in found.missing[0]
        (_, litert) = told(managed=managed, lacks="ai-edge-litert").runtimes
        assert litert.version is None and litert.remedy and f"{way}numpy ai-edge-litert`" in litert.remedy
    assert "python: ~/edgekit/bin/python" in told(managed=True, lacks="numpy").missing[0]


def test_an_emulated_processor_is_named() -> None:
    found = told(files={"/proc/sys/kernel/arch": "x86_64"})
    assert found.architecture == "aarch64"
    assert "its processor is emulated by x86_64: its answers count, its times do not" in found.missing
    assert told(files={"/proc/sys/kernel/arch": "aarch64"}).missing == ()
