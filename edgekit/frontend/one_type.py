"""Runs forward() with real numbers of one type, whatever conversions stand in it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edgekit.frontend.node import mapped

_CONVERSIONS = frozenset({"half", "bfloat16", "float", "double"})
_NAMED = frozenset(f"torch.{name}Tensor" for name in ("Half", "BFloat16", "Float", "Double"))


class OneType(TorchFunctionMode):
    """Conversions among real types, in forward() or by autocast, leave the type that the network's tensors have."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kept = self._kept()
        if getattr(func, "__name__", "") in _CONVERSIONS:
            func, args, kwargs = Tensor.to, (args[0], kept), {}

        def one(value: Any) -> Any:
            if isinstance(value, torch.dtype):
                return kept if value.is_floating_point else value
            if isinstance(value, Tensor):
                return value.to(kept) if value.is_floating_point() and value.dtype != kept else value
            return kept if isinstance(value, str) and value in _NAMED else value

        args, kwargs = mapped((tuple(args), kwargs or {}), one)
        if not torch.is_autocast_enabled("cpu"):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            return func(*args, **kwargs)

    def _kept(self) -> torch.dtype:
        tensors = (*self._network.parameters(), *self._network.buffers())
        return next((x.dtype for x in tensors if x.is_floating_point()), torch.float32)
