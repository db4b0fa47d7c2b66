"""What is said of a device on which nothing was measured, because the cells of a sweep failed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.errors import DeviceUnreachable
from edgekit.records.failure import FailedCell
from edgekit.util.formatting import counted, minute

AGAIN = "sweep again with --continue, or with --retry failed for these cells alone"


@dataclass(frozen=True)
class Unmeasured:
    """A device without a measurement: why, in words that follow a colon, and what to do."""

    device: str
    why: str
    remedy: str


def of_device(device: str, failures: Sequence[FailedCell]) -> Unmeasured | None:
    """Return what failed on a device, told by the last failure; None where no cell of it failed."""
    own = sorted((one for one in failures if device in (_tried(one), one.device)), key=lambda one: one.created)
    if not own:
        return None
    last, when = own[-1], f"{minute(own[-1].created)} UTC"
    cells = counted(len({(one.variant, one.format, one.precision) for one in own}), "failed cell")
    if last.code == DeviceUnreachable.code:
        return Unmeasured(device, f"it did not answer at {when} ({cells})", f"switch it on, and {AGAIN}")
    return Unmeasured(device, f"{last.reason} ({cells}, the last at {when})", f"{last.remedy}; then {AGAIN}")


def elsewhere(failures: Sequence[FailedCell], measured: set[str]) -> list[Unmeasured]:
    """Return each device of the failures that is not among the `measured` ones."""
    names = dict.fromkeys(name for one in failures if (name := _tried(one)) and name not in measured)
    away = (of_device(name, failures) for name in names if not _is_pool(name, failures, measured))
    return [one for one in away if one is not None]


def _tried(one: FailedCell) -> str | None:
    return one.tried_on or one.device


def _is_pool(name: str, failures: Sequence[FailedCell], measured: set[str]) -> bool:
    """Whether a name is that of several devices, of which one was measured."""
    return any(one.device == name and measured & set(one.devices) for one in failures)
