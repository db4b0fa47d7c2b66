from __future__ import annotations

import pytest

from edgekit.stats.interference import foreign_cores, stolen, waited
from tests.measure.test_verdict import sensed


def test_facts() -> None:
    assert foreign_cores(sensed()) == pytest.approx(0.01)
    assert foreign_cores(sensed(busy_s=104.0)) == pytest.approx(1.0)
    assert foreign_cores(sensed(busy_s=101.0)) == 0  # ticks are coarse: less than our own is nothing, not less
    assert stolen(sensed(steal_s=1.4)) == pytest.approx(0.05)
    assert waited(sensed(own_waiting_ns=20_000_000)) == pytest.approx(0.01)
    assert foreign_cores(sensed(before={"busy_s": None}, busy_s=None)) is None
