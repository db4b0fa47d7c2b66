"""The record of a cell of a sweep that gave no number."""

from __future__ import annotations

from edgekit.records.measurement import RECORD_VERSION
from edgekit.records.record import Record, Whole


class FailedCell(Record):
    """A cell of a sweep that gave no number, and why.

    `devices`: those of its pool. `tried_on` is the last of them; `attempts`: how often, in all runs of the sweep.
    `host` is the machine that swept (edgekit.bench.ondevice.sensors.linux.host), `log` the last lines that were said.
    """

    version: Whole = RECORD_VERSION
    id: str
    created: str
    variant: str
    format: str
    precision: str
    device: str | None
    code: str
    reason: str
    remedy: str
    devices: tuple[str, ...] = ()
    tried_on: str | None = None
    attempts: Whole = 1
    host: str | None = None
    log: tuple[str, ...] = ()
