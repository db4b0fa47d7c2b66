"""The proof that a graph answers like the module that it was made of, and which layer is to blame where it does not.

It is held in float32 first. Where float32 differs, that may be all that float32 can do: in a deep network with random
weights a loud input is chaotic, and another order of the same sums ends elsewhere. Then float64 judges: what was read
from forward() and what was folded are right where they agree with the network there.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekit.errors import USERS_CODE, EdgekitError, GateFailed, UsageError, first_line
from edgekit.frontend import scope
from edgekit.frontend.one_type import OneType
from edgekit.frontend.outputs import flat
from edgekit.frontend.refusals import at
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op
from edgekit.ir.kernels import OutsideTable
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.whole_inputs import drawn
from edgekit.util.formatting import shape_text
from edgekit.util.hard_exit import told_hard_exits

TOLERANCE = 1e-3  # float32, deep networks: rounding only; a wrong fold shows at 1e-1 and above
EXACT = 1e-9  # float64
OF_ITS_OWN = 1e-4  # of what the network's own float32 is off: what is chaotic is so in float64, a billion times less
ROUNDED = 1e-4  # float32 weights beside float64 ones, of the largest
_OUTSIDE = re.compile(r"out of (range|bounds)|Class values must be")  # torch's words for indices that lead nowhere
LOUD = 8.0  # standard deviations of one more input, which reaches limits that no image does

Array = NDArray[np.float32]
Inputs = tuple[Tensor, ...]
Outputs = tuple[Tensor, ...]


class NoSuchRow(UsageError):
    """An example that makes a network choose rows which a tensor does not have."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause, "give examples whose indices stay inside with --data DIR")


@torch.no_grad()
def answers(network: nn.Module, *inputs: Array) -> tuple[Array, ...]:
    """What a module answers to each of (n, *shape) of each input, one by one: (n, ...) for each output.

    Raises UsageError for inputs that it does not run on, and GateFailed for answers that are not finite.
    """
    alone = [_answer(network, _nth(inputs, index)) for index in range(len(inputs[0]))]
    found = tuple(np.concatenate([_array(y) for y in ys]) for ys in zip(*alone, strict=True))
    if not all(np.isfinite(y).all() for y in found):
        raise GateFailed(
            "the network itself answers with values that are not finite",
            "check the weights for values that are not finite or variances near zero, and the preprocessing",
        )
    return found


@torch.no_grad()
def verify(
    network: nn.Module,
    traced: Graph,
    folded: Graph,
    inputs: Sequence[Array],
    want: Sequence[Array],
    got: Sequence[Array],
) -> str | None:
    """The folded graph must answer (`got`) like the module (`want`) on all inputs, and on one that is much larger.

    `traced` is the graph before folding. Returns a note where only float64 could tell. Raises GateFailed, which says
    whether folding or tracing is at fault, and UsageError for a module that answers differently each time.
    """
    gap = distance(got, want)
    if not gap <= TOLERANCE:  # not a number fails too
        return _Judge(network, traced, folded, _nth(inputs, _worst(want, got))).judged(gap)
    loud = tuple(drawn(folded, 1, LOUD))
    try:
        answer, found = ([_array(y) for y in ys] for ys in (_answer(network, loud), of_graph(folded, loud)))
    except NoSuchRow:  # as much larger numbers may
        return None
    gap = distance(found, answer)
    if all(np.isfinite(y).all() for y in answer) and not gap <= TOLERANCE:
        return _Judge(network, traced, folded, loud).judged(gap)
    return None


@torch.no_grad()
def rounding(network: nn.Module, inputs: Sequence[Array]) -> float | None:
    """How far a module's float32 is from its float64, as a part of the largest output; None where it has no float64."""
    x = [tuple(torch.from_numpy(one[index : index + 1]) for one in inputs) for index in range(len(inputs[0]))]
    single = [_answer(network, one) for one in x]
    with _in_float64(network):
        try:
            exact = [_answer(network, _wide(one)) for one in x]
        except (EdgekitError, RuntimeError):
            return None
    pairs = zip(single, exact, strict=True)
    return max(distance([_array(y) for y in a], [y.double().numpy() for y in b]) for a, b in pairs)


