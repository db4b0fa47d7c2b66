"""What the folded network answers to some inputs: what every file is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgekit.data.calibration import CalibrationSet
from edgekit.exporters.int8.output_channels import channel_axes
from edgekit.exporting.source_answers import held_against
from edgekit.frontend.verify import answers, distance, of_graph, verify
from edgekit.importers.source import Source
from edgekit.ir import near_ties
from edgekit.ir.graph import Graph, Op
from edgekit.ir.reference import KERNELS
from edgekit.ir.shares import least

Array = NDArray[np.float32]
MOVED = 3e-5  # between two orders of the same float32 arithmetic, of the largest output: trained networks stay below
_MOVES = frozenset({"cat", "reshape", "permute", "slice"})


@dataclass(frozen=True, eq=False)
class Part:
    """A tensor that an output joins with others: which elements of one answer are its own."""

    name: str
    output: int  # its place among the outputs
    where: NDArray[np.bool_]  # of the shape of one answer

    def of(self, outputs: Array) -> Array:
        """Its values in the answers (n, *shape of one), as (n, count)."""
        return outputs[:, self.where]


def nothing_open(precision: str) -> tuple[near_ties.Mask, ...]:
    """No element of any output is decided by rounding."""
    return ()


@dataclass(frozen=True)
class Reference:
    """What the folded torch network answers to n examples, of which the last `n_real` are images.

    `inputs` has (n, *shape of one) for each input of the network, float32 or the whole numbers that it takes, and
    `outputs` the same for each output, float32. `trained` says whether accuracy means anything: not of random weights,
    nor of int8 ranges from noise. `rounding` is how far each output is from the same network's in float64, as a part of
    the largest value; empty where that was not asked.
    """

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    n_real: int
    trained: bool
    parts: tuple[Part, ...] = ()  # of the outputs that join tensors: what each of these is
    axes: tuple[tuple[int, ...], ...] = ()  # of each output, on which its channels lie; empty: on the second
    rounding: tuple[float, ...] = ()
    places: tuple[int, ...] = ()  # the outputs that are whole numbers or truth values, whose distances mean nothing
    undecided: Callable[[str], tuple[near_ties.Mask, ...]] = nothing_open  # what rounding decides of each output
    open_graph: Callable[[], Graph | None] = lambda: None  # the network, where rounding decides what it answers

    @property
    def n(self) -> int:
        """The number of examples."""
        return len(self.inputs[0])

    def example(self, index: int) -> list[Array]:
        """Return one example, as a batch of 1 of each input."""
        return [x[index : index + 1] for x in self.inputs]


@torch.no_grad()
def answered(
    network: nn.Module,
    traced: Graph,
    folded: Graph,
    sets: Sequence[tuple[CalibrationSet, int]],
    trained: bool,
    source: Source | None = None,
) -> tuple[Reference, tuple[str, ...]]:
    """What the folded network answers, which is proved to be what the module answers; and what the proof has to say.

    `sets` are noise, images or both in this order, each with how many of them are taken. Of a network that was read
    from a file (`source`) it is what that file answers in its own runtime.
    """
    inputs = [next(one.inputs(count)) for one, count in sets]
    together = tuple(np.concatenate(parts) for parts in zip(*inputs, strict=True))
    want = answers(network, *together)
    count = len(together[0])
    each = [run_all(folded, [x[index : index + 1] for x in together]) for index in range(count)]
    got = tuple(np.concatenate(ys) for ys in zip(*each, strict=True))
    notes = [verify(network, traced, folded, together, want, got)]
    rounding = _rounding(folded, together, got) if distance(got, want) > MOVED else ()
    if source is not None:
        own, note = held_against(source, network, together, want, least(folded))
        notes.append(note)
        got = got if own is None else own
    said = tuple(note for note in notes if note)
    whole = [not folded[name].dtype.is_floating_point for name in folded.outputs.values()]
    places = tuple(index for index, is_whole in enumerate(whole) if is_whole)
    lies = channel_axes(folded)
    axes = tuple(lies.get(name, ()) for name in folded.outputs.values())
    n_real = sum(len(given[0]) for (one, _), given in zip(sets, inputs, strict=True) if not one.synthetic)
    made = Reference(together, got, n_real, trained, parts_of(folded), axes, rounding, places)
    return _left_open(made, folded), said


def _left_open(reference: Reference, graph: Graph) -> Reference:
    """The same, with what rounding decides. Of other networks nothing may hold the weights beyond the last file."""
    inputs, outputs = reference.inputs, reference.outputs
    if near_ties.chooses(graph):
        masks = cache(partial(near_ties.undecided, graph, inputs, outputs))
        reference = replace(
            reference, undecided=masks, open_graph=lambda: graph if any(map(np.any, masks("fp32"))) else None
        )
    pairs = zip(least(graph), outputs, strict=True)
    faint = any(float(np.abs(y).max(initial=0.0)) < floor for floor, y in pairs)
    if faint or max(reference.rounding, default=0.0) > MOVED or near_ties.amplifies(graph, inputs, outputs):
        reference = replace(reference, open_graph=lambda: graph)
    return reference


def _rounding(graph: Graph, inputs: Sequence[Array], got: Sequence[Array]) -> tuple[float, ...]:
    """How far each output is from that of the same graph in float64, relative to its largest value."""
    exact = graph.to(torch.float64)
    gaps = []
    for index in range(len(inputs[0])):
        given = (torch.from_numpy(x[index : index + 1]) for x in inputs)
        found = exact.run(*(x.double() if x.is_floating_point() else x for x in given))
        wide = [y.double().numpy() for y in (found if isinstance(found, tuple) else (found,))]
        gaps.append([distance([y[index : index + 1]], [z]) for y, z in zip(got, wide, strict=True)])
    return tuple(max(gap) for gap in zip(*gaps, strict=True))


def parts_of(graph: Graph) -> tuple[Part, ...]:
    """Return what the outputs join, whatever moves it on the way: each tensor is followed as one number."""
    found = []
    for index, output in enumerate(graph.outputs.values()):
        moving, joined = _joined(graph, output)
        if len(joined) < 2 or graph[output].shape[:1] != (1,) or not graph[output].dtype.is_floating_point:
            continue
        numbers = {name: torch.full(graph[name].shape, float(number)) for number, name in enumerate(joined)}
        for op in moving:
            numbers[op.name] = KERNELS[op.kind](op, [numbers[name] for name in op.inputs], {})
        made = numbers[output][0].numpy()
        found += [Part(name, index, made == number) for number, name in enumerate(joined)]
    return tuple(part for part in found if part.where.any())


def _joined(graph: Graph, output: str) -> tuple[list[Op], list[str]]:
    """The operators that move what an output is made of, in order, and the tensors that they move."""
    waiting, moving, joined = [output], set[str](), dict[str, None]()
    while waiting:
        op = graph[waiting.pop()]
        if op.kind in _MOVES:
            moving.add(op.name)
            waiting += op.inputs
        else:
            joined[op.name] = None
    return [op for op in graph if op.name in moving], list(joined)


def run_all(graph: Graph, inputs: Sequence[Array], run: Callable[..., Any] | None = None) -> tuple[Array, ...]:
    """Return every output of a graph (or of what `run` makes of it), float32."""
    given = tuple(map(torch.from_numpy, inputs))
    found = of_graph(graph, given) if run is None else run(*given)
    return tuple(y.float().numpy() for y in (found if isinstance(found, tuple) else (found,)))
