"""What forward() does with a tensor, written down by torch.fx: the calls in their order, in-place ones among them."""

from __future__ import annotations

import operator
from typing import Any

from torch import fx, nn

from edgekit.errors import USERS_CODE, UsageError, first_line

PLAIN = (int, float, bool, str, type(None))
IN_PLACE = ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "iand", "ior", "ixor", "imatmul")


def symbolic(module: nn.Module) -> fx.Graph:
    """The calls of a module's forward(). Raises UsageError where it cannot be followed, or changes the module."""
    before = _versions(module)
    try:
        found = _Tracer().trace(module)
    except USERS_CODE as error:  # user code runs here: whatever it raises is about the network
        raise UsageError(
            f"{type(module).__name__} cannot be traced: {first_line(error)}",
            "write forward() without branches or loops that depend on a tensor's values",
        ) from error
    changed = [name for name, version in _versions(module).items() if version != before.get(name)]
    if changed:
        raise changes_itself(changed[0])
    return found


def is_leaf(module: nn.Module) -> bool:
    """Whether it is a layer of torch.nn, which is not looked into."""
    return _Tracer().is_leaf_module(module, "")


def changes_itself(name: str) -> UsageError:
    """The error for a network that remembers something from one input to the next."""
    return UsageError(
        f"forward() changes {name}, which belongs to the network, so that its answer depends on earlier inputs",
        "leave it unchanged in eval mode, as `if self.training:` around the change does",
    )


def _versions(module: nn.Module) -> dict[str, tuple[int, int]]:
    """Which object each tensor of the module is, and how often it was written to."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: (id(x), 0 if x.is_inference() else x._version) for name, x in tensors}


class _Proxy(fx.Proxy):
    """torch's own reads `y += x` as `y = y + x`, another thing where y has two names, and has no `y[0] = x`."""

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})


def _in_place(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: fx.Proxy, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return method


for _name in IN_PLACE:
    setattr(_Proxy, f"__{_name}__", _in_place(_name))


class _Tracer(fx.Tracer):
    """torch's own asks of every argument whether it is of a kind that is none of a network's: a third of its time."""

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, fx.Proxy):
            return a.node
        return a if type(a) in PLAIN else super().create_arg(a)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)
