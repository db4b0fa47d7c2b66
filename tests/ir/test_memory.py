from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekit.frontend.tracer import trace
from edgekit.ir.memory import ideal_bytes, peak_elements
from edgekit.ir.passes.fold_batch_norm import fold


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1, bias=False)
        self.second = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x))
        return y + torch.relu(self.second(y))


def test_a_chain_needs_its_two_largest_neighbors() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 2, 1), nn.Flatten(),
        nn.Linear(2 * 16, 5),
    ).eval()  # fmt: skip
    graph = fold(trace(network, (1, 3, 8, 8))).graph
    elements = [3 * 64, 8 * 64, 8 * 16, 2 * 16, 5]
    assert peak_elements(graph) == max(a + b for a, b in zip(elements, elements[1:], strict=False)) == 704
    weights, biases = 3 * 8 + 8 * 2 + 32 * 5, 8 + 2 + 5
    assert ideal_bytes(graph, "fp32") == 4 * (weights + biases + 704)
    assert ideal_bytes(graph, "fp16") == 2 * (weights + biases + 704)
    assert ideal_bytes(graph, "int8") == weights + 4 * biases + 704


def test_a_branch_keeps_what_is_still_read() -> None:
    graph = fold(trace(Residual().eval(), (1, 3, 8, 8))).graph
    assert peak_elements(graph) == 3 * 4 * 64  # the first convolution, the second, and their sum


def test_an_activation_works_in_place_only_where_nobody_reads_its_input_later() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x) + x

    assert peak_elements(trace(Both().eval(), (1, 10))) == 30
    assert peak_elements(trace(nn.Sequential(nn.ReLU(), nn.Tanh()).eval(), (1, 10))) == 10


def test_padding_costs_nothing() -> None:
    padded = nn.Sequential(nn.ZeroPad2d(5), nn.Conv2d(3, 4, 3, bias=False))
    assert peak_elements(trace(padded.eval(), (1, 3, 8, 8))) == 3 * 64 + 4 * 256


def test_a_view_keeps_the_room_of_what_it_shows() -> None:
    class Views(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            flat = torch.flatten(x, 1)
            return torch.relu(flat) + torch.flatten(x, 1)  # the input is still read: its room cannot be taken over

    assert peak_elements(trace(Views().eval(), (1, 2, 5, 1))) == 30
