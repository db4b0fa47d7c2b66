"""torch module -> Graph: the module is traced symbolically and each call is given its canonical form.

Shapes come from one run on the meta device, so that a network costs no memory for its activations, nor for its
weights when it was built there. What has no canonical form stays a "call", which torch and ONNX can run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgekit.errors import USERS_CODE, UsageError, first_line
from edgekit.frontend import parametrized
from edgekit.frontend.inplace import Values, changed, on_a_copy, plain
from edgekit.frontend.shapes import known_shape
from edgekit.frontend.symbolic import changes_itself, is_leaf, symbolic
from edgekit.frontend.table import FUNCTIONS, METHODS
from edgekit.frontend.values import Own, Ref, filling, leaves, mapped, method, placed, scoped
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.absorb_padding import absorb_padding
from edgekit.ir.reference import KERNELS


def trace(module: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """The graph of a module in eval mode for inputs of `input_shape` (N, C, *spatial).

    Raises UsageError for a module in training mode, one that cannot be traced, that has not exactly one input and one
    output, or that does not accept the shape.
    """
    if module.training:
        raise UsageError(f"{type(module).__name__} is in training mode", "call .eval() on it first")
    if is_leaf(module):  # the tracer sees a layer of torch.nn when it is called, not from inside
        module = nn.Sequential(module).eval()
    walk = Walk(module, input_shape)
    for node in symbolic(module).nodes:
        walk.step(node)
    return absorb_padding(walk.graph())


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
        self._values = Values()
        self._memories = itertools.count(1)
        self._named = dict(module.named_parameters(remove_duplicate=False)) | dict(
            module.named_buffers(remove_duplicate=False)
        )
        self._lasting = list(self._named)

    def step(self, node: fx.Node) -> None:
        """Give one node its value."""
        args, kwargs = self._values.arguments(node)
        match node.op:
            case "placeholder":
                self._values.keep(node, self._input(node))
            case "get_attr":
                self._values.keep(node, self._attribute(str(node.target)))
            case "output":
                self._finish(args[0])
            case _:
                target = changed(node, self.module, args, kwargs)
                if isinstance(target, Own):
                    self._refuse_own(target)
                make = self._module if node.op == "call_module" else self._function
                value = make(node, target is not None, args, kwargs)
                self._values.keep(node, value)
                if isinstance(target, (Ref, Own)) and isinstance(value, Ref):
                    self._values.overwrite(target, value, self._apart)

    def graph(self) -> Graph:
        """What was found, without the operators that the output does not need."""
        needed = {self.output}
        for op in reversed(self.ops):
            if op.name in needed:
                needed.update(op.inputs)
        ops = tuple(op for op in self.ops if op.name in needed or op.kind == "input")
        used = {name for op in ops for name in op.params.values()}
        return Graph(
            ops, {self.output: self.output}, {name: value for name, value in self.params.items() if name in used}
        )

    # What the canonical forms in edgekit.frontend.table use.

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
        except REFUSALS as error:
            raise _refused(f"{op.name} ({kind})", values, error) from error
        if not isinstance(y, Tensor):
            raise UsageError(f"layer {op.name} returns {type(y).__name__}, not one tensor", "return one tensor")
        self._meta[op.name] = y
        self.ops.append(op.with_(shape=tuple(y.shape), dtype=y.dtype))
        views = (x.memory for x, value in zip(inputs, values, strict=True) if _one_memory(y, value))
        return Ref(op.name, next(views, None) or next(self._memories))

    def copied(self, x: Ref) -> Ref:
        """The same values in memory of their own."""
        return Ref(x.name, next(self._memories))

    def is_ref(self, value: Any) -> bool:
        """Whether an operator computes it."""
        return isinstance(value, Ref)

    def is_own(self, value: Any) -> bool:
        """Whether the network owns it."""
        return isinstance(value, Own)

    def number(self, own: Own) -> float | None:
        """The value of a tensor of one element; None for others, and where weights have no values."""
        tensor = self._named[own.name]
        return None if tensor.numel() != 1 or tensor.is_meta else float(tensor)

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
        template, refs, owns = placed((args, kwargs))
        run = filling(function, template)
        return self.emit(name, "call", refs, owns, function=run, label=str(getattr(function, "__name__", function)))

    # The kinds of node.

    def _input(self, node: fx.Node) -> Any:
        if node.args:  # an optional argument: its default
            return node.args[0]
        if self.ops:
            raise UsageError(
                f"the network needs more than one input ({self.ops[0].name}, {node.target})",
                "wrap it in a module whose forward() takes one tensor",
            )
        op = Op(self._unique(str(node.target)), "input", (), self.input_shape)
        self.ops.append(op)
        dtype = next((t.dtype for t in self._named.values() if t.is_floating_point()), torch.float32)
        self._meta[op.name] = torch.empty(self.input_shape, dtype=dtype, device="meta")
        return self.copied(Ref(op.name, 0))

    def _attribute(self, target: str) -> Any:
        if target in self._named:
            return Own(target)
        value: Any = self.module
        for part in target.split("."):
            value = getattr(value, part)
        if isinstance(value, Tensor):  # a plain tensor attribute, or a tensor that forward() made
            if not target.startswith("_tensor_constant"):
                self._lasting.append(target)
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
        if not self.shape(value):
            raise UsageError(
                "the network returns one number without axes for all of its inputs together",
                "keep the batch in front, as x.mean((1, 2, 3)) does",
            )
        if value.name == self.ops[0].name:
            raise UsageError("the network returns its input unchanged", "check its forward()")
        self.output = value.name

    def _module(self, node: fx.Node, in_place: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target = str(node.target)
        module = self.module.get_submodule(target)
        form = parametrized.canonical(module)
        if form is not None:
            tensors = parametrized.tensors(module)
            for role, tensor in tensors.items():
                self._named.setdefault(f"{target}.{role}", tensor)
            own = {role: Own(f"{target}.{role}") for role in tensors}
            result = self._formed(target, form, (module, own, *args), kwargs)
            if result is not NotImplemented:
                return result
        own = {role: Own(f"{target}.{role}") for role, _ in [*module.named_parameters(), *module.named_buffers()]}

        def function(*tensors: Any, **own: Tensor) -> Any:
            if in_place:
                tensors = (tensors[0].clone(), *tensors[1:])
            return torch.func.functional_call(module, own, tensors)

        refs = [value for value in args if isinstance(value, Ref)]
        return self.emit(target, "call", refs, dict(own), function=function, label=type(module).__name__, module=module)

    def _function(self, node: fx.Node, in_place: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        by_name = node.op == "call_method"
        target: Any = node.target
        if not any(isinstance(leaf, Ref) for leaf in leaves((args, kwargs))):
            return self._constant(node, args, kwargs)
        name, table = scoped(node), METHODS if by_name else FUNCTIONS
        into, kwargs = kwargs.get("out"), {key: value for key, value in kwargs.items() if key != "out"}
        form = table.get(target) or (table.get(plain(target)) if in_place else None)
        result = self._formed(name, form, args, kwargs) if form else NotImplemented
        if result is not NotImplemented:
            return result
        function = method(target) if by_name else target
        return self.call(name, on_a_copy(function) if in_place and into is None else function, args, kwargs)

    def _formed(self, name: str, form: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return form(self, name, *args, **kwargs)
        except TypeError as error:
            raise UsageError(
                f"{name}: {first_line(error)}", "use the operator with torch's documented arguments"
            ) from error
        except REFUSALS as error:
            refs = [self.meta(leaf) for leaf in leaves((args, kwargs)) if isinstance(leaf, Ref)]
            raise _refused(name, refs, error) from error

    def _constant(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that no input reaches is worked out now; a tensor becomes one more that the network owns."""
        target: Any = method(str(node.target)) if node.op == "call_method" else node.target
        args, kwargs = mapped(
            (args, kwargs), lambda value: self._named[value.name] if isinstance(value, Own) else value
        )
        try:
            with torch.no_grad():
                value = target(*args, **kwargs)
        except USERS_CODE as error:  # a call of the user's, with what it was given
            raise UsageError(f"{node.name} fails: {first_line(error)}", "check its forward()") from error
        if not isinstance(value, Tensor):
            return value
        self._named[node.name] = value
        return Own(node.name)

    def _refuse_own(self, own: Own) -> None:
        """Raises UsageError for a tensor that outlives forward()."""
        tensor = self._named[own.name]
        lasting = (name for name in self._lasting if _one_memory(self._named[name], tensor))
        for name in lasting:
            raise changes_itself(name)

    def _apart(self, one: str, other: str) -> bool:
        """Whether two operators give different parts of one tensor."""
        ops = {op.name: op for op in self.ops}
        a, b = ops[one], ops[other]
        if {a.kind, b.kind} != {"slice"} or a.inputs != b.inputs or a.attrs["dim"] != b.attrs["dim"]:
            return False
        return bool(a.attrs["stop"] <= b.attrs["start"] or b.attrs["stop"] <= a.attrs["start"])

    def _unique(self, name: str) -> str:
        count = self._taken[name] = self._taken.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"


REFUSALS = (RuntimeError, ValueError, IndexError, TypeError, AssertionError, AttributeError)  # how torch refuses


def _refused(name: str, values: list[Tensor], error: BaseException) -> UsageError:
    shapes, why = " and ".join(str(tuple(value.shape)) for value in values), first_line(error)
    remedy = "give the input shape that the network was made for, or a larger resolution"
    if "meta tensor" in why:  # there is nothing in them that a branch could look at
        remedy = "write forward() without branches or sizes that depend on a tensor's values"
    return UsageError(f"layer {name} cannot take an input of {shapes}: {why}", remedy)


def _like(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A tensor of a shape, with memory of its own. torch's empty_like would import its compiler."""
    if x.shape == shape:
        return torch.empty_strided(shape, x.stride(), dtype=x.dtype, device="meta")
    return torch.empty(shape, dtype=x.dtype, device="meta")


def _one_memory(x: Tensor, y: Tensor) -> bool:
    return x is y or x.untyped_storage()._cdata == y.untyped_storage()._cdata
