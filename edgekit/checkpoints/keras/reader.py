"""Read a Keras file for a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edgekit.checkpoints.by_layer import traced
from edgekit.checkpoints.file import Checkpoint, broken
from edgekit.checkpoints.fit import most_elements
from edgekit.checkpoints.keras import arrays, chain
from edgekit.checkpoints.keras.network import named
from edgekit.checkpoints.keras.order import Chain
from edgekit.errors import UsageError
from edgekit.ir.graph import Graph
from edgekit.network.spec import MODELS, ModelSpec, Variant, variant
from edgekit.records.preprocessing import TENSORFLOW, Preprocessing


def read(path: Path, spec: ModelSpec) -> Checkpoint:
    """Return the tensors of a Keras file. Raises UsageError for what is broken or another network's."""
    found = arrays.read(path, most_elements(spec))
    graph = traced(variant(spec))
    try:
        tensors, eps = named(path, found.layers, graph, spec.name)
        steps = chain.steps(path, found.model.layers) if found.model else []
        preprocessing, assumed = _prepared(path, steps, graph)
        resolution = _resolution(path, found.model) if spec.name in MODELS else None
    except UsageError:
        raise
    except Exception as error:  # a configuration can say anything, and arrays have any shape
        raise broken(path, f"Keras {spec.family}", error) from error
    own = [step for step in steps if step.kind != "scale"]
    alone = f"{path.name} has no configuration: what its layers compute is taken from {spec.name}"
    notes = () if found.model else (alone,)
    check = partial(_check, path, own) if own else None
    return Checkpoint(tensors, preprocessing, resolution, batch_norm_eps=eps, assumed=assumed, notes=notes, check=check)


def _check(path: Path, steps: Sequence[chain.Step], point: Variant) -> None:
    chain.compare(path, steps, traced(point), str(point))


def _prepared(path: Path, steps: Sequence[chain.Step], graph: Graph) -> tuple[Preprocessing | None, bool]:
    """How images are prepared: by what the model does to them first, else as Keras does for MobileNet.

    Also whether that is assumed.
    """
    scale, offset = 1.0, 0.0
    within = [step for step in steps if step.kind == "scale"]
    if list(steps[: len(within)]) != within:
        raise UsageError(
            f"{path.name} scales numbers between its layers ({within[-1].layer.name[:80]})", "put that into a layer"
        )
    for step in within:
        scale, offset = scale * step.attrs["scale"], offset * step.attrs["scale"] + step.attrs["offset"]
    if graph.input.shape[1] != 3:
        return None, False
    if within:
        if not 0 < scale < float("inf"):
            raise UsageError(f"{path.name} scales its pixels by {scale:g}", "give --weights of a network without that")
        mean, std = -offset / scale, 1 / scale
        return TENSORFLOW.model_copy(update={"mean": (mean,) * 3, "std": (std,) * 3}), False
    return TENSORFLOW, True


def _resolution(path: Path, model: Chain | None) -> int | None:
    """The input size that a configuration tells; None where there is none, or it is left open."""
    height, width, _ = model.size if model else (None, None, None)
    if height != width:
        raise UsageError(
            f"{path.name} takes images of {height}x{width}, which are not square",
            "bring the network as FILE.py:function with --input",
        )
    return height
