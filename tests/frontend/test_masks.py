"""What masks take that a network computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace

SHAPE = (2, 5, 4)


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor, Any], Any]) -> None:
        super().__init__()
        self.function = function
        self.linear = nn.Linear(4, 4)
        self.token: Tensor
        self.register_buffer("token", torch.randn(4))

    def forward(self, x: Tensor) -> Any:
        return self.function(x, self)


def replaced(x: Tensor, m: Any) -> Tensor:
    y, z, mask = x.clone(), x * 3, x > 0
    y[mask] = z[mask]
    return y


def computed_twice(x: Tensor, m: Any) -> Tensor:
    y, z = x.clone(), x * 3
    y[x > 0.5] = torch.tanh(z[x > 0.5]) * 0.5 + 1
    return y


def in_place(x: Tensor, m: Any) -> Tensor:
    y = x + 1
    y[x < 0] *= 0.3
    y[~(x < 0)] = F.gelu(y[~(x < 0)])
    return y


def added_up(x: Tensor, m: Any) -> Tensor:
    y, z, mask = x.clone(), x * 3, x.abs() < 1
    y[mask] += z[mask] - y[mask].sigmoid()
    return y


def converted(x: Tensor, m: Any) -> Tensor:
    y, mask = torch.zeros_like(x), x > 0
    y[mask] = (x[mask] > 1).float() * 2 + x[mask].to(torch.float64).float().clamp(max=0.5)
    return y


def of_rows(x: Tensor, m: Any) -> Tensor:
    y, mask = torch.zeros_like(x), x.sum(-1) > 0
    y[mask] = F.relu(m.linear(x[mask]))
    return y


def of_experts(x: Tensor, m: Any) -> Tensor:
    y, chosen = torch.zeros_like(x), x.argmax(-1)
    for place in range(4):
        y[chosen == place] += m.linear(x[chosen == place]) * place
    return y


def rows_get_a_token(x: Tensor, m: Any) -> Tensor:
    y = x.clone()
    y[x[..., 0] > 0] = m.token
    return y


def a_computed_number(x: Tensor, m: Any) -> Tensor:
    y = x.clone()
    y[x > 0] = x.max()
    y[x < -1] = x.mean(-1).sum(-1)[:1]
    return y


def of_a_constant(x: Tensor, m: Any) -> Tensor:
    y, mask = x.clone(), x > 0
    y[mask] = (torch.arange(40.0).reshape(SHAPE))[mask]
    return y


WORK = (
    replaced, computed_twice, in_place, added_up, converted, of_rows, of_experts, rows_get_a_token, a_computed_number,
    of_a_constant,
)  # fmt: skip


@pytest.mark.parametrize("function", WORK)
def test_what_a_mask_takes_may_be_changed_and_put_back(function: Callable[[Tensor, Any], Tensor]) -> None:
    module, x = Calls(function).eval(), torch.randn(SHAPE)
    graph = trace(module, SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(graph.run(x), module(x))
    assert all(op.kind != "call" for op in graph)


def put_back(change: Callable[[Tensor, Tensor], Any]) -> Callable[[Tensor, Any], Tensor]:
    def function(x: Tensor, m: Any) -> Tensor:
        y, mask = x.clone(), x > 0
        y[mask] = change(x, mask)
        return y

    return function


REFUSED: dict[str, Callable[[Tensor, Any], Any]] = {
    "returned": lambda x, m: x[x > 0],
    "returned in a list": lambda x, m: [x * 2, x[x > 0] * 2],
    "summed": lambda x, m: x * x[x > 0].sum(),
    "averaged": lambda x, m: x - x[x > 0].mean(),
    "counted": lambda x, m: x * len(x[x > 0]),
    "asked for its shape": lambda x, m: x * x[x > 0].shape[0],
    "sorted": put_back(lambda x, mask: x[mask].sort()[0]),
    "softmax": put_back(lambda x, mask: x[mask].softmax(0)),
    "put where another mask is": put_back(lambda x, mask: x[x > 0.5]),
    "put where a mask of a changed tensor is": put_back(lambda x, mask: (x * 2)[(x * 2) > 0]),
    "of two masks": put_back(lambda x, mask: x[mask] + x[x < 1]),
    "beside all elements": put_back(lambda x, mask: x[mask] + x),
    "beside a row": put_back(lambda x, mask: x[x.sum(-1) > 0] + torch.arange(4.0)),
    "concatenated": put_back(lambda x, mask: torch.cat([x[mask], x[mask]])),
    "indexed": put_back(lambda x, mask: x[mask][0]),
    "like it": put_back(lambda x, mask: x[mask] + torch.ones_like(x[mask])),
    "a row for each element": put_back(lambda x, mask: torch.arange(4.0)),
    "whole": put_back(lambda x, mask: x),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_needs_to_know_how_many_there_are_is_refused_with_its_line(case: str) -> None:
    with pytest.raises(UsageError, match=r"test_masks.py:\d+: .*depend") as caught:
        trace(Calls(REFUSED[case]).eval(), SHAPE)
    assert "torch.where" in caught.value.remedy
