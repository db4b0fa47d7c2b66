"""Tensors of a file in torch's types, and whether a tensor has values while a network is followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# torch computes little with these.
_WIDER = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}


def as_tensor(array: NDArray[Any]) -> Tensor:
    """Return a tensor of the same memory where torch can have it so; real numbers are float32."""
    name = array.dtype.name
    if name in ("float16", "float64", "bfloat16"):
        array = array.astype(np.float32)
    elif name in _WIDER:
        array = array.astype(_WIDER[name])
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def is_known(value: Tensor) -> bool:
    """Say whether a tensor has values while a network is followed: those that its input reaches have none."""
    with torch._C.DisableTorchFunction():  # whoever follows the network does not take it for a question about values
        return not value.is_meta
