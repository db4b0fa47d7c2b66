from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgekit.device.config import schema
from edgekit.device.registry import AdbDevice, SshDevice, devices, load, parse
from edgekit.errors import BackendMissing, UsageError
from tests.paths import ROOT

GOOD = """
devices:
  local:      {link: local, runtimes: [onnxruntime, litert]}
  orin-nano:  {link: ssh, host: orin-nano, runtimes: [tensorrt, onnxruntime], sensors: jetson, power_modes: [15W, 25W]}
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


@pytest.mark.parametrize("null", ["null", "~", "", "Null", "NULL"])
def test_null_is_as_if_the_key_were_not_there(null: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    check = jsonschema.Draft202012Validator(schema())
    for name, plain in parse(GOOD).items():
        needed = {"link": plain.link, "runtimes": list(plain.runtimes), "host": "h"}
        lines = [f"    {key}: {json.dumps(needed[key]) if key in needed else null}" for key in type(plain).model_fields]
        text = "\n".join(["devices:", f"  {name}:", *lines])
        least = {key: value for key, value in needed.items() if key in type(plain).model_fields}
        assert parse(text)[name] == parse(json.dumps({"devices": {name: least}}))[name]
        assert not list(check.iter_errors(yaml.safe_load(text)))


def test_null_in_quotes_is_text_and_where_a_key_is_needed_it_is_missing() -> None:
    device = parse("devices:\n  a: {link: ssh, host: h, runtimes: ['null'], folder: '~'}")["a"]
    assert isinstance(device, SshDevice) and device.folder == "~" and device.runtimes == ("null",)
    for text, said in (
        ("{link: ~, runtimes: [litert]}", "the key 'link' is missing"),
        ("{link: local, runtimes: ~}", "the key 'runtimes' is missing"),
        ("{link: local, runtimes: [litert], foldr: ~}", "unknown key 'foldr'"),
    ):
        with pytest.raises(UsageError, match=said):
            parse(f"devices:\n  a: {text}")


def test_local_is_added_to_a_file_without_it(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text("devices:\n  a: {link: ssh, host: h, runtimes: [litert]}\n")
    found = devices()
    assert list(found.devices) == ["local", "a"]
    json.dumps(found.to_json())


def test_the_order_in_which_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {name: tmp_path / name for name in ("asked.yaml", "env.yaml", "devices.yaml")}
    places["config"] = tmp_path / "home" / ".config" / "edgekit" / "devices.yaml"
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"devices:\n  {name}: {{link: adb, runtimes: [litert]}}\n")
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
        ("devices:\n  a: {runtimes: [litert]}", "line 2: device 'a': the key 'link' is missing"),
        ("devices:\n  a:\n    link: ssh\n    hots: h", "line 4: device 'a' has an unknown key 'hots'; did you mean"),
        ("devices:\n  a: {link: ssh, runtimes: [litert]}", "line 2: device 'a': the key 'host' is missing"),
        ("devices:\n  a:\n    link: ssh\n    host: ''\n    runtimes: [litert]", "line 4: device 'a': host"),
        ("devices:\n  a: {link: local}", "line 2: device 'a': the key 'runtimes' is missing"),
        ("devices:\n  a:\n    link: local\n    runtimes: litert", "line 4: device 'a': runtimes"),
        ("devices:\n  a:\n    link: local\n    runtimes: [litert, onnxruntim]",
         "line 4: device 'a': runtimes: unknown runtime 'onnxruntim'; did you mean 'onnxruntime'?"),
        ("devices:\n  a: {link: local, runtimes: [trt]}", "unknown runtime 'trt'; did you mean 'tensorrt'?"),
        ("devices:\n  a:\n    link: local\n    runtimes: []", "line 4: device 'a': runtimes: must not be empty"),
        ("devices:\n  a:\n    link: ssh\n    host: h\n    runtimes: [litert]\n    power_modes: [15W]",
         "line 6: device 'a': power_modes: only a Jetson has power modes, and `sensors: jetson` is missing"),
        ("devices:\n  a: {link: local, password: x, runtimes: [litert]}", "line 2: device 'a' has a password"),
        ("devices:\n  a:\n    link: ssh\n    host: me:pw@h\n", "line 4: device 'a' has a password in its host"),
        ("devices:\n  a: {link: ssh, host: -oProxyCommand=x, runtimes: [torch]}",
         "'-oProxyCommand=x' is no name for ssh"),
        ("devices:\n  a: {link: ssh, host: 'h $(x)', runtimes: [litert]}", "is no name for ssh"),
        ("devices:\n  a: {link: ssh, host: h, serial: 1, runtimes: [torch]}",
         "'serial', which belongs to the link adb"),
        ("devices:\n  a: {link: ssh, host: h, sensors: jetsn, runtimes: [torch]}", "sensors: must be 'jetson'"),
        ("devices:\n  a: {link: ssh, host: h, folder: \"a\\nb\", runtimes: [litert]}", "folder must be printable"),
        ("devices:\n  a: {link: ssh, host: h, runtimes: [\"a\\nb\"]}", "runtimes must be printable"),
        ("devices:\n  \"a\\nb\": {link: local, runtimes: [litert]}", "line 2: the name 'a\\nb' must be printable"),
        ("devices:\n  a: {link: ssh, host: h", "is no YAML"),
        ("devices:\n  a: {link: adb}\n  a: {link: adb}", "line 3: 'a' is there twice, first in line 2"),
        ("device:\n  a: {link: adb, runtimes: [litert]}", "line 1: unknown key 'device'; did you mean 'devices'"),
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


def test_a_phone_without_adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "devices.yaml").write_text(GOOD)
    assert len(devices().devices) == 3
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendMissing, match="adb is not installed"):
        devices(check="pixel-8")


def test_a_tab_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        parse("devices:\n\ta: {link: adb}")
    assert "tab" in caught.value.remedy


@pytest.mark.parametrize("name", ["two words", "it's", 'a"b', "$(touch x)", "-n", "läuft", "a;b"])
def test_a_name_may_be_anything_on_one_line(name: str) -> None:
    text = yaml.safe_dump({"devices": {name: {"link": "local", "runtimes": ["litert"]}}}, allow_unicode=True)
    assert list(parse(text)) == [name]


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from([*"{}[]:,-\n\t' \"#&*!|>%@", "devices", "link", "ssh"])).map("".join)
)
def test_any_text_gives_devices_or_one_line(text: str) -> None:
    try:
        parse(text)
    except UsageError as error:
        assert "\n" not in error.message


def examples() -> list[str]:
    """The devices.yaml in the documents."""
    text = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    return re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_documented_examples_are_right() -> None:
    found = {name: device for text in examples() for name, device in parse(text).items()}
    assert {"desktop", "orin-nano", "agx-orin", "raspberry-pi", "pixel-8"} <= set(found)


def test_the_published_schema_is_up_to_date() -> None:
    published = json.loads((ROOT / "docs" / "devices.schema.json").read_text(encoding="utf-8"))
    assert published == schema(), "run: python -m edgekit.device.config > docs/devices.schema.json"


def test_the_schema_allows_what_is_documented_and_no_more() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    check = jsonschema.Draft202012Validator(schema())
    for text in [*examples(), (ROOT / "devices.yaml").read_text(encoding="utf-8"), GOOD]:
        assert not list(check.iter_errors(yaml.safe_load(text)))
    for wrong in (
        {"link": "ssh", "runtimes": ["litert"]},
        {"link": "shh"},
        {"link": "local", "runtimes": ["litert"], "password": "x"},
        {"link": "local", "runtimes": ["onnxruntim"]},
        {"link": "local", "runtimes": []},
    ):
        assert list(check.iter_errors({"devices": {"a": wrong}}))


def test_checking_this_machine(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text("devices:\n  local: {link: local, runtimes: ['null', tensorrt]}")
    check = devices(check="local").to_json()["check"]
    assert check["cpus"] >= 1 and check["memory_bytes"] > 2**20 and check["python"]
    there, absent = check["runtimes"]
    assert there["version"] == "built in" and there["missing"] is None
    assert absent["version"] is None and absent["missing"] and "tensorrt" in absent["remedy"]
