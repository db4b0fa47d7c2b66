"""In which order the calls of a Keras model run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.checkpoints.keras.config import Call, KerasLayer, KerasModel, Ref, flat
from edgekit.errors import UsageError
from edgekit.importers.source import dead

Made = tuple[str, int]  # a layer by its name, and which call of it


@dataclass(frozen=True)
class Step:
    """One call. `dead` are the tensors that nobody reads after it."""

    layer: KerasLayer
    number: int
    call: Call
    dead: tuple[Made, ...]


def steps(path: Path, model: KerasModel) -> tuple[Step, ...]:
    """The calls that the outputs depend on, each behind those that it reads.

    Raises UsageError for calls that nothing makes, and for those that wait for one another.
    """
    order = _order(path, model)
    calls = {(layer.name, number): (layer, call) for layer in model.layers for number, call in enumerate(layer.calls)}
    walk = [([made], [(ref.layer, ref.call) for ref in calls[made][1].refs]) for made in order]
    gone = dead(walk, {(ref.layer, ref.call) for ref in flat(model.outputs)})
    return tuple(Step(*_of(calls, made), tuple(some)) for made, some in zip(order, gone, strict=True))


def count(model: KerasModel) -> int:
    """How many layers are called, those of a model as often as it is called."""
    return sum(len(layer.calls) * (count(layer.model) if layer.model else 1) for layer in model.layers)


def _of(calls: Mapping[Made, tuple[KerasLayer, Call]], made: Made) -> tuple[KerasLayer, int, Call]:
    layer, call = calls[made]
    return layer, made[1], call


def _order(path: Path, model: KerasModel) -> list[Made]:
    given = {(ref.layer, ref.call) for ref in flat(model.inputs)}
    reads: dict[Made, Sequence[Ref]] = {
        (layer.name, number): call.refs for layer in model.layers for number, call in enumerate(layer.calls)
    }
    done: dict[Made, None] = {}
    waiting: list[Made] = [(ref.layer, ref.call) for ref in reversed(list(flat(model.outputs)))]
    open_calls = set[Made]()
    while waiting:
        made = waiting[-1]
        if made in given or made in done:
            waiting.pop()
        elif made not in reads:
            raise UsageError(
                f"{path.name} reads call {made[1]} of {made[0][:80] or 'its input'}, which its configuration lacks",
                "save it with Keras again",
            )
        else:
            missing = [one for ref in reads[made] if (one := (ref.layer, ref.call)) not in done and one not in given]
            if not missing:
                done[made] = None
                waiting.pop()
            elif made in open_calls:
                raise UsageError(f"{path.name}: {made[0][:80]} waits for its own result", "save it with Keras again")
            else:
                open_calls.add(made)
                waiting += reversed(missing)
    return list(done)
