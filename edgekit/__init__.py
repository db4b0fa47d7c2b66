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
    from edgekit.storage.merge import store as store
    from edgekit.sweeps.command import sweep as sweep

    __version__: str

# Each command's function, where it lives.
VERBS = {
    "bench": "edgekit.measure.command:bench",
    "compare": "edgekit.comparison.command:compare",
    "demo": "edgekit.demonstration.command:demo",
    "devices": "edgekit.device.registry:devices",
    "doctor": "edgekit.diagnosis:doctor",
    "eval": "edgekit.evaluation.command:eval",
    "export": "edgekit.exporting.command:export",
    "inspect": "edgekit.inspection.command:inspect",
    "models": "edgekit.network.catalog:models",
    "report": "edgekit.reporting.command:report",
    "reproduce": "edgekit.reproduction.command:reproduce",
    "store": "edgekit.storage.merge:store",
    "summary": "edgekit.network.catalog:summary",
    "sweep": "edgekit.sweeps.command:sweep",
    "weights": "edgekit.checkpoints.pretrained:weights",
}
# Verbs that are also the name of a module inside edgekit; these modules are callable (see callable_module).
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
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("edgekit")
    if name in _CALLABLE_MODULES:
        return _module(f"edgekit.{name}")
    if name in VERBS:
        module, _, function = VERBS[name].partition(":")
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
    return sorted({*globals(), *__all__})
