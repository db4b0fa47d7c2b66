"""The same files side by side on several devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.reporting import page
from edgekit.reporting import text as report_text
from edgekit.reporting.by_device import by_device
from edgekit.reporting.rows import rows

if TYPE_CHECKING:
    from tests.reporting.conftest import Records


def test_a_file_a_line_and_a_device_a_column(make: Records) -> None:
    one, other = make.manifest("a_1.0_160"), make.manifest("b_1.0_160")
    taken = [make.measurement(one, 2.0), make.measurement(one, 5.0, device="phone", threads=2, verdict="suspect")]
    taken += [make.measurement(one, 1.5, threads=4), make.measurement(other, 1.0)]
    found = rows(taken, [])
    told = by_device(found)
    assert told is not None and told.places == ("local", "phone") and told.apart == ("threads",)
    first, second = told.lines
    assert [[row.threads for row in cell] for cell in first.cells] == [[4, 1], [2]], "the quickest first"
    assert [len(cell) for cell in second.cells] == [1, 0]
    assert told.how(first.cells[0][0]) == "4 threads"
    lines = report_text.as_markdown(found, (), "now").splitlines()
    line = next(line for line in lines if line.startswith("| a\\_1.0\\_160\\_fp32.onnx"))
    assert line.count(" | ") == 2 and "4 threads; " in line and "suspect" in line
    shown = page.page(found, "now", "")
    assert "Device by device" in shown and f'<tr data-sha="{one.sha256}">' in shown
    assert "<small>suspect, 2 threads</small>" in shown and "<small>1 thread</small>" in shown


def test_one_device_has_no_such_table(make: Records) -> None:
    found = rows([make.measurement(make.manifest()), make.measurement(make.manifest(), runtime="null", device="x")], [])
    assert by_device(found) is None and "Device by device" not in page.page(found, "now", "")
