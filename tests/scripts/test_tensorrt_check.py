"""`make tensorrt-check`: it goes on where it stopped, and the page says what built, of what, and what did not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import BackendMissing
from scripts import tensorrt_check
from scripts.tensorrt_page import page, plain

NETWORKS = ["lenet5", "mobilenet", "vgg16"]


def cell(precision: str, network: str = "lenet5", **changes: Any) -> dict[str, Any]:
    kinds = {"correlation": 3, "kgen": 4, "signal": 2} if precision == "fp32" else {"correlation": 3, "kgen": 8}
    halves = {"quantize": {"nodes": 17, "fused": 6}, "dequantize": {"nodes": 17, "fused": 11}}
    return {
        **{"network": network, "precision": precision, "state": "built", "reason": None, "bytes": 1_150_000},
        **{"build_seconds": 0.86, "network_layers": 20, "weights_bytes": 70_000, "layer_kinds": kinds},
        **{"computed_in": {"int8": 4, "float32": 1}, "computed_in_float": ["f6"], "tensorrt_rtx": "1.7.1.116"},
        **{"processor": "Abacus 1", "date": "2026-11-30"},
        **(halves if precision == "int8" else {"quantize": None, "dequantize": None}),
        **changes,
    }


def test_the_page_tells_sizes_layers_and_what_did_not_build() -> None:
    refused = {"network": "mobilenet", "precision": "fp32", "state": "refused", "reason": "no |\n <such> layer"}
    text = page([cell("fp32"), cell("int8"), refused], NETWORKS)
    assert "TensorRT for RTX 1.7.1.116, on Abacus 1, without a GPU, 2026-11-30" in text
    assert "2 of 9 engines built. Not tried, or not in every precision: lenet5, mobilenet, vgg16." in text
    assert "| lenet5 | 1.15 (0.07) | 0.9 | - | - | 1.15 (0.07) | 0.9 |" in text
    assert "| lenet5 | 4 int8, 1 f32 | 7 | - | 11 | 4 | 8 | 6 of 17 | 11 of 17 |" in text
    assert "- lenet5: f6" in text and "| mobilenet | refused | - |" in text
    assert "- mobilenet fp32: no such layer" in text.replace("   ", " ").replace("  ", " ")
    assert plain("a | b") == "a   b" and "Nothing of what was tried." in page([cell("fp32")], NETWORKS)
    assert page([], NETWORKS).startswith("# Engines")


def test_it_goes_on_where_it_stopped_and_tries_again_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    def cells(network: str, precisions: Sequence[str], builder: Any) -> Iterator[dict[str, Any]]:
        asked.append((network, tuple(precisions)))
        yield from (cell(one, network) for one in precisions)

    monkeypatch.setattr(tensorrt_check, "cells", cells)
    file = tmp_path / "build" / "cells.jsonl"
    file.parent.mkdir()
    lines = [
        cell("fp32"),
        cell("fp16", state="refused", reason="no"),
        tensorrt_check.failure("lenet5", "int8", "the disk is full", "failed"),
    ]
    file.write_text("\n".join(map(json.dumps, lines)) + json.dumps(cell("fp32", "vgg16"))[:40])
    builder: Any = None
    tensorrt_check.make(file, ["lenet5", "mobilenet"], builder)
    assert asked == [("lenet5", ("int8",)), ("mobilenet", ("fp32", "fp16", "int8"))]
    asked.clear()
    tensorrt_check.make(file, ["lenet5", "mobilenet"], builder)
    assert not asked and len(tensorrt_check.known(file)) == 6


def test_without_the_builder_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Any:
        raise BackendMissing("TensorRT for RTX is not installed: no module", "pip install it")

    monkeypatch.setattr(tensorrt_check, "rtx", missing)
    monkeypatch.setattr("sys.argv", ["tensorrt_check", "--page", str(tmp_path / "page.md")])
    assert tensorrt_check.main() == 5 and not (tmp_path / "page.md").exists()
    assert "pip install it" in capsys.readouterr().err


def test_the_smallest_networks_come_first() -> None:
    names = tensorrt_check.by_size()
    assert names[0] == "lenet5" and names.index("mobilenet") < names.index("vgg16") and len(names) >= 60
