"""A device on which all failed is told as that, and is no unknown name."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.choosing.command import choose
from edgekit.choosing.unmeasured import AGAIN, elsewhere, of_device
from edgekit.errors import UsageError
from tests.reporting.conftest import Records, accuracy, manifest, measurement
from tests.reporting.test_cautions_failures import failure

AWAY: dict[str, Any] = {"device": "pi-1", "tried_on": "pi-1", "code": "device", "reason": "no route to pi-1"}
WHEN, TOLD = "2026-11-21T09:30:00Z", "2026-11-21 09:30 UTC"
FAILED = [failure(**AWAY, precision=one) for one in ("fp32", "int8")] + [failure(**AWAY, created=WHEN)]


def test_the_last_failure_tells_and_cells_are_counted_once() -> None:
    found = of_device("pi-1", FAILED)
    assert found is not None and found.why == f"it did not answer at {TOLD} (2 failed cells)"
    assert found.remedy == f"switch it on, and {AGAIN}"
    other = of_device("pi-1", [failure(device="pi-1", remedy="install it")])
    assert other is not None and other.why == "parity failed (1 failed cell, the last at 2026-11-20 09:30 UTC)"
    assert other.remedy.startswith("install it; then sweep again")
    assert of_device("pi-2", FAILED) is None


def test_a_device_that_was_measured_or_a_pool_with_one_is_not_away() -> None:
    assert [one.device for one in elsewhere(FAILED, {"local"})] == ["pi-1"]
    assert elsewhere(FAILED, {"pi-1"}) == []
    pool = failure(device="pis", devices=("pi-1", "pi-2"))
    assert elsewhere([pool], {"pi-2"}) == [] and [one.device for one in elsewhere([pool], set())] == ["pis"]


def test_choose_says_that_the_device_was_away(tmp_path: Any) -> None:
    known = manifest()
    store = Records(tmp_path).store([measurement(known)], [accuracy(known, 0.7)])
    store.append(*FAILED)
    found = choose("pi-1", threads=1, store=store)
    assert found.reason == f"pi-1 was not measured: it did not answer at {TOLD} (2 failed cells)"
    assert found.exit_code == 3 and found.chosen is None and found.remedy and found.remedy.startswith("switch it on")
    assert choose("pi-1", min_top1=99, store=store).verdict == "none fits"
    with pytest.raises(UsageError, match="nothing was measured on 'pi-3'"):
        choose("pi-3", store=store)
    assert choose("local", store=store).reason == "the only candidate"
