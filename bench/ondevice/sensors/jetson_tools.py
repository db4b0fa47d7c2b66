"""What a Jetson's own tools say: tegrastats, nvpmodel, jetson_clocks, nv_tegra_release, thermal zones.

The energy pass reads rails with it on the device, edgekit everything else from here. The grammars differ from release
to release, so each is read token by token; what is not understood is left out, and a line that two writers mixed up
gives nothing. No number appears that does not stand in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

POWERED_OFF = -256.0  # what a sensor without power shows
# L4T release -> JetPack, from NVIDIA's release archive.
JETPACKS = {
    "39.2.0": "7.2", "38.4.0": "7.1", "38.2.0": "7.0",
    "36.5.0": "6.2.2", "36.4.7": "6.2.1", "36.4.4": "6.2.1", "36.4.3": "6.2", "36.4.0": "6.1", "36.3.0": "6.0",
    "36.2.0": "6.0 DP",
    "35.6.1": "5.1.5", "35.6.0": "5.1.4", "35.5.0": "5.1.3", "35.4.1": "5.1.2",
    "35.3.1": "5.1.1", "35.2.1": "5.1", "35.1.0": "5.0.2",
    "32.7.6": "4.6.6", "32.7.5": "4.6.5", "32.7.4": "4.6.4", "32.7.3": "4.6.3", "32.7.2": "4.6.2", "32.7.1": "4.6.1",
    "32.6.1": "4.6", "32.5.1": "4.5.1", "32.5.0": "4.5", "32.4.4": "4.4.1", "32.4.3": "4.4", "32.3.1": "4.3",
    "28.1.0": "3.1",
}  # fmt: skip
# What a board draws in all: one rail, or the rails that add up to it. The first whose rails are all there.
TOTALS = (
    ("VIN",),
    ("VDD_IN",),
    ("POM_5V_IN",),
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
)

_N = r"[0-9]{1,15}"  # a longer number is none of a device's, and thousands of digits are none of Python's
_REAL = r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?"
_TIME = re.compile(r"([0-9]{2}-[0-9]{2}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}) ")
# (kind, form); each must be followed by a blank or the end.
_TOKENS = [
    (kind, re.compile(form + r"(?=\s|$)"))
    for kind, form in (
        ("ram", rf"RAM ({_N})/({_N})MB(?: ?\(lfb ({_N})x({_N})([kM])B\))?"),
        ("swap", rf"SWAP ({_N})/({_N})MB(?: ?\(cached ({_N})MB\))?"),
        ("iram", rf"IRAM ({_N})/({_N})kB(?: ?\(lfb ({_N})kB\))?"),
        ("cpus", r"(?:CPU|cpu) \[([^\[\]]*)\](?:@([0-9]{1,15}))?"),
        ("emc", rf"EMC(?:_FREQ)? ({_N})%(?:@({_N}))?"),
        ("gpu", rf"GR3D(?:_FREQ)? (?:({_N})%)?(?:@(?:({_N})|\[({_N}(?:,{_N})*)\]))?"),
        ("mts", rf"MTS fg ({_N})% bg ({_N})%"),
        ("temperature", rf"([A-Za-z][A-Za-z0-9_.-]*)@({_REAL})C(?:/({_REAL})C)?"),
        ("rail", rf"([A-Za-z][A-Za-z0-9_]*) ({_N})mW/({_N})mW(?:/({_N})mW)?"),
        ("rail", rf"([A-Za-z][A-Za-z0-9_]*) ({_N})/({_N})"),
        ("engine", rf"((?!VDD|VIN|POM|SYS)[A-Z][A-Z0-9_]*) (?:(off)|({_N})%@({_N})|@({_N})|({_N}))"),
    )
]
_CPU = re.compile(rf"(?:(off)|({_N})%(?:@({_N}))?)")
_FIELD = re.compile(r"(?<!\w)(\w{1,40})=(\S*)")  # a word is looked at once, however long it is


def tegrastats(line: str) -> dict[str, Any] | None:
    """A line of tegrastats; None for anything else, and for a line in which something stands twice.

    Loads in percent, clocks in MHz, memory in the unit of the key, temperatures in degrees Celsius (None: the sensor
    has no power), rails in mW. `celsius_max` and a rail's `max` since tegrastats started, where the release tells
    them. `unread` holds the words that were not understood.
    """
    time = _TIME.match(line)
    at = time.end() if time else 0
    if not line.startswith("RAM ", at):
        return None
    found: dict[str, Any] = {"time": time.group(1) if time else None, "celsius": {}, "rails_mw": {}, "engines": {}}
    unread: list[str] = []
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        match = next(((kind, m) for kind, form in _TOKENS for m in [form.match(line, at)] if m), None)
        if match is None:
            word = line[at:].split(None, 1)[0]
            unread.append(word)
            at += len(word)
            continue
        at = match[1].end()
        if not _take(found, *match):
            return None
    found["unread"] = unread
    return found


def _take(found: dict[str, Any], kind: str, match: Any) -> bool:
    """Put one token in its place; False where that is taken."""
    if kind in ("temperature", "rail", "engine"):
        return _take_named(found, kind, match)
    if kind in found:
        return False
    groups = match.groups()
    if kind == "ram":
        found["ram"] = {"used_mb": int(groups[0]), "total_mb": int(groups[1])}
        if groups[2]:
            size = int(groups[3]) * (1024 if groups[4] == "M" else 1)
            found["ram"].update({"free_blocks": int(groups[2]), "block_kb": size})
    elif kind == "swap":
        found["swap"] = {"used_mb": int(groups[0]), "total_mb": int(groups[1]), "cached_mb": _int(groups[2])}
    elif kind == "iram":
        found["iram"] = {"used_kb": int(groups[0]), "total_kb": int(groups[1])}
    elif kind == "cpus":
        cpus = _cpus(*groups)
        if cpus is None:
            return False
        found["cpus"] = cpus
    elif kind == "mts":
        found["mts"] = {"foreground": int(groups[0]), "background": int(groups[1])}
    elif kind == "emc":
        found["emc"] = {"load": int(groups[0]), "mhz": _int(groups[1])}
    else:
        clocks = [groups[1]] if groups[1] else groups[2].split(",") if groups[2] else []
        found["gpu"] = {"load": _int(groups[0]), "mhz": [int(clock) for clock in clocks] or None}
    return True


def _take_named(found: dict[str, Any], kind: str, match: Any) -> bool:
    name, *values = match.groups()
    if kind == "rail" and name == "NC":  # not connected
        return True
    place = found[{"temperature": "celsius", "rail": "rails_mw", "engine": "engines"}[kind]]
    if name in place:
        return False
    if kind == "temperature":
        value = float(values[0])
        place[name] = None if value == POWERED_OFF else value
        if values[1] is not None:
            found.setdefault("celsius_max", {})[name] = float(values[1])
    elif kind == "rail":
        place[name] = {"now": int(values[0]), "mean": int(values[1])}
        if len(values) > 2 and values[2] is not None:
            place[name]["max"] = int(values[2])
    else:
        off, load, clock, other, alone = values
        place[name] = None if off else {"load": _int(load), "mhz": int(clock or other or alone)}
    return True


def _cpus(text: str, common: str | None) -> list[dict[str, int | None] | None] | None:
    """Each processor's load and clock, None for one that is off; None where one cannot be read."""
    cpus: list[dict[str, int | None] | None] = []
    for word in text.split(","):
        match = _CPU.fullmatch(word.strip())
        if match is None:
            return None
        load, clock = match.group(2), match.group(3) or common
        cpus.append(None if match.group(1) else {"load": int(load), "mhz": _int(clock)})
    return cpus


