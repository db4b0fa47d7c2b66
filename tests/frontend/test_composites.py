"""Functions that torch makes of others, or that are spelled with its functions here: torch's answers, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.frontend.tracer import trace
from tests.frontend.test_operators import SHAPE, Calls, check, positive

squares: Any = F.mse_loss  # whose weights torch does not annotate
huber: Any = F.huber_loss
PLACES = torch.tensor([[0, 2, 1, 3, 3, 0, 1, 2]] * 6)[None].expand(2, -1, -1)
FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "trapezoids": lambda x, w: (torch.trapezoid(x, dx=0.1), torch.cumulative_trapezoid(x, dim=1)),
    "products of sets": lambda x, w: (torch.cartesian_prod(x[0, 0, 0], x[0, 1, 1]), torch.combinations(x[0, 0, 0], 3)),
    "losses": lambda x, w: [
        x * f(x, x.flip(1), reduction=r)
        for r in ("none", "mean", "sum")
        for f in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss)
    ],
    "losses with numbers": lambda x, w: (
        F.smooth_l1_loss(x, x * 2, beta=0.3, reduction="none"), F.huber_loss(x, x * 2, "none", 0.3),
        x * huber(x, x * 2, weight=w[0].detach().expand(SHAPE)),
    ),
    "weighted squares": lambda x, w: [
        x * squares(x, x * 2, reduction=r, weight=w[0].detach().abs().expand(SHAPE)) for r in ("none", "mean", "sum")
    ],
    "losses of shares": lambda x, w: (
        F.binary_cross_entropy_with_logits(x, x.flip(1).sigmoid(), reduction="none"),
        F.binary_cross_entropy_with_logits(x, x.flip(1).sigmoid(), w[0].abs(), reduction="none", pos_weight=w[1].abs()),
        F.kl_div(x.log_softmax(1), x.softmax(1), reduction="none"),
        F.kl_div(x.log_softmax(1), x.flip(1).log_softmax(1), reduction="none", log_target=True),
        F.cross_entropy(x, PLACES, reduction="none"), x + F.cross_entropy(x, x.flip(2).argmax(1)),
    ),
    "losses of pairs": lambda x, w: (
        F.triplet_margin_loss(x[0, 0], x[0, 1], w[:6], reduction="none"),
        F.cosine_embedding_loss(x[0, 0], w[:6], torch.ones(6), reduction="none"),
    ),
    "covariances": lambda x, w: (torch.cov(x[0, 0]), torch.cov(x[0, 1], correction=0), torch.corrcoef(x[0, 0])),
    "of one row": lambda x, w: [x * f(y) for f in (torch.cov, torch.corrcoef) for y in (x[0, 0, 0], x[0, 0, :1])],
    "powers": lambda x, w: (torch.vander(x[0, 0, 0], 4), torch.vander(x[0, 0, 0], 3, increasing=True)),
    "distances": lambda x, w: (torch.pdist(x[0, 0]), torch.pdist(x[0, 0], 1), torch.renorm(x, 2, 1, 3.0)),
    "sums without what is no number": lambda x, w: (
        (x / (x > 0)).nansum(1), torch.nanmean(x.log(), -1), torch.nansum(x.log(), (2, 3), keepdim=True),
    ),
    "entropies": lambda x, w: (
        torch.special.entr(x.sigmoid()), torch.special.entr(x), torch.xlogy(x.relu(), positive(x)),
        torch.xlogy(x, w[0].abs()), torch.xlogy(x, 0.3),
    ),
    "signs and outer products": lambda x, w: (
        torch.copysign(x, w[0]), torch.signbit(x), torch.addr(x[0, 0], x[0, 0, :, 0], w[0], beta=0.5, alpha=2),
        torch.ldexp(x, torch.tensor(3)), torch.isclose(x, x * 1.00001),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_computes_what_torch_computes(name: str) -> None:
    torch.manual_seed(0)
    check(Calls(FUNCTIONS[name]), SHAPE)


def test_classes_that_are_passed_over_stay_torchs_own() -> None:
    network = Calls(lambda x, w: F.cross_entropy(x, PLACES, ignore_index=2, reduction="none")).double().eval()
    graph, x = trace(network, SHAPE), torch.randn(SHAPE, dtype=torch.float64)
    assert [op.kind for op in graph] == ["input", "call"]
    torch.testing.assert_close(graph.run(x), network(x))
