"""What a Jetson's own tools say: tegrastats, nvpmodel, jetson_clocks, nv_tegra_release, thermal zones.

The energy pass reads rails with it on the device, edgekit everything else from here. The grammars differ from release
to release, so each is read token by token; what is not understood is left out, and a line that two writers mixed up
gives nothing. No number appears that does not stand in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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
_CPU = rf"\s*(?:off|{_N}%(?:@{_N})?)\s*"
_TIME = re.compile(r"[0-9]{2}-[0-9]{2}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} ")
# (kind, form): the first group is a name; each must be followed by a blank or the end.
_TOKENS = [
    (kind, re.compile(form + r"(?=\s|$)"))
    for kind, form in (
        ("ram", rf"RAM {_N}/{_N}MB(?: ?\(lfb {_N}x{_N}[kM]B\))?"),
        ("swap", rf"SWAP {_N}/{_N}MB(?: ?\(cached {_N}MB\))?"),
        ("iram", rf"IRAM {_N}/{_N}kB(?: ?\(lfb {_N}kB\))?"),
        ("cpus", rf"(?:CPU|cpu) \[{_CPU}(?:,{_CPU})*\](?:@{_N})?"),
        ("torn", rf"(?:CPU|cpu) \[[^\[\]]*\](?:@{_N})?"),
        ("emc", rf"EMC(?:_FREQ)? {_N}%(?:@{_N})?"),
        ("gpu", rf"GR3D(?:_FREQ)? (?:{_N}%)?(?:@(?:{_N}|\[{_N}(?:,{_N})*\]))?"),
        ("mts", rf"MTS fg {_N}% bg {_N}%"),
        ("temperature", rf"([A-Za-z][A-Za-z0-9_.-]*)@{_REAL}C(?:/{_REAL}C)?"),
        ("rail", rf"([A-Za-z][A-Za-z0-9_]*) ({_N})mW/{_N}mW(?:/{_N}mW)?"),
        ("rail", rf"([A-Za-z][A-Za-z0-9_]*) ({_N})/{_N}"),
        ("engine", rf"((?!VDD|VIN|POM|SYS)[A-Z][A-Z0-9_]*) (?:off|{_N}%@{_N}|@{_N}|{_N})"),
    )
]
_FIELD = re.compile(r"(?<!\w)(\w{1,40})=(\S*)")  # a word is looked at once, however long it is


def tegrastats(line: str) -> dict[str, float] | None:
    """Milliwatts by rail at this moment, from a line of tegrastats; words that are not understood are passed over.

    None for anything else, and for a line in which something stands twice: two writers mixed it up.
    """
    time = _TIME.match(line)
    at = time.end() if time else 0
    if not line.startswith("RAM ", at):
        return None
    rails: dict[str, float] = {}
    seen = set()
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        kind, match = next(((kind, m) for kind, form in _TOKENS for m in [form.match(line, at)] if m), ("", None))
        if match is None:
            at += len(line[at:].split(None, 1)[0])
            continue
        at = match.end()
        name = match.group(1) if match.re.groups else ""
        if (kind, name) == ("rail", "NC"):  # not connected
            continue
        if kind == "torn" or (kind, name) in seen:
            return None
        seen.add((kind, name))
        if kind == "rail":
            rails[name] = int(match.group(2))
    return rails


def total(rails: Mapping[str, float]) -> tuple[float, list[str]] | None:
    """Return what the board draws in all and the rails that say so; None where these do not add up to it."""
    for names in TOTALS:
        if all(name in rails for name in names):
            return sum(rails[name] for name in names), list(names)
    return None


def power_mode(text: str) -> str | None:
    """Return the mode in `nvpmodel -q`: its name, else its number; None where neither is told."""
    lines = [line.strip() for line in text.splitlines()]
    for index, line in enumerate(lines):
        if line.startswith("NV Power Mode:"):
            after = next((other for other in lines[index + 1 :] if other), "")
            return line.partition(":")[2].strip() or (after if re.fullmatch(_N, after) else None)
    return None


def power_modes(conf: str) -> dict[str, int]:
    """Return the modes in /etc/nvpmodel.conf by name: the highest is not always number 0."""
    found = re.findall(rf"^[ \t]*<[ \t]*POWER_MODEL[ \t]+ID=({_N})[ \t]+NAME=(\S+)[ \t]*>", conf, re.MULTILINE)
    return {name: int(number) for number, name in found}


def limits(text: str, mode: str | None) -> dict[str, str]:
    """Return what a power mode, by its name or number, sets, as `nvpmodel -q --verbose` tells it."""
    found, is_meant = {}, False
    for line in text.splitlines():
        words = line.partition("NVPM VERB:")[2].strip()
        head = re.fullmatch(rf"POWER_MODEL: ID=({_N}) NAME=(\S+)", words)
        setting = re.fullmatch(r"(\S+ \S+) (\S+)", words)
        if head:
            is_meant = mode in head.groups()
        elif setting and is_meant:
            found[setting.group(1)] = setting.group(2)
    return found


def locked(text: str) -> bool | None:
    """Return whether `jetson_clocks --show` tells that all clocks are held at one value, and no processor may sleep.

    None where it cannot be told, and for anything else, such as its refusal without root.
    """
    lines = {line.partition(" ")[0].rstrip(":"): line for line in text.splitlines() if "CurrentFreq=" in line}
    fields = {name: dict(_FIELD.findall(line)) for name, line in lines.items()}
    cpus = [name for name in fields if re.fullmatch(r"cpu[0-9]+", name)]
    online = [name for name in cpus if fields[name].get("Online") != "0"]
    keys = ("MinFreq", "MaxFreq", "CurrentFreq")
    ranges = [[fields[name].get(key, "") for key in keys] for name in (*online, "GPU") if name in fields]
    if not cpus or not all(re.fullmatch(_N, value) for one in ranges for value in one):
        return None
    states = [_FIELD.findall(lines[name].partition("IdleStates:")[2]) for name in online]
    sleeps = any(value == "1" for some in states for _, value in some)
    is_emc_held = fields.get("EMC", {}).get("FreqOverride") != "0"
    return is_emc_held and not sleeps and all(len(set(map(int, one))) == 1 for one in ranges)


def release(text: str) -> dict[str, str | None] | None:
    """/etc/nv_tegra_release: the L4T release, and its JetPack where it is known."""
    match = re.search(r"^# R([0-9]+) \(release\), REVISION: ([0-9.]+)", text, re.MULTILINE)
    return _l4t(f"{match.group(1)}.{match.group(2)}") if match else None


def package_release(text: str) -> dict[str, str | None] | None:
    """Return the same from the version of the package nvidia-l4t-core, for a system without that file."""
    match = re.search(r"nvidia-l4t-core\s+([0-9]+\.[0-9]+(?:\.[0-9]+)?)", text)
    return _l4t(match.group(1)) if match else None


def _l4t(version: str) -> dict[str, str | None]:
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
