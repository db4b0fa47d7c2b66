"""The shapes of a network's inputs, as a user gives them: one, several in forward()'s order, or several by name.

Imports no torch.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgekit.errors import UsageError
from edgekit.util import image_axes
from edgekit.util.formatting import shape_text

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, ...]
# One shape; several, in forward()'s order; the same with the names of its arguments; None: what the network knows.
# A shape may be a text, and a text of one have its name, as on the command line: "1,3,224,224", "image=1,3,224,224".
# A name may lead into an argument that holds several tensors: "batch.image" (structured_inputs.py).
Input = Shape | Sequence[Shape | str] | Mapping[str, Shape | str] | str | None
Plain = Shape | Sequence[Shape] | Mapping[str, Shape] | None
RANKS = (1, 2, 3, 4, 5)  # of an input, with its batch
EXAMPLE = "write, say, --input 1,3,224,224, and once more for each further input"


def plain(given: Input) -> Plain:
    """Return the same without texts. Raises UsageError for what is no shape."""
    if given is None or isinstance(given, str):
        return None if given is None else from_texts([given])
    if isinstance(given, Mapping):
        return {name: _shape(one) for name, one in given.items()}
    if not isinstance(given, Sequence):
        raise UsageError(f"--input takes a shape, not a value of type {type(given).__name__}", EXAMPLE)
    texts = [one for one in given if isinstance(one, str)]
    if texts and len(texts) == len(given):
        return from_texts(texts)
    return [_shape(one) for one in given] if any(isinstance(one, Sequence) for one in given) else _shape(given)


def from_texts(texts: Sequence[str]) -> Plain:
    """`["image=1,3,224,224", "state=1,64"]` as shapes by name, or in order where none has one. Raises UsageError."""
    named = [text.partition("=")[::2] if "=" in text else ("", text) for text in texts]
    found = {name: shape(text) for name, text in named}
    if "" not in found and len(found) == len(texts):
        return found
    if set(found) != {""}:
        raise UsageError("--input names some inputs only, or one twice", "name each one, or none")
    return [shape(text) for _, text in named] if len(texts) > 1 else found[""]


def shape(text: str) -> Shape:
    """`"1,3,224,224"` as a shape, batch first. Raises UsageError."""
    try:
        sizes = tuple(int(word) for word in text.replace("x", ",").split(","))
    except ValueError:
        sizes = ()
    if not sizes:
        raise _no_sizes(text)
    return sizes


def _shape(one: Any) -> Shape:
    if isinstance(one, str):
        return shape(one)
    try:
        return tuple(map(operator.index, one))
    except TypeError:
        raise _no_sizes(one) from None


def _no_sizes(given: object) -> UsageError:
    return UsageError(f"--input takes sizes, not {given!r}", "write, say, --input 1,3,224,224")


def shapes_of(given: Plain) -> tuple[Shape, ...]:
    """Return the shapes, checked. Raises UsageError."""
    if isinstance(given, Mapping):
        several: list[Shape] = [tuple(shape) for shape in given.values()] or [()]
    elif given and not isinstance(given[0], int):
        several = [tuple(shape) for shape in given]  # type: ignore[arg-type]
    else:
        several = [tuple(given or ())]  # type: ignore[arg-type]
    for shape in several:
        _check(shape)
    return tuple(several)


def names_of(given: Plain) -> tuple[str, ...]:
    """Return the names of forward()'s arguments that were given with the shapes; empty where none were."""
    return tuple(given) if isinstance(given, Mapping) else ()


def check_names(module: nn.Module, names: Sequence[str]) -> None:
    """Raises UsageError where forward() does not take arguments of these names in this order.

    A name may go on with a dot and a key of what the argument holds (structured_inputs.py).
    """
    names = tuple(dict.fromkeys(name.partition(".")[0] for name in names))
    try:
        known = list(inspect.signature(module.forward).parameters)
    except ValueError:  # TorchScript has none, and is refused when it is read
        return
    if names and known[: len(names)] != list(names):
        raise UsageError(
            f"forward() of {type(module).__name__} takes {', '.join(known)}, not {', '.join(names)}",
            "give each --input in forward()'s order, with its argument's name or without any; where an argument holds "
            f"several tensors, their keys behind a dot, as in {known[0] if known else 'batch'}.{names[0]}",
        )


def _check(shape: Shape) -> None:
    told = shape_text(shape)
    if len(shape) not in RANKS or min(shape) < 1:
        raise UsageError(f"an input has a batch and at most 4 more axes, all above 0, not {told or 'none'}", EXAMPLE)
    if shape[0] != 1:
        raise UsageError(
            f"a file is made for a batch of 1, not {shape[0]}",
            image_axes.said([(1, *shape)])
            or f"write {_with_batch(shape)}; export --dynamic-batch leaves the batch open",
        )


def _with_batch(shape: Shape) -> str:
    """What may be meant: with a batch of 1, or with the batch that was left out."""
    first, other = (",".join(map(str, sizes)) for sizes in ((1, *shape[1:]), (1, *shape)))
    if len(shape) == 2:  # height and width, as may be
        gray, color = (",".join(map(str, (1, channels, *shape))) for channels in (1, 3))
        return f"--input {gray} for a gray image, {color} for one in color, {other} or {first} for no image"
    return f"--input {first}" + (f", or {other} where {shape[0]} is no batch" if len(shape) < max(RANKS) else "")