def total(rails: Mapping[str, float]) -> tuple[float, list[str]] | None:
    """What the board draws in all and the rails that say so; None where these do not add up to it."""
    for names in TOTALS:
        if all(name in rails for name in names):
            return sum(rails[name] for name in names), list(names)
    return None


def power_mode(text: str) -> dict[str, Any] | None:
    """The mode in `nvpmodel -q`: its name and number, either None where it is not told; None where neither is."""
    lines = [line.strip() for line in text.splitlines()]
    for index, line in enumerate(lines):
        if line.startswith("NV Power Mode:"):
            name = line.partition(":")[2].strip() or None
            after = next((other for other in lines[index + 1 :] if other), "")
            number = int(after) if re.fullmatch(_N, after) else None
            return {"name": name, "id": number} if name or number is not None else None
    return None


def power_modes(conf: str) -> dict[str, int]:
    """The modes in /etc/nvpmodel.conf by name: the highest is not always number 0."""
    found = re.findall(rf"^[ \t]*<[ \t]*POWER_MODEL[ \t]+ID=({_N})[ \t]+NAME=(\S+)[ \t]*>", conf, re.MULTILINE)
    return {name: int(number) for number, name in found}


def power_models(text: str) -> dict[str, Any]:
    """`nvpmodel -q --verbose`: the default mode, and each mode with what it sets."""
    default: dict[str, Any] | None = None
    modes: list[dict[str, Any]] = []
    for line in text.splitlines():
        words = line.partition("NVPM VERB:")[2].strip()
        match = re.fullmatch(rf"PM_CONFIG: DEFAULT=(\S+)\(({_N})\)", words)
        if match:
            default = {"name": match.group(1), "id": int(match.group(2))}
        match = re.fullmatch(rf"POWER_MODEL: ID=({_N}) NAME=(\S+)", words)
        if match:
            modes.append({"id": int(match.group(1)), "name": match.group(2), "settings": {}})
        elif modes:
            match = re.fullmatch(r"(\S+) (\S+) (\S+)", words)
            if match:
                modes[-1]["settings"][f"{match.group(1)} {match.group(2)}"] = match.group(3)
    return {"default": default, "modes": modes, "current": power_mode(text)}


