"""The judge of `make attack`: each promise that a command can break is noticed."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from scripts.attack import devices
from scripts.attack.case import MARK, SECRET, damaged_bytes, damaged_json, poisoned
from scripts.attack.input import KINDS, Ended, broken
from scripts.attack.names import NAMES

FINE = Ended(2 << 8, "", "error: a.onnx is not an ONNX file\n  fix: get it again\n")
WRONG = {
    "did not end": Ended(None, "", ""),
    "ended by signal 11": Ended(11, "", ""),
    "exit code 1": Ended(1 << 8, "", "error: a bug of edgekit: KeyError: 'x'"),
    "exit code 0": Ended(0, "", "Traceback (most recent call last):\n"),
    "said": Ended(0, "label \x1b[31m", ""),
    "read a file": Ended(0, SECRET, ""),
}


@pytest.mark.parametrize("promise", WRONG)
def test_a_broken_promise_is_noticed(promise: str, tmp_path: Path) -> None:
    assert str(broken(tmp_path, WRONG[promise])).startswith(promise)


def test_what_a_command_leaves_is_noticed(tmp_path: Path) -> None:
    assert broken(tmp_path, FINE) is None
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".edgekit-1").touch()
    assert broken(tmp_path, FINE) == "left ['a/.edgekit-1']"
    (tmp_path / "artifact.onnx").write_text(f"bias: {SECRET}")
    assert broken(tmp_path, FINE) == "read a file that it was not given"
    (tmp_path / MARK).touch()
    assert broken(tmp_path, FINE) == "ran a command"


def test_damages_are_the_same_for_the_same_seed_and_always_some() -> None:
    data, document = bytes(range(256)) * 40, {"a": [1, {"b": "c"}], "d": None}
    for seed in range(50):
        one, other = (damaged_bytes(random.Random(seed), data) for _ in range(2))
        assert one == other != data
        assert json.dumps(damaged_json(random.Random(seed), document)) == json.dumps(
            damaged_json(random.Random(seed), document)
        )
    assert poisoned(document)["a"][1]["b"] != "c" and document["a"] == [1, {"b": "c"}]


def test_every_name_is_one_that_a_file_can_have() -> None:
    assert all(len(os.fsencode(f"{name}.tflite.json")) < 256 and "/" not in name and name for name in NAMES)
    assert len(KINDS) == 15


def test_what_stays_on_a_device_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "LEAVE", 0.1)
    going = [["sleep"], []]
    assert devices.lasting(lambda: going.pop(0)) == []
    assert devices.lasting(lambda: ["sleep 61"]) == ["sleep 61"]