class _Judge:
    """Why a folded graph and a network answer one input differently in float32."""

    def __init__(self, network: nn.Module, traced: Graph, folded: Graph, x: Inputs) -> None:
        self.network, self.traced, self.folded, self.x = network, traced, folded, x
        self.answer = [_array(y) for y in _answer(network, x)]

    def judged(self, gap: float) -> str:
        """A note where float64 finds nothing wrong. Raises GateFailed for what is, UsageError where answers vary."""
        again = [_array(y) for y in _answer(self.network, self.x)]
        shapes = [self.traced[name].shape for name in self.traced.outputs.values()]
        if [y.shape for y in self.answer] != shapes or not _same(again, self.answer):
            where = scope.of_forward(self.network)
            raise UsageError(
                at(where, f"{type(self.network).__name__} answers the same input differently each time"),
                "leave random numbers and memory of earlier inputs out of forward() in eval mode",
            )
        self._refuse_other_types()
        own = self._exactly()
        if own is None:
            raise self._difference(gap)
        return (
            f"float32 rounding moves this network's answers: on one input its own float32 is {own:.2g} of its largest "
            "output from its float64; what was read and folded agrees with it in float64"
        )

    def _exactly(self) -> float | None:
        """How far the network's float32 is from its float64; None where the graph differs from it, or cannot tell."""
        x = _wide(self.x)
        with _in_float64(self.network):
            try:
                exact = _answer(self.network, x)
                graph = trace(self.network, *(tuple(one.shape) for one in x))
                refolded = fold(graph).graph
                found = of_graph(refolded, x)
            except (EdgekitError, RuntimeError):  # it holds float32 somewhere: only float32 can tell
                return None
            wide, right = [y.double().numpy() for y in exact], [y.double().numpy() for y in found]
            own = distance(self.answer, wide)
            same = distance(right, wide) <= max(EXACT, OF_ITS_OWN * own)
        return own if same and _alike(self.folded, refolded) else None

    def _difference(self, gap: float) -> GateFailed:
        unfolded = distance([_array(y) for y in of_graph(self.traced, self.x)], self.answer)
        if unfolded <= TOLERANCE:
            return GateFailed(
                f"the folded network differs from the network by {gap:.2g} of its largest output",
                "check the weights for values that are not finite or variances near zero",
            )
        return GateFailed(
            f"what was read from forward() differs from the network by {unfolded:.2g} of its largest output"
            + self._first_layer(),
            "write forward() without randomness, and without what depends on a tensor's values or on earlier calls",
        )

    def _refuse_other_types(self) -> None:
        """Raise UsageError where the graph answers like the network without its conversions among real types alone."""
        graph = [_array(y) for y in of_graph(self.traced.to(torch.float32), self.x)]
        gap = distance(graph, self.answer)
        try:
            with OneType(self.network):
                plain = [_array(y) for y in _answer(self.network, self.x)]
        except UsageError:  # it looks at its types
            return
        if gap > TOLERANCE >= distance(graph, plain):
            shown = f"forward() converts to another type, which moves its answers by {gap:.2g} of the largest"
            raise UsageError(
                at(scope.of_forward(self.network), shown),
                "leave autocast and conversions as .half() out of it in eval mode: a file computes in float32",
            )

    def _first_layer(self) -> str:
        """Where they part, as an addition to a message: the first layer with a name of its own that differs."""
        seen: dict[str, Tensor] = {}

        def keep(name: str) -> object:
            def hook(module: nn.Module, inputs: object, y: object) -> None:
                if isinstance(y, Tensor):
                    seen.setdefault(name, y.detach().clone())

            return hook

        hooks = [module.register_forward_hook(keep(name)) for name, module in self.network.named_modules()]
        try:
            _answer(self.network, self.x)
        finally:
            for hook in hooks:
                hook.remove()
        different: list[str] = []

        def look(op: Op, y: Tensor) -> None:
            if op.name in seen and not distance([_array(y)], [_array(seen[op.name])]) <= TOLERANCE:
                different.append(op.name)

        self.traced.run(*self.x, observe=look)
        return f"; they part before the end of layer {different[0]}" if different else ""


