"""torch module -> Graph: the module is traced symbolically and each call is given its canonical form.

Shapes come from one run on the meta device, so that a network costs no memory for its activations, nor for its
weights when it was built there. What has no canonical form stays a "call", which torch and ONNX can run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgekit.errors import EdgekitError, UsageError
from edgekit.graph import Graph, Op
from edgekit.kernels import KERNELS
from edgekit.operators import FUNCTIONS, METHODS, MODULES
from edgekit.padding import absorb_padding
from edgekit.trace_shapes import known_shape


@dataclass(frozen=True)
class Ref:
    """A tensor that an operator computes."""

    name: str


@dataclass(frozen=True)
class Own:
    """A tensor that the network owns, by its qualified name."""

    name: str


def trace(module: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """The graph of a module in eval mode for inputs of `input_shape` (N, C, *spatial).

    Raises UsageError for a module in training mode, one that cannot be traced, that has not exactly one input and one
    output, or that does not accept the shape.
    """
    if module.training:
        raise UsageError(f"{type(module).__name__} is in training mode", "call .eval() on it first")
    if _Tracer().is_leaf_module(module, ""):  # the tracer sees a layer of torch.nn when it is called, not from inside
        module = nn.Sequential(module).eval()
    try:
        traced = _Tracer().trace(module)
    except Exception as error:  # user code runs here: whatever it raises is about the network
        raise UsageError(
            f"{type(module).__name__} cannot be traced: {_first_line(error)}",
            "write forward() without branches or loops that depend on a tensor's values",
        ) from error
    walk = Walk(module, input_shape)
    for node in traced.nodes:
        walk.step(node)
    return absorb_padding(walk.graph())


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class _Tracer(fx.Tracer):
    """torch's own asks of every argument whether it is of a kind that is none of a network's: a third of its time."""

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, fx.Proxy):
            return a.node
        return a if type(a) in PLAIN else super().create_arg(a)


PLAIN = (int, float, bool, str, type(None))


class Walk:
    """Goes through a traced module once; holds what each node stands for."""

    def __init__(self, module: nn.Module, input_shape: tuple[int, ...]) -> None:
        self.module = module
        self.input_shape = input_shape
        self.ops: list[Op] = []
        self.output = ""
        self.params: dict[str, Tensor] = {}
        self._meta: dict[str, Tensor] = {}
        self._taken: dict[str, int] = {}
        self._values: dict[fx.Node, Any] = {}
        self._named = dict(module.named_parameters(remove_duplicate=False)) | dict(
            module.named_buffers(remove_duplicate=False)
        )

    def step(self, node: fx.Node) -> None:
        """Give one node its value."""
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self._values.__getitem__)
        match node.op:
            case "placeholder":
                self._values[node] = self._input(node)
            case "get_attr":
                self._values[node] = self._attribute(str(node.target))
            case "output":
                self._finish(args[0])
            case "call_module":
                self._values[node] = self._module(node, args, kwargs)
            case _:
                self._values[node] = self._function(node, args, kwargs)

    def graph(self) -> Graph:
        """What was found, without the operators that the output does not need."""
        needed = {self.output}
        for op in reversed(self.ops):
            if op.name in needed:
                needed.update(op.inputs)
        ops = tuple(op for op in self.ops if op.name in needed or op.kind == "input")
        used = {name for op in ops for name in op.params.values()}
        return Graph(ops, self.output, {name: value for name, value in self.params.items() if name in used})

    # What the canonical forms in edgekit.operators use.

    def emit(
        self, name: str, kind: str, inputs: list[Ref], params: dict[str, Own | None] | None = None, **attrs: Any
    ) -> Ref:
        """Add one operator and work out its shape."""
        own = {role: value.name for role, value in (params or {}).items() if value is not None}
        op = Op(self._unique(name), kind, tuple(x.name for x in inputs), (), own, attrs)
        for tensor in own.values():
            self.params.setdefault(tensor, self._named[tensor])
        values = [self._meta[x.name] for x in inputs]
        try:
            tensors = {role: self.params[n].detach().to("meta") for role, n in own.items()}
            known = known_shape(op, values, tensors)
            y = KERNELS[kind](op, values, tensors) if known is None else _like(values[0], known)
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:  # how torch refuses a shape
            shapes = " and ".join(str(tuple(value.shape)) for value in values)
            raise UsageError(
                f"layer {op.name} ({kind}) cannot take an input of {shapes}: {_first_line(error)}",
                "give the input shape that the network was made for, or a larger resolution",
            ) from error
        if not isinstance(y, Tensor):
            raise UsageError(f"layer {op.name} returns {type(y).__name__}, not one tensor", "return one tensor")
        self._meta[op.name] = y
        self.ops.append(op.with_(shape=tuple(y.shape), dtype=y.dtype))
        return Ref(op.name)

    def is_ref(self, value: Any) -> bool:
        """Whether an operator computes it."""
        return isinstance(value, Ref)

    def is_own(self, value: Any) -> bool:
        """Whether the network owns it."""
        return isinstance(value, Own)

    def kernel(self, weight: Own) -> tuple[int, ...]:
        """The kernel size of a convolution's weight."""
        return tuple(self._named[weight.name].shape[2:])

    def shape(self, x: Ref) -> tuple[int, ...]:
        """The shape of what an operator computes."""
        return tuple(self._meta[x.name].shape)

    def meta(self, x: Ref) -> Tensor:
        """A tensor without data in its place, to ask torch for shapes."""
        return self._meta[x.name]

    def call(self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        """An operator without a canonical form: `function` with its tensors as inputs."""
        refs: list[Ref] = []
        owns: dict[str, Own | None] = {}

        def place(value: Any) -> Any:
            if isinstance(value, Ref):
                refs.append(value)
                return _Slot(len(refs) - 1)
            if isinstance(value, Own):
                role = f"p{len(owns)}"
                owns[role] = value
                return _Slot(role)
            return value

        template = _map((args, kwargs), place)

        def run(*tensors: Tensor, **own: Tensor) -> Any:
            def fill(value: Any) -> Any:
                if not isinstance(value, _Slot):
                    return value
                return tensors[value.key] if isinstance(value.key, int) else own[value.key]

            filled_args, filled_kwargs = _map(template, fill)
            return function(*filled_args, **filled_kwargs)

        return self.emit(name, "call", refs, owns, function=run, label=_label(function))

    # The kinds of node.

    def _input(self, node: fx.Node) -> Any:
        if node.args:  # an optional argument: its default
            return node.args[0]
        if self.ops:
            raise UsageError(
                f"the network needs more than one input ({self.ops[0].name}, {node.target})",
                "wrap it in a module whose forward() takes one tensor",
            )
        op = Op(str(node.target), "input", (), self.input_shape)
        self.ops.append(op)
        dtype = next((t.dtype for t in self._named.values() if t.is_floating_point()), torch.float32)
        self._meta[op.name] = torch.empty(self.input_shape, dtype=dtype, device="meta")
        return Ref(op.name)

    def _attribute(self, target: str) -> Any:
        if target in self._named:
            return Own(target)
        value: Any = self.module
        for part in target.split("."):
            value = getattr(value, part)
        if isinstance(value, Tensor):  # a plain tensor attribute, or one that fx made
            self._named[target] = value
            return Own(target)
        return value

    def _finish(self, value: Any) -> None:
        if not isinstance(value, Ref):
            count = len(value) if isinstance(value, (tuple, list, dict)) else 1
            raise UsageError(
                f"the network returns {type(value).__name__} of {count}, not one tensor",
                "wrap it in a module whose forward() returns one tensor",
            )
        if value.name == self.ops[0].name:
            raise UsageError("the network returns its input unchanged", "check its forward()")
        self.output = value.name

    def _module(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target = str(node.target)
        module = self.module.get_submodule(target)
        canonical = MODULES.get(type(module))
        if canonical is not None:
            tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
            result = canonical(
                self, target, module, {role: Own(f"{target}.{role}") for role, _ in tensors}, *args, **kwargs
            )
            if result is not NotImplemented:
                return result
        own = {role: Own(f"{target}.{role}") for role, _ in [*module.named_parameters(), *module.named_buffers()]}

        def function(*tensors: Any, **own: Tensor) -> Any:
            return torch.func.functional_call(module, own, tensors)

        refs = [value for value in args if isinstance(value, Ref)]
        return self.emit(target, "call", refs, dict(own), function=function, label=type(module).__name__, module=module)

    def _function(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        method = node.op == "call_method"
        target: Any = node.target
        if not _has((args, kwargs), Ref):
            return self._constant(node, args, kwargs)
        canonical = METHODS.get(target) if method else FUNCTIONS.get(target)
        name = _scoped(node)
        try:
            result = canonical(self, name, *args, **kwargs) if canonical else NotImplemented
        except EdgekitError:
            raise
        except TypeError as error:
            raise UsageError(
                f"{name}: {_first_line(error)}", "use the operator with torch's documented arguments"
            ) from error
        if result is not NotImplemented:
            return result
        function = (lambda x, *rest, **named: getattr(x, target)(*rest, **named)) if method else target
        if method:
            function.__name__ = str(target)
        return self.call(name, function, args, kwargs)

    def _constant(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that no input reaches is worked out now; a tensor becomes one more that the network owns."""
        target: Any = node.target
        args, kwargs = _map((args, kwargs), lambda value: self._named[value.name] if isinstance(value, Own) else value)
        with torch.no_grad():
            value = (
                getattr(args[0], target)(*args[1:], **kwargs) if node.op == "call_method" else target(*args, **kwargs)
            )
        if not isinstance(value, Tensor):
            return value
        self._named[node.name] = value
        return Own(node.name)

    def _unique(self, name: str) -> str:
        count = self._taken[name] = self._taken.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"


def _like(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else torch.empty(shape, dtype=x.dtype, device="meta")


@dataclass(frozen=True)
class _Slot:
    """Where a tensor goes in the arguments of a call."""

    key: int | str


def _map(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_map(item, change) for item in value)
    if isinstance(value, dict):
        return {key: _map(item, change) for key, item in value.items()}
    return change(value)


def _has(value: Any, kind: type) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_has(item, kind) for item in value)
    if isinstance(value, dict):
        return any(_has(item, kind) for item in value.values())
    return isinstance(value, kind)


def _label(function: Any) -> str:
    return str(getattr(function, "__name__", function))


def _scoped(node: fx.Node) -> str:
    """A readable name for a call outside any leaf module: the module that it stands in, and its own."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    scope = str(stack[-1][0]) if stack and isinstance(stack[-1], tuple) else ""
    return f"{scope}.{node.name}" if scope else node.name
