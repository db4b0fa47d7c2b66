"""Variants of a network: their names and shapes, which published rows are theirs, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.network.spec import ModelSpec, Published, Variant, published_at, published_variants, variant, with_classes


def unbuilt(**chosen: Any) -> Any:
    raise AssertionError("nothing is built to name a point")


WIDE = Published("paper", top1=0.7)
NARROW = Published("paper", top1=0.6, alpha=0.5, resolution=160)
AVERAGED = Published("paper", top1=0.65, options={"pool": "avg"})
SPEC = ModelSpec(
    name="net", family="Net", paper="Ann 2020", build=unbuilt, input_shape=(3, 224, 224),
    alphas=(1.0, 0.5), min_resolution=64, options={"pool": ("max", "avg")}, published=(WIDE, NARROW, AVERAGED),
)  # fmt: skip
PLAIN = ModelSpec(
    name="plain", family="Net", paper="Ann 2020", build=unbuilt, input_shape=(1, 28, 28), classes=10,
    fixed_resolution=True, classifier=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "name", "shape"),
    [
        ({}, "net_1.0_224", (1, 3, 224, 224)),
        ({"alpha": 0.25, "resolution": 97}, "net_0.25_97", (1, 3, 97, 97)),
        ({"classes": 7}, "net_1.0_224_c7", (1, 3, 224, 224)),
        ({"classes": 1001}, "net_1.0_224", (1, 3, 224, 224)),  # a background class
        ({"options": {"pool": "avg"}}, "net_1.0_224_pool-avg", (1, 3, 224, 224)),
        ({"options": {"pool": "max"}}, "net_1.0_224", (1, 3, 224, 224)),
    ],
)
def test_a_variant_is_called_by_what_is_not_the_networks_own(
    chosen: dict[str, Any], name: str, shape: tuple[int, ...]
) -> None:
    point = variant(SPEC, **chosen)
    assert (str(point), point.input_shape, point.input_shapes) == (name, shape, (shape,))


def test_an_input_that_is_not_square_keeps_its_sides_and_others_follow() -> None:
    spec = ModelSpec("own", "own", "", SPEC.build, (3, 48, 64), more_inputs=((1, 5),))
    point = variant(spec)
    assert spec.resolution == 48 and point.input_shapes == ((1, 3, 48, 64), (1, 5))
    assert ModelSpec("own", "own", "", SPEC.build, (7,)).resolution == 7
    assert ModelSpec("own", "own", "", SPEC.build, ()).resolution == 1


@pytest.mark.parametrize("row", SPEC.published)
def test_a_published_row_is_of_one_point(row: Published) -> None:
    point = published_at(SPEC, row)
    assert point.published() == (row,) and point in published_variants(SPEC)
    assert with_classes(point, 7).published() == ()


def test_every_published_variant_is_listed() -> None:
    assert {str(point) for point in published_variants(SPEC)} == {
        "net_1.0_224", "net_0.5_224", "net_0.5_160", "net_1.0_224_pool-avg",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "chosen", "said"),
    [
        (SPEC, {"alpha": 0.0}, "alpha must be in"),
        (SPEC, {"alpha": 1.5}, "alpha must be in"),
        (SPEC, {"alpha": math.nan}, "alpha must be in"),
        (PLAIN, {"alpha": 0.5}, "plain has no width multiplier"),
        (SPEC, {"resolution": 31}, "resolution must be 64 to 2048 for net, not 31"),
        (SPEC, {"resolution": 2049}, "resolution must be 64 to 2048 for net, not 2049"),
        (PLAIN, {"resolution": 32}, "fixes its resolution at 28, not 32"),
        (SPEC, {"classes": 0}, "at least 1, not 0"),
        (SPEC, {"classes": 100_001}, "at most 100,000"),
        (PLAIN, {"classes": 7}, "has no classifier"),
        (SPEC, {"options": {"pol": "avg"}}, "net has no option 'pol'"),
        (SPEC, {"options": {"pool": "min"}}, "net pool cannot be 'min'"),
    ],
)
def test_what_no_variant_is_is_refused(spec: ModelSpec, chosen: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        variant(spec, **chosen)
    assert caught.value.remedy


def test_building_is_told_the_point() -> None:
    told: dict[str, Any] = {}

    class Network:
        def eval(self) -> Network:
            return self

    def build(**chosen: Any) -> Any:
        told.update(chosen)
        return Network()

    Variant(ModelSpec("net", "Net", "", build, (3, 8, 8), alphas=(1.0,)), 0.5, 16, 7, {"pool": "avg"}).build()
    assert told == {"resolution": 16, "classes": 7, "pool": "avg", "alpha": 0.5}