@contextlib.contextmanager
def _in_float64(network: nn.Module) -> Iterator[None]:
    """The network with its tensors in float64; they are those of before afterwards."""
    before = [(tensor, tensor.data) for tensor in (*network.parameters(), *network.buffers())]
    try:
        network.double()
        yield
    finally:
        network.float()
        for tensor, data in before:
            tensor.data = data


def _same(one: Sequence[Array], other: Sequence[Array]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(*pair, equal_nan=True) for pair in zip(one, other, strict=True)
    )


def _alike(folded: Graph, exact: Graph) -> bool:
    """Whether a graph is one of float64, with its tensors rounded."""
    return _structure(folded) == _structure(exact) and all(
        distance([tensor.detach().numpy()], [exact.params[name].detach().numpy()]) <= ROUNDED
        for name, tensor in folded.params.items()
        if tensor.is_floating_point()
    )


def _structure(graph: Graph) -> list[tuple[Any, ...]]:
    """Names, kinds, inputs and shapes, without what converts real numbers to real numbers: x.float() in forward()."""
    given: dict[str, str] = {}
    found = []
    for op in graph:
        inputs = tuple(given.get(name, name) for name in op.inputs)
        if op.kind == "cast" and op.dtype.is_floating_point and graph[op.inputs[0]].dtype.is_floating_point:
            given[op.name] = inputs[0]
        else:
            found.append((op.name, op.kind, inputs, op.shape))
    return found


def of_graph(graph: Graph, x: Inputs) -> Outputs:
    """Return every output of a graph. Raises NoSuchRow where indices that it computes leave their tensor."""
    try:
        found = graph.run(*x)
    except OutsideTable as error:
        raise NoSuchRow(str(error)) from error
    return found if isinstance(found, tuple) else (found,)


def _answer(network: nn.Module, x: Inputs) -> Outputs:
    try:
        with told_hard_exits(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = network(*(one.clone() for one in x))  # it may change its input, print and warn
    except USERS_CODE as error:  # the user's code: a shape that only a pooling layer minds, say
        shape = " and ".join(shape_text(one.shape) for one in x)
        if isinstance(error, (IndexError, RuntimeError)) and _OUTSIDE.search(first_line(error)):
            told = f"an example makes the network choose rows that are not there: {first_line(error)}"
            raise NoSuchRow(at(scope.line_of(error), told)) from error
        raise UsageError(
            at(scope.line_of(error), f"the network does not run on an input of {shape}: {first_line(error)}"),
            "check its forward() on the CPU in eval mode, or give another --input",
        ) from error
    return tuple(value for _, value in flat(y) if isinstance(value, Tensor))


def _nth(inputs: Sequence[Array], index: int) -> Inputs:
    return tuple(torch.from_numpy(x[index : index + 1]) for x in inputs)


def _wide(x: Inputs) -> Inputs:
    """The inputs in float64, as far as they are real numbers."""
    return tuple(one.double() if one.is_floating_point() else one for one in x)


def _array(y: Tensor) -> Array:
    return y.detach().float().numpy()


def _worst(want: Sequence[Array], got: Sequence[Array]) -> int:
    """The input whose answers differ most."""
    pairs = [(a, b) for a, b in zip(want, got, strict=False) if a.shape == b.shape and a.size]
    gaps = [np.abs(a - b).reshape(len(a), -1).max(1) / max(float(np.abs(a).max()), 1e-30) for a, b in pairs]
    return int(np.max(gaps, axis=0).argmax()) if gaps else 0


def distance(
    got: Sequence[NDArray[np.floating]], want: Sequence[NDArray[np.floating]], least: Sequence[float] = ()
) -> float:
    """The largest difference as a part of the largest finite value of its output; equal infinities are the same.

    `least` has for each output the least value that is taken for its largest.
    """
    if len(got) != len(want) or any(a.shape != b.shape for a, b in zip(got, want, strict=True)):
        return float("inf")
    gaps = [0.0]
    for a, b, floor in zip(got, want, least or (0.0,) * len(want), strict=True):
        largest = float(np.abs(b).max(initial=floor, where=np.isfinite(b)))
        apart = np.subtract(a, b, out=np.zeros(b.shape, np.result_type(a, b)), where=a != b)
        far = float(np.abs(apart, out=apart).max(initial=0.0))
        gaps.append(far / largest if largest else far)
    return float(np.max(gaps))
