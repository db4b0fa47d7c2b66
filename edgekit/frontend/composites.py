"""Functions without a form of their own that are others in a row: losses, covariances, sums of trapezoids.

What torch makes of others by itself is seen one level deeper. What is one function of its inner library is spelled here
with torch's own functions, which the recorder sees like those of a forward().
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend.refusals import REFUSALS

if TYPE_CHECKING:
    from edgekit.frontend.recorder import Recorder


class NoForm(Exception):
    """An operator of torch's inner library that the table does not have."""


def taken_apart(recorder: Recorder, func: Any, given: tuple[tuple[Any, ...], dict[str, Any]] | None) -> Any:
    """What a function gives, made of others; NotImplemented where one of these has no form.

    Raises NoForm where it is such a call itself.
    """
    if recorder.beneath:
        raise NoForm(func)
    if given is None:
        return NotImplemented
    args, kwargs = given
    before = len(recorder.builder.nodes)
    spelled = SPELLED.get(getattr(func, "__name__", ""))
    recorder.answering, recorder.beneath = False, spelled is None
    try:
        if spelled is None:
            return func(*args, **kwargs)
        with recorder:
            return spelled(*args, **kwargs)
    except (NoForm, UsageError, KeyError, *REFUSALS):
        del recorder.builder.nodes[before:]
        return NotImplemented
    finally:
        recorder.answering, recorder.beneath = True, False


# Losses


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    kinds: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda x: x, "mean": torch.mean, "sum": torch.sum}
    return kinds[reduction](loss)


def _loss(each: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss of two tensors by what it is for each element; the arguments that torch has deprecated are passed over."""

    def spelled(
        input: Tensor, target: Tensor, *old: Any, reduction: str = "mean", size_average: Any = None, **more: Any
    ) -> Tensor:
        if any(value is not None for value in (*old, size_average, more.pop("reduce", None))):
            raise TypeError("deprecated arguments")
        return _reduced(each(input, target, **more), reduction)

    return spelled


def _squared(input: Tensor, target: Tensor) -> Tensor:
    return (input - target).square()


def _mean_squared(input: Tensor, target: Tensor, *, weight: Tensor | None = None, **more: Any) -> Tensor:
    """The mean of weighted squares is by the sum of the weights, not by their number."""
    if weight is None:
        return _loss(_squared)(input, target, **more)
    is_mean = more.get("reduction", "mean") == "mean"
    weighted = _loss(lambda x, y: _squared(x, y) * weight)
    total = weighted(input, target, **(more | {"reduction": "sum"} if is_mean else more))
    return total / weight.sum() if is_mean else total


def _smooth_l1(input: Tensor, target: Tensor, beta: float = 1.0) -> Tensor:
    far = (input - target).abs()
    return far if beta == 0 else torch.where(far < beta, far.square() * (0.5 / beta), far - 0.5 * beta)


def _huber(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    far = (input - target).abs()
    each = torch.where(far <= delta, far.square() * 0.5, (far - 0.5 * delta) * delta)
    return _reduced(each if weight is None else each * weight, reduction)


def _of_logits(input: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None) -> Tensor:
    positive: Any = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    each: Tensor = (1 - target) * input + positive * torch.nn.functional.softplus(-input)
    return each if weight is None else each * weight


def _cross_entropy(
    input: Tensor, target: Tensor, *more: Any, reduction: str = "mean", ignore_index: int = -100, **others: Any
) -> Tensor:
    if more or any(others.values()) or ignore_index != -100 or target.is_floating_point():
        raise TypeError("weights, classes that are passed over, smoothing or shares")
    axis = 1 if input.dim() > 1 else 0
    scores = torch.nn.functional.log_softmax(input, axis)
    return _reduced(-scores.gather(axis, target.unsqueeze(axis)).squeeze(axis), reduction)


def _divergence(input: Tensor, target: Tensor, log_target: bool = False) -> Tensor:
    if log_target:
        return target.exp() * (target - input)
    return torch.xlogy(target, target) - target * input


# Statistics and places


def _covariance(input: Tensor, *, correction: int = 1) -> Tensor:
    rows = input.reshape(1, -1) if input.dim() < 2 else input
    apart = rows - rows.mean(1, keepdim=True)
    return (apart @ apart.t() / max(rows.shape[1] - correction, 0)).squeeze()


def _correlation(input: Tensor) -> Tensor:
    found = _covariance(input)
    if found.dim() == 0:
        return found / found
    size = found.diagonal().sqrt()
    return (found / size[:, None] / size[None]).clamp(-1, 1)


def _powers(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    powers = range(x.shape[-1] if N is None else N)
    return torch.stack([x**power for power in (powers if increasing else reversed(powers))], -1)


def _combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    return input[torch.combinations(torch.arange(input.shape[0]), r, with_replacement)]


def _distances(input: Tensor, p: float = 2.0) -> Tensor:
    rows, columns = torch.triu_indices(input.shape[0], input.shape[0], 1)
    found: Tensor = torch.linalg.vector_norm(input[rows] - input[columns], p, -1)
    return found


def _limited(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    rest = [axis for axis in range(input.dim()) if axis != dim % input.dim()]
    size = torch.linalg.vector_norm(input, p, rest, keepdim=True)
    return input * torch.where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)


def _without_nan(reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda input, *args, **kwargs: reduce(torch.where(input.isnan(), 0.0, input), *args, **kwargs)


def _mean_without_nan(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    count = (~input.isnan()).to(input.dtype).sum(*args, **kwargs)
    total: Tensor = torch.where(input.isnan(), 0.0, input).sum(*args, **kwargs)
    return total / count


def _times_log(input: Any, other: Any) -> Tensor:
    log = other.log() if isinstance(other, Tensor) else float(torch.tensor(other, dtype=torch.float64).log())
    return torch.where(torch.as_tensor(input == 0), 0.0, input * log)


SPELLED: dict[str, Callable[..., Any]] = {
    "mse_loss": _mean_squared,
    "smooth_l1_loss": _loss(_smooth_l1),
    "huber_loss": _huber,
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy_with_logits": _loss(_of_logits),
    "kl_div": _loss(_divergence),
    "cov": _covariance,
    "corrcoef": _correlation,
    "vander": _powers,
    "combinations": _combinations,
    "pdist": _distances,
    "renorm": _limited,
    "nansum": _without_nan(torch.sum),
    "nanmean": _mean_without_nan,
    "xlogy": _times_log,
    "special_xlogy": _times_log,
    "special_entr": lambda input: torch.where(input < 0, -torch.inf, -_times_log(input, input)),
    "addr": lambda input, vec1, vec2, *, beta=1, alpha=1: input * beta + torch.outer(vec1, vec2) * alpha,
    "ldexp": lambda input, other: input * 2.0**other,
    "signbit": lambda input: input < 0,
    "copysign": lambda input, other: torch.where(torch.as_tensor(other < 0), -input.abs(), input.abs()),
}
