"""`edgekit doctor`: what this machine is, what is installed, and the exact line that installs what is missing.

Needs the base install only: packages are looked up, never imported.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgekit.bench.ondevice.sensors.linux import adds_in_16_bits, host, instructions
from edgekit.device.registry import load
from edgekit.errors import EdgekitError
from edgekit.storage.store import DEFAULT_URL, Store
from edgekit.util.files import cache_folder
from edgekit.util.tabled import Tabled

# Package, what it is for, the extra of pyproject.toml that brings it.
PACKAGES = (
    ("onnxruntime", "running .onnx", "onnxruntime"),
    ("ai-edge-litert", "running .tflite", "litert"),
    ("tensorrt", "building and running .engine (int8 too: no int8 .onnx serves it)", "tensorrt"),
    ("tensorrt-rtx-cu13-bindings", "the same with TensorRT for RTX; builds without a GPU", "tensorrt-rtx"),
    ("pillow", "reading images", "onnxruntime"),
    ("torch", "exporting", "export"),
    ("onnx", "writing .onnx", "export"),
    ("h5py", "Keras weights", "export"),
    ("safetensors", "safetensors weights", "export"),
    ("requests", "downloading weights", "export"),
    ("vl-convert-python", "the report", "report"),
    ("scikit-learn", "the demo", "demo"),
    ("distributed", "sweeps on several machines", "dask"),
)
# What the processor's instructions mean for int8, by whether onnxruntime adds two products in 16 bits.
INT8: dict[bool | None, str] = {
    False: "onnxruntime's sums are exact",
    True: "onnxruntime adds two products in 16 bits: files that edgekit wrote fit them, unless with --int8-range full; "
    "others may saturate",
}


@dataclass(frozen=True)
class Package:
    """An optional package: its version, or None and the line that installs it."""

    package: str
    version: str | None
    purpose: str
    install: str


@dataclass(frozen=True, repr=False)
class Diagnosis(Tabled):
    """The machine's facts (null with the reason in `reasons` where they cannot be known), and the packages."""

    machine: dict[str, Any]
    reasons: dict[str, str]
    packages: tuple[Package, ...]

    def to_json(self) -> dict[str, Any]:
        """{"machine": {...}, "reasons": {...}, "packages": [...]}"""
        return {
            "machine": self.machine,
            "reasons": self.reasons,
            "packages": [asdict(package) for package in self.packages],
        }


def doctor(devices: Path | None = None, store: str | None = None) -> Diagnosis:
    """Look at this machine. `devices` and `store` are what a measuring command would be given. Never raises."""
    cpu = _cpu()
    facts: dict[str, tuple[Any, str]] = {
        "edgekit": (metadata.version("edgekit"), ""),
        "python": (platform.python_version(), ""),
        "system": (platform.platform(), ""),
        "processor": (cpu.get("model name"), "/proc/cpuinfo does not name it"),
        "host": (host(), ""),
        "cores": (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(), ""),
        "features": (instructions(), "/proc/cpuinfo does not tell them"),
        "int8": (INT8.get(adds_in_16_bits(instructions())), "the processor's instructions are not known"),
        "governor": (_governor(), "this system shows no cpufreq"),
        "memory_bytes": (_memory(), "this system does not tell"),
        "free_disk_bytes": (_free(), "the working folder was removed, or cannot be looked at"),
        "cache": (str(cache_folder()), ""),
        "store": (Store(store or os.environ.get("EDGEKIT_STORE") or DEFAULT_URL).shown, ""),
        "devices_file": _devices_file(devices),
    }
    return Diagnosis(
        {name: value for name, (value, _) in facts.items()},
        {name: reason for name, (value, reason) in facts.items() if value is None},
        tuple(_package(*entry) for entry in PACKAGES),
    )


def _package(name: str, purpose: str, extra: str) -> Package:
    try:
        version: str | None = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = None
    return Package(name, version, purpose, f"pip install 'edgekit[{extra}]'")


def _cpu() -> dict[str, str]:
    """The first processor in /proc/cpuinfo; ARM calls its flags Features."""
    found: dict[str, str] = {}
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return found
    for line in text.splitlines():
        key, _, value = line.partition(":")
        found.setdefault({"Features": "flags"}.get(key.strip(), key.strip()), value.strip())
    return found


def _governor() -> str | None:
    try:
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _free() -> int | None:
    try:
        return shutil.disk_usage(Path.cwd()).free
    except OSError:
        return None


def _devices_file(asked: Path | None) -> tuple[str | None, str]:
    try:
        file = load(asked).file
    except EdgekitError as error:
        return None, error.message
    return (str(file), "") if file else (None, "none found: only this machine is known")
