from __future__ import annotations

from edgekit.reporting import charts_sustained, page_data
from edgekit.reporting.answer import answers
from edgekit.reporting.rows import rows
from tests.stats.test_sustained import loaded, step


def test_a_point_for_each_window_and_its_own_row() -> None:
    lasting, burst = loaded(step(60, 1.5), seconds=120), loaded(step(0, 1.0), seconds=120)
    burst = burst.model_copy(update={"protocol": burst.protocol.model_copy(update={"sustained_seconds": None})})
    found = rows([lasting, burst], [])
    assert len(found) == 2  # not one in the place of the other
    curve = charts_sustained.curves(found)
    assert [point["minute"] for point in curve] == [round(0.1 * index, 4) for index in range(20)]
    assert (
        curve[0]["ms"] < 10.5
        and curve[-1]["ms"] > 14
        and {point["label"] for point in curve} == {row.label for row in found if row.sustained}
    )
    (one,) = (row for row in found if row.sustained)
    assert one.conditions is not None and one.conditions.endswith("sustained for 2 min")
    assert any("times as long as in the first" in reason for reason in one.reasons)
    assert [one.setting for one in answers(found, {})] == ["local, 1 thread, batch 1", one.conditions]
    data = page_data.data(found)
    assert data.count('"curve":[{') == 1
