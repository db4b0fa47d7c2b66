"""The page of `make gpu-check`: docs/measured/<gpu>.md."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # which is started as a program
    from scripts.gpu_check import Report


def write(report: Report, folder: Path, how: str) -> Path:
    """The page of this GPU; `how` says how it was timed."""
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", report.gpu.lower()).strip("-") or "gpu"
    path = folder / f"{name}.md"
    path.write_text("\n".join(lines(report, how)) + "\n", encoding="utf-8")
    return path


def lines(report: Report, how: str) -> Iterator[str]:
    """The page line by line."""
    yield f"# {report.gpu}"
    yield ""
    day = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    yield f"Written by `make gpu-check` on {day}. Seeded random weights, batch 1: times and agreement, no accuracy."
    yield f"{how} in one process; inputs and outputs in GPU memory."
    yield "Host: the median time of a call and the wait for it. GPU: between two events, median of 64."
    yield "Error: the largest difference from the folded network in float32 on the processor, over its largest answer;"
    yield "int8 is compared with the simulation of its integers."
    yield ""
    yield "| network | precision | how | host ms | quartiles | GPU ms | error | |"
    yield "|---|---|---|---:|---:|---:|---:|---|"
    for row in report.rows:
        device = "" if row["device_ms"] is None else f"{row['device_ms']:.4f}"
        yield (
            f"| {row['network']} | {row['precision']} | {row['how']} | {row['host_ms']:.4f} "
            f"| {row['low_ms']:.4f} to {row['high_ms']:.4f} | {device} | {row['error']:.1e} | {row.get('note', '')} |"
        )
    yield ""
    yield "## The machine"
    yield ""
    for key, value in report.facts.items():
        yield f"- {key}: {value}"
    for title, found in (("Left out", report.left_out), ("Wrong", report.wrong)):
        yield ""
        yield f"## {title}"
        yield ""
        yield from (f"- {line}" for line in found or ["nothing"])
