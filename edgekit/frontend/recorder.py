"""Runs forward() and writes down what it calls.

The inputs are tensors without data (on the meta device); what the network owns is real. torch shows every call of its
functions with its arguments (torch.overrides.TorchFunctionMode): a call that an input reaches is given the form that
the table has for it, everything else is computed. So shapes, loops, branches and assertions are Python's own affair; a
question that only the input's values answer is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edgekit.errors import UsageError
from edgekit.frontend import calls, scope
from edgekit.frontend.aten import ATEN
from edgekit.frontend.builder import Builder
from edgekit.frontend.calls import Call, described
from edgekit.frontend.complex_table import OF_COMPLEX, is_about_complex, no_form
from edgekit.frontend.composites import taken_apart
from edgekit.frontend.masks import Masks
from edgekit.frontend.node import Node, leaves, mapped
from edgekit.frontend.refusals import REFUSALS, at, changes_itself, depends, draws, in_training, refused, saves, unseen
from edgekit.frontend.storage import Storage
from edgekit.frontend.table import CONVERTERS
from edgekit.frontend.template import calling

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Recorder(TorchFunctionMode):
    """One run of a network. `builder` has what was written down."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.builder = Builder()
        self.refusal: UsageError | None = None  # the first one
        self.drawn: list[tuple[UsageError, Tensor]] = []  # random numbers, with what to say where they vary
        self.answering = False  # what torch's own functions call on the way is theirs
        self.beneath = False  # whether a function is being taken apart
        self.scope = scope.Scope(module)
        self.storage, self.masks = Storage(self.builder), Masks(self)
        self.owned = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        self.device = next((t.device for t in self.owned.values()), torch.device("cpu"))
        self._memories = {_memory(tensor): name for name, tensor in self.owned.items()}
        self._constants: dict[int, Tensor] = {}  # without data too, where the network was built so

    def given(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """An input, and the tensor that stands for it."""
        node = self.builder.input(self.scope.argument(name), shape, dtype)
        tensor = node.meta()
        self.storage.fresh(tensor, node)
        return tensor

    def node_of(self, value: Any) -> Any:
        """What a value of forward() is in the graph; itself where no input reaches it."""
        return self.storage.read(value) if isinstance(value, Tensor) and value in self.storage else value

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.answering:
            return func(*args, **(kwargs or {}))
        self.answering = True
        try:
            return self.answer(func, args, kwargs or {})
        except UsageError as error:
            if not isinstance(error, REFUSALS):  # what torch refuses, too, forward() may catch
                self.refusal = self.refusal or error
            raise
        finally:
            self.answering = False

    def answer(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call gives; it is written down where an input reaches it."""
        call = described(func)
        tensors = leaves(args, Tensor) + leaves(kwargs, Tensor) if kwargs else leaves(args, Tensor)
        if func is Tensor.device.__get__ and args[0] not in self.storage:  # torch.device(...) bears the same name
            return args[0].device
        if any(tensor.is_meta and self.is_unknown(tensor) for tensor in tensors):
            raise unseen(call)
        if not any(tensor in self.storage for tensor in tensors):
            return self._constant(func, call, tensors, args, kwargs)
        self.builder.next_call()
        masked = self.masks.answer(func, call, args, kwargs)
        return self.about_tensors(func, call, args, kwargs) if masked is NotImplemented else masked

    def is_unknown(self, tensor: Tensor) -> bool:
        """Whether a tensor without data is none that a call made, and none of the network's."""
        known = tensor in self.storage or id(tensor) in self._constants
        return not known and _memory(tensor) not in self._memories

    # Calls that no input reaches

    def _constant(
        self, func: Any, call: Call, tensors: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if call.name in calls.NOTHING and kwargs.get("training"):
            raise draws(call)
        target = calls.target(func, call, args, kwargs)
        if target is not None:
            self._refuse_own(target)
            self._keep_constants(target)
        if any(tensor.is_meta for tensor in tensors) and not all(tensor.is_meta for tensor in tensors):
            args, kwargs = mapped((args, kwargs), lambda v: v.to("meta") if isinstance(v, Tensor) else v)
        result = calls.cleared(call, func(*args, **kwargs))
        if calls.is_random(call):
            self._draw(call, result)
        for tensor in leaves(result, Tensor):
            if tensor.is_meta:
                self._constants[id(tensor)] = tensor
        return result

    def _draw(self, call: Call, result: Any) -> None:
        """Keep random numbers, which another run must draw again to be constants."""
        for tensor in leaves(result, Tensor):
            if tensor.is_meta:
                raise draws(call)
            self.drawn.append((draws(call), tensor.clone()))

    def _refuse_own(self, tensor: Tensor) -> None:
        name = self._memories.get(_memory(tensor))
        if name is not None and name.endswith("num_batches_tracked"):
            raise in_training(name.rpartition(".")[0])
        if name is not None:
            raise changes_itself(name)

    def _keep_constants(self, target: Tensor) -> None:
        """What was written down keeps the values that it had."""
        for node in self.builder.nodes:
            for role, tensor in node.params.items():
                if tensor is not target and _memory(tensor) != _memory(target):
                    continue
                node.params[role] = tensor.clone()

    # Calls that an input reaches

    def about_tensors(self, func: Any, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What such a call gives."""
        name = call.name
        if name in calls.QUESTIONS:
            return func(*args, **kwargs)
        if name == "device":
            return self.device if self.device.type == "meta" else torch.device("cpu")
        if name == "is_meta":
            return self.device.type == "meta"
        if name in calls.VALUES:
            raise depends(call)
        if name in calls.PICKLED:
            raise saves()
        if name in calls.PRINTED:
            return f"tensor of {tuple(args[0].shape)}, whose values are not known while forward() is read"
        if calls.is_random(call) and name not in calls.RANDOM_LIKE:
            raise draws(call)
        if name in calls.LIKE | calls.RANDOM_LIKE or (name in calls.TAKING and args[0] not in self.storage):
            return self._like(func, args, kwargs)
        if name in calls.NOTHING:
            return self._dropped(call, args, kwargs)
        if name == "__setitem__":
            return self._set_item(args)
        if name == "__iter__":
            return iter(self.about_tensors(Tensor.unbind, described(Tensor.unbind), args, {}))
        if name.endswith(".__set__"):
            raise UsageError(at(scope.line(), f"forward() sets a tensor's {call.shown}"), "write it without that")
        return self._operator(func, call, args, kwargs)

    def _like(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A constant of a tensor's shape and type."""
        device = "meta" if self.device.type == "meta" else "cpu"

        def there(value: Any) -> Any:
            if isinstance(value, Tensor) and value in self.storage:
                return torch.empty((), dtype=value.dtype, device=device).expand(value.shape)
            return torch.device(device) if isinstance(value, torch.device) else value

        args, kwargs = mapped((args, kwargs), there)
        call = described(func)
        result = calls.cleared(call, func(*args, **kwargs))
        if result.is_meta:
            self._constants[id(result)] = result
        if calls.is_random(call):
            self._draw(call, result)
        return result

    def _dropped(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Dropout: nothing in eval mode."""
        training = kwargs.get("training", args[2] if len(args) > 2 else call.name != "register_hook")
        if training and kwargs.get("p", args[1] if len(args) > 1 else 0.5) != 0:
            raise UsageError(
                at(scope.line(), f"{call.shown} drops at random, in eval mode too"),
                "write training=self.training, or nn.Dropout",
            )
        return args[0] if args else kwargs["input"]

    def _set_item(self, args: tuple[Any, ...]) -> None:
        """tensor[index] = value."""
        target, index, value = args
        x, name = self.ready(target), self.scope.name("setitem")
        index, value = self._nodes((index, value))
        forms = OF_COMPLEX if is_about_complex((x, value), {}) else CONVERTERS
        result = self._converted(forms["__setitem__"], name, (x, index, value), {})
        if result is NotImplemented:
            raise UsageError(
                at(scope.line(), "forward() sets elements at places that depend on the input's values"),
                "choose them with torch.where",
            )
        self.storage.write(target, result)

    def _operator(self, func: Any, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = self.scope.name(call.shown)
        if call.shown in calls.RESHAPING:
            node = self._result(func, call, name, self._nodes((args, kwargs)))
            self.storage.view(func(*args, **kwargs), node, args[0])
            return args[0]
        if call.shown == "set_" and len(args) == 1 and not kwargs:
            return self.storage.emptied(func(*args))
        target = calls.target(func, call, args, kwargs)
        if target is not None:
            return self._in_place(func, call, name, target, args, kwargs)
        result = self._result(func, call, name, self._nodes((args, kwargs)), (args, kwargs))
        by_places = call.name == "__getitem__" and bool(leaves(args[1:], (list, Tensor)))  # these are always copied
        if call.name in calls.VIEWS and not by_places:
            return self._viewed(func, call, result, args, kwargs)
        return mapped(result, lambda value: self._handed(value, args, kwargs))

    def _in_place(
        self, func: Any, call: Call, name: str, target: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        self.ready(target)
        anew = kwargs.get("out") is target or call.shown == "resize_"
        kwargs = {key: value for key, value in kwargs.items() if key not in ("out", "inplace")}
        plain = calls.without_change(func, call) if call.in_place else func
        result = self._result(plain, call, name, self._nodes((args, kwargs)))
        if isinstance(result, (tuple, list)):
            raise UsageError(at(scope.line(), f"{call.shown} writes several tensors"), "write it without out=")
        node = result if isinstance(result, Node) else self.builder.constant(name, result)
        if anew and node.shape != tuple(target.shape):
            shown = f"{call.shown} writes a result of {node.shape} into a tensor of {tuple(target.shape)}"
            raise UsageError(at(scope.line(), shown), "use what it returns, without out=")
        if node.shape != tuple(target.shape):
            node = self.builder.emit(f"{name}/expand", "expand", [node], shape=tuple(target.shape))
        self.storage.write(target, node)
        return target

    def ready(self, target: Tensor) -> Node:
        """What a tensor is that is about to be written to. Raises UsageError for one of the network's own."""
        if target not in self.storage:
            self._refuse_own(target)
            self.storage.adopt(target)
        return self.storage.read(target)

    def _nodes(self, values: Any) -> Any:
        """The same arguments by what they are in the graph."""
        return mapped(values, self.node_of)

    def _result(self, func: Any, call: Call, name: str, given: Arguments, tensors: Arguments | None = None) -> Any:
        args, kwargs = given
        kwargs = {calls.NUMPYS.get(key, key): value for key, value in kwargs.items()}
        if is_about_complex(args, kwargs):
            return self._of_complex(call, name, args, kwargs)
        own = ATEN.get(call.name) if isinstance(func, torch._ops.OpOverload) else None
        converter = own or CONVERTERS.get(call.name)
        result = self._converted(converter, name, args, kwargs) if converter else NotImplemented
        if result is not NotImplemented:
            return result
        below = taken_apart(self, func, tensors)
        return calling(self.builder, name, call, func, args, kwargs) if below is NotImplemented else self._nodes(below)

    def _of_complex(self, call: Call, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        form = OF_COMPLEX.get(call.name)
        result = self._converted(form, name, args, kwargs) if form else NotImplemented
        if result is NotImplemented:
            raise no_form(call)
        return result

    def _converted(self, converter: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        try:
            return converter(self.builder, name, *args, **kwargs)
        except UsageError:
            raise
        except AttributeError:  # a constant where it looks for what the input reaches
            return NotImplemented
        except REFUSALS as error:
            raise refused(name, leaves((args, kwargs), Node), error) from error

    # What forward() gets back

    def _viewed(self, func: Any, call: Call, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Tensors that may lie in the memory of others: torch itself says which do."""
        base = next(tensor for tensor in leaves((args, kwargs), Tensor) if tensor in self.storage)
        if result is NotImplemented or isinstance(result, str):
            return result
        func = torch.reshape if call.name in ("view", "view_as") and isinstance(result, Node) else func
        shape = result.shape if isinstance(result, Node) else None
        if call.name == "type" and isinstance(result, Node):
            made = base.to(result.dtype)
        else:
            made = base.reshape(shape) if func is torch.reshape else self._again(func, args, kwargs)
        return _together(result, made, lambda node, tensor: self._placed(node, tensor, base))

    def _again(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What torch makes of the tensors themselves; on the meta device where they are there."""

        def there(value: Any) -> Any:
            return torch.device("meta") if isinstance(value, (torch.device, str)) else value

        named = {key: there(value) if key == "device" else value for key, value in kwargs.items()}
        if getattr(func, "__name__", "") in ("to", "cpu", "cuda"):
            args = tuple(there(value) for value in args)
            func = Tensor.to if getattr(func, "__name__", "") == "to" else Tensor.detach
            args = args[:1] if func is Tensor.detach else args
        args = mapped(args, lambda v: v.to("meta") if isinstance(v, Tensor) and v not in self.storage else v)
        return func(*args, **named)

    def _placed(self, node: Any, tensor: Tensor, base: Tensor) -> Any:
        if not isinstance(node, Node) or tensor is base:
            return tensor if isinstance(node, Node) else node
        if _memory(tensor) == _memory(base):
            self.storage.view(tensor, node, base)
        else:
            self.storage.fresh(tensor, node)
        return tensor

    def _handed(self, value: Any, args: Any, kwargs: Any) -> Any:
        """A tensor for a new value, which lies as the first argument does."""
        if not isinstance(value, Node):
            return value
        first = next((t for t in leaves((args, kwargs), Tensor) if t.is_meta and tuple(t.shape) == value.shape), None)
        if first is None or first.is_contiguous() or 0 in first.stride():
            tensor = value.meta()
        else:
            tensor = torch.empty_strided(first.shape, first.stride(), dtype=value.dtype, device="meta")
        self.storage.fresh(tensor, value)
        return tensor


def _together(result: Any, made: Any, pair: Callable[[Any, Any], Any]) -> Any:
    """A structure of nodes beside the same one of tensors."""
    if isinstance(result, (tuple, list)):
        return type(made)(_together(one, other, pair) for one, other in zip(result, made, strict=True))
    return pair(result, made)


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
