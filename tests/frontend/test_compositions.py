"""Functions that are a few others in a row, and what is made by way of places: torch's own answers, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.frontend.test_operators import INDEX, SHAPE, Calls, check, positive


def numpys(function: Callable[..., Any], **where: int) -> Any:
    """A reduction asked for by numpy's names of its arguments."""
    return function(**where, keepdims=True)


blocks: Callable[..., Any] = torch.block_diag  # which torch does not annotate
FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "tensordot": lambda x, w: torch.tensordot(x, w, dims=([3], [0])) + torch.tensordot(x, w, 1),
    "tensordot of a map": lambda x, w: torch.tensordot(x, w[:4], dims=([1], [0])),
    "inner": lambda x, w: torch.inner(x, w),
    "vecdot": lambda x, w: torch.linalg.vecdot(x, w[0]),
    "multi_dot": lambda x, w: torch.linalg.multi_dot([x[0, 0], w, w]),
    "addbmm": lambda x, w: torch.addbmm(w[:6, :6], x[0], x[0].transpose(1, 2)),
    "cross": lambda x, w: torch.cross(x[:, :3], w[:3, :1, None].expand(3, 6, 8)[None].expand(2, -1, -1, -1), dim=1),
    "cross, of the first axis of three": lambda x, w: (
        torch.cross(x[:, :3, :3], x[:, 1:, :3]), torch.linalg.cross(x[:, :3, :, :3], x[:, 1:, :, :3]),
    ),
    "quotients without their fraction": lambda x, w: (
        *(torch.div(x, y, rounding_mode="trunc") for y in (0.3, w[0], x.flip(1))),
        *(torch.div((x * 90).int(), y, rounding_mode="trunc") for y in (7, -7, (x.flip(1) * 9).int() * 2 + 1, 1.5)),
    ),
    "diagonals of matrices": lambda x, w: (torch.linalg.diagonal(x), torch.linalg.diagonal(x, offset=1), x.diagonal()),
    "determinants and inverses": lambda x, w: tuple(
        f(x[:, :, :n, :n] + 3 * torch.eye(n, dtype=x.dtype))
        for n in (1, 2, 3)
        for f in (torch.det, torch.linalg.det, torch.inverse, torch.linalg.inv)
    ),
    "solve": lambda x, w: (
        torch.linalg.solve(x[:, :, :3, :3] + 3 * torch.eye(3).double(), x[:, :, 3:, :5]),
        torch.linalg.solve(x[0, :, :2, :2] + 3 * torch.eye(2).double(), x[0, :, 2, :2]),
    ),
    "powers and the trace of a matrix": lambda x, w: (torch.matrix_power(x[..., :6], 5), x * x[0, 0].trace()),
    "bags of embeddings": lambda x, w: [
        F.embedding_bag((x[:, 0, :, 0] * 9).long().abs() % 8, w, mode=mode) for mode in ("sum", "mean", "max")
    ],
    "bags with shares": lambda x, w: F.embedding_bag(INDEX, w, per_sample_weights=x[0, 0, :2, :2], mode="sum"),
    "cdist": lambda x, w: torch.cdist(x[0], w[None].expand(4, -1, -1)) + torch.cdist(x[0], w, p=1),
    "dist": lambda x, w: x + torch.dist(x, x * 2 + 1),
    "hypot": lambda x, w: torch.hypot(x, w[0]),
    "triu, tril": lambda x, w: x.triu(1) + x.tril(-2),
    "diagonal": lambda x, w: (x.diagonal(1, 2, 3), torch.diagonal(x)),
    "diag_embed": lambda x, w: torch.diag_embed(x),
    "as_strided": lambda x, w: x.as_strided((2, 3, 5, 4), (192, 48, 8, 2), 3),
    "rot90": lambda x, w: [torch.rot90(x, k, (2, 3)) for k in (1, 2, 3)],
    "logaddexp": lambda x, w: torch.logaddexp(x, w[0] * 30),
    "fmod": lambda x, w: torch.fmod(x, 0.3) + torch.fmod(x, positive(w[0])),
    "erfc": lambda x, w: torch.erfc(x),
    "angles": lambda x, w: torch.deg2rad(x) + torch.rad2deg(x),
    "diff": lambda x, w: (x.diff(), torch.diff(x, 2, 1)),
    "aminmax": lambda x, w: (*torch.aminmax(x, dim=1), x - x.aminmax()[0]),
    "kthvalue": lambda x, w: (*x.kthvalue(3), torch.kthvalue(x, 2, 1, True)[0]),
    "median": lambda x, w: (*x.median(-1), x - x.median(), *torch.median(x, 1, keepdim=True)),
    "count_nonzero": lambda x, w: (x.relu().count_nonzero(1), torch.count_nonzero(x > 0) + x),
    "one_hot": lambda x, w: F.one_hot(x.argmax(1), 4),
    "gather by computed places": lambda x, w: x.gather(2, x.topk(3, 2)[1]) + x.gather(1, x.argmax(1, True))[:, :, :3],
    "gather from a constant": lambda x, w: w.detach()[:2].gather(1, x[:, 0, 0].topk(3)[1]),
    "numpy's names": lambda x, w: numpys(x.sum, axis=1) + numpys(x.max, dim=1)[0],
    "angles of points": lambda x, w: torch.atan2(x, w[0]) + torch.atan2(w[0], x.round()) + x.atan(),
    "inverse functions": lambda x, w: sum(
        f(g(x)) for f, g in (
            (torch.asin, torch.sin), (torch.acos, torch.cos), (torch.asinh, torch.sinh),
            (torch.acosh, lambda y: positive(y) + 0.6), (torch.atanh, torch.tanh), (torch.sinc, torch.round),
        )
    ),
    "what is no number": lambda x, w: (
        (x.round() / x.round()).nan_to_num(0.5), (1 / x.round()).nan_to_num(posinf=7.0, neginf=-8.0),
        (x / 0).isfinite() | x.isinf() | x.log().isnan(), torch.heaviside(x.round(), w[0]),
    ),
    "cumprod, logcumsumexp": lambda x, w: x.cumprod(1) + torch.logcumsumexp(x, -1),
    "cummax, cummin": lambda x, w: (*x.cummax(-1), *torch.cummin(x, 1)),
    "argsort": lambda x, w: (x.argsort(-1), torch.argsort(x, 1, descending=True), x.msort()),
    "order of equal values": lambda x, w: (x.round().argsort(1), torch.sort(x.round(), dim=-1, stable=True)[1]),
    "quantiles": lambda x, w: (
        x.quantile(0.3, -1), torch.quantile(x, torch.tensor([0.5, 0.9]).double(), dim=1), x + x.quantile(1.0),
        torch.quantile(x, 0.5, 2, keepdim=True),
    ),
    "shifts": lambda x, w: ((x * 9).int() >> 2, (x * 9).long() << 1, torch.bitwise_right_shift((x * 9).int(), 1)),
    "bits": lambda x, w: tuple(
        one
        for y in ((x * 90).int(), (x * 90).long())
        for m in (0, 1, 6, 0b1011010, -8, -1)
        for one in (y & m, m | y, y ^ m, m ^ y, ~y, torch.bitwise_and(y, torch.tensor(m)))
    ),
    "bits of two tensors": lambda x, w: tuple(
        one
        for y, z in (((x * 90).int(), (x.flip(1) * 70).long()), ((x * 2e9).int(), (x.flip(2) * 1e9).int()))
        for one in (y & z, y | z, y ^ z, torch.bitwise_or(y, torch.arange(8) - 3), y & (1 << 30))
    ),
    "bits of truth values": lambda x, w: ((x > 0) ^ (x > 0.5), ~(x > 0) & (x < 1)),
    "intervals": lambda x, w: (
        torch.bucketize(x, torch.tensor([-1.0, 0, 0.5])), torch.searchsorted(w[0].detach().sort()[0], x, right=True),
        torch.bucketize((x * 9).long(), torch.tensor([-4, 0, 3]), out_int32=True),
        torch.bucketize(x[0, 0, 0], w[0, :0].detach()),
    ),
    "splits and stacks by name": lambda x, w: (
        *torch.vsplit(x[0], 2), *torch.hsplit(x, [1]), *x.dsplit(2), torch.column_stack((x[0, 0, 0], x[0, 1, 0])),
        torch.hstack((x[0, 0, 0], x[1, 0, 0])), torch.dstack((x[0, 0], w[:6])), torch.vstack((x[0, 0, 0], w[0])),
    ),
    "simulated quantization": lambda x, w: (
        torch.fake_quantize_per_tensor_affine(x.float(), 0.03, 120, 0, 255),
        torch.fake_quantize_per_channel_affine(x.float(), torch.arange(1, 5) / 50, torch.zeros(4), 1, -8, 7),
    ),
    "scatter to computed places": lambda x, w: (
        torch.zeros_like(x).scatter_(1, x.topk(2, 1)[1], x[:, 1:3]), x.scatter(-1, x.argmax(-1, True), 7.0),
        w[:4, :8].clone().scatter(0, x[0, :2, 0].argsort(0), x[0, :2, 0]),
        x.scatter(1, x.argmax(1, True), 3.0, reduce="add"),
    ),
    "scatter to known places": lambda x, w: (
        x.scatter(1, INDEX[:, :, None, None], x.flip(1)), x.scatter(1, INDEX[:, :, None, None].expand(2, 2, 6, 3), 2.0),
        x.scatter_add(1, torch.tensor([0, 2, 2]).view(1, 3, 1, 1).expand(2, 3, 6, 8), x[:, 1:]),
        torch.zeros(2, 4, 6, 8).double().scatter_reduce(2, INDEX[:, :, None, None].expand(2, 2, 3, 8), x, "amax"),
        x.scatter_reduce(3, torch.tensor([1, 1, 5]).expand(2, 4, 6, 3), x.exp(), "prod"),
    ),
    "index_add, index_copy": lambda x, w: (
        x.index_add(1, torch.tensor([0, 2, 2]), x[:, 1:], alpha=2),
        x[0, 0].index_add(0, x[0, 1, :, 0].argsort(), w[:6]),
        x.index_copy(2, torch.tensor([4, 1]), x[:, :, :2] * 2), x.index_copy(1, x[0, :, 0, 0].argsort(), x + 1),
    ),
    "index_put": lambda x, w: (
        x.index_put((torch.tensor([0, 1]), torch.tensor([3, 3])), x[0, :2]),
        x.index_put((torch.tensor([1, 1, 0]),), w[0], accumulate=True),
    ),
    "take_along_dim, take": lambda x, w: (
        torch.take_along_dim(x, x.argmax(3, keepdim=True), 3), torch.take_along_dim(x, INDEX[:, :1, None, None], 1),
        x.take(INDEX), x.take(x.argmax(1)), torch.take_along_dim(x, x.flatten().argsort()[:5]),
    ),
    "computed index beside others": lambda x, w: (
        x[torch.arange(2), x[:, :, 0, 0].argmax(1)], x[:, 1:3, x[0, 0].argmax(0), [3]], x[0, x[0, :, 0].argmax(0), :2],
        x[x[:, 0, 0, 0].argsort(), :, :, x[:, 0, 0].argmax(1)], x[0, :, x[:, 0, :, 0].argmax(1)],
        x[x[0, :2, 0, 0].argmax(), :, x[:, 0, :, 0].argmax(1)], x[:, x[0, :, 0, 0].argmax(), 2],
    ),
    "computed places from the end": lambda x, w: (
        x[:, -x[0, :3, 0].argmax(0)], x.take(x.argmax(1) - 9), x.take(INDEX - 5), w[-1 - x[0, 0, 0].argmax()],
        x[:, [0, -1], x[:, 0, :, 0].argmin(1) - 6],
    ),
    "blocks and Kronecker's product": lambda x, w: (
        blocks(x[0, 0], w[:2], x[1, 0, 0]), torch.kron(x[0, 0], w[:2, :3]), torch.kron(w[:2], x[0, 0]),
    ),
    "interpolate, antialias": lambda x, w: (
        F.interpolate(x, (3, 5), mode="bilinear", antialias=True),
        F.interpolate(x, scale_factor=(0.4, 1.6), mode="bicubic", antialias=True),
        F.interpolate(x, (4, 8), mode="bilinear", antialias=True, align_corners=True),
    ),
    "conv_transpose, computed weight": lambda x, w: (
        F.conv_transpose2d(x, x[:, :, :3, :3].reshape(4, 2, 3, 3), x[0, :4, 0, 0], 2, 1, 1, groups=2),
        F.conv_transpose2d(x, x[:, :, :2, :3].reshape(4, 2, 2, 3), None, (1, 3), (0, 1), dilation=(2, 1)),
        F.conv_transpose1d(w.detach()[None], x[0, :2, :4, 0].reshape(8, 1, 1), padding=0),
    ),
    "unpooling": lambda x, w: F.max_unpool2d(*F.max_pool2d(x.relu(), 2, return_indices=True), (2, 2)),
    "unpooling, other windows": lambda x, w: F.max_unpool2d(
        F.max_pool2d(x, (3, 2)) * 2, F.max_pool2d(x, (3, 2), return_indices=True)[1], (3, 2)
    ),
    "unpooling, overlapping windows": lambda x, w: F.max_unpool2d(
        *F.max_pool2d(x.relu(), 3, 2, 1, return_indices=True), (2, 2)
    ),
    "unpooling, dense windows": lambda x, w: F.max_unpool2d(
        F.max_pool2d(x, 3, 1, 1) - x, F.max_pool2d(x, 3, 1, 1, return_indices=True)[1], (3, 3), (1, 1), (1, 1)
    ),
    "unpooling, gaps and a rest": lambda x, w: F.max_unpool2d(
        *F.max_pool2d(x, (2, 1), (4, 3), return_indices=True), (2, 1), (4, 3), output_size=x.shape
    ),
    "unpooling, ceil mode and dilation": lambda x, w: F.max_unpool2d(
        *F.max_pool2d(x, 2, 2, 1, (2, 1), True, True), (2, 2), (2, 2), (1, 1), x.shape[2:]
    ),
    "unpooling of a row": lambda x, w: F.max_unpool1d(*F.max_pool1d(x[:, 0], 4, 2, 1, return_indices=True), (2,)),
    "unpooling of a volume": lambda x, w: F.max_unpool3d(*F.max_pool3d(x[None], 2, 2, return_indices=True), (2, 2, 2)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using torch.cross without specifying the dim")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_composition_computes_what_torch_computes(name: str) -> None:
    torch.manual_seed(0)
    check(Calls(FUNCTIONS[name]), SHAPE)


class Cells(nn.Module):
    """Both last states of an LSTM, and what it gives."""

    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.inner = nn.LSTM(8, 5, **how)

    def forward(self, x: Tensor) -> Any:
        y, (hidden, cell) = self.inner(x, (x[:1, :, :5].repeat(len(self.inner.all_weights), 1, 1),) * 2)
        return y, hidden, cell


@pytest.mark.parametrize("how", [{}, {"num_layers": 2, "bidirectional": True}], ids=["one", "two layers both ways"])
def test_the_cell_state_of_an_lstm_is_given(how: dict[str, Any]) -> None:
    torch.manual_seed(0)
    check(Cells(**how), (7, 2, 8))
