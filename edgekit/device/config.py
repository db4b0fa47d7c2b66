"""What devices.yaml may say of a device, link by link; docs/devices.schema.json is made from this.

To add a link: a model here and in AnyDevice, and a line in TARGETS of edgekit.device.registry.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from edgekit.errors import UsageError
from edgekit.records.runtime import RUNTIMES

# In YAML 15 is a number and 0123 is another; both stay what was typed.
Typed = Annotated[str, WithJsonSchema({"type": ["string", "number"]})]


def _runtime(name: str) -> str:
    if name not in tuple(RUNTIMES):  # no aliases: the schema lists the names
        raise ValueError(_unknown(name))
    return name


def _unknown(name: str) -> str:
    try:
        return f"unknown runtime '{name}'; did you mean '{RUNTIMES.canonical(name)}'?"
    except UsageError as error:
        return error.message


RuntimeName = Annotated[str, AfterValidator(_runtime), WithJsonSchema({"type": "string", "enum": list(RUNTIMES)})]
# A name of ~/.ssh/config or [user@]host. It stands alone in an argument list; ssh's own configuration may still hand
# it to a shell, so that it holds nothing that a shell would read.
HOST = (
    r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*(@([A-Za-z0-9_][A-Za-z0-9_.%-]*"
    r"|\[?[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Za-z:._%-]*\]?))?$"  # of IPv6; one colon alone would be a port
)


class _Device(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    runtimes: tuple[RuntimeName, ...] = Field(min_length=1)
    """What runs files there; where several run a format, the first is used."""

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        return False

    @property
    def address(self) -> str:
        """How it is reached: two entries with the same address are one machine."""
        return " ".join(str(getattr(self, name)) for name in ("link", "host", "serial") if getattr(self, name, None))

    @property
    def is_jetson(self) -> bool:
        """Whether it has NVIDIA's tools for power and clocks."""
        return False

    @property
    def modes(self) -> tuple[str, ...]:
        """The power modes in which may be measured."""
        return ()


class _Builder(_Device):
    """A machine that may build TensorRT engines."""

    workspace_mib: int | None = Field(None, ge=1, le=1 << 20)
    """The most memory, in MiB, that TensorRT may work in while it builds an engine."""
    dla: bool = False
    """Build TensorRT engines for the first DLA core of a Jetson, with the GPU for layers that it does not take."""


class LocalDevice(_Builder):
    """This machine."""

    link: Literal["local"]

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        return True


class SshDevice(_Builder):
    """A machine that the user's own OpenSSH reaches: a Jetson, a Raspberry Pi, a server."""

    link: Literal["ssh"]
    host: str = Field(pattern=HOST)
    """A name of ~/.ssh/config, or [user@]host. Port, key and jump host belong into ~/.ssh/config."""
    python: str = Field("python3", min_length=1)
    """The Python (3.8 or newer) that has numpy and the runtimes; a path of a virtual environment's works."""
    folder: str | None = Field(None, min_length=1)
    """Where edgekit keeps its files there, in a folder `edgekit`; without it ~/.cache."""
    sensors: Literal["jetson"] | None = None
    """jetson: read tegrastats, nvpmodel and jetson_clocks, and measure energy."""
    power_modes: tuple[Typed, ...] = ()
    """The nvpmodel modes, by name, in which may be measured; only to these may the mode be changed."""

    @property
    def is_jetson(self) -> bool:
        """Whether it has NVIDIA's tools for power and clocks."""
        return self.sensors == "jetson"

    @property
    def modes(self) -> tuple[str, ...]:
        """The power modes in which may be measured."""
        return self.power_modes

    @field_validator("power_modes")
    @classmethod
    def _of_a_jetson(cls, modes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if modes and info.data.get("sensors", "jetson") != "jetson":  # absent: refused for itself
            raise ValueError("only a Jetson has power modes, and `sensors: jetson` is missing")
        return modes


class AdbDevice(_Device):
    """A phone on adb; without `serial`, the one of $ANDROID_SERIAL or the only one."""

    link: Literal["adb"]
    serial: Typed | None = None
    """As `adb devices` shows it."""
    benchmark_model: str | None = None
    """The path here of the benchmark_model program for the phone."""
    npu_libraries: str | None = None
    """A folder here with the chip maker's libraries for its NPU, which `--delegate npu` needs."""
    npu_flags: tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*=[^\n]*$")], ...] = ()
    """Further flags of benchmark_model for the NPU, such as mediatek_nerun_pilot_version=version9."""
    cores: Literal["big", "little", "all"] | None = None
    """The processor cores to measure on."""
    sensors: Literal["android"] | None = None
    """android: read the thermal service, the battery and memory."""


AnyDevice = LocalDevice | SshDevice | AdbDevice
KINDS: dict[str, type[_Device]] = {
    get_args(kind.model_fields["link"].annotation)[0]: kind for kind in get_args(AnyDevice)
}
LOCAL = LocalDevice(link="local", runtimes=tuple(name for name, runtime in RUNTIMES.items() if runtime.by_steps))


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must be printable, on one line")
    return name


Name = Annotated[str, AfterValidator(_printable), Field(min_length=1)]


class DeviceFile(BaseModel):
    """The devices that edgekit measures on."""

    model_config = ConfigDict(extra="forbid", title="devices.yaml")

    devices: dict[Name, Annotated[AnyDevice, Field(discriminator="link")]]


ONE: TypeAdapter[AnyDevice] = TypeAdapter(Annotated[AnyDevice, Field(discriminator="link")])


def schema() -> dict[str, Any]:
    """Return the JSON schema of devices.yaml, for editors."""
    found = DeviceFile.model_json_schema()
    for kind in found["$defs"].values():
        kind["properties"] = {key: _or_null(value) for key, value in kind["properties"].items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    """The schema of a key; where the key may be left out it may be null, which says the same."""
    if "default" not in value or {"type": "null"} in value.get("anyOf", ()):
        return value
    about: dict[str, Any] = {key: value[key] for key in ("default", "description", "title") if key in value}
    allowed = {key: part for key, part in value.items() if key not in about}
    return {"anyOf": [allowed, {"type": "null"}], **about}


if __name__ == "__main__":  # python -m edgekit.device.config > docs/devices.schema.json
    print(json.dumps(schema(), indent=2))
