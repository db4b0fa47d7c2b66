"""Shares of 1 that are near 0, which no runtime computes finely."""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.frontend.tracer import trace
from edgekit.ir.shares import FAINT, least


class Several(nn.Module):
    """A map of shares, moved and as it is, and what is none."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        share = x.sigmoid()
        return share, share.flatten(1)[:, 2:].t(), x.softmax(1), share * 2


def test_only_errors_of_shares_have_a_least_size() -> None:
    assert least(trace(Several().eval(), (1, 4, 3, 3))) == (FAINT, FAINT, 0.0, 0.0)
