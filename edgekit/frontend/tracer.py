"""torch module -> Graph: forward() is run once, on tensors without data, and what it calls becomes operators."""

from __future__ import annotations

import contextlib
import inspect
import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from edgekit.errors import USERS_CODE, UsageError, first_line
from edgekit.frontend import scope
from edgekit.frontend.beneath import Beneath
from edgekit.frontend.imported import Imported
from edgekit.frontend.node import Node
from edgekit.frontend.outputs import named_outputs
from edgekit.frontend.recorder import Recorder
from edgekit.frontend.refusals import at, changes_itself, maps_over_rows, no_gradients
from edgekit.ir.graph import Graph
from edgekit.ir.passes.absorb_padding import absorb_padding
from edgekit.ir.passes.cancel_permutes import cancel_permutes
from edgekit.ir.passes.join_norms import LayerNorms
from edgekit.ir.passes.join_operators import join_gelu, join_operators
from edgekit.util import image_axes
from edgekit.util.formatting import shape_text
from edgekit.util.hard_exit import told_hard_exits

Shape = tuple[int, ...]
_SHAPE_OR_FORWARD = "check its forward(), and that the input shape is the one that it was made for"
MOST_NUMBERS = 1 << 40  # of an input: some terabytes


def trace(module: nn.Module, *shapes: Shape) -> Graph:
    """The graph of a module in eval mode for inputs of `shapes` (N, C, *spatial), in the order of forward().

    Raises UsageError for a module in training mode, one whose forward() cannot be followed, that has other inputs than
    these, that returns no tensors, or that does not accept the shapes.
    """
    module = unwrapped(module)
    _check(module)
    for shape in shapes:
        if math.prod(shape) > MOST_NUMBERS:
            told = shape_text(shape)
            raise UsageError(f"an input of {told} is larger than any machine's memory", "give a smaller --input")
    if scope.is_layer(module):  # its operators are named by the layer's place in a network
        module = nn.Sequential(module).eval()
    recorder, result = _steady(module, shapes)
    with _about(module):
        outputs = named_outputs(result, recorder.masks.output, recorder.builder)
    graph = _graph(recorder, outputs)
    if not isinstance(module, (Imported, fx.GraphModule)):
        return absorb_padding(join_gelu(graph))
    graph = LayerNorms(graph).joined()  # on the axes where the file has them
    return join_operators(absorb_padding(cancel_permutes(graph)))


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside DataParallel, DistributedDataParallel and torch.compile."""
    while True:
        wrapper = isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel))
        inside = getattr(module, "module" if wrapper else "_orig_mod", None)
        if not isinstance(inside, nn.Module):
            return module
        module = inside


def _steady(module: nn.Module, shapes: Sequence[Shape]) -> tuple[Recorder, Any]:
    """A run that leaves the module's tensors as they were. Raises UsageError where none does.

    The first may set some by the input's shape, as tables of relative positions are kept; the next finds them there.
    Random numbers are constants where the next run draws the same ones, as with a generator that forward() seeds.
    """
    first: Recorder | None = None
    for last in (False, True):
        recorder, before = Recorder(module), _versions(module)
        result = _run(module, recorder, shapes)
        if first is not None:
            _refuse_other_numbers(first, recorder)
        changed = [name for name, version in _versions(module).items() if version != before.get(name)]
        same = all(_replaced_by_equal(recorder.owned.get(name), name, module) for name in changed)
        if (not changed and (last or not recorder.drawn)) or (last and same):
            return recorder, result
        first = recorder
    raise changes_itself(changed[0], scope.of_forward(module.get_submodule(changed[0].rpartition(".")[0])))


def _refuse_other_numbers(one: Recorder, other: Recorder) -> None:
    """Raise what is said of random numbers that differ from those of another run."""
    if len(one.drawn) != len(other.drawn):
        raise (one.drawn or other.drawn)[0][0]
    for (refusal, before), (_, after) in zip(one.drawn, other.drawn, strict=True):
        if before.shape != after.shape or not torch.equal(before, after):
            raise refusal


def _replaced_by_equal(before: Tensor | None, name: str, module: nn.Module) -> bool:
    """Whether a tensor was set anew to what it had been."""
    after = dict(module.named_buffers()).get(name)
    real = before is not None and after is not None and not before.is_meta and not after.is_meta
    return real and before is not after and torch.equal(before, after)  # type: ignore[arg-type]


def _check(module: nn.Module) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            f"{type(module).__name__} is TorchScript, which has no forward() that could be read",
            "give the module that it was made of, before torch.jit.script or torch.jit.trace",
        )
    if module.training:
        raise UsageError(f"{type(module).__name__} is in training mode", "call .eval() on it first")
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.device.type not in ("cpu", "meta"):
            raise UsageError(f"{name} is on {tensor.device}", "move the network with .cpu() first")


def _run(module: nn.Module, recorder: Recorder, shapes: Sequence[Shape]) -> Any:
    """What forward() returns for tensors without data."""
    with _about(module):
        inputs = _inputs(module, recorder, shapes)
    try:
        with told_hard_exits(), _quietly(), torch.no_grad(), _on_cpu(), Beneath(recorder), recorder, _watched(recorder):
            result = module(*inputs)
    except UsageError as error:
        meant = image_axes.said(shapes)
        if not meant:
            raise
        raise UsageError(error.message, f"{meant}; or {error.remedy}") from error
    except RecursionError as error:
        where = scope.of_forward(module)
        raise UsageError(
            at(where, f"{type(module).__name__} calls itself without end"), "check its forward()"
        ) from error
    except USERS_CODE as error:  # user code runs here: whatever it raises is about the network
        if "does not require grad" in str(error):
            raise no_gradients(scope.line_of(error)) from error
        if "BatchedTensorImpl" in str(error):
            raise maps_over_rows(scope.line_of(error)) from error
        raise UsageError(
            at(scope.line_of(error), f"{type(module).__name__} fails: {first_line(error)}"),
            "leave files and the network out of forward()"
            if isinstance(error, OSError)
            else image_axes.said(shapes) or _SHAPE_OR_FORWARD,
        ) from error
    if recorder.refusal is not None:  # forward() caught it, and went another way than with values
        raise recorder.refusal
    return result


@contextlib.contextmanager
def _about(module: nn.Module) -> Iterator[None]:
    """Give what is wrong with all of a forward() the line where it begins."""
    try:
        yield
    except UsageError as error:
        raise UsageError(at(scope.of_forward(module), error.message), error.remedy) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """What forward() prints is no answer of ours, and what torch remarks on is no concern of who exports."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _on_cpu() -> Iterator[None]:
    """Constants get values, whatever device is the default."""
    if torch.get_default_device().type == "cpu":
        yield
    else:
        with torch.device("cpu"):
            yield


