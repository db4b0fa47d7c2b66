"""Do these tensors fit that network? Which alpha and class count would? Then: put them in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from edgekit.checkpoints.file import AGAIN, COUNTER, Checkpoint
from edgekit.errors import USERS_CODE, UsageError
from edgekit.frontend.tracer import unwrapped
from edgekit.network.spec import MODELS, MOST_CLASSES, ModelSpec, Variant, variant, with_classes
from edgekit.util.formatting import shape_text

T = TypeVar("T")
Shapes = Mapping[str, tuple[int, ...]]
_FINENESS = 4096  # steps in which alpha is searched; channel counts of the zoo are multiples of alpha / 2048 at most
_SHOWN = 3
_WHOLE = (torch.float64, torch.float32, torch.float16, torch.bfloat16)  # smaller ones need scales beside them


def shapes_of(point: Variant) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a variant's tensors, worked out without memory for them."""
    return named_shapes(without_memory(point), point.spec)


def without_memory(point: Variant) -> nn.Module:
    """Return the network of a variant on the meta device; a user's own with its tensors where it needs their values."""
    try:
        with torch.device("meta"):
            return point.build()
    except USERS_CODE:  # a user's own builder may compute with its tensors, which meta tensors cannot
        return point.build()


def named_shapes(network: nn.Module, spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network that weights must give."""
    return {
        name: tuple(tensor.shape)
        for name, tensor in for_inference(unwrapped(network).state_dict(), spec).items()
        if not name.endswith(COUNTER)
    }


def most_elements(spec: ModelSpec) -> int:
    """How many numbers weights of this network can have: the widest, with the most classes, twice for what is unused.

    Unused are heads of training, and counters.
    """
    point = variant(spec)
    widest = variant(spec, max((point.alpha, *spec.alphas))) if spec.alphas else point
    if spec.classifier and spec.name in MODELS:
        widest = with_classes(widest, MOST_CLASSES)
    return 2 * _elements({name: tuple(x.shape) for name, x in without_memory(widest).state_dict().items()}) + 4096


def for_inference(named: Mapping[str, T], spec: ModelSpec) -> dict[str, T]:
    """What is named, without the heads that a network of the zoo has in training only, as its published files do."""
    return {name: value for name, value in named.items() if not name.startswith(spec.training_only)}


def classes_of(point: Variant, found: Shapes) -> int | None:
    """Return the class count that the shapes in a file tell; None where they do not."""
    if not point.spec.classifier:
        return None
    few, more = shapes_of(with_classes(point, 3)), shapes_of(with_classes(point, 5))
    told = {
        found[name][axis]
        for name, shape in few.items()
        for axis, size in enumerate(shape)
        if size != more[name][axis] and (size, more[name][axis]) == (3, 5) and len(found.get(name, ())) == len(shape)
    }
    return told.pop() if len(told) == 1 else None


def alpha_of(point: Variant, found: Shapes) -> float | None:
    """The alpha that fits the shapes in a file: `point`'s own, a published one, else the shortest decimal that does.

    Where none fits, the one that fits most of them, so that what is wrong with the others can be said. None where the
    network has no alpha, or none fits half of them. Networks grow with alpha, so that a bisection finds it.
    """
    spec = point.spec
    if not spec.alphas or found.keys() != shapes_of(point).keys():
        return None

    def shapes(alpha: float) -> Shapes:
        return shapes_of(variant(spec, alpha, point.resolution, point.classes, point.options))

    def fitting(alphas: Iterable[float]) -> Iterator[tuple[float, float]]:
        """Yield each alpha after the share of the shapes that it fits; the last is the first that fits all."""
        for alpha in alphas:
            share = sum(found[name] == shape for name, shape in shapes(alpha).items()) / len(found)
            yield share, alpha
            if share == 1:
                return

    tried = list(fitting((point.alpha, *spec.alphas)))
    if tried[-1][0] < 1:
        low = _smallest(lambda step: _elements(shapes(step / _FINENESS)) >= _elements(found)) / _FINENESS
        decimals = [math.ceil(low * 10**digits) / 10**digits for digits in (1, 2, 3, 4)]
        tried += fitting(alpha for alpha in (*decimals, low) if alpha <= 1)
    share, alpha = max(tried, key=lambda one: one[0])
    return alpha if share > 0.5 else None


def _smallest(enough: Callable[[int], bool]) -> int:
    low, high = 1, _FINENESS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _elements(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def check(file: str, wanted: Shapes, found: Shapes, point: Variant) -> None:
    """Raise UsageError with what is missing, unexpected and misshapen, and what the file would fit."""
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted]
    misshapen = [
        f"{name} {_by(found[name])} instead of {_by(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    parts = [
        f"{len(names)} {what} ({_few(names)})"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
        if names
    ]
    if parts:
        raise UsageError(f"{file} does not fit {point}: {'; '.join(parts)}", _suggestion(point, wanted, found))


def _few(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _by(shape: tuple[int, ...]) -> str:
    return shape_text(shape) or "scalar"


def _suggestion(point: Variant, wanted: Shapes, found: Shapes) -> str:
    if wanted.keys() == found.keys():
        classes = classes_of(point, found) or point.classes
        alpha = alpha_of(with_classes(point, classes), found)
        fitting = point if alpha is None else variant(point.spec, alpha, point.resolution, classes, point.options)
        if shapes_of(with_classes(fitting, classes)) == found:
            options = [f"--alpha {alpha:g}"] if alpha is not None and alpha != point.alpha else []
            options += [f"--classes {classes}"] if classes != point.classes else []
            return f"the file fits with {' '.join(options)}"
    for key, values in point.spec.options.items():
        for value in values:
            other = variant(point.spec, point.alpha, point.resolution, point.classes, {**point.options, key: value})
            if shapes_of(other) == found:
                return f"the file fits with --option {key}={value}"
    others = list(_networks_of(found)) if point.spec.name in MODELS else []
    if others:
        return f"the file fits {' or '.join(others[:_SHOWN])}"
    return f"give weights of {point.spec.name}; a torch file must use its key names"


def _networks_of(found: Shapes) -> Iterable[str]:
    """Registered networks that the tensors fit, whatever the class count.

    Building the zoo takes seconds, so where the first network of a file shares no name, its others are left out.
    """
    strange = set()
    for name, spec in MODELS.items():
        kind = getattr(spec.build, "func", spec.build).__module__, spec.classifier
        if kind in strange:
            continue
        given = for_inference(found, spec)
        wanted = shapes_of(variant(spec))
        if wanted.keys().isdisjoint(given):
            strange.add(kind)
        if wanted.keys() == given.keys():
            classes = classes_of(variant(spec), given)
            if given == (shapes_of(variant(spec, classes=classes)) if classes else wanted):
                yield name


def fill(file: str, network: nn.Module, checkpoint: Checkpoint) -> None:
    """Copy fitting tensors into the network, converted to its own types; refuse what would not be the same numbers."""
    own = unwrapped(network).state_dict()
    given = {name: tensor for name, tensor in checkpoint.tensors.items() if name in own and not name.endswith(COUNTER)}
    for name, tensor in given.items():
        _refuse_other_kinds(file, name, tensor, own[name])
        if not bool(torch.isfinite(tensor.to(own[name].dtype)).all()):
            raise UsageError(f"{file} holds numbers that are not finite, first in {name}", AGAIN)
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise UsageError(f"{file} holds a negative variance in {name}", AGAIN)
    with torch.no_grad():
        for name, tensor in given.items():
            own[name].copy_(tensor)
    for name, eps in (checkpoint.batch_norm_eps or {}).items():
        norm = unwrapped(network).get_submodule(name)
        if not hasattr(norm, "eps"):
            raise UsageError(
                f"{file} has a BatchNorm of epsilon {eps:g}, and {name} has none to set", "use nn.BatchNorm2d"
            )
        setattr(norm, "eps", eps)  # noqa: B010


def _refuse_other_kinds(file: str, name: str, tensor: Tensor, own: Tensor) -> None:
    dense = tensor.layout == torch.strided and not tensor.is_meta
    fits = tensor.dtype in _WHOLE if own.is_floating_point() else torch.can_cast(tensor.dtype, own.dtype)
    if not (dense and fits):
        kind = "no" if tensor.is_meta else str(tensor.dtype if dense else tensor.layout).removeprefix("torch.")
        raise UsageError(
            f"{file} holds {kind} numbers in {name}, where the network has {str(own.dtype).removeprefix('torch.')}",
            "save the weights as dense floating-point tensors",
        )
