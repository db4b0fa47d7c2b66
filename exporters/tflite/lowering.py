"""Graph -> Program: each operator in TFLite's words, in the order of axes that it reads, in float or in int8.

One function per kind stands in the modules ops_* (LOWERINGS of lowering_table is the table). It reads its inputs
through `Lowering`, which converts order and precision only where an operator asks for another, and returns the value
that it made. What TFLite lacks is an Unsupported, and all of them are told in one error before anything is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from edgekit.exporters.half import LARGEST, largest
from edgekit.exporters.int8.tflite_constraints import float_only
from edgekit.exporters.tflite.layout import Layout, Shape, order, stored_shape
from edgekit.exporters.tflite.program import Grid, Program, channel_grid
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import activation_name, fused_activations
from edgekit.ir.quantized import QParams, QuantizedGraph
from edgekit.ir.reference import ELEMENTWISE

_TURNED = 6  # axes that a TRANSPOSE has at most
_HALF_FROM = 1024  # elements of an operand from which on half precision is worth an operator that expands it


class Unsupported(Exception):
    """TFLite has no operator for this; the message says what exactly."""


@dataclass(frozen=True)
class Value:
    """What an operator computed: its stored tensor, torch's shape, and where torch's axes lie in the tensor.

    `q` is there for 8-bit integers, which stand for real numbers; else `dtype` says what is stored. `columns` is there
    when the last axis is a flattened map whose elements lie in another order than torch's: the map's sizes, and its
    axes as they lie. Only a linear layer can read that. `source` is the network's own tensor in torch's order, where
    nothing computes this value.
    """

    tensor: int
    shape: Shape
    layout: Layout
    q: QParams | None = None
    columns: tuple[Shape, Shape] | None = None
    dtype: str = "float32"
    source: Tensor | None = None


Lower = Callable[["Lowering", Op], Value]
Turned = Callable[[Tensor], Tensor]


def in_half(tensor: Tensor) -> bool:
    """Whether float16 has every finite number of a tensor within its range."""
    size = largest(tensor)
    if not math.isfinite(size):
        finite = tensor.detach()[tensor.isfinite()]
        size = largest(finite) if finite.numel() else 0.0
    return size <= LARGEST


class Lowering:
    """Walks through a graph once; the lowering functions read values and emit operators through it."""

    def __init__(self, graph: Graph, half: bool, quantized: QuantizedGraph | None) -> None:
        self.graph = graph
        self.program = Program()
        self.half = half
        self.quantized = quantized
        self.readers = graph.consumers
        self.ops = graph.by_name
        self.joined: dict[tuple[int, QParams | None, tuple[str, ...]], Value] = {}  # what has been concatenated
        self.pairs: dict[tuple[Any, ...], tuple[Value, Value]] = {}  # what operators with two results have given
        self._fused = fused_activations(graph)
        self._values: dict[str, Value] = {}
        self._converted: dict[tuple[Any, ...], Value] = {}

    def walk(self, lowerings: Mapping[str, Lower]) -> list[str]:
        """Lower every operator; what TFLite lacks comes back as "layer (kind): reason (asked for in net.py:14)"."""
        refused = []
        inside = {op.name for op in self._fused.values()}
        for op in self.graph:
            if op.name in inside:
                continue
            if op.kind == "input":
                self._values[op.name] = lowerings[op.kind](self, op)
                continue
            try:
                if op.kind not in lowerings:
                    raise Unsupported("no such operator")
                self._keep(op, self._finished(op, lowerings[op.kind](self, op)))
            except Unsupported as reason:
                asked = f" (asked for in {op.where})" if op.where else ""
                refused.append(f"{op.name} ({op.attrs.get('label', op.kind)}): {reason}{asked}")
                self._keep(op, self._blank(op))
        return refused

    def value(self, name: str) -> Value:
        """Return what an operator gave, by its name."""
        return self._values[name]

    # What the lowering functions use.

    def read(self, op: Op, index: int = 0, layout: Layout | None = None, real: bool = False) -> Value:
        """An input of `op` in the precision in which `op` is computed (float where `real`), stored in `layout`."""
        value = self._values[op.inputs[index]]
        if value.columns and op.kind != "linear" and op.kind not in ELEMENTWISE:
            raise AssertionError(f"{op.name} cannot read a flattened map")
        name = op.inputs[index]
        value = self._integers(value, name) if self.int8(op) and not real else self.real(value, name)
        return value if layout is None else self.arranged(value, layout, op.name)

    def kept(self) -> dict[str, tuple[str, Layout]]:
        """For each operator the tensor that has its value, and where torch's axes lie in it."""
        values = {name: value for name, value in self._values.items() if value.columns is None}
        return {name: (self.program.tensors[value.tensor].name, value.layout) for name, value in values.items()}

    def int8(self, op: Op) -> bool:
        """Whether `op` is computed in integers."""
        if self.quantized is None or self.wanted(op) is None or op.name in self.quantized.islands or float_only(op):
            return False
        known = self.quantized.activations
        return all(self._values[name].q or name in known for name in op.inputs)

    def wanted(self, op: Op) -> QParams | None:
        """Return the quantization of what `op` and its fused activation give; None: float."""
        if self.quantized is None:
            return None
        known, last = self.quantized.activations, self._fused.get(op.name, op)
        return known.get(last.name) or known.get(op.name)

    def activation(self, op: Op) -> str:
        """Return the schema's name of the activation that `op` computes on the way."""
        return (activation_name(self._fused[op.name]) or "none").upper() if op.name in self._fused else "NONE"

    def label(self, op: Op) -> str:
        """The name of the tensor that `op` gives: its layer's, with the fused activation's behind a semicolon."""
        return f"{op.name};{self._fused[op.name].name}" if op.name in self._fused else op.name

    def emit(
        self,
        builtin: str,
        name: str,
        inputs: Sequence[int],
        like: Value,
        **options: Any,
    ) -> Value:
        """Add one operator whose result has the shape, layout, quantization and columns of `like`."""
        made = self.result(name, like)
        self.program.node(builtin, inputs, made.tensor, **options)
        return made

    def emit_joined(
        self, builtin: str, name: str, inputs: Sequence[int], flat: Value, like: Value, **options: Any
    ) -> Value:
        """Add one operator whose axes were joined (`flat`), and give its result the form of `like`."""
        same = stored_shape(flat.shape, flat.layout) == stored_shape(like.shape, like.layout)
        y = self.emit(builtin, name if same else f"{name}/flat", inputs, flat, **options)
        return self.reshaped(y, like, name)

    def result(self, name: str, like: Value) -> Value:
        """Return a value with the shape, layout, type and quantization of `like` that an operator is to give."""
        tensor = self.program.activation(name, stored_shape(like.shape, like.layout), like.q, like.dtype)
        return replace(like, tensor=tensor, source=None)

    def owned(self, name: str, tensor: Tensor, dtype: str, layout: Layout | None = None) -> Value:
        """Return a tensor that the network owns, as an operand."""
        layout = tuple(range(tensor.dim())) if layout is None else layout
        view = tensor.detach().permute([axis for axis in layout if axis is not None])
        shape = stored_shape(tuple(tensor.shape), layout)
        if self.half and dtype == "float32" and tensor.numel() >= _HALF_FROM and in_half(tensor):
            index = self._halved(name, view, shape)
        else:
            index = self.program.constant(name, view, shape, dtype)
        return Value(index, tuple(tensor.shape), layout, dtype=dtype, source=tensor)

    def converted(self, value: Value, dtype: str, name: str) -> Value:
        """Return the value in another type: itself, or behind a CAST."""
        if value.dtype == dtype:
            return value
        options = {"inDataType": value.dtype.upper(), "outDataType": dtype.upper()}
        return self.emit("CAST", name, [value.tensor], replace(value, dtype=dtype), **options)

    def arranged(self, value: Value, layout: Layout, name: str) -> Value:
        """Return the value stored in another order of axes: itself, or behind a RESHAPE or a TRANSPOSE."""
        if value.layout == layout:
            return value
        if value.source is not None:
            return self.owned(self.program.tensors[value.tensor].name, value.source, value.dtype, layout)
        key = (value.tensor, value.layout, layout)
        if key not in self._converted:
            self._converted[key] = self._arrange(value, layout, name)
        return self._converted[key]

    def _arrange(self, value: Value, layout: Layout, name: str) -> Value:
        if order(value.shape, value.layout) != order(value.shape, layout):
            bare = tuple(axis for axis in value.layout if axis is not None)
            target = tuple(axis for axis in layout if axis is not None)
            value = self.reshaped(value, replace(value, layout=bare), f"{name}/axes")
            if len(bare) > _TURNED:
                return self._arrange_many(value, bare, target, layout, name)
            turns = self.program.integers([bare.index(axis) for axis in target])
            value = self.emit("TRANSPOSE", f"{name}/transpose", [value.tensor, turns], replace(value, layout=target))
        return self.reshaped(value, replace(value, layout=layout), f"{name}/axes")

    def _arrange_many(self, value: Value, bare: Shape, target: Shape, layout: Layout, name: str) -> Value:
        """The same of more axes than TRANSPOSE has: what must come next is moved there, axis by axis."""
        like, lying = replace(value, layout=layout), list(bare)
        for place, axis in enumerate(target):
            at = lying.index(axis)
            if at == place or all(value.shape[one] == 1 for one in lying[place:at]):
                lying.insert(place, lying.pop(at))
                continue
            cuts = (lying[:place], lying[place:at], [axis], lying[at + 1 :])
            sizes = tuple(math.prod(value.shape[one] for one in part) for part in cuts)
            blocks = replace(value, shape=sizes, layout=(0, 1, 2, 3))
            parts = self.reshaped(value, blocks, f"{name}/blocks")
            turned = replace(blocks, shape=(sizes[0], sizes[2], sizes[1], sizes[3]))
            swapped = self.program.integers((0, 2, 1, 3))
            moved = self.emit("TRANSPOSE", f"{name}/transpose", [parts.tensor, swapped], turned)
            lying.insert(place, lying.pop(at))
            value = self.reshaped(moved, replace(value, layout=tuple(lying)), f"{name}/axes")
        return self.reshaped(value, like, f"{name}/axes")

    def reshaped(self, value: Value, like: Value, name: str) -> Value:
        """Return the same elements under another shape, or the value itself where it has that; the batch stays free."""
        before, after = stored_shape(value.shape, value.layout), stored_shape(like.shape, like.layout)
        if before == after:
            return replace(like, tensor=value.tensor)
        return self.emit(
            "RESHAPE", name, [value.tensor, self.program.integers((-1, *after[1:]) if after else ())], like
        )

    def requantized(self, value: Value, q: QParams, name: str) -> Value:
        """Return the value as integers of `q`: itself, or behind a QUANTIZE."""
        if value.q == q:
            return value
        if value.source is not None:
            integers = torch.round(value.source.detach().double() / q.scale + q.zero_point).clamp(q.low, q.high)
            view = integers.to(torch.int8).permute([axis for axis in value.layout if axis is not None])
            shape = stored_shape(value.shape, value.layout)
            index = self.program.constant(name, view, shape, "int8", Grid((q.scale,), q.zero_point))
            return replace(value, tensor=index, q=q, source=None)
        return self._converted_once("QUANTIZE", value, q, name)

    def real(self, value: Value, name: str) -> Value:
        """Return the value in float: itself, or behind a DEQUANTIZE."""
        return self._converted_once("DEQUANTIZE", value, None, f"{name}/dequantize") if value.q else value

    def weight(self, op: Op, turned: Turned, axis: int, channels: int, shape: Shape | None = None) -> int:
        """An operator's weight in float. `turned` lays torch's tensor as TFLite reads it: output channels on `axis`.

        Stored as float16 or int8 where the file is asked to, and expanded when it is loaded.
        """
        name, rounded = f"{op.name}/weight", self.quantized.weights.get(op.name) if self.quantized else None
        if rounded is not None:
            grid = channel_grid(rounded, channels, axis)
            return self._expanded(name, self.program.constant(name, turned(rounded.values), shape, "int8", grid))
        view = turned(self.graph.tensors(op)["weight"].detach())
        return self._halved(name, view, shape) if self.half else self.program.constant(name, view, shape)

    def _halved(self, name: str, view: Tensor, shape: Shape | None) -> int:
        return self._expanded(name, self.program.constant(name, view, shape, "float16"))

    def _expanded(self, name: str, stored: int) -> int:
        """A stored constant as float32. The runtimes do it once, and XNNPACK before it packs the weights."""
        key = ("expanded", stored)
        if key not in self._converted:
            full = self.program.tensors[stored].shape
            like = Value(-1, full, tuple(range(len(full))))
            self._converted[key] = self.emit("DEQUANTIZE", f"{name}/float32", [stored], like)
        return self._converted[key].tensor

    def constant(self, op: Op, role: str, tensor: Tensor, integers: bool) -> tuple[int, QParams | None]:
        """Add a small constant operand: float32, or symmetric int8 of one scale."""
        tensor = tensor.detach()
        if not integers:
            return self.program.constant(f"{op.name}/{role}", tensor), None
        tensor = tensor.float()  # a mask of truth values has no size
        scale = float(tensor.abs().max()) / 127 or 1.0
        stored = torch.round(tensor / scale).to(torch.int8)
        return self.program.constant(f"{op.name}/{role}", stored, None, "int8", Grid((scale,))), QParams(scale, 0)

    # The rest of the walk.

    def _keep(self, op: Op, value: Value) -> None:
        self._values[op.name] = self._values[self._fused.get(op.name, op).name] = value

    def _blank(self, op: Op) -> Value:
        layout = tuple(range(len(op.shape)))
        dtype = stored_dtype(op)
        return Value(self.program.activation(op.name, op.shape, None, dtype), op.shape, layout, dtype=dtype)

    def _finished(self, op: Op, value: Value) -> Value:
        """In integers where the quantized graph wants it and the operator's own way was another."""
        wanted = self.wanted(op)
        if wanted is None or op.name in (self.quantized.islands if self.quantized else ()):
            return value
        return self.requantized(value, wanted, f"{self.label(op)}/quantize") if value.q or self.int8(op) else value

    def _integers(self, value: Value, name: str) -> Value:
        if value.q or self.quantized is None or value.dtype != "float32":
            return value
        return self.requantized(value, self.quantized.activations[name], f"{name}/quantize")

    def _converted_once(self, builtin: str, value: Value, q: QParams | None, name: str) -> Value:
        key = (builtin, value.tensor, q)
        if key not in self._converted:
            self._converted[key] = self.emit(builtin, name, [value.tensor], replace(value, q=q))
        return replace(self._converted[key], shape=value.shape, layout=value.layout, columns=value.columns)


def stored_dtype(op: Op) -> str:
    """Return the type in which TFLite keeps what an operator gives: every float as float32, every integer as int32."""
    if op.dtype.is_floating_point:
        return "float32"
    return "bool" if op.dtype == torch.bool else "int32"
