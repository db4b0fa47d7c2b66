"""What a device was found to be while it measured, as a record and its readers are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.measure import verdict


def plain(value: Any) -> Any:
    """Return what a device answered as plain data: a record outlives the answer that knows whom it is from."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def emulated(found: Mapping[str, Any]) -> str | None:
    """Return what is not there but emulated."""
    if found.get("device", {}).get("emulator"):
        return verdict.PHONE
    return verdict.PROCESSOR.format(found["emulated"]) if found.get("emulated") else None


def remarks(found: Mapping[str, Any]) -> list[str]:
    """Return what a reader of the number must know about how it was run."""
    told = [*found.get("remarks", ()), *found.get("answers", {}).get("remarks", ())]
    device = found.get("device", {})
    if device.get("l4t") and device.get("clocks") == "floating":
        told.append("clocks were floating: `sudo jetson_clocks` locks them, and times scatter less")
    threads, cpus = found.get("threads"), found.get("cpus")
    if threads and cpus and threads > cpus:
        told.append(f"{threads} threads on {cpus} processors")
    nodes, delegated = found.get("nodes"), found.get("nodes_delegated")
    if nodes and delegated is not None and found.get("delegate") and delegated < nodes:
        left = ", ".join(sorted(found.get("undelegated") or ())) or "the others"
        told.append(f"{found['delegate']} runs {delegated} of {nodes} operators; not {left}")
    return told
