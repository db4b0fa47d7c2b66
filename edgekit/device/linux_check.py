"""What a device is and has, as it tells itself over its link; what it does not tell is None."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from edgekit.bench.links.base import Link, ask
from edgekit.bench.ondevice.sensors import jetson_tools
from edgekit.bench.ondevice.sensors.linux import emulated
from edgekit.bench.ondevice.sensors.tegra import is_gpu
from edgekit.device.check import GIB, Check, RuntimeFound, memory_line
from edgekit.device.config import AnyDevice
from edgekit.errors import BackendMissing, MeasurementInvalid
from edgekit.records.runtime import RUNTIMES, Runtime
from edgekit.tensorrt.trtexec_builder import trtexec_on
from edgekit.tensorrt.trtexec_measure import GET

MODEL = ("/proc/device-tree/model", "/sys/firmware/devicetree/base/model", "/sys/class/dmi/id/product_name")
ARCH, MODALIAS = "/proc/sys/kernel/arch", "/sys/devices/system/cpu/modalias"
COMPATIBLE, RELEASE, MODES = "/proc/device-tree/compatible", "/etc/nv_tegra_release", "/etc/nvpmodel.conf"
CPU = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_"
FREQ = "/sys/class/devfreq/*/"
FILES = (
    *MODEL, ARCH, MODALIAS, COMPATIBLE, RELEASE, MODES, "/etc/os-release", "/proc/meminfo", "/proc/cpuinfo",
    *(place + name for place in (CPU, FREQ) for name in ("min_freq", "max_freq")),
)  # fmt: skip
NVPMODEL, JETSON_CLOCKS, CORE = ["nvpmodel", "-q"], ["jetson_clocks", "--show"], "nvidia-l4t-core"
SUDO = ["sudo", "-n", "-l", "nvpmodel", "-m", "0"]  # whether it may, not whether it may do anything
LIMITS = ["sudo", "-n", *NVPMODEL, "--verbose"]
COMMANDS = (NVPMODEL, LIMITS, JETSON_CLOCKS, ["sudo", "-n", *JETSON_CLOCKS], ["dpkg-query", "-W", CORE], SUDO)
LOAD_SECONDS = 300.0  # of one runtime, on a slow card
PIP = "`{python} -m pip install {packages}` there"
# For a Python whose packages the system manages (PEP 668), such as Debian's and Raspberry Pi OS's own.
VENV = (
    "`python3 -m venv ~/edgekit && ~/edgekit/bin/pip install {packages}` there (Debian: apt install python3-venv "
    "before), and `python: ~/edgekit/bin/python` in devices.yaml"
)


def check_device(device: AnyDevice, link: Link, load: bool = False) -> Check:
    """Ask a device what it is and has. Nothing heavy is imported there, unless to see that each runtime does `load`."""
    names = {package for _, runtime in RUNTIMES.items() for package in runtime.packages}
    wish: dict[str, Any] = {"files": FILES, "packages": sorted(names | {"numpy"})}
    wish["commands"] = [{"argv": command} for command in COMMANDS] if device.is_jetson else []
    seen = link.look(wish)
    files = seen["files"]
    answers = dict(zip(map(tuple, COMMANDS), seen["commands"], strict=True)) if device.is_jetson else {}
    runtimes = [_runtime(name, seen, link) for name in device.runtimes]
    return Check(
        name=link.name,
        model=next((files[path] for path in MODEL if files.get(path)), None),
        architecture=seen["system"][4],
        os=_quoted(files.get("/etc/os-release", ""), "PRETTY_NAME"),
        kernel=seen["system"][2],
        soc=_soc(files.get(COMPATIBLE, "")),
        processor=_colon(files.get("/proc/cpuinfo", ""), "model name"),
        cpus=seen["cpus"],
        memory_bytes=memory_line(files.get("/proc/meminfo", ""), "MemTotal"),
        free_bytes=seen["free_bytes"],
        python=seen["python"],
        missing=tuple(_missing(device, link, seen, answers)),
        runtimes=tuple(_loaded(found, seen, link) for found in runtimes) if load else tuple(runtimes),
        clocks=_clocks(files, answers),
        **_jetson(files, answers),
    )


def _jetson(files: Mapping[str, str], answers: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    package = answers.get(("dpkg-query", "-W", CORE))
    release = jetson_tools.release(files.get(RELEASE, "")) or (
        jetson_tools.package_release(package["out"]) if package else None
    )
    mode = mode_of(answers.get(tuple(NVPMODEL)))
    verbose = answers.get(tuple(LIMITS))
    return {
        **(release or {}),
        "power_mode": mode,
        "power_modes": tuple(jetson_tools.power_modes(files.get(MODES, ""))),
        "power_limits": jetson_tools.limits(verbose["out"], mode) if verbose else {},
    }


def mode_of(answer: Mapping[str, Any] | None) -> str | None:
    """Return the name of the power mode that `nvpmodel -q` told, its number where it has no name."""
    return jetson_tools.power_mode(answer["out"]) if answer else None


def _clocks(files: Mapping[str, str], answers: Mapping[tuple[str, ...], Any]) -> str | None:
    """Whether clocks are held at one value: by jetson_clocks where it tells (it may need root), else by the kernel."""
    for command in (JETSON_CLOCKS, ["sudo", "-n", *JETSON_CLOCKS]):
        answer = answers.get(tuple(command))
        is_locked = jetson_tools.locked(answer["out"]) if answer else None
        if is_locked is not None:
            return "locked" if is_locked else "floating"
    least = [(path, text) for path, text in files.items() if path.endswith("min_freq") and text.isdecimal()]
    # What decodes video keeps its own clock, also under jetson_clocks.
    limits = [(path, text) for path, text in least if "/devfreq/" not in path or is_gpu(path.split("/")[-2])]
    held = [files.get(path.replace("min_freq", "max_freq")) == text for path, text in limits]
    return None if not held else "locked" if all(held) else "floating"


def _missing(
    device: AnyDevice, link: Link, seen: Mapping[str, Any], answers: Mapping[tuple[str, ...], Any]
) -> Iterable[str]:
    if seen["packages"].get("numpy") is None:
        yield f"no numpy: {_install('numpy', seen, link)}"
    below = emulated(seen["files"].get(ARCH), seen["files"].get(MODALIAS), seen["system"][4])
    if below is not None:
        yield f"its processor is emulated by {below}: its answers count, its times do not"
    if seen["free_bytes"] < GIB:
        yield f"only {seen['free_bytes'] // 2**20} MiB are free: free some, or name a larger place with `folder:`"
    if not answers:
        return
    modes = device.modes
    mode = mode_of(answers[tuple(NVPMODEL)])
    if mode is None:
        yield "nvpmodel does not tell the power mode: see `nvpmodel -q` there, or take `sensors: jetson` away"
    elif modes and mode not in modes:
        yield f"it is in power mode {mode}, not in {' or '.join(modes)}: measure with --power-mode"
    sudo = answers[tuple(SUDO)]
    if modes and (sudo is None or sudo["code"] != 0):
        yield "sudo does not set the power mode without a password: allow nvpmodel in sudoers (NOPASSWD)"


def _install(packages: str, seen: Mapping[str, Any], link: Link) -> str:
    return (VENV if seen["managed"] else PIP).format(packages=packages, python=link.python)


def _runtime(name: str, seen: Mapping[str, Any], link: Link) -> RuntimeFound:
    runtime = RUNTIMES[name]
    if runtime.programs:
        program = trtexec_on(link)
        return RuntimeFound(name, program and program[1], *(() if program else ("not installed", GET)))
    if link.is_local:
        found = (runtime.version or "built in") if runtime.installed else None
        return RuntimeFound(name, found, *(() if found else ("not installed", runtime.remedy)))
    version = _version(runtime, seen["packages"])
    if version is None:
        return RuntimeFound(name, None, "not installed", _install(f"numpy {runtime.packages[0]}", seen, link))
    if runtime.modules and seen["packages"].get("numpy") is None:
        return RuntimeFound(name, None, "there is no numpy", _install("numpy", seen, link))
    return RuntimeFound(name, version)


def _loaded(found: RuntimeFound, seen: Mapping[str, Any], link: Link) -> RuntimeFound:
    """The same; or why what is installed does not load: a library that it needs, a processor that it is not for."""
    runtime = RUNTIMES[found.name]
    if found.version is None or not runtime.modules or runtime.programs:
        return found
    try:
        ask(link, {"mode": "baseline", "runtime": found.name}, LOAD_SECONDS)
    except (BackendMissing, MeasurementInvalid) as error:
        how = _install(f"numpy {runtime.packages[0]}", seen, link)
        why, remedy = f"{found.version} is there, and {error.message}", f"install it again, or another version: {how}"
        return RuntimeFound(found.name, None, why, remedy)
    return found


def _version(runtime: Runtime, packages: Mapping[str, str | None]) -> str | None:
    if not runtime.modules:
        return "built in"
    return next((packages[name] for name in runtime.packages if packages.get(name)), None)


def _soc(compatible: str) -> str | None:
    """The chip: what a device tree names last, its most general name."""
    names = [name for name in compatible.split("\0") if name]
    return names[-1] if names else None


def _quoted(text: str, key: str) -> str | None:
    match = re.search(rf'^{key}="?([^"\n]*)', text, re.MULTILINE)
    return match.group(1) if match else None


def _colon(text: str, key: str) -> str | None:
    match = re.search(rf"^{key}\s*: (.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else None
