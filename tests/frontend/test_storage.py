"""Tracing of what changes a tensor in place: every later reader sees the change, or the network is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace

SHAPE = (2, 4, 5, 6)


class Calls(nn.Module):
    """A module whose forward is one function of a tensor that is not its input."""

    def __init__(self, function: Callable[[Tensor], Tensor | None]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        result = self.function(y)
        return y if result is None else result


def changes_a_second_name(y: Tensor) -> Tensor:
    z = y
    y += 3
    return z * 2


def changes_an_element(y: Tensor) -> None:
    y[:, 0] = 0
    y[:, 1:2] = y[:, 2:3] * 2


def changes_both_halves(y: Tensor) -> Tensor:
    a, b = y.chunk(2, 1)
    a.relu_()
    b.sigmoid_()
    return torch.cat([a, b], 1)


def changes_a_clone(y: Tensor) -> Tensor:
    z = copy.deepcopy(y.clone())
    z.mul_(3)
    return y + z


def changes_a_copy(y: Tensor) -> Tensor:
    z = y.transpose(1, 2).contiguous()
    z.relu_()
    return y + z.transpose(1, 2)


def changes_a_view_that_is_read(y: Tensor) -> Tensor:
    z = y.flatten(1)
    z.relu_()
    return z


def frees_what_it_has_read(y: Tensor) -> Tensor:
    a, b = (half.contiguous() for half in y.chunk(2, 1))
    c = a + torch.relu(b)
    z = torch.cat([c, a * c], 1)
    for one in (a, b, c):
        one.set_()  # type: ignore[call-overload]
    return torch.cat([z.flatten(), a, y.flatten()])


def arithmetic(y: Tensor) -> Tensor:
    y -= 1
    y *= 3
    y /= 2
    y **= 2
    return y


FUNCTIONS: dict[str, Callable[[Tensor], Tensor | None]] = {
    "clamp_ as a statement": lambda y: _nothing(y.clamp_(-0.5, 0.5)),
    "relu_ as a statement": lambda y: _nothing(F.relu_(y)),
    "inplace by keyword": lambda y: _nothing(F.elu(y, inplace=True)),
    "inplace by place, without a form": lambda y: _nothing(F.threshold(y, 0.1, 20.0, True)),
    "a method without a form": lambda y: _nothing(y.addcmul_(y, y, value=0.5).add_(y, alpha=2)),
    "out": lambda y: _nothing(torch.add(y, y, out=y)),
    "dropout, which changes nothing": lambda y: _nothing(F.dropout(y, 0.5, False, True)),
    "arithmetic": arithmetic,
    "a second name": changes_a_second_name,
    "elements": changes_an_element,
    "both halves": changes_both_halves,
    "a clone": changes_a_clone,
    "a copy": changes_a_copy,
    "a view that is read": changes_a_view_that_is_read,
    "memory that is freed": frees_what_it_has_read,
}


def _nothing(y: Tensor) -> None:
    """What a statement leaves."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_change_in_place_reaches_every_later_reader(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(SHAPE)
    given, module = x.clone(), Calls(FUNCTIONS[name]).eval()
    got = trace(module, SHAPE).run(given)
    torch.testing.assert_close(got, module(x.clone()))
    assert torch.equal(given, x)


class Residual(nn.Module):
    """The shortcut is what the activation has already cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 1)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.second(self.act(x))
        out: Tensor = x + y
        return out


def test_the_shortcut_around_an_activation_in_place_sees_it() -> None:
    torch.manual_seed(0)
    module, x = Residual().eval(), torch.randn(SHAPE)
    torch.testing.assert_close(trace(module, SHAPE).run(x), module(x))


class ChangesItsInput(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x.sub_(0.5)
        return x * 2


def test_an_input_that_is_changed_is_left_to_the_caller_as_it_was() -> None:
    x = torch.randn(SHAPE)
    given = x.clone()
    torch.testing.assert_close(trace(ChangesItsInput().eval(), SHAPE).run(given), (x - 0.5) * 2)
    assert torch.equal(given, x)


def changes_a_part(y: Tensor) -> Tensor:
    y[:, :2].relu_()
    return y


def changes_through_a_view(y: Tensor) -> Tensor:
    z = y.flatten(1)
    y.relu_()
    return z


def changes_columns(y: Tensor) -> Tensor:
    y[..., ::2] = y[..., 1::2] * 2
    y[:, [0, 3], 1] = 7.0
    y[:, :, 1:3, 2:4] += 1
    return y


def changes_through_turned_axes(y: Tensor) -> Tensor:
    y.transpose(1, 3)[:, 1].mul_(3)
    y.view(2, -1)[:, :7].zero_()
    return y


def fills_a_constant(y: Tensor) -> Tensor:
    out = torch.zeros(2, 4, 10, 12)
    corner = out[:, :, :5]
    out[:, :, ::2, ::2] = y
    corner[..., 1::2] = y * 2
    return out + corner.sum()


def reads_a_constant_before_it_changes(y: Tensor) -> Tensor:
    grid = torch.ones(6)
    before = y * grid
    grid += 1
    return before + y * grid


def masks(y: Tensor) -> Tensor:
    y[y < 0] = 0.25
    y.masked_fill_(y > 2, -1.0)
    return y


def copies_into_a_part(y: Tensor) -> Tensor:
    y[:, 1].copy_(y[:, 0])
    y[:, 2].fill_(3.0)
    y.unsqueeze_(1)
    return y


@pytest.mark.parametrize(
    "function",
    [
        changes_a_part,
        changes_through_a_view,
        changes_columns,
        changes_through_turned_axes,
        fills_a_constant,
        reads_a_constant_before_it_changes,
        masks,
        copies_into_a_part,
    ],
)
def test_a_change_through_a_view_reaches_the_whole_and_every_other_view(function: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    module, x = Calls(function).eval(), torch.randn(SHAPE)
    torch.testing.assert_close(trace(module, SHAPE).run(x), module(x))


class Remembers(nn.Module):
    """A buffer of one number; `change` writes to it."""

    def __init__(self, change: Callable[[Tensor, Tensor], object]) -> None:
        super().__init__()
        self.change = change
        self.count: Tensor
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.change(self.count, x)
        return x * self.count


@pytest.mark.parametrize(
    "change",
    [
        lambda count, x: count.add_(1),
        lambda count, x: count.add_(x.mean()),
        lambda count, x: count.view(1).add_(x.mean()),
    ],
)
def test_a_network_that_remembers_its_inputs_is_refused(change: Callable[[Tensor, Tensor], object]) -> None:
    with pytest.raises(UsageError, match="forward.. changes count, which belongs to the network"):
        trace(Remembers(change).eval(), SHAPE)


@pytest.mark.parametrize("made", [torch.empty_like, lambda y: torch.empty(y.shape), lambda y: y.new_empty(y.shape)])
def test_memory_that_nobody_wrote_to_holds_zeros(made: Callable[[Tensor], Tensor]) -> None:
    def halves(y: Tensor) -> Tensor:
        z = made(y)
        z[..., ::2], z[..., 1::2] = y[..., 1::2], y[..., ::2]
        return z

    graph = trace(Calls(halves).eval(), SHAPE)
    assert not any(tensor.any() for name, tensor in graph.params.items() if "indices" not in name)