@contextlib.contextmanager
def _watched(recorder: Recorder) -> Iterator[None]:
    """Every module that runs tells the recorder where a call stands."""

    def enter(module: nn.Module, inputs: Any) -> None:
        recorder.scope.enter(module, len(recorder.builder.nodes))

    def leave(module: nn.Module, inputs: Any, result: Any) -> None:
        node = recorder.node_of(result) if isinstance(result, Tensor) else None
        recorder.scope.leave(node, recorder.builder.nodes)

    hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _inputs(module: nn.Module, recorder: Recorder, shapes: Sequence[Shape]) -> list[Tensor]:
    names = _arguments(module, len(shapes))
    dtype = next((t.dtype for t in recorder.owned.values() if t.is_floating_point()), torch.float32)
    types = module.input_types if isinstance(module, Imported) else {}
    pairs = zip(names, shapes, strict=True)
    return [recorder.given(name, tuple(shape), types.get(name, dtype)) for name, shape in pairs]


def _arguments(module: nn.Module, count: int) -> list[str]:
    """The names of forward()'s arguments, of which `count` are given. Raises UsageError where it wants others."""
    if isinstance(module, Imported):
        return list(module.input_names)
    kinds = inspect.Parameter
    found = inspect.signature(module.forward).parameters.values()
    named = [p for p in found if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    needed = [p.name for p in named if p.default is kinds.empty]
    by_name = [p.name for p in found if p.kind is kinds.KEYWORD_ONLY and p.default is kinds.empty]
    rest = next((p.name for p in found if p.kind is kinds.VAR_POSITIONAL), None)
    if by_name:
        raise UsageError(
            f"forward() takes {', '.join(by_name)} by keyword only", "take it by position: leave out the * before it"
        )
    if len(needed) > count:
        more = "more than one input" if count == 1 else f"{len(needed)} inputs, not {count}"
        raise UsageError(
            f"the network needs {more} ({', '.join(needed)})",
            f"give a shape for each, in this order: {' '.join(f'--input {name}=1,...' for name in needed[:4])}",
        )
    if rest is None and count > len(named):
        raise UsageError(
            f"forward() takes {len(named)} inputs ({', '.join(p.name for p in named)}), not {count}",
            "give a shape for each; those of an argument that holds several tensors by its keys, as in "
            f"--input {named[-1].name if named else 'batch'}.KEY=1,...",
        )
    names = [p.name for p in named[:count]]
    return names + [f"{rest}_{index}" if count > 1 else str(rest) for index in range(count - len(names))]


def _versions(module: nn.Module) -> dict[str, tuple[int, int]]:
    """Which object each tensor of the module is, and how often it was written to."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: (id(x), 0 if x.is_inference() else x._version) for name, x in tensors}


def _graph(recorder: Recorder, outputs: Mapping[str, Node]) -> Graph:
    """What was found, without the operators that no output needs."""
    needed = set(map(id, outputs.values()))
    for node in reversed(recorder.builder.nodes):
        if id(node) in needed:
            needed.update(map(id, node.inputs))
    nodes = [node for node in recorder.builder.nodes if id(node) in needed or node.kind == "input"]
    _rename(nodes)
    names = _Tensors(recorder.owned, {node.name for node in nodes})
    ops = tuple(node.op({role: names.of(node, role) for role in node.params}) for node in nodes)
    return Graph(ops, {public or node.name: node.name for public, node in outputs.items()}, names.tensors)


def _rename(nodes: Sequence[Node]) -> None:
    """A number behind a name only where two operators that are needed have it."""
    taken: dict[str, int] = {}
    for node in nodes:
        base = node.name.partition("#")[0]
        taken[base] = taken.get(base, 0) + 1
        node.name = base if taken[base] == 1 else f"{base}#{taken[base]}"


class _Tensors:
    """The tensors of a graph by name: those that the network owns by theirs, others by their operator's.

    None has the name of an operator or an input, as an input `w` beside a parameter `w`.
    """

    def __init__(self, owned: Mapping[str, Tensor], taken: set[str]) -> None:
        self._taken = taken
        self._owned = {id(tensor): name for name, tensor in owned.items()}
        self._names: dict[int, str] = {}
        self.tensors: dict[str, Tensor] = {}

    def of(self, node: Node, role: str) -> str:
        """The name of an operator's tensor."""
        tensor = node.params[role]
        name = self._names.get(id(tensor)) or self._owned.get(id(tensor)) or f"{node.name}.{role}"
        while name in self._taken or self.tensors.get(name, tensor) is not tensor:
            name += "_"
        self._names[id(tensor)] = name
        self.tensors[name] = tensor
        return name
