"""Every operator of the table becomes kinds of the graph, which compute in float64 what torch computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.frontend.table import CONVERTERS
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Op

SHAPE = (2, 4, 6, 8)
MASK = torch.arange(8) % 3 == 0
FLOAT: Any = torch.FloatTensor
INDEX = torch.tensor([[0, 2], [3, 1]])


class Calls(nn.Module):
    """A module whose forward is one function of its input and of a weight, in float64."""

    def __init__(self, function: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(8, 8, dtype=torch.float64))

    def forward(self, x: Tensor) -> Any:
        return self.function(x, self.weight)


def positive(x: Tensor) -> Tensor:
    return x.abs() + 0.5


FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    # arithmetic
    "add, alpha": lambda x, w: torch.add(x, w[0], alpha=2),
    "sub of a number, reflected": lambda x, w: 2 - x,
    "rsub": lambda x, w: torch.rsub(x, 1),
    "div by a tensor, reflected": lambda x, w: w[0] / positive(x),
    "floor_divide": lambda x, w: x // 0.3,
    "div, floor": lambda x, w: torch.div(x, positive(x), rounding_mode="floor"),
    "remainder": lambda x, w: x % 0.7,
    "pow": lambda x, w: positive(x) ** 1.7 + x**2 + positive(x) ** 0.5 + positive(x) ** -0.5 + positive(x) ** -1,
    "float_power": lambda x, w: (torch.float_power((x * 9).int(), 3) * x, torch.float_power(positive(x), w[0])),
    "pow, reflected": lambda x, w: 2**x,
    "pow of tensors": lambda x, w: positive(x).pow(w[0]),
    "square": lambda x, w: x.square(),
    "addcmul": lambda x, w: torch.addcmul(x, x, w[0], value=0.5),
    "addcdiv": lambda x, w: torch.addcdiv(x, x, positive(x), value=2),
    "lerp": lambda x, w: torch.lerp(x, w[0], 0.3),
    "maximum, minimum": lambda x, w: torch.maximum(x, w[0]) + torch.minimum(x, x.flip(-1)),
    "clamp by tensors": lambda x, w: torch.clamp(x, min=w[0] - 1, max=x.mean(-1, keepdim=True) + 1),
    "clamp_min, clamp_max": lambda x, w: x.clamp_min(-0.2).clamp_max(0.4),
    "roots and logarithms": lambda x, w: sum(f(positive(x)) for f in (torch.sqrt, torch.rsqrt, torch.log, torch.log2)),
    "more logarithms": lambda x, w: torch.log1p(positive(x)) + torch.log10(positive(x)) + torch.logit(x, 0.1),
    "powers of e": lambda x, w: torch.exp(x) + torch.expm1(x) + torch.exp2(x) + torch.sinh(x) + torch.cosh(x),
    "sin, cos, tan, erf": lambda x, w: torch.sin(x) + torch.cos(x) + torch.tan(x) + torch.erf(x),
    "rounding": lambda x, w: x.floor() + x.ceil() * 2 + x.round() * 3 + x.trunc() * 5 + x.frac() + x.sign(),
    "neg, abs, reciprocal": lambda x, w: -x + x.abs() + positive(x).reciprocal(),
    "comparisons": lambda x, w: (x > 0.1).double() + x.__lt__(0.1) * 2 + (x <= w[0]) * 3 + (x != x.flip(0)) * 5,
    "logical": lambda x, w: ((x > 0) & (x < 1) | ~(x > -1)).double() + torch.logical_xor(x > 0, x > 0.5),
    "where": lambda x, w: torch.where(x > 0, x, w[0]) + torch.where(x > 1, 1.0, x),
    "masked_fill": lambda x, w: x.masked_fill(x > 0.5, -3.0).masked_fill(MASK, 2.0),
    # activations
    "mish, softplus, selu": lambda x, w: F.mish(x) + F.softplus(x) + F.selu(x),
    "celu, softsign, tanhshrink": lambda x, w: F.celu(x) + F.softsign(x) + F.tanhshrink(x),
    "logsigmoid, softshrink": lambda x, w: F.logsigmoid(x) + F.softshrink(x),
    "hardshrink, rrelu, relu6": lambda x, w: F.hardshrink(x) + F.rrelu(x) + F.relu6(x),
    "softplus, beta": lambda x, w: F.softplus(x * 9, 2, 10),
    "threshold": lambda x, w: F.threshold(x, 0.2, -1.0),
    "glu": lambda x, w: F.glu(x, 1),
    "softmin": lambda x, w: F.softmin(x, 2),
    "log_softmax over channels": lambda x, w: F.log_softmax(x, 1),
    "softmax, dtype": lambda x, w: F.softmax(x, -1, dtype=torch.float64),
    # reductions
    "sums": lambda x, w: x.sum(1) + x.mean(1) + x.sum((1,), keepdim=True).squeeze(1),
    "sum of a mask": lambda x, w: (x > 0).sum(-1).double(),
    "prod": lambda x, w: x.prod(2),
    "extremes": lambda x, w: x.amax((2, 3)) + x.amin((2, 3)),
    "max with indices": lambda x, w: x.max(1)[0] + x.max(1).indices + x.min(1, keepdim=True)[1].squeeze(1),
    "argmax of a map": lambda x, w: x.argmax(1) + x.argmin(1, keepdim=True).squeeze(1),
    "topk": lambda x, w: torch.topk(x, 3, 1)[0] + x.topk(3, 1, False)[1],
    "sort": lambda x, w: x.sort(-1, descending=True)[0],
    "any, all": lambda x, w: (x > 1).any(1).double() + (x > -1).all(-1).double().sum((1, 2))[:, None, None],
    "cumsum": lambda x, w: x.cumsum(1),
    "var, std": lambda x, w: x.var((2, 3)) + x.std((2, 3), unbiased=False) + x.std((2, 3), correction=1),
    "var_mean": lambda x, w: sum(torch.var_mean(x, 1, keepdim=True)),
    "norms": lambda x, w: x.norm(dim=1) + x.norm(1, 1) + torch.norm(x, 3, 1) + x.norm(math.inf, 1),
    "linalg norms": lambda x, w: torch.linalg.norm(x, dim=1) + torch.linalg.vector_norm(x, 1, 1),
    "normalize": lambda x, w: F.normalize(x, dim=1) + F.normalize(x, 1, -1),
    "logsumexp": lambda x, w: x.logsumexp(1) + x.logsumexp((1,), True).squeeze(1),
    "cosine_similarity": lambda x, w: F.cosine_similarity(x, w[:6], -1),
    "cosine_similarity of what is broadcast": lambda x, w: (
        F.cosine_similarity(x, w[0]),
        F.cosine_similarity(x, x[:, :, :1], 2),
        F.cosine_similarity(w[:6], x, 1),
    ),
    "poolings without a batch": lambda x, w: (
        F.max_pool2d(x[0], 2),
        F.avg_pool2d(x[0], 2, padding=1),
        F.adaptive_avg_pool2d(x[0], (2, 3)),
        F.adaptive_max_pool2d(x[0], 2),
        F.max_pool1d(x[0, 0], 3),
        F.avg_pool1d(x[0, 0], 2),
        F.avg_pool3d(x, 2),
        F.lp_pool2d(positive(x[0]), 2, 2),
        F.lp_pool2d(x, 1, 2),
        F.lp_pool2d(x, math.inf, 2),
    ),
    # products
    "matmul": lambda x, w: x @ w + w[:6, :6] @ x,
    "matmul by a vector": lambda x, w: x @ w[0] + torch.matmul(w[0, :6], x @ w).sum(-1, keepdim=True),
    "bmm, baddbmm": lambda x, w: torch.baddbmm(x[:, 0] @ w, x[:, 1], torch.bmm(x[:, 2].mT, x[:, 3]), beta=0.5, alpha=2),
    "addmm": lambda x, w: torch.addmm(w[0], x.flatten(0, 2), w).view(2, -1),
    "einsum": lambda x, w: torch.einsum("nchw,wk->nkch", x, w),
    "einsum of two computed": lambda x, w: torch.einsum("bchw,bdhw->bcd", x, x * 2),
    "einsum, ellipsis": lambda x, w: (
        torch.einsum("...hw,...kw->...hk", x, x) * torch.einsum("nchw->nc", x)[..., None, None]
    ),
    "einsum of diagonals": lambda x, w: (
        torch.einsum("nchh->nch", x[..., :6]),
        torch.einsum("nchh,hk->nk", x[..., :6], w[:6]),
        torch.einsum("hh->", w) * x,
    ),
    "einsum of one": lambda x, w: torch.einsum("nchw->nwc", x),
    "einsum of three": lambda x, w: torch.einsum("nchw,wk,kj->ncj", x, w, w),
    "outer of a batch": lambda x, w: torch.einsum("nc,nd->ncd", x[:, :, 0, 0], x[:, 0, 0]),
    "attention": lambda x, w: F.scaled_dot_product_attention(x, x @ w, x * 2),
    "attention, causal": lambda x, w: F.scaled_dot_product_attention(x, x @ w, x * 2, is_causal=True, scale=0.3),
    "attention, a mask": lambda x, w: F.scaled_dot_product_attention(x, x, x, torch.ones(6, 6).tril().bool()),
    "attention, a computed mask": lambda x, w: F.scaled_dot_product_attention(x, x, x, x.mean(3)[:, :, None]),
    "attention, computed truth": lambda x, w: F.scaled_dot_product_attention(x, x, x, x.mean(3)[:, :, None] > -1),
    "attention, grouped queries": lambda x, w: F.scaled_dot_product_attention(x, x[:, :2], x[:, 1:3], enable_gqa=True),
    # moving
    "unflatten, view_as, reshape_as": lambda x, w: torch.unflatten(x, 1, (2, 2)).reshape_as(x).view_as(x),
    "movedim, swapaxes, t": lambda x, w: x.movedim(1, -1).swapaxes(1, 2) + x.permute(0, 3, 2, 1) * w.t()[0, 0],
    "T, mT": lambda x, w: x.mT @ x + w.T @ w,
    "expand": lambda x, w: x[:, :1].expand(-1, 5, -1, -1) + x.mean((2, 3), keepdim=True)[:, :1].expand(2, 5, 6, 8),
    "expand_as, broadcast_to": lambda x, w: (
        x[..., :1].expand_as(x) + w[0].expand_as(x) + x[:, :1].broadcast_to(2, 4, 6, 8)
    ),
    "stack, unbind": lambda x, w: torch.stack([a * i for i, a in enumerate(x.unbind(1))], -1),
    "iterating": lambda x, w: sum(part.exp() for part in x.transpose(0, 1)),
    "hstack, vstack": lambda x, w: torch.hstack([x, x * 2])[:, 1:5] + torch.vstack([x, x])[2:],
    "flip, roll": lambda x, w: x.flip((1, 3)) + x.roll((1, -3), (2, 3)) + torch.fliplr(x),
    "tile, repeat": lambda x, w: x.tile((1, 2)) + x.repeat(1, 1, 1, 2),
    "repeat_interleave": lambda x, w: x.repeat_interleave(2, 1),
    "select, narrow": lambda x, w: (
        x.select(1, -1) + x.narrow(1, 1, 2).sum(1) + x[:, -2] + x[..., 3].mean(-1)[..., None, None].sum(1)
    ),
    "tensor_split, split": lambda x, w: sum(
        p.sum(1) for p in (*x.tensor_split(3, 1), *torch.split(x, [1, 3], 1), *x.tensor_split((1, 2), 1))
    ),
    "slices": lambda x, w: x[:, 1:-1, ::2, -4:] + x[..., None, :3, 4:].squeeze(2)[:, :2],
    "lists": lambda x, w: x[:, [3, 0, 1]] + x[:, torch.tensor([0, 1, -1])] + x[:, [True, True, False, True]],
    "two lists": lambda x, w: x[:, [0, 1], :, [2, 3]],
    "indices of two axes": lambda x, w: x[:, INDEX],
    "mask of a constant": lambda x, w: x[..., MASK],
    "computed index": lambda x, w: w[x[:, 0, 0].argmax(-1)] + F.embedding(x[:, 1, 1].argmax(-1), w),
    "computed index beside a constant": lambda x, w: x[torch.arange(2)[:, None], x.argmax(1)[:, 0] % 4],
    "computed indices of axes apart": lambda x, w: x[x.argmax(0)[0, :, 0], :, -1, x.argmin(1)[:1, :, 0]],
    "index_select": lambda x, w: x.index_select(1, torch.tensor([2, 0])),
    "gather by a constant": lambda x, w: x.gather(1, torch.ones(2, 1, 6, 8, dtype=torch.int64)),
    "cat with a constant": lambda x, w: torch.cat([x, w[:6].expand(2, 1, 6, 8)], 1),
    "pads": lambda x, w: F.pad(x, (1, 2, 3, 0), "reflect") + F.pad(x, (2, 1, 1, 2), "replicate"),
    "pad, circular": lambda x, w: F.pad(x, (1, 2, 3, 0), "circular"),
    "pad, reflect, one axis": lambda x, w: (
        F.pad(x[:, :, 0], (1, 2), "reflect") + F.pad(x[:, :, 0], (3, 0), "replicate")
    ),
    "pad, negative": lambda x, w: F.pad(x, (-1, 2, 0, -1), value=0.5),
    "pixel_shuffle": lambda x, w: F.pixel_shuffle(x, 2),
    "pixel_unshuffle, channel_shuffle": lambda x, w: F.channel_shuffle(F.pixel_unshuffle(x, 2), 4),
    "unfold": lambda x, w: F.unfold(x, (3, 2), dilation=(1, 2), padding=1, stride=(2, 1)),
    "products and axes by names": lambda x, w: (
        torch.bmm(input=x[0], mat2=x[1].mT),
        torch.mv(x[0, 0], vec=w[0]),
        torch.addmm(w[0], mat1=x[0, 0], mat2=w, beta=0.5),
        torch.addmv(x[0, 0, :, 0], mat=x[0, 1], vec=w[0]),
        torch.swapaxes(x, axis0=1, axis1=-1),
    ),
    "unfold by names, and without a batch": lambda x, w: (
        x.unfold(1, size=2, step=1),
        x.unfold(dimension=3, size=3, step=2),
        F.unfold(x[0], 2),
        F.unfold(x, 3, 1, 1),
    ),
    "unfold of a tensor": lambda x, w: x.unfold(2, 3, 2).sum(-1) + x.unfold(2, 2, 2)[:, :, :2, :, 0],
    "fold": lambda x, w: (
        F.fold(x.reshape(2, 4 * 6, 8)[:, :16], (8, 16), (4, 4), stride=(4, 2), padding=(0, 1))[:, :1]
        if False
        else F.fold(x.reshape(2, 8, 24), (8, 12), 2, stride=2)
    ),
    "affine_grid, grid_sample": lambda x, w: F.grid_sample(
        x, F.affine_grid(x[:, :2, 0, :3] / 3, [2, 4, 5, 7], False), align_corners=False
    ),
    "grid_sample, border": lambda x, w: F.grid_sample(x, x[:, :, :, :2].tanh(), "nearest", "border", True),
    "setitem": lambda x, w: _set(x),
    # layers
    "instance_norm": lambda x, w: F.instance_norm(x, weight=w[0, :4], bias=w[1, :4]),
    "rms_norm": lambda x, w: F.rms_norm(x, (8,), w[0], 1e-4) + F.rms_norm(x, (8,)),
    "layer_norm, computed weights": lambda x, w: F.layer_norm(x, (8,), x[0, 0, 0], x[0, 0, 1]),
    "linear of a vector": lambda x, w: F.linear(x[0, 0, 0], w, w[1]),
    "linear, one output": lambda x, w: F.linear(x, w[0]) + F.linear(x, w[0], w[1, 0]) + F.linear(x[0, 0, 0], w[1]),
    "linear, one computed output": lambda x, w: F.linear(x, x[0, 0, 0], x[0, 0, 1, 0]),
    "linear, computed weight": lambda x, w: F.linear(x, x[0, 0] @ w, x[0, 1, :, 0]),
    "bilinear": lambda x, w: F.bilinear(x, x * 2, w.reshape(1, 8, 8).expand(3, 8, 8), w[0, :3]),
    "local_response_norm, even": lambda x, w: F.local_response_norm(x, 2),
    "lp_pool": lambda x, w: F.lp_pool2d(positive(x), 3, (2, 3), 2),
    "adaptive pools": lambda x, w: (
        F.adaptive_avg_pool2d(x, (4, 3))
        + F.adaptive_max_pool2d(x, (4, 3))
        + F.adaptive_avg_pool2d(x, (None, 3))[:, :, :4]
    ),
    "max_pool with indices": lambda x, w: F.max_pool2d(x, 2, return_indices=True)[0],
    "conv, computed bias": lambda x, w: F.conv2d(x, w[:5, :4, None, None], x.mean((0, 2, 3)).sum() + w[:5, 0]),
    "conv, computed weight, padded": lambda x, w: F.conv2d(x[:1], x[:, :, :3, :3], padding=1),
    "interpolate, bicubic": lambda x, w: (
        F.interpolate(x, scale_factor=1.5, mode="bicubic")
        + F.interpolate(x, (9, 12), mode="bicubic", align_corners=True)
    ),
    "interpolate, nearest-exact": lambda x, w: F.interpolate(x, (9, 12), mode="nearest-exact"),
    "interpolate, area": lambda x, w: F.interpolate(x, (4, 5), mode="area"),
    "upsample": lambda x, w: nn.UpsamplingNearest2d(scale_factor=2)(x) + nn.UpsamplingBilinear2d(scale_factor=2)(x),
    "types": lambda x, w: x.float().double() + x.to(torch.float64) + (x * 3).int().to(x.dtype) + x.long().type_as(x),
    "types by name": lambda x, w: (x.type(FLOAT), x.type("torch.LongTensor") * 2, x.type(torch.int32)),
    "as_tensor": lambda x, w: torch.as_tensor(x).relu() + torch.as_tensor(x, dtype=torch.int64) + torch.asarray(x),
    "constants of its shape": lambda x, w: (
        x + torch.zeros_like(x) + x.new_ones(8) + torch.arange(8, device=torch.device("cpu")).to(x)
    ),
    "nothing": lambda x, w: F.dropout(x, 0.5, False).contiguous().detach().clone() * 2,
}


def _set(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 0] = x[:, 1] * 2
    y[..., ::3] += 1
    y[:, 1:3, 2:4, ::2] = 0.5
    y[y > 1] = 1
    return y


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MultiheadAttention": (lambda: First(nn.MultiheadAttention(8, 2, batch_first=True)), (2, 5, 8)),
    "MultiheadAttention, masks": (
        lambda: First(nn.MultiheadAttention(8, 2), attn_mask=torch.ones(5, 5).triu(1).bool()),
        (5, 2, 8),
    ),
    "MultiheadAttention, rows behind the keys": (
        lambda: First(
            nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True),
            attn_mask=torch.ones(5, 5).triu(1).bool(),
            key_padding_mask=torch.tensor([[False] * 4 + [True]] * 2),
        ),
        (2, 5, 8),
    ),
    "MultiheadAttention, masks that it computes": (
        lambda: Padded(nn.MultiheadAttention(8, 2, batch_first=True)),
        (2, 5, 8),
    ),
    "MultiheadAttention, computed masks and rows behind the keys": (
        lambda: Padded(nn.MultiheadAttention(8, 2, add_zero_attn=True, batch_first=True)),
        (2, 5, 8),
    ),
    "TransformerEncoder, padding that it computes": (
        lambda: Encoded(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, None, False)),
        (2, 5, 8),
    ),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
    "TransformerEncoder, gelu, norm first": (
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", norm_first=True), 2, None, False
        ),
        (5, 2, 8),
    ),
    "LSTM": (lambda: First(nn.LSTM(8, 5, 2, batch_first=True, bidirectional=True)), (2, 7, 8)),
    "LSTM, last state": (lambda: State(nn.LSTM(8, 5)), (7, 2, 8)),
    "GRU": (lambda: First(nn.GRU(8, 5, 2, bias=False, bidirectional=True)), (7, 2, 8)),
    "LSTM with projections": (
        lambda: First(nn.LSTM(8, 5, 2, batch_first=True, bidirectional=True, proj_size=3)),
        (2, 7, 8),
    ),
    "LSTM with projections, last cell": (lambda: State(nn.LSTM(8, 5, bias=False, proj_size=3), 1), (7, 2, 8)),
    "RNN": (lambda: First(nn.RNN(8, 5, 2, batch_first=True, bidirectional=True)), (2, 7, 8)),
    "RNN, relu, last state": (lambda: State(nn.RNN(8, 5, nonlinearity="relu", bias=False)), (7, 2, 8)),
    "cells": (lambda: Cells(nn.LSTMCell(8, 8), nn.GRUCell(8, 8), nn.RNNCell(8, 8, nonlinearity="relu")), (2, 8)),
    "BatchNorm1d of a sequence": (lambda: nn.BatchNorm1d(4), (2, 4, 7)),
    "BatchNorm without statistics": (lambda: nn.BatchNorm2d(4, track_running_stats=False), SHAPE),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), SHAPE),
    "LayerNorm": (lambda: nn.LayerNorm((6, 8)), SHAPE),
    "InstanceNorm with statistics": (lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), SHAPE),
    "Conv3d, grouped": (lambda: nn.Conv3d(4, 6, 2, groups=2), (1, 4, 3, 6, 5)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(4, 6, 3, 2, 1, 1), (1, 4, 3, 4, 5)),
    "Conv, circular": (lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"), SHAPE),
    "Softmax2d": (nn.Softmax2d, SHAPE),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 2)), SHAPE),
    "Upsample, trilinear": (lambda: nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True), (1, 2, 3, 4, 5)),
}


class First(nn.Module):
    """What a layer that gives several tensors gives first."""

    def __init__(self, inner: nn.Module, **more: Any) -> None:
        super().__init__()
        self.inner, self.more = inner, more

    def forward(self, x: Tensor) -> Any:
        attention = isinstance(self.inner, nn.MultiheadAttention)
        return (self.inner(x, x, x, **self.more) if attention else self.inner(x))[0]


class Padded(nn.Module):
    """Attention with masks that it computes: of keys, as numbers and as truth values, and of each head."""

    def __init__(self, inner: nn.MultiheadAttention) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        padding, own, rows = x[..., 0] > 0.9, self.inner, x.transpose(0, 1)
        apart = (x @ x.transpose(1, 2) < -2).repeat_interleave(2, 0)
        weights = own.in_proj_weight, own.in_proj_bias, None, None, own.add_zero_attn, 0.0, *own.out_proj.parameters()
        attend: Any = F.multi_head_attention_forward
        as_truth = attend(rows, rows, rows, 8, 2, *weights, False, padding)
        return *own(x, x, x, key_padding_mask=padding), *own(x, x, x, attn_mask=apart), *as_truth


class Encoded(nn.Module):
    """An encoder of rows of which some are padding."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return self.inner(x, src_key_padding_mask=x[..., 0] > 0.9)


