"""A network that torch.export wrote (.pt2): its inputs, and a module that takes them one by one.

An exported program may take its tensors in dictionaries or by keyword, and numbers among them. The module here takes
tensors alone, in the order in which the program lists them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, TensorArgument
from torch.utils import _pytree

from edgekit.bench.ondevice import torch_archive
from edgekit.errors import UsageError
from edgekit.frontend.imported import Layer

Shape = tuple[int, ...]
OWN_LAYER = "edgekit.exporters.pt2.network.Place"  # what an operator is called in archives that edgekit wrote
_AGAIN = "export it again from the module, or give the FILE.py:function that builds it"


def read(path: Path) -> torch_archive.Archive:
    """The program of an archive, of which nothing runs. Raises UsageError for what is none, or is made to run code."""
    try:
        return torch_archive.load(path)
    except ValueError as error:
        raise UsageError(
            str(error), "write it again with torch.export.save, or give the FILE.py:function that builds the network"
        ) from error


def shapes(path: Path, program: ExportedProgram, given: tuple[Shape, ...] | None) -> tuple[Shape, ...]:
    """The shape of each input. Of sizes that were left free, the batch is 1 and others are of the example or `given`.

    Raises UsageError where `given` contradicts what is not free, and for inputs that no file can have.
    """
    values = [_value(program, name) for name in _names(program)]
    for name, value in zip(_names(program), values, strict=True):
        if not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            raise UsageError(f"{path}: its input {name} is {kind}, and networks here take float32", _AGAIN)
    free: list[tuple[int | None, ...]] = [
        tuple(None if isinstance(size, torch.SymInt) else int(size) for size in value.shape) for value in values
    ]
    if given is not None and not _agree(free, given):
        told = [
            " and ".join("x".join("?" if size is None else str(size) for size in one) for one in side)
            for side in ([*free], [*given])
        ]
        raise UsageError(f"{path} was exported for an input of {told[0]}, not {told[1]}", "leave --input out")
    taken = given or tuple(_sizes(value) for value in values)
    if any(shape and shape[0] != 1 for shape in taken):
        raise UsageError(
            f"{path} was exported for a batch of {taken[0][0]}, and a file is made for 1",
            "export it again with an example of batch 1, or with a free batch: torch.export.Dim",
        )
    return taken


def module(program: ExportedProgram) -> nn.Module:
    """Return the program as a module, whose forward() takes one tensor for each input."""
    made = program.module()
    for name in ("train", "eval"):  # torch forbids both, which change nothing in what is exported
        setattr(made, name, MethodType(getattr(nn.Module, name), made))
    leaves, names, spec = _leaves(program), _names(program), program.call_spec.in_spec
    run = _labeled(made)

    def structured(module: nn.Module, tensors: Any, _: Any) -> Any:
        given = iter(tensors)
        values = [next(given) if isinstance(leaf, TensorArgument) else leaf.value for leaf in leaves]
        return _pytree.tree_unflatten(values, spec)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return run(_pytree.tree_leaves((args, kwargs), is_leaf=lambda value: value is None))

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    forward.__dict__["__signature__"] = inspect.Signature(parameters)
    made.__dict__["forward"] = forward
    made.register_forward_pre_hook(structured, prepend=True, with_kwargs=True)
    return made


def _labeled(made: fx.GraphModule) -> Callable[[Iterable[Any]], Any]:
    """What runs a program on all that it is given, layer by layer, so that layers keep their names."""
    nodes = list(made.graph.nodes)
    parts = [(layer, list(calls)) for layer, calls in groupby(nodes, _layer)]
    last = {used: node for node in nodes for used in node.all_input_nodes}

    def run(given: Iterable[Any]) -> Any:
        values: dict[fx.Node, Any] = {}
        leaves = iter(given)

        def called(calls: list[fx.Node]) -> Any:
            for node in calls:
                values[node] = _called(made, node, values, leaves)
                for used in node.all_input_nodes:
                    if last[used] is node:
                        del values[used]
            return values[calls[-1]]

        for layer, calls in parts:
            result = Layer(layer, partial(called, calls))() if layer else called(calls)
        return made.graph.process_outputs(result)

    return run


def _layer(node: fx.Node) -> str:
    """The layer that a call stands in, by its name; empty for one outside of layers."""
    *_, (path, kind) = node.meta.get("nn_module_stack", {}).values() or [("", "")]
    is_layer = kind == OWN_LAYER or (kind.startswith("torch.nn.modules.") and ".container." not in kind)
    return str(path).partition("@")[0] if is_layer else ""  # conv1@1 is where it is called again


def _called(made: fx.GraphModule, node: fx.Node, values: Mapping[fx.Node, Any], leaves: Iterator[Any]) -> Any:
    if node.op == "placeholder":
        return next(leaves)
    if node.op == "get_attr":
        return attrgetter(str(node.target))(made)
    args: Any = fx.node.map_arg(node.args, values.__getitem__)
    kwargs: Any = fx.node.map_arg(node.kwargs, values.__getitem__)
    if node.op == "output":
        return args[0]
    function: Any = made.get_submodule(str(node.target)) if node.op == "call_module" else node.target
    return function(*args, **kwargs)


def _leaves(program: ExportedProgram) -> list[Any]:
    """What a call gives, in order: tensors, and numbers that are fixed."""
    return [one.arg for one in program.graph_signature.input_specs if one.kind == InputKind.USER_INPUT]


def _names(program: ExportedProgram) -> list[str]:
    return [leaf.name for leaf in _leaves(program) if isinstance(leaf, TensorArgument)]


def _value(program: ExportedProgram, name: str) -> torch.Tensor:
    value: torch.Tensor = next(node.meta["val"] for node in program.graph.nodes if node.name == name)
    return value


def _agree(free: list[tuple[int | None, ...]], given: tuple[Shape, ...]) -> bool:
    return [len(one) for one in free] == [len(one) for one in given] and all(
        size in (None, other)
        for one, others in zip(free, given, strict=True)
        for size, other in zip(one, others, strict=True)
    )


def _sizes(value: torch.Tensor) -> Shape:
    """The sizes of an input's example; 1 for a batch that was left free."""
    first, *rest = value.shape or (1,)
    batch = 1 if isinstance(first, torch.SymInt) else int(first)
    return (batch, *(_example(size) for size in rest))


def _example(size: Any) -> int:
    return int(size.node.hint) if isinstance(size, torch.SymInt) else int(size)
