"""Which phone is meant, and why one is not ready."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.bench.links.adb_server import find
from edgekit.errors import BackendMissing, DeviceUnreachable
from tests.bench.adb_server import Phones, make_phones

phones = pytest.fixture(make_phones)


def test_no_phone(phones: Phones) -> None:
    with pytest.raises(DeviceUnreachable, match="no phone is connected, for pixel"):
        find("pixel", None)
    with pytest.raises(DeviceUnreachable, match=r"\(-x; reboot\) is not connected"):
        find("pixel", "-x; reboot")


def test_a_phone_that_does_not_trust_this_computer(phones: Phones) -> None:
    phone = phones(trusted=False)
    with pytest.raises(DeviceUnreachable, match="does not trust this computer") as caught:
        find("pixel", phone.serial)
    assert "USB debugging" in caught.value.remedy


@pytest.mark.parametrize(
    ("state", "said", "remedy"),
    [
        ("offline", "is offline", "adb reconnect"),
        ("unauthorized", "does not trust", "accept"),
        ("no permissions (user in plugdev group; are your udev rules wrong?)", "may not be opened", "udev"),
        ("recovery", "is in state 'recovery'", "start Android"),
    ],
)
def test_states_of_a_phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, said: str, remedy: str) -> None:
    # adb shows most of these for USB alone, which no test has.
    (tmp_path / "adb").write_text(
        f"#!/bin/sh\n[ $1 = devices ] && printf 'List of devices attached\\nX1  {state}\\n'\n:\n"
    )
    (tmp_path / "adb").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(DeviceUnreachable, match=said) as caught:
        find("pixel", "X1")
    assert remedy in caught.value.remedy and caught.value.exit_code == 4


def test_without_adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendMissing, match="adb is not installed"):
        find("pixel", None)
