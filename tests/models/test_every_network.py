"""What holds for every registered network; adding one adds its tests.

The exact counts stand in golden/networks.json: accept new ones with EDGEKIT_ACCEPT=1.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import torch

from edgekit.checkpoints.random import fill
from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.ir.layer_table import LayerTable, table
from edgekit.network import shipped
from edgekit.network.spec import MODELS, published_at, published_variants, variant
from edgekit.records.preprocessing import CHANNELS
from tests.deeper import DEEPER
from tests.paths import GOLDENS

GOLDEN = GOLDENS / "networks.json"
FEATURE_MAPS = (
    "inception_naive",
    "inception_module",
    "inception_3a",
    "inception_simple",
)  # modules: they have no classifier


# Every network at its own size, at each published alpha and resolution, and with each value of its options.
POINTS = {str(point): point for _, spec in MODELS.items() for point in published_variants(spec)}


@dataclass(frozen=True)
class Traced:
    """One of these points, its graph and its layer table."""

    name: str
    graph: Graph
    counted: LayerTable


@pytest.fixture(scope="module", params=POINTS)
def traced(request: pytest.FixtureRequest) -> Traced:
    """A point, traced once for all that is asked of it."""
    with torch.device("meta"):
        network = POINTS[request.param].build()
    graph = trace(network, POINTS[request.param].input_shape)
    return Traced(request.param, graph, table(graph))


def test_the_counts_are_the_accepted_ones(traced: Traced) -> None:
    counts = traced.counted
    found = {"params": counts.params, "macs": counts.macs, "activation_elements": counts.activation_elements}
    accepted: dict[str, Any] = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("EDGEKIT_ACCEPT"):
        accepted = {key: value for key, value in accepted.items() if key in POINTS} | {traced.name: found}
        lines = (f"{json.dumps(key)}: {json.dumps(accepted[key])}" for key in sorted(accepted))
        GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    assert accepted.get(traced.name) == found, "to accept this, run again with EDGEKIT_ACCEPT=1"


def test_the_shipped_table_is_the_one_that_is_counted(traced: Traced) -> None:
    assert shipped.layer_table(POINTS[traced.name]) == traced.counted, "write it with python -m scripts.zoo.data"


def test_everything_is_counted_and_the_output_is_one_row_of_classes(traced: Traced) -> None:
    graph, spec = traced.graph, POINTS[traced.name].spec
    assert traced.counted.uncounted == ()
    shape = graph[graph.output].shape
    if spec.name in FEATURE_MAPS:
        assert shape == (1, spec.classes, *spec.input_shape[1:])
    else:
        assert shape == (1, spec.classes)


def test_the_shipped_facts_are_those_of_the_networks() -> None:
    known = shipped.networks()
    assert list(known) == list(MODELS), "write them with python -m scripts.zoo.data"
    for name, spec in known.items():
        facts = [{fact: getattr(one, fact) for fact in shipped.FACTS} for one in (spec, MODELS[name])]
        assert facts[0] == facts[1], "write them with python -m scripts.zoo.data"


@pytest.mark.parametrize("name", [name for name in MODELS if name not in DEEPER])
def test_the_number_of_classes_is_free(name: str) -> None:
    if name in FEATURE_MAPS:
        with pytest.raises(UsageError, match="no classifier"):
            variant(name, classes=7)
        return
    point = variant(name, classes=7)
    with torch.device("meta"):
        graph = trace(point.build(), point.input_shape)
    assert graph[graph.output].shape == (1, 7)


HEADS = {"googlenet": 2, "googlenet_bn": 2, "inception_v2": 1, "inception_v3": 1}  # auxiliary ones
DROPPING = {"resnet110_stochastic_cifar": 0, "fractalnet": 0, "efficientnet_b0": 0}  # parts of themselves


@pytest.mark.parametrize(("name", "heads"), (HEADS | DROPPING).items())
def test_what_is_there_in_training_only(name: str, heads: int) -> None:
    point = variant(name)
    with torch.device("meta"):
        outputs = point.build().train()(torch.empty(2, *point.input_shape[1:]))
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    assert [tuple(output.shape) for output in outputs] == [(2, point.classes)] * (1 + heads)


SMALLEST = {
    name: max(spec.min_resolution, 32)
    for name, spec in MODELS.items()
    if not spec.fixed_resolution and spec.resolution > 32 and name not in DEEPER
}


@pytest.mark.parametrize(("name", "resolution"), SMALLEST.items())
def test_it_works_down_to_its_smallest_resolution(name: str, resolution: int) -> None:
    point = variant(name, resolution=resolution)
    with torch.device("meta"):
        network = point.build()
    assert trace(network, point.input_shape).input.shape == point.input_shape


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.fixed_resolution])
def test_a_fixed_resolution_is_said_before_anything_is_built(name: str) -> None:
    spec = MODELS[name]
    with pytest.raises(UsageError, match="fixes its resolution"):
        variant(name, resolution=spec.resolution + 32)
    with pytest.raises(UsageError, match="fixes its resolution"):
        spec.build(resolution=spec.resolution + 32)


@pytest.mark.parametrize(
    ("name", "alpha", "resolution"),
    [
        ("lenet5", None, None),
        ("nin", None, 96),
        ("mobilenet", 0.25, 97),
        ("mobilenet_v2", 0.35, 64),
        ("mnasnet", 0.5, 64),
        ("efficientnet_b0", None, 64),
        ("squeezenet1_0", None, 64),
        ("resnet18", None, 64),
        ("se_resnet18", None, 64),
        ("resnet50_v2", None, 64),
        ("resnet20_cifar", None, None),
        ("resnet110_stochastic_cifar", None, None),
        ("plain20_cifar", None, None),
        ("densenet40_12_cifar", None, None),
        ("googlenet", None, 64),
        ("inception_bn", None, 64),
        ("inception_v2", None, 99),
        ("inception_naive", None, None),
        ("fractalnet", None, None),
        ("nasnet_mobile", None, 64),
        ("pnasnet_mobile", None, 43),
        ("darts", None, 64),
        ("darts_cifar", None, None),
    ],
)
def test_the_graph_computes_what_the_network_computes(name: str, alpha: float | None, resolution: int | None) -> None:
    torch.manual_seed(0)
    point = variant(name, alpha, resolution)
    network = point.build()
    fill(network, point.input_shape)
    x = torch.randn(2, *point.input_shape[1:])
    with torch.no_grad():
        y = network(x)
        assert (y[0] - y[1]).abs().max() > 0.05 * y.abs().max()  # it sees its input
        torch.testing.assert_close(trace(network, point.input_shape).run(x), y, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_the_facts_are_plausible(name: str) -> None:
    spec = MODELS[name]
    assert spec.name == name
    assert spec.paper.rstrip("0123456789") != spec.paper, "the paper's entry ends in its year"
    assert len(spec.preprocessing.mean) == len(spec.preprocessing.std)
    if name not in FEATURE_MAPS:
        assert CHANNELS[spec.preprocessing.channels] == spec.input_shape[0]
    for row in spec.published:
        assert row.source
        assert row.alpha in (spec.alphas or (1.0,))
        assert row.top1 is None or 0.3 < row.top1 < 1
        assert row.top5 is None or (row.top1 or 0) < row.top5 < 1
        assert 1e4 < (row.params or 6e4) < 2e8
        assert 1e7 < (row.macs or 1e8) < 1e11


# Printed figures that do not follow from the definition by more than rounding, (network, what): figures.
MISPRINTS: dict[tuple[str, str], set[float]] = {
    ("mobilenet", "macs"): {290e6, 150e6, 317e6, 233e6, 162e6, 104e6, 34e6},  # one of the paper's, else TF-slim's
    ("mobilenet", "params"): {4.24e6, 1.34e6},  # TF-slim has 1001 classes, and rounds up
    ("conv_mobilenet", "macs"): {4866e6},  # without its classifier
    ("mobilenet_v2", "macs"): {300e6, 153e6, 71e6, 32e6, 18e6, 43e6, 30e6, 11e6},  # cut off, not rounded
    ("mobilenet_v2", "params"): {3.4e6, 3.47e6, 2.61e6, 1.95e6, 1.66e6},  # without BN's
    ("lenet5", "params"): {60_000},  # the original connects some maps only
    ("resnet34", "macs"): {3.6e9},  # with shortcuts that have no parameters (option A): the plain network's
    ("resnet50", "macs"): {3.8e9},  # cut off, not rounded
    ("resnet1001_v2_cifar", "params"): {10.2e6},
    ("se_resnet50", "macs"): {3.87e9},
    ("googlenet", "macs"): {1.5e9},
    ("googlenet", "params"): {5e6},
    ("inception_bn", "params"): {13.6e6},
    ("inception_v2", "macs"): {3.8e9},
    ("inception_v3", "macs"): {4.8e9},
    ("inception_v3", "params"): {27_161_264},  # with the auxiliary head
    ("fractalnet", "params"): {38.6e6},
    ("nasnet_large", "params"): {88.9e6},
    ("pnasnet_mobile", "macs"): {588e6},
    ("pnasnet_large", "macs"): {25.0e9},
    ("darts", "macs"): {574e6},
    ("overfeat", "macs"): {2810e6},
    ("overfeat", "params"): {145e6},  # cut off, not rounded
}


def agrees(printed: float, exact: int, unit: float | None) -> bool:
    """Whether a figure is the exact one rounded to the digits that it was printed with."""
    last_digit = unit or 10 ** int(Decimal(round(printed)).normalize().as_tuple().exponent)
    return abs(Decimal(round(printed)) - exact) <= Decimal(last_digit) / 2


@pytest.mark.parametrize("name", MODELS)
def test_published_counts_agree_but_for_the_known_misprints(name: str) -> None:
    spec = MODELS[name]
    for what in ("macs", "params"):
        wrong = set()
        for row in spec.published:
            printed = getattr(row, what)
            exact = getattr(shipped.layer_table(published_at(spec, row)), what)
            if printed is not None and not agrees(printed, exact, getattr(row, f"{what}_unit")):
                wrong.add(round(printed))
        assert wrong == {round(figure) for figure in MISPRINTS.get((name, what), set())}
