"""How a network is refused: what it does, in which line, and what would work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.errors import UsageError, first_line
from edgekit.frontend import scope
from edgekit.frontend.calls import Call

# How torch refuses.
REFUSALS = (RuntimeError, ValueError, IndexError, TypeError, AssertionError, AttributeError, NotImplementedError)
_CAUGHT_AS: dict[type[Exception], type[UsageError]] = {
    kind: type("Refused", (UsageError, kind), {}) for kind in REFUSALS
}


def at(where: str, text: str) -> str:
    """A message with the line of the user's code that it is about."""
    return f"{where}: {text}" if where else text


def refused(name: str, values: Sequence[Any], error: BaseException) -> UsageError:
    """The error for a call that torch refuses, which forward() may catch as it would torch's own.

    Raises RecursionError again, which is about the whole forward().
    """
    if isinstance(error, RecursionError):
        raise error
    shapes, why = " and ".join(str(tuple(value.shape)) for value in values), first_line(error)
    kind = next(made for kind, made in _CAUGHT_AS.items() if isinstance(error, kind))
    remedy = "give the input shape that the network was made for, or a larger resolution"
    if isinstance(error, NotImplementedError) or "meta tensor" in why or "data-dependent" in why:
        kind, why = UsageError, "its result depends on the input's values"
        remedy = "write forward() without branches or sizes that depend on a tensor's values"
    elif any(word in why for word in ("should be the same", "same dtype", "scalar type")):
        remedy = "leave conversions as .half() out of forward(): it is read in float32, and --precision is the file's"
    return kind(at(scope.line(), f"layer {name} cannot take an input of {shapes}: {why}"), remedy)


def depends(call: Call) -> UsageError:
    """The error for a question that only values answer."""
    return UsageError(
        at(scope.line(), f"forward() asks for the values of a tensor that depends on the input ({call.shown})"),
        "write it without branches, sizes or numbers that depend on a tensor's values, as with torch.where",
    )


def by_key(argument: str, key: str) -> UsageError:
    """The error for a tensor that is taken for a dictionary of tensors."""
    return UsageError(
        at(scope.line(), f"forward() asks a tensor for {key!r}, as if its input were a dictionary"),
        f"name each tensor of the dictionary: --input {argument}.{key}=1,...",
    )


def takes_by_mask(what: str) -> UsageError:
    """The error for what needs to know which elements a mask takes that depends on the input."""
    return UsageError(
        at(
            scope.line(),
            f"forward() takes elements by a mask that depends on the input, and {what} depends on how many",
        ),
        "keep all elements: torch.where(mask, y, 0.0), and sums of these divided by mask.sum()",
    )


def no_gradients(where: str) -> UsageError:
    """The error for a derivative that forward() asks torch for."""
    return UsageError(
        at(where, "forward() asks for gradients, which no file has"), "write the derivative out with torch's functions"
    )


def maps_over_rows(where: str) -> UsageError:
    """The error for torch.vmap over what depends on the input, whose tensors hide all rows but one."""
    return UsageError(
        at(where, "forward() runs torch.vmap over a tensor that depends on the input"),
        "write that part for all rows at once, with broadcasting, or as torch.stack([f(row) for row in x])",
    )


def saves() -> UsageError:
    """The error for a tensor that is written to a file or handed to another process."""
    return UsageError(
        at(scope.line(), "forward() saves a tensor that depends on the input, as torch.save and pickle do"),
        "leave that out in eval mode, as `if self.training:` around it does, or save from outside with a hook",
    )


def draws(call: Call) -> UsageError:
    """The error for random numbers."""
    return UsageError(
        at(scope.line(), f"forward() draws random numbers ({call.shown}), so that its answers differ"),
        "leave them out in eval mode, as `if self.training:` around them does, or seed them in forward()",
    )


def unseen(call: Call) -> UsageError:
    """The error for a tensor that comes from nowhere."""
    return UsageError(
        at(scope.line(), f"{call.shown} reads a tensor that no call of torch's in forward() made"),
        "write that part with torch's own functions, without torch.jit.script or extensions",
    )


def changes_itself(name: str, where: str = "") -> UsageError:
    """The error for a network that remembers something from one input to the next."""
    return UsageError(
        at(
            where or scope.line(),
            f"forward() changes {name}, which belongs to the network, so that its answer depends on earlier inputs",
        ),
        "leave it unchanged in eval mode, as `if self.training:` around the change does",
    )


def in_training(name: str) -> UsageError:
    """The error for a layer that would still learn."""
    return UsageError(at(scope.line(), f"layer {name} is in training mode"), "call .eval() on the whole network")
