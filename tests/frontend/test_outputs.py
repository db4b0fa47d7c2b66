"""Several inputs and outputs: in forward()'s order, under forward()'s names."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgekit.frontend.tracer import trace, unwrapped

SHAPE = (2, 4, 6)
Pair = namedtuple("Pair", ["boxes", "scores"])


@dataclass
class Found:
    boxes: Tensor
    scores: Tensor


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: Tensor, state: Tensor, scale: float = 2.0) -> Any:
        return self.function(image * scale, state)


RESULTS: dict[str, tuple[Callable[[Tensor, Tensor], Any], list[str]]] = {
    "one": (lambda a, b: a + b, ["add"]),
    "a tuple of one": (lambda a, b: (a + b,), ["add"]),
    "a tuple": (lambda a, b: (a + b, a * b), ["output_0", "output_1"]),
    "a list with nothing in it": (lambda a, b: [a + b, None, a * b], ["output_0", "output_2"]),
    "a dictionary": (lambda a, b: {"out": a + b, "aux": a * b}, ["out", "aux"]),
    "a dictionary of one": (lambda a, b: {"out": a + b}, ["out"]),
    "nested": (lambda a, b: {"maps": [a, a + b], "more": {"x": b * 2}}, ["maps.0", "maps.1", "more.x"]),
    "a named tuple": (lambda a, b: Pair(a, b + 1), ["boxes", "scores"]),
    "a dataclass": (lambda a, b: Found(a, b + 1), ["boxes", "scores"]),
    "the same twice": (lambda a, b: (a + b, a), ["output_0", "output_1"]),
    "one called like an input": (lambda a, b: {"y": a, "state": b + 1}, ["y", "state_out"]),
    "what torch names": (lambda a, b: (a + b).max(1), ["output_0", "output_1"]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_outputs_have_the_names_and_the_order_of_the_result(name: str) -> None:
    function, names = RESULTS[name]
    module = Calls(function).eval()
    graph = trace(module, SHAPE, SHAPE[1:])
    assert list(graph.outputs) == names and len(set(graph.outputs.values())) == len(names)
    assert [(op.name, op.shape) for op in graph.inputs] == [("image", SHAPE), ("state", SHAPE[1:])]
    x = torch.randn(SHAPE), torch.randn(SHAPE[1:])
    got, want = graph.run(*x), flat(module(*x))
    for one, other in zip(got if isinstance(got, tuple) else [got], want, strict=True):
        assert torch.equal(one, other)


def flat(y: Any) -> list[Tensor]:
    if isinstance(y, Tensor):
        return [y]
    if isinstance(y, Found):
        return [y.boxes, y.scores]
    return [t for part in (y.values() if isinstance(y, dict) else y) if part is not None for t in flat(part)]


class Any_(nn.Module):
    def forward(self, *images: Tensor) -> Tensor:
        return torch.cat(images, 1)


def test_any_number_of_inputs() -> None:
    graph = trace(Any_().eval(), SHAPE, SHAPE, SHAPE)
    assert [op.name for op in graph.inputs] == ["images_0", "images_1", "images_2"]
    assert graph.run(*[torch.ones(SHAPE)] * 3).shape == (2, 12, 6)


@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5), (1, 2, 3, 4, 5)])
def test_inputs_of_any_rank(shape: tuple[int, ...]) -> None:
    module = Calls(lambda a, b: a + b).eval()
    assert trace(module, shape, shape).run(torch.ones(shape), torch.ones(shape)).shape == shape


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, lambda m: torch.compile(m), lambda m: torch.compile(nn.DataParallel(m))]
)
def test_wrappers_are_taken_off(wrap: Callable[[nn.Module], Any]) -> None:
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    wrapped = wrap(inner).eval()
    assert unwrapped(wrapped) is inner
    assert list(trace(wrapped, (1, 3, 8, 8)).params) == ["0.weight", "0.bias"]
