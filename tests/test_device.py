from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.device import AdbDevice, SshDevice, devices, load, parse, require_local
from edgekit.errors import BackendMissing, UsageError

GOOD = """
devices:
  local:      {link: local, runtimes: [onnxruntime, litert]}
  orin-nano:  {link: ssh, host: orin-nano, runtimes: [tensorrt, onnxruntime], python: python3, power_modes: [15W, 25W]}
  pixel-8:    {link: adb, serial: 0123456789, runtimes: [benchmark_model], benchmark_model: ~/bin/b, cores: big}
"""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEKIT_DEVICES", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_local_is_always_there() -> None:
    found = load()
    assert list(found.devices) == ["local"] and found.file is None
    assert found.to_json()["devices"][0]["link"] == "local"


def test_the_documented_file() -> None:
    found = parse(GOOD)
    orin, pixel = found["orin-nano"], found["pixel-8"]
    assert isinstance(orin, SshDevice) and orin.power_modes == ("15W", "25W")
    assert isinstance(pixel, AdbDevice) and pixel.serial == "0123456789"
    assert found["local"].runtimes == ("onnxruntime", "litert")


def test_local_is_added_to_a_file_without_it(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text("devices:\n  a: {link: ssh, host: h, runtimes: []}\n")
    found = devices()
    assert list(found.devices) == ["local", "a"]
    json.dumps(found.to_json())


def test_the_order_in_which_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {name: tmp_path / name for name in ("asked.yaml", "env.yaml", "devices.yaml")}
    places["config"] = tmp_path / "home" / ".config" / "edgekit" / "devices.yaml"
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"devices:\n  {name}: {{link: adb, runtimes: []}}\n")
    monkeypatch.setenv("EDGEKIT_DEVICES", str(places["env.yaml"]))
    assert "asked.yaml" in load(places["asked.yaml"]).devices
    assert "env.yaml" in load().devices
    monkeypatch.delenv("EDGEKIT_DEVICES")
    assert "devices.yaml" in load().devices
    places["devices.yaml"].unlink()
    assert "config" in load().devices


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devices:\n  a: {link: shh, host: h}", "line 2: device 'a': unknown link 'shh'; did you mean 'ssh'"),
        ("devices:\n  a: {runtimes: []}", "line 2: device 'a': the key 'link' is missing"),
        ("devices:\n  a:\n    link: ssh\n    hots: h", "line 4: device 'a' has an unknown key 'hots'; did you mean"),
        ("devices:\n  a: {link: ssh, runtimes: []}", "line 2: device 'a': host: field required"),
        ("devices:\n  a:\n    link: ssh\n    host: ''\n    runtimes: []", "line 4: device 'a': host"),
        ("devices:\n  a: {link: local}", "line 2: device 'a': runtimes: field required"),
        ("devices:\n  a:\n    link: local\n    runtimes: litert", "line 4: device 'a': runtimes"),
        ("devices:\n  a: {link: local, password: x, runtimes: []}", "unknown key 'password'"),
        ("devices:\n  a: {link: adb}\n  a: {link: adb}", "line 3: 'a' is there twice, first in line 2"),
        ("device:\n  a: {link: adb, runtimes: []}", "line 1: unknown key 'device'; did you mean 'devices'"),
        ("devices:\n\ta: {link: adb}", "line 2 is no YAML"),
        ("devices: [a, b]", "line 1: 'devices' must be a mapping"),
        ("devices:\n  a: b", "line 2: device 'a' must be a mapping"),
        ("devices:\n  ? [a]\n  : {link: adb}", "line 2: a name must be text"),
        ("- a", "line 1: the file must be a mapping"),
        ("{}", "the key 'devices' is missing"),
        ("devices: {a: *b}", "line 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "binary.yaml")


def test_an_unknown_device_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'local'"):
        devices(check="lokal")


def test_other_links_are_listed_and_refused(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text(GOOD)
    assert len(devices().devices) == 3
    with pytest.raises(BackendMissing, match="orin-nano.*over ssh"):
        devices(check="orin-nano")
    with pytest.raises(BackendMissing, match="over adb"):
        require_local("pixel-8", load()["pixel-8"])


def test_checking_this_machine(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text(
        "devices:\n  local: {link: local, runtimes: ['null', tensorrt, onnxrumtime]}"
    )
    check = devices(check="local").to_json()["check"]
    assert check["cpus"] >= 1 and check["memory_bytes"] > 2**20 and check["python"]
    there, absent, misspelt = check["runtimes"]
    assert there["version"] == "built in" and there["missing"] is None
    assert absent["version"] is None and "tensorrt" in absent["missing"]
    assert "did you mean 'onnxruntime'" in misspelt["missing"]
