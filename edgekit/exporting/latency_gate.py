"""`--max-latency`: whether a file that was just written is quick enough, here or on the device that it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.bench.links.base import Link
from edgekit.bench.links.local import LocalLink
from edgekit.device import android
from edgekit.device.android import board_of
from edgekit.device.config import LOCAL, AdbDevice, AnyDevice
from edgekit.errors import GateFailed, MeasurementInvalid
from edgekit.measure.session import Cell, Station
from edgekit.measure.verdict import INVALID
from edgekit.records.manifest import Artifact
from edgekit.records.measurement import PRESETS
from edgekit.records.runtime import choose
from edgekit.stats import latency

TRIES = 3  # a disturbance passes; what is still there at the third look is no accident


def latency_within(
    path: Path, limit_ms: float, device: AnyDevice = LOCAL, link: Link | None = None, runtime: str | None = None
) -> dict[str, Any]:
    """Measure a file, one thread and batch 1, and return what the manifest says of it.

    Raises GateFailed for a median above the limit, MeasurementInvalid where the machine was too busy to tell: what
    disturbs makes times longer, so that a median within the limit passes whatever else went on.
    """
    link = link or LocalLink()
    here = isinstance(link, LocalLink)
    chosen = choose(path, runtime, None if here else device.runtimes, here)
    protocol = PRESETS["quick"]
    if isinstance(device, AdbDevice):
        protocol = protocol.model_copy(update=android.SHORT["quick"])
    on = "" if here else f" of {link.name}"
    with board_of(device, link) as board:
        station = Station(0, board=board)
        for _ in range(TRIES):
            cell = Cell(Artifact(path=path, manifest=None), chosen, protocol, link.name, None, None)
            found = station.measure(cell)
            median_ms = latency.median([latency.median(run.samples_ns) for run in found.runs]) / latency.NS_PER_MS
            if median_ms <= limit_ms:
                facts = {"limit_ms": limit_ms, "median_ms": median_ms, "verdict": found.verdict, "runtime": chosen.name}
                return facts | {"device": link.name, "processor": found.found.get("processor")}
            if found.verdict != INVALID:
                raise GateFailed(
                    f"{path.name} takes {median_ms:.3g} ms on {chosen.name}{on}, more than --max-latency {limit_ms:g}",
                    "choose int8, a smaller alpha or resolution, or a larger limit",
                )
    raise MeasurementInvalid(f"{path.name} could not be timed: {found.reasons[0]}", "export again when it is quiet")
