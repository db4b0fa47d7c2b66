"""What a table for another program has of a file."""

from __future__ import annotations

from typing import Any

from edgekit.cli.tables import Json
from edgekit.cli.written import Fields

FILES: Fields = {
    "file": lambda row: row["path"],
    "format": lambda row: row["format"],
    "network": lambda row: _of(row, "variant", "name"),
    "precision": lambda row: _of(row, "precision"),
    "weights": lambda row: _of(row, "weights", "id"),
    "bytes": lambda row: row["bytes"],
    "parameters": lambda row: _of(row, "params"),
    "MACs": lambda row: _of(row, "macs"),
    "signal-to-noise dB": lambda row: _of(row, "parity", "snr_db"),
    "sha256": lambda row: _of(row, "sha256"),
}


def _of(row: Json, *keys: str) -> Any:
    """What the manifest says under keys inside each other; None where there is no manifest."""
    found: Any = row["manifest"]
    for key in keys:
        found = None if found is None else found[key]
    return found
