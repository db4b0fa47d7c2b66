"""What a phone is and has, and which benchmark_model is for it, as the phone and the file tell themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgekit.bench.android import dumpsys
from edgekit.bench.android.benchmark_model import Tool
from edgekit.bench.links.adb import AdbLink
from edgekit.bench.ondevice.sensors.linux import anonymous
from edgekit.device.check import GIB, Check, RuntimeFound, memory_line
from edgekit.device.config import AdbDevice
from edgekit.errors import BackendMissing, EnvironmentRefused, nearest
from edgekit.util.numerals import kibibytes, whole

NAME = "benchmark_model"
Prepared = tuple[Tool, str, str]  # which tool it is, its path on the phone, its sha256
MACHINES = {3: "x86", 8: "mips", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a", 243: "riscv64"}  # of ELF
PART = "__edgekit_part"
STATE = ("dumpsys thermalservice", "dumpsys battery", dumpsys.FREQUENCIES)
IDENTITY = (
    *(
        "getprop",
        "uname -r",
        "nproc",
        "head -3 /proc/meminfo",
        "df -k /data/local/tmp",
        "settings get global low_power",
    ),
    *STATE,
)


def check_phone(device: AdbDevice, link: AdbLink, prepared: Callable[[], Prepared]) -> Check:
    """Return what a phone is and has, as it tells itself; what it does not tell is None.

    `prepared` brings its tool there.
    """
    texts = parts(link, IDENTITY)
    who = dumpsys.identity(dumpsys.properties(texts[0]))
    kernel, cpus, memory, space, saver = (text.strip() for text in texts[1:6])
    heat, battery = dumpsys.thermal(texts[6]), dumpsys.battery(texts[7])
    told = [*_missing(heat, battery, saver, free(space), who), *_cores(device, texts[8])]
    api = f" (API {who.sdk})" if who.sdk else ""
    return Check(
        name=link.name,
        model=who.model,
        architecture=who.abis[0] if who.abis else None,
        os=f"Android {who.android}{api}" if who.android else None,
        kernel=kernel or None,
        soc=who.soc,
        processor=None,
        cpus=whole(cpus),
        memory_bytes=memory_line(memory, "MemTotal"),
        free_bytes=free(space),
        python=None,
        missing=tuple(told),
        runtimes=tuple(_runtime(name, prepared) for name in device.runtimes),
    )


def host_of(properties: Mapping[str, str]) -> str | None:
    """Eight hex digits for a phone; None where it tells no serial number."""
    serial = properties.get("ro.serialno") or properties.get("ro.boot.serialno")
    return anonymous(serial, dumpsys.identity(properties).model or "") if serial else None


def free(space: str) -> int | None:
    """Free bytes, from the last line of `df -k`; None where it is not told."""
    words = (space.splitlines() or [""])[-1].split()
    return kibibytes(words[3]) if len(words) > 3 else None


def _missing(
    heat: dumpsys.Thermal, battery: dumpsys.Battery, saver: str, space: int | None, who: dumpsys.Identity
) -> list[str]:
    found = []
    if who.is_emulator:
        found.append("it is an emulator, whose times mean nothing: take a phone")
    if heat.status:
        found.append(f"its thermal status is {dumpsys.STATUSES[heat.status]}: let it cool")
    if battery.percent is not None and battery.percent < 30:
        found.append(f"its battery is at {battery.percent:.0f} %: charge it")
    if saver == "1":
        found.append("it saves its battery: switch battery saver off")
    if space is not None and space < GIB:
        found.append(f"only {space // 2**20} MiB are free: free some")
    return found


def _cores(device: AdbDevice, clocks: str) -> list[str]:
    wish = device.cores
    if wish in (None, "all") or dumpsys.cluster(dumpsys.frequencies(clocks), str(wish)) is not None:
        return []
    return [f"it does not tell {wish} processors from others: write `cores: all` into devices.yaml"]


def _runtime(name: str, prepared: Callable[[], Prepared]) -> RuntimeFound:
    if name != NAME:
        return RuntimeFound(name, None, f"no '{name}' runs on a phone{nearest(name, [NAME])}", f"write {NAME}")
    try:
        tool, _, digest = prepared()
    except (BackendMissing, EnvironmentRefused) as error:
        return RuntimeFound(name, None, error.message, error.remedy)
    return RuntimeFound(name, f"{tool.kind}, sha256 {digest[:16]}")


def program(device: AdbDevice, link: AdbLink) -> Path:
    """Return the benchmark_model that devices.yaml names, a file here. Raises BackendMissing."""
    remedy = f"write `{NAME}: PATH` into devices.yaml; `edgekit devices tool litert` fetches Google's (docs/android.md)"
    if device.benchmark_model is None:
        raise BackendMissing(f"devices.yaml names no {NAME} for {link.name}", remedy)
    path = Path(device.benchmark_model).expanduser()
    if not path.is_file():
        raise BackendMissing(f"{path}, the {NAME} of {link.name}, does not exist", remedy)
    return path


def machine(path: Path) -> str | None:
    """Return the processors that a program was built for, as Android names them; None where its head does not tell."""
    with path.open("rb") as stream:
        head = stream.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return MACHINES.get(number, f"machine {number}")


def parts(link: AdbLink, scripts: tuple[str, ...]) -> list[str]:
    """Return what each script prints, asked for at once; empty where it fails."""
    done = link.run("; ".join(f"({script}) 2>/dev/null; echo; echo {PART}" for script in scripts))
    parts = done.stdout.decode(errors="replace").split(f"\n{PART}\n")
    return [*parts, *[""] * len(scripts)][: len(scripts)]
