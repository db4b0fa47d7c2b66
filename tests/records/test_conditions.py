"""Run conditions are what was found; what was asked for fills in where nothing was."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.records.conditions import NO_DELEGATE, fact, gpu, place, run_conditions, sizes, way
from edgekit.records.measurement import Protocol
from tests.comparison.records import on_gpu, record


def test_what_was_found_counts_and_not_what_was_asked() -> None:
    asked = Protocol(threads=4, batch=2)
    found = run_conditions(record(protocol=asked, found={"threads": 1, "batch": None}))
    assert (found.threads, found.batch) == (1, 2)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"provider": "CUDAExecutionProvider"}, "CUDA"),
        ({"delegate": "/opt/libnpu.so"}, "libnpu.so"),
        ({"delegate": "none"}, NO_DELEGATE),
        ({"nodes_delegated": 0}, NO_DELEGATE),
        ({"delegate": None, "tool": "benchmark_model"}, NO_DELEGATE),
        ({"delegate": None}, None),
        ({}, None),
    ],
)
def test_what_ran_it_is_told_only_where_it_is_known(found: dict[str, Any], said: str | None) -> None:
    assert way(record(found=found)) == said


def test_a_fact_of_the_runner_comes_before_that_of_the_link() -> None:
    told = {"device": {"model": "Orin", "power_mode": "15W"}}
    assert fact(record(found=told), "power_mode") == "15W"
    assert fact(record(found={**told, "power_mode": "25W"}), "power_mode") == "25W"
    assert fact(record(), "power_mode") is None


def test_the_gpu_as_the_runtime_names_it_else_as_its_driver_does() -> None:
    assert gpu(record()) is None
    assert gpu(record(runs=on_gpu("NVIDIA H100"))) == "NVIDIA H100"
    assert gpu(record(runs=on_gpu("NVIDIA H100"), found={"gpu": "H100 PCIe"})) == "H100 PCIe"


def test_places_and_sizes_for_people() -> None:
    assert place("orin", "h1", "15W", frozenset()) == "orin 15W"
    assert place("orin", "h1", None, frozenset({"orin"})) == "orin h1"
    assert sizes({"x": (1, 3, 8, 8), "y": (1, 4)}) == "x 1x3x8x8, y 1x4" and sizes(None) is sizes({}) is None
