"""LeNet-5: the paper's counts, and both poolings."""

from __future__ import annotations

import torch

from edgekit.frontend.tracer import trace
from edgekit.ir.layer_table import table
from edgekit.network.spec import variant


def test_the_papers_counts() -> None:
    graph = trace(variant("lenet5").build(), (1, 1, 32, 32))
    counts = table(graph)
    biases = sum(tensor.numel() for name, tensor in graph.params.items() if name.endswith("bias"))
    assert (counts.params, counts.params - biases, counts.macs) == (61_706, 61_470, 416_520)
    shapes = [row.output_shape[1:] for row in counts.rows if row.op in ("conv", "avg_pool", "linear")]
    assert shapes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84,), (10,)]


def test_max_pooling_is_the_same_network_with_another_pool() -> None:
    average, largest = variant("lenet5").build(), variant("lenet5", options={"pool": "max"}).build()
    largest.load_state_dict(average.state_dict())
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(average(x), largest(x))
