"""What a phone tells of itself, read from the texts of its own tools.

Every parser takes any text: a line that is not whole and of the known form counts as not there, and what is not told is
None. A last line without its end was cut, and its number with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgekit.util.numerals import kibibytes, real, whole

# Sensor kinds of android.hardware.thermal (TemperatureType); others keep their number.
KINDS = {0: "CPU", 1: "GPU", 2: "BATTERY", 3: "SKIN", 4: "USB", 5: "POWER_AMPLIFIER", 9: "NPU", 10: "TPU", 13: "SOC"}
# Thermal.ThrottlingStatus, in order.
STATUSES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
SOC = ("ro.soc.model", "ro.hardware.chipname", "ro.chipname", "ro.board.platform", "ro.hardware")
EMULATORS = ("ranchu", "goldfish", "cutf_cvm", "cutf")
POLICIES = "/sys/devices/system/cpu/cpufreq"

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_PROPERTY = re.compile(r"^\[([^\[\]\n]+)\]: \[(.*?)\]$", re.MULTILINE | re.DOTALL)
_TEMPERATURE = re.compile(rf"Temperature\{{mValue=({_NUMBER}), mType=(-?\d+), mName=([^,{{}}]*), mStatus=\d+\}}")
_COOLING = re.compile(r"CoolingDevice\{mValue=(\d+), mType=(-?\d+), mName=([^,{}]*)\}")
_POLICY = re.compile(rf"{POLICIES}/policy(\d+)/([a-z_]+): (.*)$", re.ASCII)
_TOTALS = re.compile(
    r"TOTAL(?: PSS)?: +(\d+)(?: +TOTAL RSS: +\d+)?(?: +TOTAL SWAP(?: PSS: +| \(KB\): +)\d+)?", re.ASCII
)
_ROW = re.compile(r"([A-Za-z.][A-Za-z. ]*?):? {2,}(\d+(?: +\d+)*)", re.ASCII)
FROZEN = "(UPDATES STOPPED"  # `dumpsys battery set` was used: its values are not those of the battery
LONGEST_LINE = 2000
MOST_PROCESSORS = 1024
CPU_COOLING = 2  # android.hardware.thermal CoolingType


def lines(text: str) -> list[str]:
    """Return the whole lines of a text, without carriage returns and without a last one that has no end.

    Without those that are longer than any is: they would be gone through again and again.
    """
    return [line.rstrip("\r") for line in text.split("\n")[:-1] if len(line) <= LONGEST_LINE]


def properties(text: str) -> dict[str, str]:
    """Return what `getprop` prints; a value may be empty or have several lines."""
    found = _PROPERTY.findall("\n".join(lines(text)))
    return {key: value for key, value in found if "]: [" not in value}


@dataclass(frozen=True)
class Identity:
    """Which phone it is; None is not told."""

    model: str | None
    android: str | None
    sdk: int | None
    build: str | None
    soc: str | None
    abis: tuple[str, ...]
    is_emulator: bool


def identity(found: Mapping[str, str]) -> Identity:
    """Return a phone by its properties.

    The chip's name stands under other keys before Android 12 and on some phones since.
    """
    maker, model = found.get("ro.product.manufacturer"), found.get("ro.product.model")
    named = " ".join(part for part in (maker, model) if part) or None
    soc = next((found[key] for key in SOC if found.get(key)), None)
    who = found.get("ro.soc.manufacturer")
    sdk = found.get("ro.build.version.sdk", "")
    abis = found.get("ro.product.cpu.abilist") or found.get("ro.product.cpu.abi") or ""
    return Identity(
        model=named,
        android=found.get("ro.build.version.release") or None,
        sdk=whole(sdk),
        build=found.get("ro.build.fingerprint") or None,
        soc=f"{who} {soc}" if who and soc and soc == found.get("ro.soc.model") else soc,
        abis=tuple(part for part in abis.split(",") if part),
        is_emulator="1" in (found.get("ro.kernel.qemu"), found.get("ro.boot.qemu"))
        or found.get("ro.hardware") in EMULATORS,
    )


@dataclass(frozen=True)
class Sensor:
    """One temperature, in degrees Celsius."""

    kind: str
    name: str
    celsius: float


@dataclass(frozen=True)
class Thermal:
    """`dumpsys thermalservice`: the status of the phone, and what its sensors and cooling devices say now."""

    status: int | None
    sensors: tuple[Sensor, ...]
    cpu_cooling: int | None  # the highest state of what slows processors for heat; 0: not slowed

    def hottest(self, *kinds: str) -> float | None:
        """Return the highest temperature of the sensors of these kinds (none: of all)."""
        return max((one.celsius for one in self.sensors if not kinds or one.kind in kinds), default=None)


def thermal(text: str) -> Thermal:
    """Return what the thermal service tells.

    Only what the sensors say now counts: its cached values may be hours old.
    """
    status, sensors, cooling, block = None, [], [], ""
    for line in map(str.strip, lines(text)):
        if match := re.fullmatch(r"Thermal Status: ([0-6])", line, re.ASCII):
            status = int(match.group(1))
        elif line.startswith("Temperature{"):
            found = _TEMPERATURE.fullmatch(line)
            if found and block == "Current temperatures from HAL:":
                sensors.append(_sensor(*found.groups()))
        elif line.startswith("CoolingDevice{"):
            device = _COOLING.fullmatch(line)
            if device and block == "Current cooling devices from HAL:" and whole(device.group(2)) == CPU_COOLING:
                cooling.append(whole(device.group(1)))
        else:
            block = line
    kept = tuple(sensor for sensor in sensors if sensor is not None)
    return Thermal(status, kept, max((state for state in cooling if state is not None), default=None))


def _sensor(value: str, kind: str, name: str) -> Sensor | None:
    celsius, number = real(value), whole(kind)
    if celsius is None or number is None:
        return None
    return Sensor(KINDS.get(number, kind), name, celsius)


@dataclass(frozen=True)
class Battery:
    """`dumpsys battery`; None is not told."""

    celsius: float | None
    percent: float | None
    powered: tuple[str, ...]  # by what: AC, USB, Wireless, Dock
    millivolts: int | None
    charge_uah: int | None  # what is left, by the gauge's own counter; None where that is not there or stands still


def battery(text: str) -> Battery:
    """Return what the battery service tells; it gives temperatures in tenths of a degree."""
    values: dict[str, str] = {}
    for line in lines(text):
        match = re.fullmatch(r"  ([A-Za-z][A-Za-z ]*): (\S.*)", line)
        if match:
            values.setdefault(match.group(1), match.group(2))
    tenths, level, scale = (whole(values.get(key)) for key in ("temperature", "level", "scale"))
    return Battery(
        celsius=None if tenths is None else tenths / 10,
        percent=None if level is None or not scale else 100 * level / scale,
        powered=tuple(key[:-8] for key, value in values.items() if key[-8:] == " powered" and value == "true"),
        millivolts=whole(values.get("voltage")),
        charge_uah=None if FROZEN in text else whole(values.get("Charge counter")) or None,  # 0: there is no counter
    )


@dataclass(frozen=True)
class MemInfo:
    """`dumpsys meminfo PID`, in bytes; None is not told. `graphics_bytes` is on top of what processes usually show."""

    pss_bytes: int | None
    graphics_bytes: int | None


def meminfo(text: str) -> MemInfo:
    """Return the app summary of `dumpsys meminfo PID`, in its layouts up to Android 10 and since 12."""
    totals, in_summary = None, False
    rows: dict[str, int | None] = {}
    for line in map(str.strip, lines(text)):
        in_summary = in_summary or line == "App Summary"
        if not in_summary:
            continue
        if line.startswith("TOTAL"):
            totals = _TOTALS.fullmatch(line)
        elif row := _ROW.fullmatch(line):
            rows[row.group(1)] = kibibytes(row.group(2).split()[0])
    return MemInfo(kibibytes(totals.group(1)) if totals else None, rows.get("Graphics"))


@dataclass(frozen=True)
class Policy:
    """Processors that share a clock, in MHz; None is not told."""

    cpus: tuple[int, ...]
    highest_mhz: float | None
    hardware_mhz: float | None


# Prints `PATH: VALUE` for each; what may not be read is left out.
FREQUENCIES = (
    f"for p in {POLICIES}/policy*; do for f in related_cpus scaling_max_freq "
    'cpuinfo_max_freq; do [ -r "$p/$f" ] && echo "$p/$f: $(cat "$p/$f" 2>/dev/null)"; done; done; true'
)


def frequencies(text: str) -> tuple[Policy, ...]:
    """Return what `FREQUENCIES` prints, one entry for each group of processors, in the order of their numbers."""
    found: dict[int, dict[str, str]] = {}
    for line in lines(text):
        # The phone's own folder may lie below another on a stand-in; only the end of the path counts.
        match = _POLICY.search(line)
        number = whole(match.group(1)) if match else None
        if match and number is not None:
            found.setdefault(number, {})[match.group(2)] = match.group(3).strip()
    return tuple(_policy(found[number]) for number in sorted(found) if found[number].get("related_cpus"))


def _policy(values: Mapping[str, str]) -> Policy:
    khz = [whole(values.get(name)) for name in ("scaling_max_freq", "cpuinfo_max_freq")]
    highest, hardware = (None if value is None else value / 1000 for value in khz)
    numbers = map(whole, values["related_cpus"].split())
    cpus = tuple(number for number in numbers if number is not None and 0 <= number < MOST_PROCESSORS)
    return Policy(cpus, highest, hardware)


def cluster(policies: Sequence[Policy], wish: str) -> tuple[int, ...] | None:
    """Return the processors that are `little` (the slowest group) or `big` (all others); None where nothing tells."""
    speeds = {policy.hardware_mhz for policy in policies}
    if len(speeds) < 2 or None in speeds:
        return None
    slowest = min(speed for speed in speeds if speed is not None)
    chosen = [policy for policy in policies if (policy.hardware_mhz == slowest) == (wish == "little")]
    return tuple(sorted(cpu for policy in chosen for cpu in policy.cpus))


def mask(cpus: Sequence[int]) -> str:
    """Processors as Android's taskset takes them: hexadecimal, without 0x."""
    return f"{sum(1 << cpu for cpu in set(cpus)):x}"


def seen(text: str) -> dict[str, str]:
    """Return the state of each phone that adb lists, by its serial number.

    What adb says while it starts is no phone.
    """
    found, begun = dict[str, str](), False
    for line in lines(text):
        if line.startswith("List of devices attached"):
            begun = True
        elif begun and not line.startswith("*"):
            match = re.fullmatch(r"(\S+)\s+(no permissions|\S+).*", line)
            if match:
                found[match.group(1)] = match.group(2)
    return found
