"""Every name that building and running uses, on each release whose real API is known: the double has no others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bench.links.local import LocalLink
from edgekit.bench.ondevice.engines import MODULES, RTX, TENSORRT, TITLES
from edgekit.bench.ondevice.profilers.tensorrt import profile
from edgekit.bench.ondevice.runtimes import tensorrt as runtime_tensorrt
from edgekit.bench.ondevice.runtimes import tensorrt_rtx as runtime_rtx
from edgekit.errors import BackendMissing
from edgekit.records.runtime import open_session
from edgekit.tensorrt.builder import find
from edgekit.tensorrt.capabilities import PRECISIONS, TABLES, capabilities
from edgekit.tensorrt.orders import Order
from edgekit.tensorrt.python_builder import WithPython, probe
from tests.paths import SAMPLES

DUMPS = [re.fullmatch(r"(tensorrt|tensorrt_rtx)_api_(.*)\.json", path.name) for path in SAMPLES.glob("tensorrt*_api_*")]
RELEASES = sorted((found[1], found[2]) for found in DUMPS if found)
RUNTIMES: dict[str, Any] = {TENSORRT: runtime_tensorrt, RTX: runtime_rtx}


@pytest.mark.parametrize(("product", "version"), RELEASES)
def test_a_release_has_every_name_that_is_used(
    product: str, version: str, double_of: Callable[..., Any], tiny_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    release = double_of(version, MODULES[product][0])
    targets = ("8.6", "8.9") if product == RTX else ()
    builder = WithPython(LocalLink(), probe(LocalLink(), product), product, targets)
    assert builder.version == release.version
    path, shapes = tmp_path / "x.engine", (("x", (1, 3, 16, 16), (1, 3, 16, 16), (4, 3, 16, 16)),)
    order = Order(tiny_onnx(batch="N"), path, "fp32", workspace_mib=64, shapes=shapes)
    facts = builder.build(order, lambda stage: None).facts
    assert facts[product] == version and (facts.get("target_gpus") == list(targets)) == (product == RTX)
    session = RUNTIMES[product].open_session(str(path), {"batch": 2})
    x = np.random.default_rng(0).standard_normal((2, 3, 16, 16), np.float32)
    np.testing.assert_allclose(session.run([x])[0], open_session(tiny_onnx(batch=2)).run([x])[0], atol=1e-5)
    assert session.found["provider"] == product and session.found["activation_memory_bytes"] == 64
    assert profile(RUNTIMES[product], str(path), {"batch": 2}, [x], 1)["operators"]


@pytest.mark.parametrize(("product", "version"), RELEASES)
def test_the_flags_of_the_table_are_those_of_the_release(product: str, version: str) -> None:
    names = json.loads((SAMPLES / f"{product}_api_{version}.json").read_text())["names"]
    row = capabilities(version, product)
    for precision in PRECISIONS:
        assert set(row.network_flags(precision)) <= set(names["NetworkDefinitionCreationFlag"]["values"])
        asked = {*row.builder_flags(precision), *row.cleared_flags(precision)}
        assert asked <= set(names["BuilderFlag"]["values"])
    weak = {"FP16", "INT8"} <= set(names["BuilderFlag"]["values"])
    assert weak == (row.weak is not None)
    assert row.progress == ("IProgressMonitor" in names) and row.error_nodes == _has(names, "ParserError", "node_name")
    known = set(names.get("ComputeCapability", {"values": ()})["values"]) - {"NONE", "CURRENT"}
    assert {f"SM{one.replace('.', '')}" for one in row.targets} == known


def _has(names: dict[str, Any], owner: str, member: str) -> bool:
    return member in names[owner]["members"]


def test_tensorrt_goes_before_tensorrt_for_rtx(double_of: Callable[..., Any]) -> None:
    double_of("1.7.1.116", "tensorrt_rtx")
    assert find(runtimes=("tensorrt_rtx",)).product == RTX and find(targets=("8.9",)).product == RTX
    double_of("10.3.0")
    assert find().product == TENSORRT and find(runtimes=("tensorrt", "tensorrt_rtx")).product == TENSORRT
    assert find(runtimes=("tensorrt_rtx",)).product == RTX
    assert find(targets=("8.9",)).not_run == (
        "the engine is for compute capability 8.9, and here is compute capability 8.7"
    )
    assert find(runtimes=("tensorrt_rtx",)).not_run is None


@pytest.mark.parametrize("version", ["1.3.0", "2.0.0", "10.3.0", ""])
def test_other_releases_of_rtx_are_refused(version: str) -> None:
    with pytest.raises(BackendMissing, match=re.escape(f"{TITLES[RTX]} {version} is there, and edgekit builds with 1")):
        capabilities(version, RTX)


def test_both_products_have_a_table() -> None:
    assert set(TABLES) == set(TITLES) == set(RUNTIMES)
