"""A user's own module is read in float32, and left as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekit.errors import UsageError
from edgekit.exporting.module import in_float32, to_change
from edgekit.exporting.options import ExportOptions


def test_it_is_copied_only_where_it_would_be_changed() -> None:
    float32, half = nn.Linear(2, 2), nn.Linear(2, 2).half()
    assert to_change(float32, ExportOptions(float32)) is float32
    assert to_change(float32, ExportOptions(float32, weights="w.pth")) is not float32
    assert to_change(half, ExportOptions(half)) is not half
    assert to_change(half, ExportOptions("net.py:build")) is half, "nobody else has it"


def test_other_types_become_float32_and_that_is_said() -> None:
    network, notes = in_float32(nn.Sequential(nn.Linear(2, 2).half(), nn.Linear(2, 2).double()))
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}
    assert notes == ("the network's tensors are float16 and float64: they were converted to float32",)
    assert in_float32(nn.BatchNorm1d(2))[1] == (), "a counter is no number to convert"


def test_a_network_without_values_is_refused() -> None:
    network = nn.Linear(2, 2, device="meta")
    with pytest.raises(UsageError, match="meta device"):
        to_change(network, ExportOptions(network))
