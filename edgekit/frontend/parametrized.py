"""The tensors of a layer as it computes with them: a weight that torch makes of others (weight norm, spectral norm,
pruning) is worked out once, because in eval mode it stays the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgekit.frontend.table import MODULES


def canonical(module: nn.Module) -> Callable[..., Any] | None:
    """The form of a layer, also of one with a parametrised weight, whose class torch replaces."""
    kind = type(module)
    return MODULES.get(kind.__bases__[0] if parametrize.is_parametrized(module) else kind)


@torch.no_grad()
def tensors(module: nn.Module) -> dict[str, Tensor]:
    """A layer's own tensors by role, parameters and buffers first."""
    found = dict([*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)])
    for hook in module._forward_pre_hooks.values():
        if type(hook).__module__.startswith("torch.nn.utils."):
            hook(module, ())  # puts the weight in its place
    for role in ("weight", "bias"):
        value = getattr(module, role, None)
        if role not in found and isinstance(value, Tensor):
            found[role] = value.detach()
    return found
