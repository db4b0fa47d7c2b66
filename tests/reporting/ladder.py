"""Files of which each is less accurate and quicker than the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.records.measurement import Accuracy, Measurement

if TYPE_CHECKING:
    from tests.reporting.conftest import Records

LADDER = (("big", 20.0, 0.80), ("middle", 9.0, 0.70), ("near", 8.0, 0.69), ("small", 2.0, 0.50))


def ladder(make: Records, device: str = "local", **other: Any) -> tuple[list[Measurement], list[Accuracy]]:
    """Four files, each less accurate and quicker than the one before."""
    known = [make.manifest(f"{name}_1.0_160") for name, _, _ in LADDER]
    measured = [
        make.measurement(one, ms, device=device, **other) for one, (_, ms, _) in zip(known, LADDER, strict=True)
    ]
    return measured, [make.accuracy(one, top1, n=5000) for one, (_, _, top1) in zip(known, LADDER, strict=True)]
