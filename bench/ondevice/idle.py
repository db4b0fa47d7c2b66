"""What processor packages draw while nothing is measured: their energy counters around a pause."""

from __future__ import annotations

import json
import time
from typing import Any

from .protocol import answer_job, guarded
from .sensors import linux, powercap


def measure(text: str) -> dict[str, Any]:
    """Return the snapshots before and after a pause of `seconds`."""
    seconds = float(json.loads(text)["seconds"])
    before = powercap.added(linux.snapshot())
    time.sleep(seconds)
    return {"before": before, "after": powercap.added(linux.snapshot())}


def main(arguments: list[str]) -> None:
    """Answer a job."""
    answer_job(arguments, lambda text: guarded(measure, text))
