"""A network that torch.export wrote (.pt2): its inputs, and a module that takes them one by one.

An exported program may take its tensors in dictionaries or by keyword, and numbers among them. The module here takes
tensors alone, in the order in which the program lists them.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, TensorArgument
from torch.utils import _pytree

from edgekit.bench.ondevice import torch_archive
from edgekit.errors import UsageError

Shape = tuple[int, ...]
_AGAIN = "export it again from the module, or give the FILE.py:function that builds it"


def read(path: Path) -> ExportedProgram:
    """The program of an archive, of which nothing runs. Raises UsageError for what is none, or is made to run code."""
    try:
        return torch_archive.load(path)[0]
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
    """The program as a module, whose forward() takes one tensor for each input."""
    made = program.module()
    for name in ("train", "eval"):  # torch forbids both, which change nothing in what is exported
        setattr(made, name, MethodType(getattr(nn.Module, name), made))
    leaves, names, spec = _leaves(program), _names(program), program.call_spec.in_spec
    original = made.forward

    def structured(module: nn.Module, tensors: Any, _: Any) -> Any:
        given = iter(tensors)
        values = [next(given) if isinstance(leaf, TensorArgument) else leaf.value for leaf in leaves]
        return _pytree.tree_unflatten(values, spec)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    forward.__dict__["__signature__"] = inspect.Signature(parameters)
    made.__dict__["forward"] = forward
    made.register_forward_pre_hook(structured, prepend=True, with_kwargs=True)
    return made


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
