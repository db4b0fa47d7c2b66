"""A cluster of a scheduler and two workers with a device each, for all tests of a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekit.device.target import Identity
from edgekit.sweeps.command import sweep
from edgekit.sweeps.local import Local
from edgekit.sweeps.plan import Plan
from edgekit.sweeps.result import SweepResult
from tests.sweeps.fleet.peers import Peers, described

DEVICES = ("pi-1", "pi-2")


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    pytest.importorskip("distributed")
    found = Peers(tmp_path_factory.mktemp("cluster"))
    try:
        found.start_scheduler()
        found.start_worker("one", "pi-1", wait=False)
        found.start_worker("two", "pi-2")
        found.wait_for("one")
        yield found
    finally:
        found.stop()


@pytest.fixture
def begin(peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SweepResult]:
    """A sweep of two variants on two devices by the cluster; nothing here needs torch or reaches a device."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Plan, "_check_variants", lambda plan: None)
    monkeypatch.setattr(Local, "identity", lambda self, name: Identity((name,), {"onnxruntime": "1.0"}))
    devices = described(tmp_path / "devices.yaml", *DEVICES, "pi-3")

    def swept(**changes: Any) -> SweepResult:
        asked: dict[str, Any] = {"alpha": (0.25, 0.5), "res": (96,), "format": ("onnx",), "device": DEVICES}
        asked |= {"out": tmp_path / "out", "store": f"sqlite:///{tmp_path}/s.db", "devices": devices}
        asked |= {"engine": "dask", "scheduler": peers.address, "continue_": True}
        return sweep("mobilenet", **asked | changes)

    return swept


@pytest.fixture(autouse=True)
def _no_settings_of_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DASK_")]:
        monkeypatch.delenv(name)
