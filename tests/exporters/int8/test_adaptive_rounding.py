"""Adaptive rounding: never away from the two neighbours, never worse by its own measure, better on other images."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgekit.data import calibration
from edgekit.data.calibration import CalibrationSet
from edgekit.exporters.int8 import quantize as quantizing
from edgekit.exporters.int8.adaptive_rounding import MAX_COLUMNS, adapted, descend
from edgekit.exporters.int8.bias_correction import output_error, sample
from edgekit.exporters.int8.quantize import EFFORTS, quantize
from edgekit.exporters.int8.ranges import record
from edgekit.exporters.int8.simulate import run
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.records.preprocessing import Preprocessing

SHAPE = (1, 3, 24, 24)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def images(n: int) -> CalibrationSet:
    return calibration.synthetic(SHAPE, Preprocessing(), n, 0)


def graph_of(*layers: nn.Module) -> Graph:
    torch.manual_seed(0)
    return fold(trace(nn.Sequential(*layers).eval(), SHAPE)).graph


def small() -> Graph:
    """Each layer has one input channel of large weights, so that the steps of all others are coarse."""
    torch.manual_seed(0)
    graph = graph_of(
        nn.Conv2d(3, 16, 3, 2, 1),
        nn.ReLU6(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.ReLU6(),
        nn.Conv2d(16, 32, 1),
        nn.ReLU6(),
        nn.Conv2d(32, 32, 3, padding=1, groups=4),
        nn.ReLU(),
        nn.Conv2d(32, 10, 1),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Linear(90, 10),
    )
    for name, tensor in graph.params.items():
        if name.endswith("weight"):
            tensor.detach()[:, 0] *= 8
    return graph


def squared_error(d: torch.Tensor, spread: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
    return torch.einsum("goi,gij,goj->go", d, spread, d) + 2 * (d * shared).sum(-1)


def test_descent_comes_near_the_best_of_all_roundings() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1, 200, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    spread = rows.transpose(1, 2) @ rows / 200
    target = torch.randn(1, 20, 6, generator=generator)
    shared = 0.05 * torch.randn(1, 20, 6, generator=generator)
    scale = torch.full((1, 20, 1), 0.1)
    nearest = torch.round(target / scale)
    found = descend(nearest, target, scale, spread, shared)
    assert float((found * scale - target).abs().max()) < 0.1 + 1e-6
    below = torch.floor(target / scale)
    everything = [
        squared_error((below + torch.tensor(ups)) * scale - target, spread, shared)
        for ups in itertools.product((0.0, 1.0), repeat=6)
    ]
    least = torch.stack(everything).amin(0)
    before, after = (squared_error(v * scale - target, spread, shared) for v in (nearest, found))
    assert bool((after <= before + 1e-9).all())
    assert float((after - least).sum()) < 0.4 * float((before - least).sum())


def test_integers_stay_within_their_limits() -> None:
    target = torch.full((1, 1, 4), 12.75)  # 127.5 steps
    shared = torch.full((1, 1, 4), -100.0)  # larger would be better
    found = descend(torch.full((1, 1, 4), 127.0), target, torch.full((1, 1, 1), 0.1), torch.eye(4)[None], shared)
    assert float(found.max()) == 127


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "tensorrt"])
def test_other_images_are_answered_better(scheme: str) -> None:
    graph = small()
    ranges = record(graph, images(96))
    plain = quantize(graph, ranges, scheme)
    other = torch.from_numpy(next(calibration.synthetic(SHAPE, Preprocessing(), 64, 9).batches(64)))
    better = adapted(plain, graph, sample(graph, images(96), count=64))
    assert output_error(graph, better, other) < 0.99 * output_error(graph, plain, other)
    for name, weight in better.weights.items():
        assert int((weight.values.int() - plain.weights[name].values.int()).abs().max()) <= 1


def test_layers_that_are_not_adapted_keep_their_weights() -> None:
    graph = graph_of(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(576, 10))
    wide = graph_of(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 576, 10))
    for network, kept in ((graph, False), (wide, True)):
        plain = quantize(network, record(network, images(8)), "tflite")
        name = network.output
        assert (plain.weights[name].values.shape[1] > MAX_COLUMNS) == kept
        found = adapted(plain, network, sample(network, images(8)))
        assert torch.equal(found.weights[name].values, plain.weights[name].values) == kept


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("n", [1, 2, 3, 24, 31, 32, 33, 40])
def test_sets_of_any_size(n: int, effort: str) -> None:
    graph = small()
    made = quantize(graph, record(graph, images(n)), "tflite", effort)
    assert run(made, sample(graph, images(n))).isfinite().all()
    assert len(sample(graph, images(n), start=n)) == 1


def test_best_is_never_worse_than_default_on_the_images_kept_back() -> None:
    for graph in (small(), graph_of(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 1))):
        ranges = record(graph, images(64))
        kept = sample(graph, images(64), start=32)
        best, default = (quantize(graph, ranges, "tflite", effort) for effort in ("best", "default"))
        assert output_error(graph, best, kept) <= output_error(graph, default, kept)


@pytest.mark.parametrize("n", [2, 24, 40, 96])
def test_nothing_is_judged_on_images_that_it_was_made_from(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[Tensor]] = {"measured_ranges": [], "adapted": [], "output_error": []}
    for name, used in seen.items():
        real = getattr(quantizing, name)
        # The images are the last of the three functions' arguments.
        monkeypatch.setattr(
            quantizing, name, lambda *given, real=real, used=used: used.append(given[-1]) or real(*given)
        )
    graph = small()
    quantize(graph, record(graph, images(n)), "tflite", "best")
    made_from, judged = torch.cat(seen["measured_ranges"] + seen["adapted"]), torch.cat(seen["output_error"])
    assert not {image.numpy().tobytes() for image in made_from} & {image.numpy().tobytes() for image in judged}