def clocks(text: str) -> dict[str, Any] | None:
    """`jetson_clocks --show`; None for anything else, such as its refusal without root.

    CPU clocks in kHz, GPU and EMC in Hz, as it shows them. `locked` tells whether all are held at one value, None
    where it cannot be told.
    """
    found: dict[str, Any] = {"cpus": {}, "gpu": None, "emc": None, "fan": {}, "power_mode": None}
    for line in text.splitlines():
        head, _, rest = line.partition(" ")
        fields = dict(_FIELD.findall(line))
        name = head.rstrip(":")
        if line.startswith("SOC family:"):
            family, _, machine = line[len("SOC family:") :].partition("Machine:")
            found["soc"], found["machine"] = family.strip(), machine.strip()
        elif re.fullmatch(r"cpu[0-9]+", name) and "CurrentFreq" in fields:
            found["cpus"][name] = _cpu_clocks(line, fields)
        elif name in ("GPU", "EMC") and "CurrentFreq" in fields:
            found[name.lower()] = {**_range(fields), "override": _bool(fields.get("FreqOverride"))}
        elif line.startswith("NV Power Mode:"):
            found["power_mode"] = rest.partition(":")[2].strip() or None
        elif line.startswith(("FAN", "Fan")):
            found["fan"].update({key: int(value) for key, value in fields.items() if re.fullmatch(_N, value)})
    if not found["cpus"]:
        return None
    return {**found, "locked": _locked(found)}


def _range(fields: dict[str, str]) -> dict[str, Any]:
    names = {"min": "MinFreq", "max": "MaxFreq", "current": "CurrentFreq"}
    return {
        key: _int(fields.get(name) if re.fullmatch(_N, fields.get(name, "")) else None) for key, name in names.items()
    }


def _cpu_clocks(line: str, fields: dict[str, str]) -> dict[str, Any]:
    idle = _FIELD.findall(line.partition("IdleStates:")[2])
    return {
        **_range(fields),
        "online": _bool(fields.get("Online")),
        "governor": fields.get("Governor") or fields.get("Gonvernor"),  # so spelt by L4T 28
        "idle": {name: int(value) for name, value in idle if value in ("0", "1")},
    }


def _locked(found: dict[str, Any]) -> bool | None:
    cpus = [cpu for cpu in found["cpus"].values() if cpu["online"] is not False]
    ranges = [*cpus, *([found["gpu"]] if found["gpu"] else [])]
    if any(one[key] is None for one in ranges for key in ("min", "max", "current")):
        return None
    held = all(one["min"] == one["max"] == one["current"] for one in ranges)
    awake = not any(state for cpu in cpus for state in cpu["idle"].values())
    emc = found["emc"] is None or found["emc"]["override"] is not False
    return held and awake and emc


def release(text: str) -> dict[str, Any] | None:
    """/etc/nv_tegra_release: the L4T release, its JetPack where it is known, the board and the date of the build."""
    match = re.search(r"^# R([0-9]+) \(release\), REVISION: ([0-9.]+)(.*)$", text, re.MULTILINE)
    if match is None:
        return None
    others = dict(re.findall(r"([A-Z]+): ([^,]*[^,\s])", match.group(3)))
    return {**_l4t(f"{match.group(1)}.{match.group(2)}"), "board": others.get("BOARD"), "date": others.get("DATE")}


def package_release(text: str) -> dict[str, Any] | None:
    """The same from the version of the package nvidia-l4t-core, for a system without that file."""
    match = re.search(r"nvidia-l4t-core\s+([0-9]+\.[0-9]+(?:\.[0-9]+)?)", text)
    return None if match is None else {**_l4t(match.group(1)), "board": None, "date": None}


def _l4t(version: str) -> dict[str, Any]:
    whole = version if version.count(".") >= 2 else version + ".0"
    return {"l4t": version, "jetpack": JETPACKS.get(whole)}


def thermal_zones(files: dict[str, str]) -> dict[str, float]:
    """Degrees Celsius by zone, from the texts of thermal_zone*/type and temp; without zones that give no number."""
    found: dict[str, float] = {}
    for path, text in files.items():
        match = re.fullmatch(r"(.*/thermal_zone[0-9]+)/temp", path)
        if match is None or not re.fullmatch(rf"-?{_N}", text.strip()):
            continue
        celsius = int(text) / 1000
        name = files.get(match.group(1) + "/type", "").strip() or match.group(1).rpartition("/")[2]
        if celsius != POWERED_OFF:
            found[name if name not in found else match.group(1).rpartition("/")[2]] = celsius
    return found


def _bool(text: str | None) -> bool | None:
    return {"0": False, "1": True}.get(text or "")


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)
