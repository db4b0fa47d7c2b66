"""Quantized files: read in real numbers, near what LiteRT computes in integers, with what the integers span."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekit.frontend.imported import Imported
from edgekit.importers.source import Source
from tests.importers.tflite.files import ints, node, of_runtime, opened, weight, write
from tests.paths import HOSTED


def snr_db(source: Source, network: Imported, x: Any) -> float:
    """How near the network, rounding as the file does, is to LiteRT."""
    network.rounds = True
    (got,) = network(torch.from_numpy(x)).values()
    (want,) = of_runtime(source.path, source, [x])
    return float(10 * np.log10(np.square(want).sum() / max(float(np.square(got.numpy() - want).sum()), 1e-12)))


def quantized(path: Path, low: int, activation: int = 0) -> Path:
    """A convolution of uint8 whose output's integers begin at `low` codes below 0, and a mean."""
    codes = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 3)).astype(np.uint8)
    nodes = [
        node("CONV_2D", "x w b", "c", strideH=1, strideW=1, fusedActivationFunction=activation),
        node("MEAN", "c axes", "y"),
    ]
    own = {"w": codes, "b": ints(100, -100, 0, 50), "axes": ints(1, 2)}
    grids = {"x": (1 / 128, 128), "w": (1 / 256, 128), "b": (1 / 2**15, 0), "c": (6 / 255, low), "y": (6 / 255, low)}
    types = dict.fromkeys("xcy", "uint8")
    return write(path, nodes, {"x": (1, 8, 8, 3)}, ["y"], own, grids, types)


@pytest.mark.parametrize(
    ("low", "activation", "kinds"),
    [(0, 0, ["conv", "clip", "mean"]), (0, 3, ["conv", "clip", "mean"]), (100, 0, ["conv", "mean"])],
)
def test_integers_that_begin_at_0_are_a_relu6(tmp_path: Path, low: int, activation: int, kinds: list[str]) -> None:
    source, graph = opened(quantized(tmp_path / "net.tflite", low, activation))
    assert [op.kind for op in graph][1:] == kinds
    assert source.precision == "int8" and "keep its scales" in source.notes[0]
    conv = graph.ops[-2].name
    assert source.ranges[conv] == pytest.approx((-low * 6 / 255, (255 - low) * 6 / 255))
    assert source.ranges["x"] == pytest.approx((-1, 127 / 128))
    assert snr_db(source, source.build(), weight(1, 3, 8, 8)) > 30


@pytest.mark.data
def test_hosted_networks_answer_as_their_files() -> None:
    source, graph = opened(HOSTED / "mobilenet_v1_0_25_128_quant.tflite")
    assert sum(op.kind == "conv" for op in graph) == 28
    assert sum(op.kind == "clip" for op in graph) == 27
    assert snr_db(source, source.build(), weight(1, 3, 128, 128)) > 20
