"""How a latency was taken: what two of them must share to be the same number, as found rather than as asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.records import hosts
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.util.formatting import shape_text, span

NO_DELEGATE = "no delegate"


@dataclass(frozen=True)
class RunConditions:
    """What two latencies must share to be compared."""

    device: str
    host: str | None  # which machine that is; None: not told, in older records
    power_mode: str | None  # of a Jetson
    runtime: str
    threads: int
    batch: int
    provider: str | None
    delegate: str | None
    sizes: str | None = None  # of inputs whose sizes are free in the file
    sustained_seconds: int | None = None  # of load without a pause; None: in bursts, between which the device cools

    def place(self, ambiguous: frozenset[str]) -> str:
        """Return the device in its power mode, with the machine where its name is `ambiguous`."""
        return place(self.device, self.host, self.power_mode, ambiguous)


def place(device: str | None, host: str | None, power_mode: str | None, ambiguous: frozenset[str]) -> str:
    """Return a device in its power mode, with the machine where its name is `ambiguous`."""
    return " ".join(filter(None, (hosts.place(device, host, ambiguous), power_mode)))


def run_conditions(record: Measurement) -> RunConditions:
    """Return the run conditions of a measurement."""
    found, asked = record.found, record.protocol
    return RunConditions(
        record.device,
        hosts.host(record),
        fact(record, "power_mode"),
        record.runtime,
        found.get("threads") or asked.threads,
        found.get("batch") or asked.batch,
        found.get("provider"),
        found.get("delegate"),
        sizes(found.get("input_shapes")),
        asked.sustained_seconds,
    )


def sizes(shapes: Mapping[str, Sequence[int]] | None) -> str | None:
    """Return the shapes of inputs for people; None where the file fixes them."""
    return ", ".join(f"{name} {shape_text(shape)}" for name, shape in shapes.items()) if shapes else None


def load(sustained_seconds: int | None) -> str | None:
    """Return the load for people, as in "sustained for 10 min"; None in bursts, which is the usual one."""
    return None if sustained_seconds is None else f"sustained for {span(sustained_seconds)}"


def way(record: Measurement) -> str | None:
    """Return the provider or delegate that ran it, for people; None where a runtime has neither, or does not tell."""
    found = record.found
    if found.get("provider"):
        return str(found["provider"]).removesuffix("ExecutionProvider")
    delegate = found.get("delegate")
    if delegate and delegate != "none":
        return str(delegate).rpartition("/")[2]
    is_told = delegate or found.get("nodes_delegated") == 0 or ("delegate" in found and "tool" in found)
    return NO_DELEGATE if is_told else None


def fact(record: Measurement, name: str) -> Any:
    """Return what the runner found of the machine, else what its device told over the link; None where neither did."""
    found = record.found
    return found.get(name) or found.get("device", {}).get(name)


def instructions(record: Measurement | Accuracy) -> str | None:
    """Return the processor's instructions that int8 kernels look for, in words; None where the record does not tell."""
    found = record.found.get("instructions")
    return None if found is None else " ".join(found) or "none"


def gpu(record: Measurement) -> str | None:
    """Return the GPU that ran it, as the runtime names it, else as its driver does; None without one."""
    cards = (run.sensed.gpus[0] for run in record.runs if run.sensed)
    driver = next((card[0].get("name") for card in cards if card), None)
    found = record.found.get("gpu") or driver
    return str(found) if found else None
