"""The proof that a graph answers like the module that it was made of, and which layer is to blame where it does not."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekit.errors import USERS_CODE, GateFailed, UsageError, first_line
from edgekit.ir.graph import Graph, Op

TOLERANCE = 1e-3  # float32, deep networks: rounding only; a wrong fold shows at 1e-1 and above
LOUD = 8.0  # standard deviations of one more input, which reaches limits that no image does

Array = NDArray[np.float32]


@torch.no_grad()
def answers(network: nn.Module, inputs: Array) -> Array:
    """What a module answers to each of (n, *input shape without its batch), one by one: (n, ...).

    Raises UsageError for inputs that it does not run on, and GateFailed for answers that are not finite.
    """
    found = np.concatenate([_answer(network, torch.from_numpy(x[None])).float().numpy() for x in inputs])
    if not np.isfinite(found).all():
        raise GateFailed(
            "the network itself answers with values that are not finite",
            "check the weights for values that are not finite or variances near zero, and the preprocessing",
        )
    return found


@torch.no_grad()
def prove(network: nn.Module, traced: Graph, folded: Graph, inputs: Array, want: Array, got: Array) -> None:
    """The folded graph must answer (`got`) like the module (`want`) on all inputs, and on one that is much larger.

    `traced` is the graph before folding. Raises GateFailed, which says whether folding or tracing is at fault.
    """
    if not _gap(got, want) <= TOLERANCE:  # not a number fails too
        worst = int(np.abs(got - want).reshape(len(inputs), -1).max(1).argmax()) if got.shape == want.shape else 0
        raise _difference(network, traced, torch.from_numpy(inputs[worst][None]), _gap(got, want))
    loud = LOUD * torch.randn(folded.input.shape, generator=torch.Generator().manual_seed(0))
    answer = _answer(network, loud).float().numpy()
    gap = _gap(folded.run(loud).float().numpy(), answer)
    if np.isfinite(answer).all() and not gap <= TOLERANCE:
        raise _difference(network, traced, loud, gap)


def _answer(network: nn.Module, x: Tensor) -> Tensor:
    try:
        y: Tensor = network(x.clone())  # it may change its input
    except USERS_CODE as error:  # the user's code: a shape that only a pooling layer minds, say
        shape = "x".join(map(str, x.shape))
        raise UsageError(
            f"the network does not run on an input of {shape}: {first_line(error)}", "give another --input"
        ) from error
    return y


def _gap(got: Array, want: Array) -> float:
    """The largest difference as a part of the largest value."""
    if got.shape != want.shape:
        return float("inf")
    largest = float(np.abs(want).max())
    return float(np.abs(got - want).max()) / largest if largest else float(np.abs(got).max())


def _difference(network: nn.Module, traced: Graph, x: Tensor, gap: float) -> GateFailed:
    """The error for an input that the folded graph answers differently."""
    unfolded = _gap(traced.run(x).float().numpy(), _answer(network, x).float().numpy())
    if unfolded <= TOLERANCE:
        return GateFailed(
            f"the folded network differs from the network by {gap:.2g} of its largest output",
            "check the weights for values that are not finite or variances near zero",
        )
    return GateFailed(
        f"what was read from forward() differs from the network by {unfolded:.2g} of its largest output"
        + _first_layer(network, traced, x),
        "write forward() without hooks, randomness, or tensors that change behind another name",
    )


def _first_layer(network: nn.Module, traced: Graph, x: Tensor) -> str:
    """Where they part, as an addition to a message: the first layer with a name of its own that differs."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        def hook(module: nn.Module, inputs: object, y: object) -> None:
            if isinstance(y, Tensor):
                seen.setdefault(name, y.detach().clone())

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in network.named_modules()]
    try:
        _answer(network, x)
    finally:
        for hook in hooks:
            hook.remove()
    different: list[str] = []

    def look(op: Op, y: Tensor) -> None:
        if op.name in seen and not _gap(y.float().numpy(), seen[op.name].float().numpy()) <= TOLERANCE:
            different.append(op.name)

    traced.run(x, observe=look)
    return f"; they part before the end of layer {different[0]}" if different else ""
