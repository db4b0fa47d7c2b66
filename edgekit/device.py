"""devices.yaml: the machines that a measurement can run on, and what is on them.

Found at --devices, $EDGEKIT_DEVICES, ./devices.yaml or ~/.config/edgekit/devices.yaml, in this order. `local`, this
machine, is always there. To add a link: a model here with what it needs to reach the device.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edgekit.errors import BackendMissing, UsageError, nearest
from edgekit.runtime import RUNTIMES

CONFIG = Path("~/.config/edgekit/devices.yaml")
LINKS = ("local", "ssh", "adb")


class _Device(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    runtimes: tuple[str, ...]


class LocalDevice(_Device):
    """This machine."""

    link: Literal["local"]


class SshDevice(_Device):
    """A machine that OpenSSH reaches; `host` is a name of ~/.ssh/config or [user@]host."""

    link: Literal["ssh"]
    host: str = Field(min_length=1)
    python: str = "python3"
    power_modes: tuple[str, ...] = ()
    sensors: str | None = None


class AdbDevice(_Device):
    """A phone on adb; without `serial`, the one of $ANDROID_SERIAL or the only one."""

    link: Literal["adb"]
    serial: str | None = None
    benchmark_model: Path | None = None
    cores: str | None = None
    sensors: str | None = None


Device = Annotated[LocalDevice | SshDevice | AdbDevice, Field(discriminator="link")]
_ONE: TypeAdapter[LocalDevice | SshDevice | AdbDevice] = TypeAdapter(Device)
KINDS: dict[str, type[_Device]] = {"local": LocalDevice, "ssh": SshDevice, "adb": AdbDevice}
LOCAL = LocalDevice(link="local", runtimes=("onnxruntime", "litert", "torch", "null"))


@dataclass(frozen=True)
class DeviceList:
    """The devices of one file (None: only what is built in), and what a check of one of them found."""

    devices: dict[str, LocalDevice | SshDevice | AdbDevice]
    file: Path | None
    check: Check | None = None

    def __getitem__(self, name: str) -> LocalDevice | SshDevice | AdbDevice:
        if name not in self.devices:
            raise UsageError(
                f"there is no device '{name}' in {self.file or 'the built-in list'}{nearest(name, self.devices)}",
                f"choose one of: {', '.join(self.devices)}; or add it to devices.yaml",
            )
        return self.devices[name]

    def to_json(self) -> dict[str, Any]:
        """What `edgekit devices --json` prints."""
        rows = [{"name": name, **device.model_dump(mode="json")} for name, device in self.devices.items()]
        document: dict[str, Any] = {"file": str(self.file) if self.file else None, "devices": rows}
        return document | {"check": asdict(self.check)} if self.check else document


@dataclass(frozen=True)
class RuntimeFound:
    """A runtime that a device is said to have; `version` is None where it is missing, with the remedy."""

    name: str
    version: str | None
    missing: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Check:
    """What is on a device. None where the device does not tell."""

    name: str
    model: str | None
    os: str | None
    kernel: str | None
    processor: str | None
    cpus: int | None
    memory_bytes: int | None
    python: str | None
    runtimes: tuple[RuntimeFound, ...] = field(default_factory=tuple)


def devices(check: str | None = None, devices: Path | None = None) -> DeviceList:
    """The devices of devices.yaml; with `check`, also what is there on the device of that name.

    Raises UsageError for a broken file or an unknown name, BackendMissing for a link that this version lacks.
    """
    found = load(devices)
    if check is None:
        return found
    require_local(check, found[check])
    return DeviceList(found.devices, found.file, check_local(check, found[check].runtimes))


def require_local(name: str, device: LocalDevice | SshDevice | AdbDevice) -> None:
    """BackendMissing for a device that is not this machine: this version drives no other."""
    if not isinstance(device, LocalDevice):
        raise BackendMissing(
            f"device '{name}' is reached over {device.link}, which this version of edgekit cannot do",
            "measure on 'local', or copy the file there and run edgekit on that machine",
        )


def load(path: Path | None = None) -> DeviceList:
    """The devices of the first file that is there; a file that was asked for must be."""
    asked = path or (Path(os.environ["EDGEKIT_DEVICES"]) if os.environ.get("EDGEKIT_DEVICES") else None)
    if asked is None:
        asked = next((place for place in (Path("devices.yaml"), CONFIG.expanduser()) if place.is_file()), None)
    if asked is None:
        return DeviceList({"local": LOCAL}, None)
    try:
        text = asked.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{asked} cannot be read: {error}", "give another file with --devices") from error
    found = parse(text, str(asked))
    return DeviceList(found if "local" in found else {"local": LOCAL, **found}, asked)


def parse(text: str, name: str = "devices.yaml") -> dict[str, LocalDevice | SshDevice | AdbDevice]:
    """The devices in a YAML text. Raises UsageError with the line and the nearest key."""
    try:
        root = yaml.compose(text, yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise UsageError(
            f"{name}{where} is no YAML: {getattr(error, 'problem', None) or error}", "indent with spaces, not tabs"
        ) from error
    if root is None:
        return {}
    entries = _pairs(root, name, "the file")
    for key, (line, _) in entries.items():
        if key != "devices":
            raise UsageError(f"{name} line {line}: unknown key '{key}'{nearest(key, ['devices'])}", _SHAPE)
    if "devices" not in entries:
        raise UsageError(f"{name} line 1: the key 'devices' is missing", _SHAPE)
    return {
        key: _device(key, node, name) for key, (_, node) in _pairs(entries["devices"][1], name, "'devices'").items()
    }


_SHAPE = "write `devices:` and below it `<name>: {link: local, runtimes: [onnxruntime]}`"


def _pairs(node: yaml.Node, name: str, what: str) -> dict[str, tuple[int, yaml.Node]]:
    """A mapping's keys with their line and value; a key may stand there once."""
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{name} line {_line(node)}: {what} must be a mapping of names to values", _SHAPE)
    pairs: dict[str, tuple[int, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not key.value:
            raise UsageError(f"{name} line {_line(key)}: a name must be text", _SHAPE)
        if key.value in pairs:
            raise UsageError(
                f"{name} line {_line(key)}: '{key.value}' is there twice, first in line {pairs[key.value][0]}",
                "give each its own name",
            )
        pairs[key.value] = (_line(key), value)
    return pairs


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _device(device: str, node: yaml.Node, name: str) -> LocalDevice | SshDevice | AdbDevice:
    pairs = _pairs(node, name, f"device '{device}'")
    values = {key: _plain(value) for key, (_, value) in pairs.items()}
    link = values.get("link")
    if not isinstance(link, str) or link not in KINDS:
        line = pairs["link"][0] if "link" in pairs else _line(node)
        cause = f"unknown link '{link}'{nearest(str(link), LINKS)}" if "link" in pairs else "the key 'link' is missing"
        raise UsageError(f"{name} line {line}: device '{device}': {cause}", f"choose one of: {', '.join(LINKS)}")
    _known_keys(device, pairs, KINDS[link], name)
    try:
        checked = _ONE.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = next((str(part) for part in first["loc"] if str(part) in KINDS[link].model_fields), "")
        line = pairs[key][0] if key in pairs else _line(node)
        raise UsageError(f"{name} line {line}: device '{device}': {key}: {first['msg'].lower()}", _SHAPE) from error
    return checked


def _known_keys(device: str, keys: dict[str, tuple[int, yaml.Node]], kind: type[_Device], name: str) -> None:
    for key, (line, _) in keys.items():
        if key not in kind.model_fields:
            raise UsageError(
                f"{name} line {line}: device '{device}' has an unknown key '{key}'{nearest(key, kind.model_fields)}",
                f"its keys are: {', '.join(kind.model_fields)}",
            )


def _plain(node: yaml.Node) -> Any:
    """A node as text and lists of text: a serial number keeps its zeros."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return node.value if isinstance(node, yaml.ScalarNode) else {}


def check_local(name: str, runtimes: Iterable[str]) -> Check:
    """What this machine is and has; nothing heavy is imported for it."""
    import platform

    from edgekit.bench.runner import processor

    return Check(
        name=name,
        model=_first_text("/sys/class/dmi/id/product_name", "/proc/device-tree/model"),
        os=_os_name(),
        kernel=platform.release(),
        processor=processor(),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        memory_bytes=_memory_bytes(),
        python=platform.python_version(),
        runtimes=tuple(_runtime(runtime) for runtime in runtimes),
    )


def _runtime(name: str) -> RuntimeFound:
    if name not in RUNTIMES:
        known = f"this edgekit drives no runtime '{name}' here{nearest(name, RUNTIMES)}"
        return RuntimeFound(name, None, known, f"choose from: {', '.join(RUNTIMES)}")
    runtime = RUNTIMES[name]
    if not runtime.installed:
        return RuntimeFound(name, None, "not installed", runtime.remedy)
    return RuntimeFound(name, runtime.version or "built in")


def _first_text(*paths: str) -> str | None:
    for path in paths:
        try:
            return Path(path).read_text().strip("\0\n ") or None
        except OSError:
            continue
    return None


def _os_name() -> str | None:
    text = _first_text("/etc/os-release") or ""
    for line in text.splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
