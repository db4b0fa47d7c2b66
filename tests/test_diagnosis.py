"""doctor: what is known, and the reason where something is not."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from edgekit.diagnosis import PACKAGES, doctor


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("EDGEKIT_STORE", "EDGEKIT_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_every_package_is_told_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package in ("torch", "edgekit"):
            return "2.13.0"
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", version)
    found = {one.package: one for one in doctor().packages}
    assert list(found) == [package for package, _, _ in PACKAGES]
    assert found["torch"].version == "2.13.0" and found["onnx"].version is None
    assert "edgekit[export]" in found["onnx"].install


def test_what_is_not_known_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Any) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(shutil, "disk_usage", gone)
    found = doctor()
    assert all(found.reasons.get(name) for name, value in found.machine.items() if value is None)
    assert found.machine["free_disk_bytes"] is None


def test_a_broken_devices_yaml_does_not_hide_the_rest(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text("devices: [")
    found = doctor().to_json()
    assert found["packages"] and "devices.yaml" in str(found["reasons"])
