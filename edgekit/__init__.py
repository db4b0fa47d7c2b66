"""edgekit: export convolutional networks and measure what they cost on real devices.

This is the one door. Every command has a function of the same name here (`edgekit export` is `edgekit.export`),
and everything is loaded when it is first asked for: `import edgekit` alone imports neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.benchmarking import bench as bench
    from edgekit.comparison import compare as compare
    from edgekit.demonstration import demo as demo
    from edgekit.device import devices as devices
    from edgekit.doctor import doctor as doctor
    from edgekit.errors import (
        BackendMissing,
        DeviceUnreachable,
        EdgekitError,
        EnvironmentRefused,
        GateFailed,
        MeasurementInvalid,
        UsageError,
    )
    from edgekit.evaluation import eval as eval
    from edgekit.exporting import export as export
    from edgekit.inspection import inspect as inspect
    from edgekit.pretrained import weights as weights
    from edgekit.report import report as report
    from edgekit.reproduction import reproduce as reproduce
    from edgekit.store_merge import store as store
    from edgekit.sweep import sweep as sweep
    from edgekit.zoo import models as models
    from edgekit.zoo import summary as summary

    __version__: str

# Each command's function, where it lives.
VERBS = {
    "bench": "edgekit.benchmarking:bench",
    "compare": "edgekit.comparison:compare",
    "demo": "edgekit.demonstration:demo",
    "devices": "edgekit.device:devices",
    "doctor": "edgekit.doctor:doctor",
    "eval": "edgekit.evaluation:eval",
    "export": "edgekit.exporting:export",
    "inspect": "edgekit.inspection:inspect",
    "models": "edgekit.zoo:models",
    "report": "edgekit.report:report",
    "reproduce": "edgekit.reproduction:reproduce",
    "store": "edgekit.store_merge:store",
    "summary": "edgekit.zoo:summary",
    "sweep": "edgekit.sweep:sweep",
    "weights": "edgekit.pretrained:weights",
}
# Verbs that are also the name of a module inside edgekit; these modules are callable (see callable_module).
_CALLABLE_MODULES = ("bench", "doctor", "models", "report", "store", "sweep", "weights")

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