class State(nn.Module):
    """A last state: of an LSTM the hidden one, or the cell at 1."""

    def __init__(self, inner: nn.Module, which: int = 0) -> None:
        super().__init__()
        self.inner, self.which = inner, which

    def forward(self, x: Tensor) -> Any:
        state = self.inner(x)[1]
        return state[self.which] if isinstance(state, tuple) else state


class Cells(nn.Module):
    """A step of each cell on the state that the one before it gave."""

    def __init__(self, *cells: nn.Module) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)

    def forward(self, x: Tensor) -> Any:
        lstm, gru, plain = self.cells
        hidden, cell = lstm(x)
        hidden, cell = lstm(x * 2, (hidden, cell))
        return cell, plain(x, gru(gru(x), hidden))


def has_its_shape(op: Op, y: Tensor) -> None:
    """What was worked out without running a kernel is what the kernel gives."""
    assert op.shape == tuple(y.shape)
    assert op.dtype == y.dtype or op.dtype.is_floating_point and y.dtype.is_floating_point


def check(module: nn.Module, shape: tuple[int, ...]) -> None:
    module = module.double().eval()
    x = torch.randn(shape, dtype=torch.float64)
    graph = trace(module, shape)
    with torch.no_grad():
        want = module(x.clone())
    torch.testing.assert_close(graph.run(x, observe=has_its_shape), want, rtol=1e-9, atol=1e-9)
    for op in graph:
        assert op.kind != "call"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_operator_computes_what_torch_computes(name: str) -> None:
    torch.manual_seed(0)
    check(Calls(FUNCTIONS[name]), SHAPE)


@pytest.mark.parametrize("name", MODULES)
def test_a_layer_computes_what_torch_computes(name: str) -> None:
    torch.manual_seed(0)
    make, shape = MODULES[name]
    module = make()
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            nn.init.uniform_(tensor.data, 0.2, 1.2)
    check(module, shape)


def test_every_name_of_the_table_is_one_of_torchs() -> None:
    homes = (torch, F, torch.Tensor, torch._C._nn, torch.ops.aten, torch.linalg)
    own = {
        "rdiv",
        "rpow",
        "rfloordiv",
        "rremainder",
        "rmatmul",
        "__ne__",
        "log_sigmoid",
    }  # reflected operators of Python's
    missing = [name for name in CONVERTERS if name not in own and not any(hasattr(home, name) for home in homes)]
    assert not missing
