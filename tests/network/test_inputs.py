"""The shapes of inputs as a user gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.network.inputs import check_names, names_of, plain, shapes_of

ONE, OTHER = (1, 3, 8, 8), (1, 64)


@pytest.mark.parametrize(
    ("given", "shapes", "names"),
    [
        (ONE, (ONE,), ()),
        (list(ONE), (ONE,), ()),
        ([ONE, OTHER], (ONE, OTHER), ()),
        ({"image": ONE, "state": OTHER}, (ONE, OTHER), ("image", "state")),
        ("1,3,8,8", (ONE,), ()),
        ("image=1x3x8x8", (ONE,), ("image",)),
        (["image=1,3,8,8", "state=1,64"], (ONE, OTHER), ("image", "state")),
        (["1,3,8,8", OTHER], (ONE, OTHER), ()),
        ({"image": "1,3,8,8"}, (ONE,), ("image",)),
        ({"image": np.array(ONE)}, (ONE,), ("image",)),
    ],
)
def test_one_several_and_named_ones(given: Any, shapes: tuple[Any, ...], names: tuple[str, ...]) -> None:
    assert (shapes_of(plain(given)), names_of(plain(given))) == (shapes, names)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "not none"),
        ({}, "not none"),
        ((1, 3, 0, 8), "not 1x3x0x8"),
        ((1, 2, 3, 4, 5, 6), "at most 4 more axes"),
        ((8, 3, 8, 8), "a batch of 1, not 8"),
        ([ONE, (2, 64)], "a batch of 1, not 2"),
    ],
)
def test_what_no_input_can_be_is_told(given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        shapes_of(given)
    assert "--input" in caught.value.remedy


def test_the_remedy_for_height_and_width_alone_is_a_shape() -> None:
    with pytest.raises(UsageError) as caught:
        shapes_of((28, 28))
    assert caught.value.remedy.startswith("write --input 1,1,28,28 for a gray image, 1,3,28,28 for one in color")


@pytest.mark.parametrize("given", [28, 1.5, {1, 28}])
def test_what_is_no_shape_is_told(given: Any) -> None:
    with pytest.raises(UsageError, match="takes a shape, not a value of type"):
        plain(given)


@pytest.mark.parametrize("given", [{"image": 5}, [None], (1, 3, 8.5, 8), [ONE, 5], {"image": (1, "3")}, "1,3,wide", ""])
def test_what_is_no_size_is_told(given: Any) -> None:
    with pytest.raises(UsageError, match="--input takes sizes, not"):
        plain(given)


def test_an_image_with_its_channels_last_is_seen() -> None:
    with pytest.raises(UsageError) as caught:
        shapes_of((28, 28, 1))
    assert caught.value.remedy == "channels come first, as in --input 1,1,28,28"


def test_names_are_those_of_forward_in_its_order() -> None:
    class Module:
        def forward(self, image: Any, state: Any) -> Any:
            return image, state

    module: Any = Module()
    check_names(module, ())
    check_names(module, ("image",))
    with pytest.raises(UsageError, match="takes image, state, not state, image"):
        check_names(module, ("state", "image"))
