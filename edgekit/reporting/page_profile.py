"""What a report's page holds of profiles: where a network's time goes, and what share of the peak it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.reporting.charts_profile import datasets, heaviest
from edgekit.reporting.rows import Row

MAX_PROFILES = 40  # the latest; all of them are in the JSON report


def profiled(rows: Sequence[Row]) -> list[tuple[int, dict[str, Any]]]:
    """(place of the row, its profile) of the latest rows that have one, in the order of the rows."""
    known = [(index, row.profile) for index, row in enumerate(rows) if row.profile and row.profile["layers"]]
    latest = sorted(known, key=lambda one: rows[one[0]].created)[-MAX_PROFILES:]
    return sorted(latest, key=lambda one: one[0])


def profiles(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For each: the row's id, what the table says of it, and what its pictures read."""
    return [
        {
            "id": index,
            **{name: profile[name] for name in ("gmacs_per_s", "peak_share", "sum_ms", "profiled_ms", "plain_ms")},
            "method": profile["method"],
            "reasons": profile["reasons"],
            "peaks": profile["peaks"],
            "heaviest": heaviest(profile),
            "datasets": datasets(profile),
        }
        for index, profile in profiled(rows)
    ]
