"""Where the parts of an output, such as boxes and scores, come from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgekit.exporting.reference import parts_of
from edgekit.frontend.tracer import trace


class Levels(nn.Module):
    """Boxes and scores of two maps: joined, turned into rows, and joined again."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes, self.scores = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = (x, x[..., ::2, ::2])
        rows = [torch.cat([self.boxes(y) * 90, self.scores(y)], 1).flatten(2).transpose(1, 2) for y in maps]
        return torch.cat(rows, 1), rows[0].sum(2)


def test_parts_are_followed_to_the_output() -> None:
    graph, x = trace(Levels().eval(), (1, 3, 4, 4)), torch.randn(2, 3, 4, 4)
    found = parts_of(graph)
    assert sorted(int(part.where.sum()) for part in found) == [2 * 4, 4 * 4, 2 * 16, 4 * 16]
    assert {part.output for part in found} == {0} and np.sum([part.where for part in found], axis=0).min() == 1
    values = dict[str, Tensor]()
    rows, _ = graph.run(x, observe=lambda op, y: values.__setitem__(op.name, y))
    for part in found:
        want = values[part.name].flatten(2).transpose(1, 2).flatten(1)
        np.testing.assert_array_equal(part.of(rows.numpy()), want.numpy())
