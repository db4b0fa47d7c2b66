"""The small syntaxes of the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgekit.cli import options as o
from edgekit.errors import UsageError


@pytest.mark.parametrize(
    ("read", "text", "found"),
    [
        (o.words, "onnx, tflite,onnx,", ("onnx", "tflite")),
        (o.numbers, "1,8", (1, 8)),
        (o.decimals, "1.0,.5", (1.0, 0.5)),
        (o.devices, "desk, pi=pi-1 + pi-2,x", ["desk", {"pi": ("pi-1", "pi-2")}, "x"]),
    ],
)
def test_lists_have_commas_and_each_once(read: Callable[..., Any], text: str, found: Any) -> None:
    assert read(text, "--option") == found


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (o.words, " , ", "--option is empty"),
        (o.devices, "pi=", "--option has no pool in 'pi='"),
        (o.devices, "=pi-1", "--option has no pool in '=pi-1'"),
        (o.devices, "pi=pi-1+", "--option has no pool in 'pi=pi-1[+]'"),
        (o.numbers, "1,two", "takes whole numbers, not '1,two'"),
        (o.decimals, "wide", "takes numbers, not 'wide'"),
    ],
)
def test_a_bad_list_is_told(read: Callable[..., Any], text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(text, "--option")


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (None, None),
        (["1,3,8,8"], (1, 3, 8, 8)),
        (["1x3x8x8"], (1, 3, 8, 8)),
        (["1,3", "1,4"], [(1, 3), (1, 4)]),
        (["image=1,3", "state=1,4"], {"image": (1, 3), "state": (1, 4)}),
    ],
)
def test_inputs_in_order_or_by_name(texts: list[str] | None, found: Any) -> None:
    assert o.inputs(texts) == found


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["image=1,3", "1,4"], "names some inputs only"),
        (["a=1,3", "a=1,4"], "or one twice"),
        (["1,3,wide"], "takes sizes, not '1,3,wide'"),
    ],
)
def test_inputs_that_are_not_clear_are_told(texts: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        o.inputs(texts)


def test_shapes_of_a_file_and_options_of_a_network() -> None:
    assert o.shapes(["1,3", "y=1,4"]) == {"": (1, 3), "y": (1, 4)} and o.shapes(None) == {}
    assert o.pairs(["pool=max", "a=b=c"]) == {"pool": "max", "a": "b=c"}
    for wrong in ("pool", "=max", "pool="):
        with pytest.raises(UsageError, match="NAME=VALUE"):
            o.pairs([wrong])
