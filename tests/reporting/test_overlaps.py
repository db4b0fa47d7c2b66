"""Names in a picture apart: boxes that touch, and the names of a picture as Vega draws it."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from edgekit.reporting import charts, drawing
from edgekit.reporting.overlaps import Box, apart, names, with_names_apart
from edgekit.reporting.rows import rows

if TYPE_CHECKING:
    from tests.reporting.conftest import Records


@pytest.mark.parametrize(
    ("boxes", "stays"),
    [
        ([], []),
        ([(0, 0, 10, 5), (11, 0, 20, 5), (0, 6, 10, 9)], [True, True, True]),
        ([(0, 0, 10, 5), (10, 0, 20, 5)], [True, False]),  # at one edge
        ([(0, 0, 10, 5), (0, 5, 10, 9)], [True, False]),
        ([(0, 0, 10, 5), (8, 0, 18, 5), (16, 0, 26, 5)], [True, False, True]),  # what gave way is in nobody's way
        ([(0, 0, 30, 30), (10, 10, 20, 20)], [True, False]),  # one inside the other
        ([(0, 0, 10, 5)] * 3, [True, False, False]),
    ],
)
def test_of_boxes_that_touch_the_first_stays(boxes: list[tuple[float, ...]], stays: list[bool]) -> None:
    assert apart([Box(*box) for box in boxes]) == stays


def picture(*texts: tuple[str, float, float], role: str = "mark-text role-mark layer_4_marks") -> str:
    marks = "".join(
        f'<text text-anchor="end" transform="translate({x},{y})" font-size="10px">{text}</text>' for text, x, y in texts
    )
    inner = f'<g class="{role}">{marks}</g>'
    return f'<svg xmlns="http://www.w3.org/2000/svg"><g transform="translate(40,20)">{inner}</g></svg>'


def test_names_lie_where_their_groups_and_anchors_put_them() -> None:
    ((name, box), (_, wide)) = names(picture(("a &amp; b", 100, 50), ("中文", 100, 90)))
    assert name == "a & b" and box.right == 140 and box.top < 70 < box.bottom
    assert 28 < box.right - box.left < 36 and wide.right - wide.left == pytest.approx((box.right - box.left) * 4 / 5)


def test_only_names_of_marks_give_way() -> None:
    same = [("one", 100.0, 50.0), ("two", 100.0, 52.0), ("three", 100.0, 90.0)]
    left = with_names_apart(picture(*same))
    assert [name for name, _ in names(left)] == ["one", "three"] and "ns0" not in left
    axis = picture(*same, role="mark-text role-axis-label")
    assert with_names_apart(axis) == axis


def test_no_names_of_a_sweep_on_two_devices_touch(make: Records) -> None:
    pytest.importorskip("vl_convert", reason="vl-convert is not installed")
    taken, evaluated = make.family()
    there = [one.model_copy(update={"id": f"{one.id}b", "device": "phone"}) for one in taken]
    found = rows([*taken, *there], evaluated)
    crowded = {"points": charts.points(found, "latency"), "published": []}
    for point in crowded["points"]:
        point["front"] = True  # far more names than there is room for
    svg, png = drawing.render(charts.tradeoff("latency", found), crowded)
    boxes = [box for _, box in names(svg)]
    assert len(boxes) > 8 and not any(one.touches(other) for one, other in combinations(boxes, 2))
    assert png.startswith(b"\x89PNG")
