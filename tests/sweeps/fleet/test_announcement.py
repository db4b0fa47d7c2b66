"""Which workers a sweep may use, by what they say of themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgekit.device.config import ONE
from edgekit.sweeps.fleet.announcement import DEVICE, SLOT, Announcement, announcement, difference, roster, to_dask

OURS = {"edgekit": "0.1.0 aaaa", "torch": "2.13.0", "onnx": "1.23.2"}
BOARD = {"link": "ssh", "host": "pi", "runtimes": ["onnxruntime"]}
SAID = Announcement("one", OURS, {"onnxruntime": "1.31.1"}, {"pi-1": BOARD}, 2, 10**9)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"edgekit": "0.2.0 bbbb"}, "it has edgekit 0.2.0 of source bbbb, and this sweep 0.1.0 of source aaaa"),
        ({"edgekit": "0.1.0 bbbb"}, "it has edgekit 0.1.0 of source bbbb, and this sweep 0.1.0 of source aaaa"),
        ({"torch": "2.9.0"}, "it has torch 2.9.0, and this sweep 2.13.0"),
        ({"onnx": "1.16.0"}, "it has onnx 1.16.0, and this sweep 1.23.2"),
        ({"onnx": None}, "it has onnx not at all, and this sweep 1.23.2"),
        ({"torch": None}, None),
        ({"torch": None, "onnx": "1.16.0"}, None),
        ({"torch": None, "edgekit": "0.2.0 bbbb"}, "it has edgekit 0.2.0 of source bbbb, and this sweep 0.1.0 of"),
    ],
)
def test_versions_must_agree_as_far_as_a_worker_makes_files(changes: dict[str, Any], why: str | None) -> None:
    theirs = {name: version for name, version in {**OURS, **changes}.items() if version is not None}
    found = difference(OURS, theirs)
    assert found == why if why is None else found is not None and found.startswith(why)


def test_a_roster_has_who_may_be_used_and_why_others_may_not() -> None:
    light = replace(SAID, name="light", tools={"edgekit": OURS["edgekit"]}, devices={"pi-1": BOARD, "pi-2": BOARD})
    other = replace(SAID, name="old", tools={**OURS, "torch": "2.9.0"})
    info = {
        "workers": {
            "tcp://a": {"edgekit": to_dask(SAID)},
            "tcp://b": {"edgekit": to_dask(light)},
            "tcp://c": {"edgekit": to_dask(other)},
            "tcp://d": {"edgekit": {"name": "older", "something": "else"}},
            "tcp://e": {"resources": {}},
        }
    }
    found = roster(info, OURS)
    assert set(found.workers) == {"tcp://a", "tcp://b"} and set(found.exporters) == {"tcp://a"}
    assert found.owners("pi-1") == ["tcp://a", "tcp://b"] and found.owners("pi-2") == ["tcp://b"]
    assert found.refused["tcp://c"] == "worker old is refused: it has torch 2.9.0, and this sweep 2.13.0"
    assert found.refused["tcp://d"].startswith("worker older is refused: it has another edgekit than this sweep, 0.1.0")
    assert set(found.judges("onnxruntime", "1.31.1")) == {"tcp://a", "tcp://b"}
    assert not found.judges("onnxruntime", "1.0") and not found.judges("null", None)


def test_this_machine_says_what_it_is() -> None:
    board = ONE.validate_python(BOARD)
    said = announcement("one", {"pi-1": board}, 2, 10**9)
    assert said.resources == {SLOT: 2, f"{DEVICE}pi-1": 1} and said.entry("pi-1") == board
    assert said.tools["edgekit"].startswith("0.") and set(said.runtimes) >= {"onnxruntime", "litert", "null"}
    assert Announcement(**to_dask(said)) == said
