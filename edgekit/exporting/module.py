"""A torch module before it is read: in float32, its user's own left as it is, its layers without initial draws."""

from __future__ import annotations

import copy
import functools
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from edgekit.errors import UsageError
from edgekit.exporting.options import ExportOptions
from edgekit.frontend.one_type import OneType


def to_change(network: nn.Module, asked: ExportOptions) -> nn.Module:
    """The network, or a copy where it is the caller's own and would be changed. Raises UsageError without values."""
    tensors = [*network.parameters(), *network.buffers()]
    if any(tensor.is_meta for tensor in tensors):
        raise UsageError("the network's tensors have no values (they are on the meta device)", "build it on the CPU")
    floats = all(tensor.dtype == torch.float32 for tensor in tensors if tensor.is_floating_point())
    if not isinstance(asked.model, nn.Module) or (floats and asked.weights is None):
        return network
    return copy.deepcopy(network)


def in_float32(network: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the user's network in float32, and a note where it was not."""
    tensors = [*network.parameters(), *network.buffers()]
    others = {tensor.dtype for tensor in tensors if tensor.is_floating_point()} - {torch.float32}
    if not others:
        return network, ()
    names = " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in others))
    return _in_one_type(network.float()), (f"the network's tensors are {names}: they were converted to float32",)


def _in_one_type(network: nn.Module) -> nn.Module:
    """The network, whose forward() converts its tensors no more: x.half() in front of a half layer, say."""
    run = network.forward

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        with OneType(network):
            return run(*args, **kwargs)

    network.__dict__["forward"] = forward
    return network


class Undrawn(TorchFunctionMode):
    """Layers of torch come without their initial draw, which is overwritten next and takes VGG-16 a second."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (nn.init.kaiming_uniform_, nn.init.uniform_):
            return None
        return function(*args, **(kwargs or {}))
