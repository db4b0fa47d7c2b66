"""edgekit: export convolutional networks and measure what they cost on real devices.

This is the one door. Every command has a function of the same name here (`edgekit export` is `edgekit.export`),
and everything is loaded when it is first asked for: `import edgekit` alone imports neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.checkpoints.pretrained import weights as weights
    from edgekit.choosing.command import choose as choose
    from edgekit.comparison.command import compare as compare
    from edgekit.demonstration.command import demo as demo
    from edgekit.device.registry import devices as devices
    from edgekit.diagnosis import doctor as doctor
    from edgekit.errors import (
        BackendMissing,
        DeviceUnreachable,
        EdgekitError,
        EnvironmentRefused,
        GateFailed,
        MeasurementInvalid,
        UsageError,
    )
    from edgekit.evaluation.command import eval as eval
    from edgekit.exporting.command import export as export
    from edgekit.inspection.command import inspect as inspect
    from edgekit.measure.command import bench as bench
    from edgekit.network.catalog import models as models
    from edgekit.network.catalog import summary as summary
    from edgekit.reporting.command import report as report
    from edgekit.reproduction.command import reproduce as reproduce
    from edgekit.storage.command import store as store
    from edgekit.sweeps.command import sweep as sweep
    from edgekit.sweeps.fleet.worker import worker as worker

    __version__: str

# Every command, in the order in which a newcomer meets them: the module and function that do it, and its line of help.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "models": ("edgekit.network.catalog", "models", "List the networks, their MACs and published accuracy."),
    "summary": ("edgekit.network.catalog", "summary", "Show a network layer by layer, with parameters and MACs."),
    "export": ("edgekit.exporting.command", "export", "Write a network to files for devices, each proved."),
    "inspect": ("edgekit.inspection.command", "inspect", "Say what a file is, what made it, and how to call it."),
    "bench": ("edgekit.measure.command", "bench", "Measure latency and memory of files, in fresh processes."),
    "compare": ("edgekit.comparison.command", "compare", "Compare a new build with an old one; fail if it is worse."),
    "eval": ("edgekit.evaluation.command", "eval", "Measure the accuracy of the files that ship."),
    "choose": ("edgekit.choosing.command", "choose", "Say which stored file to ship to a device, within limits."),
    "report": ("edgekit.reporting.command", "report", "Write what was measured as one self-contained HTML file."),
    "sweep": ("edgekit.sweeps.command", "sweep", "Export, measure and evaluate every cell of a grid."),
    "reproduce": (
        "edgekit.reproduction.command",
        "reproduce",
        "Measure a published trade-off, and lay it beside the paper's.",
    ),
    "worker": ("edgekit.sweeps.fleet.worker", "worker", "Do jobs of sweeps that run on a Dask cluster."),
    "store": ("edgekit.storage.command", "store", "List stored records; show, export, merge or remove some."),
    "weights": ("edgekit.checkpoints.pretrained", "weights", "List published weights, or download some."),
    "devices": ("edgekit.device.registry", "devices", "List the devices of devices.yaml, or check that one answers."),
    "doctor": ("edgekit.diagnosis", "doctor", "Say what is installed, what is missing, and how to get it."),
    "demo": ("edgekit.demonstration.command", "demo", "Go the whole way on handwritten digits, in minutes."),
}
# Commands that are also the name of a module inside edgekit; these modules are callable (see callable_module).
_CALLABLE_MODULES = ("bench", "models")

__all__ = [
    "BackendMissing",
    "DeviceUnreachable",
    "EdgekitError",
    "EnvironmentRefused",
    "GateFailed",
    "MeasurementInvalid",
    "UsageError",
    "__version__",
    "bench",
    "choose",
    "compare",
    "demo",
    "devices",
    "doctor",
    "eval",
    "export",
    "inspect",
    "models",
    "report",
    "reproduce",
    "store",
    "summary",
    "sweep",
    "weights",
    "worker",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("edgekit")
    if name in _CALLABLE_MODULES:
        return _module(f"edgekit.{name}")
    if name in COMMANDS:
        module, function, _ = COMMANDS[name]
        return getattr(_module(module), function)
    if name in __all__:
        return getattr(_module("edgekit.errors"), name)
    raise AttributeError(f"module 'edgekit' has no attribute '{name}'")


def _module(name: str) -> ModuleType:
    """A module of edgekit; BackendMissing where a package that it needs is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "edgekit").partition(".")[0] == "edgekit":
            raise
        from edgekit.errors import BackendMissing

        raise BackendMissing(
            f"this needs {error.name}, which is not installed", "pip install 'edgekit[export]'"
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
