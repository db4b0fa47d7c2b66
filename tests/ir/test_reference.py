"""The reference kernels: those that do more than call torch, against what torch computes in another way."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.ir.graph import Op
from edgekit.ir.reference import KERNELS

X = torch.linspace(-2, 3, 2 * 3 * 6 * 5).reshape(2, 3, 6, 5)


def run(kind: str, *inputs: Tensor, own: dict[str, Tensor] | None = None, **attrs: Any) -> Tensor:
    """What a kind of operator computes."""
    return KERNELS[kind](Op(name="op", kind=kind, inputs=(), shape=(), attrs=attrs), list(inputs), own or {})


def test_a_convolution_is_padded_on_each_side_by_itself() -> None:
    weight = torch.randn(4, 3, 3, 3)
    given: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
    got = run("conv", X, own={"weight": weight}, padding=((0, 1), (2, 0)), **given)
    assert torch.equal(got, F.conv2d(F.pad(X, (2, 0, 0, 1)), weight))
    assert torch.equal(
        run("conv", X, own={"weight": weight}, padding=((1, 1), (2, 2)), **given), F.conv2d(X, weight, padding=(1, 2))
    )
    assert torch.equal(
        run("conv_dynamic", X, weight, padding=((1, 1), (2, 2)), **given), F.conv2d(X, weight, padding=(1, 2))
    )


def test_a_maximum_never_takes_the_padding() -> None:
    got = run("max_pool", X - 9, kernel=(2, 2), stride=(2, 2), dilation=(1, 1), padding=((0, 0), (0, 1)))
    assert (got < 0).all() and torch.equal(got[..., :2], F.max_pool2d(X - 9, 2)[..., :2])
    assert torch.equal(got[..., 2], (X - 9)[..., 4].reshape(2, 3, 3, 2).amax(-1))


def test_a_mean_counts_what_is_inside_alone() -> None:
    ones = torch.ones(1, 2, 5, 5)
    got = run("avg_pool", ones, kernel=(2, 2), stride=(2, 2), padding=((0, 1), (0, 1)))
    assert got.shape == (1, 2, 3, 3) and torch.equal(got, torch.ones_like(got))


@pytest.mark.parametrize(("kind", "want"), [("sub", 1.0 - X), ("div", 1.0 / (X + 5))])
def test_a_number_may_stand_on_the_left(kind: str, want: Tensor) -> None:
    assert torch.equal(run(kind, X if kind == "sub" else X + 5, other=1.0, reflected=True), want)


def test_a_second_input_comes_before_an_own_tensor_and_a_number() -> None:
    assert torch.equal(run("add", X, X, own={"other": X * 5}, other=3.0), X + X)
    assert torch.equal(run("add", X, own={"other": X * 5}, other=3.0), X + X * 5)


@pytest.mark.parametrize("dims", [(1,), (2, 3), (1, 2, 3)])
def test_a_product_over_axes(dims: tuple[int, ...]) -> None:
    x = X.abs() + 0.5
    assert torch.allclose(run("prod", x, dims=dims, keepdim=True).log(), x.log().sum(dims, keepdim=True))


@pytest.mark.parametrize(("kind", "module"), [("lstm", nn.LSTM(4, 5)), ("gru", nn.GRU(4, 5))])
def test_a_recurrent_layer_goes_either_way(kind: str, module: Any) -> None:
    x = torch.randn(6, 2, 4)
    roles = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
    own = {role: getattr(module, f"{name}_l0") for role, name in roles.items()}
    want = module(x)[0]
    assert torch.allclose(run(kind, x, own=own, hidden=5, reverse=False), want, atol=1e-6)
    assert torch.allclose(run(kind, x.flip(0), own=own, hidden=5, reverse=True), want.flip(0), atol=1e-6)


def test_other_modes_of_padding_leave_batch_and_channels() -> None:
    got = run("pad", X, pads=((0, 0), (0, 0), (1, 0), (0, 2)), mode="reflect")
    assert torch.equal(got, F.pad(X, (0, 2, 1, 0), mode="reflect"))
    assert run("pad", X, pads=((0, 0), (1, 1), (0, 0), (0, 0)), value=-math.inf).isinf().sum() == 2 * 2 * 6 * 5
