"""Which machine a number comes from, where the devices of several people share a name: everybody has a `local`.

The runner finds a machine's identity (bench/ondevice/sensors/linux.py, `host`); records made before it did have none.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.records.measurement import Measurement


def host(record: Measurement) -> str | None:
    """Return the identity of the machine that was measured; None where the record does not tell."""
    found = record.found.get("host")
    return str(found) if found else None


def shared(pairs: Iterable[tuple[str | None, str | None]]) -> frozenset[str]:
    """Return the names of devices, among (device, host), that mean several machines."""
    hosts: dict[str, set[str | None]] = {}
    for device, machine in pairs:
        if device is not None:
            hosts.setdefault(device, set()).add(machine)
    return frozenset(device for device, machines in hosts.items() if len(machines) > 1)


def place(device: str | None, machine: str | None, ambiguous: frozenset[str]) -> str | None:
    """Return a device's name, with its machine where the name is `ambiguous`."""
    return f"{device} {machine or '(unknown machine)'}" if device in ambiguous else device
