"""What a sweep could not do stands in the report, until somebody does it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit.choosing.command import choose
from edgekit.errors import UsageError
from edgekit.records.failure import FailedCell
from edgekit.records.record import new_id
from edgekit.reporting.cautions import REMOVED, still_failing
from edgekit.reporting.command import report
from edgekit.reporting.rows import rows
from edgekit.storage.store import Store

if TYPE_CHECKING:
    from tests.reporting.conftest import Records

NAME = "mobilenet_0.5_160"


def failure(**known: Any) -> FailedCell:
    values = {"id": new_id(), "created": "2026-11-20T09:30:00Z", "variant": NAME, "format": "onnx", "precision": "fp32"}
    return FailedCell(**values | {"device": "local", "code": "gate", "reason": "parity failed", "remedy": "r"} | known)


def test_a_reason_is_said_once_with_its_cells() -> None:
    cells = [failure(variant=f"n{index}") for index in range(5)]
    assert still_failing(
        (), [*cells, failure(variant="n0"), failure(variant="x", device=None, reason="no memory")]
    ) == [
        "n0 onnx fp32 on local, n1 onnx fp32 on local, n2 onnx fp32 on local and 2 more failed: parity failed.",
        "x onnx fp32 failed: no memory.",
        REMOVED,
    ]


def test_what_was_done_since_is_not_told(make: Records) -> None:
    done = rows([make.measurement(make.manifest(NAME), created="2026-11-20T10:00:00Z")], [])
    assert still_failing(done, [failure(), failure(device=None)]) == []
    assert still_failing(done, [failure(variant="mobilenet")]) == [], "as older sweeps named it"
    assert still_failing(done, [failure(device="pool", devices=("orin", "local"))]) == [], "by a device of its pool"
    later, elsewhere = failure(created="2026-11-20T10:30:00Z"), failure(device="orin")
    assert len(still_failing(done, [later])) == len(still_failing(done, [elsewhere])) == 2, (
        "the failure, and the way out"
    )


def test_the_report_tells_it(make: Records, tmp_path: Path) -> None:
    store: Store = make.store([make.measurement(make.manifest())])
    store.append(failure(variant="<b>", reason="no <i>space</i>"))
    page, text = (path.read_text() for path in report(store, tmp_path / "r", "html,md").paths)
    assert "&lt;b&gt; onnx fp32 on local failed: no &lt;i&gt;space&lt;/i&gt;." in page and "<i>space" not in page
    assert "> &lt;b&gt; onnx fp32 on local failed" in text
    assert "<code>edgekit store rm --model NAME --since DATE</code>" in page
    store.append(failure(device="pi-1", code="device", reason="no route"))
    shown, text = (path.read_text() for path in report(store, tmp_path / "r", "html,md").paths)
    told = "othing was measured: it did not answer at 2026-11-20 09:30 UTC (1 failed cell)"
    assert f"No file can be named for pi-1: n{told}; switch it on" in text and f"N{told}" in shown


def test_a_store_with_failures_alone_has_a_report_of_them(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "f.db"))
    store.append(failure(device="pi-1", code="device", reason="no route"))
    store.append(failure(device=None, precision="int8"))
    page, text, table = (path.read_text() for path in report(store, tmp_path / "r", "html,md,csv").paths)
    assert "No file can be named for pi-1: nothing was measured" in text and table == "\n"
    for shown in (page, text.replace("\\", "")):
        assert f"{NAME} onnx int8 failed: parity failed." in shown
    assert "<h1>Nothing was measured</h1>" in page
    assert "| Network |" not in text
    found = choose(store=store)
    assert (found.device, found.verdict) == ("pi-1", "cannot decide") and found.remedy
    with pytest.raises(UsageError, match="nothing to report that fits the filters"):
        report(store, tmp_path / "r", "md", model="other")
