"""What a file says in several operators, as the one that they are: activations, normalizations, biases, BatchNorm.

Writers of files take operators apart that their opset lacked, or that they folded halfway. As one operator they have an
integer form, count once, and become what a format has for them. A join keeps the name of the operator that gave its
value; a layer that takes up a bias keeps its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.join import Join, per_channel
from edgekit.ir.passes.join_slopes import Clips, Slopes
from edgekit.ir.reference import LAYERS

_NEAR = 1e-4  # of a number, which files round


def join_gelu(graph: Graph) -> Graph:
    """Return the same network with x * (1 + erf(x / sqrt(2))) / 2 as one operator, which a forward() may spell out.

    TFLite has no error function, and beside another such product onnxruntime joins the halves of both, and breaks.
    """
    return _Gelus(graph).joined()


def join_operators(graph: Graph) -> Graph:
    """Return the same network with fewer operators. Each join is exact but for the order of the arithmetic."""
    for join in (Clips, Slopes, _Products, _Biases, _Responses, _Affine, _Numbers, _Parts):
        graph = join(graph).joined()
    return graph


class _Products(Join):
    """x times a gate of x: silu, hardswish, gelu; and hardsigmoid, which is a gate."""

    def change(self, op: Op) -> Op | None:
        if op.kind not in ("mul", "div"):
            return None
        factors, number, inside = self._factors(op)
        if len(factors) == 1 and math.isclose(number, 1 / 6, rel_tol=_NEAR):
            x, more = self._of_six(factors[0])
            return self._made(op, "hardsigmoid", x, [*inside, *more])
        if len(factors) != 2:
            return None
        return self._gated(op, factors, number, inside) or self._gated(op, factors[::-1], number, inside)

    def _gated(self, op: Op, factors: Sequence[str], number: float, inside: list[str]) -> Op | None:
        x, gate = factors[0], self.inner(factors[1])
        if gate is None:
            return None
        if gate.inputs == (x,) and gate.kind in ("sigmoid", "hardsigmoid") and math.isclose(number, 1, rel_tol=_NEAR):
            kind = "silu" if gate.kind == "sigmoid" else "hardswish"
            return self._made(op, kind, x, [*inside, gate.name])
        if math.isclose(number, 1 / 6, rel_tol=_NEAR):
            source, more = self._of_six(gate.name)
            return self._made(op, "hardswish", x, [*inside, *more]) if source == x else None
        if math.isclose(number, 0.5, rel_tol=_NEAR):
            source, more = self._of_erf(gate)
            made = self._made(op, "gelu", x, [*inside, *more]) if source == x else None
            return made.with_(attrs={"approximate": "none"}) if made else None
        return None

    def _made(self, op: Op, kind: str, x: str | None, inside: Sequence[str]) -> Op | None:
        if x is None:
            return None
        self.drop(inside)
        self.readers[x] -= max(self._times(x, [op.name, *inside]) - 1, 0)
        return op.with_(kind=kind, inputs=(x,), params={}, attrs={})

    def _times(self, x: str, names: Sequence[str]) -> int:
        return sum(self.ops[name].inputs.count(x) for name in names)

    def _factors(self, op: Op) -> tuple[list[str], float, list[str]]:
        """What is multiplied: values, the product of the numbers, and the operators between."""
        waiting, factors, number, inside = [op], [], 1.0, []
        while waiting:
            one = waiting.pop()
            value = self.number(one)
            if len(one.inputs) == 1 and value is None or one.kind == "div" and (len(one.inputs) > 1 or not value):
                return [], 0.0, []
            number = number if value is None else number / value if one.kind == "div" else number * value
            for name in one.inputs:
                part = self.inner(name)
                if part is not None and part.kind in ("mul", "div") and self._scales(part):
                    inside.append(name)
                    waiting.append(part)
                else:
                    factors.append(name)
        return factors, number, inside

    def _scales(self, op: Op) -> bool:
        """Whether an operator multiplies by a number, or two values."""
        return bool(self.number(op)) if len(op.inputs) == 1 else op.kind == "mul"

    def _of_six(self, name: str) -> tuple[str | None, list[str]]:
        """The x of clip(x + 3, 0, 6)."""
        clip = self.inner(name)
        if clip is None or clip.kind != "clip" or (clip.attrs["min"], clip.attrs["max"]) != (0, 6):
            return None, []
        more = self.inner(clip.inputs[0])
        if more is None or more.kind != "add" or not math.isclose(self.number(more) or 0.0, 3, rel_tol=_NEAR):
            return None, []
        return more.inputs[0], [clip.name, more.name]

    def _of_erf(self, more: Op) -> tuple[str | None, list[str]]:
        """The x of 1 + erf(x / sqrt(2))."""
        erf = self.inner(more.inputs[0]) if more.kind == "add" and self.number(more) == 1 else None
        scaled = self.inner(erf.inputs[0]) if erf is not None and erf.kind == "erf" else None
        if scaled is None or erf is None or scaled.kind not in ("div", "mul"):
            return None, []
        wanted = math.sqrt(2) if scaled.kind == "div" else math.sqrt(0.5)
        if not math.isclose(self.number(scaled) or 0.0, wanted, rel_tol=_NEAR):
            return None, []
        return scaled.inputs[0], [more.name, erf.name, scaled.name]


class _Gelus(_Products):
    """Of these products gelu alone."""

    def _made(self, op: Op, kind: str, x: str | None, inside: Sequence[str]) -> Op | None:
        return super()._made(op, kind, x, inside) if kind == "gelu" else None


class _Biases(Join):
    """A sum with a number for each channel behind a layer that has no bias."""

    def change(self, op: Op) -> Op | None:
        other = self.tensor(op) if op.kind == "add" else None
        layer = self.inner(op.inputs[0]) if other is not None else None
        if other is None or layer is None or layer.kind not in LAYERS or "bias" in layer.params:
            return None
        bias = per_channel(other, layer)
        if bias is None or bias.dtype != self.params[layer.params["weight"]].dtype or op.shape != layer.shape:
            return None
        name = op.params.get("other", f"{layer.name}.bias")
        if bias is not other:
            name = f"{layer.name}.bias"
        self.params[name] = bias
        self.drop([layer.name])
        self.alias[op.name] = layer.name
        return layer.with_(params={**layer.params, "bias": name})


class _Responses(Join):
    """x over a power of a weighted sum of squares of near channels: local response normalization, as TFLite has it."""

    def change(self, op: Op) -> Op | None:
        if op.kind != "div" or len(op.inputs) != 2:
            return None
        x, (total, beta, inside) = op.inputs[0], self._power(op.inputs[1])
        square = self.inner(total.inputs[0]) if total is not None else None
        if total is None or square is None or square.kind != "mul" or square.inputs != (x, x):
            return None
        found = self._window(total)
        if found is None:
            return None
        self.drop([*inside, total.name, square.name])
        self.readers[x] -= 2
        return op.with_(kind="lrn", inputs=(x,), params={}, attrs={**found, "beta": beta})

    def _power(self, name: str) -> tuple[Op | None, float, list[str]]:
        """The convolution whose power of 1, 0.5 or 0.75 a value is, and the operators between."""
        last = self.inner(name)
        if last is None or last.kind != "sqrt":
            return (last if last is not None and last.kind == "conv" else None), 1.0, []
        below = self.inner(last.inputs[0])
        if below is None or below.kind == "conv":
            return below, 0.5, [last.name]
        if below.kind != "mul" or len(below.inputs) != 2:
            return None, 0.0, []
        total, root = (self.ops[one] for one in below.inputs)
        is_cube = root.kind == "sqrt" and root.inputs == (total.name,) and self.inner(root.name) is not None
        alone = self.readers[total.name] == 2 and not self.graph.is_output(total.name)
        inside = [last.name, below.name, root.name]
        return (total if is_cube and alone and total.kind == "conv" else None), 0.75, inside

    def _window(self, conv: Op) -> dict[str, float] | None:
        """The attributes that a convolution with one element of a window says; None where it weighs otherwise."""
        owned = (self.params.get(conv.params.get(role, "")) for role in ("weight", "bias"))
        weight, bias = (None if one is None else one.detach() for one in owned)
        if weight is None or bias is None or weight.is_meta or set(weight.shape[2:]) != {1}:
            return None
        channels = len(weight)
        if weight.shape[1] != channels or any(map(any, conv.attrs["padding"])) or not bool((bias == bias[0]).all()):
            return None
        row = weight[channels // 2].reshape(-1)
        size, part = int(row.count_nonzero()), float(row.max())
        behind = torch.arange(channels).unsqueeze(0) - torch.arange(channels).unsqueeze(1)
        near = (behind >= -(size // 2)) & (behind <= (size - 1) // 2)
        if not size or not torch.equal(weight.reshape(channels, channels), near * weight.new_tensor(part)):
            return None
        return {"size": size, "alpha": part * size, "k": float(bias[0])}


class _Affine(Join):
    """A product and a sum with a number for each channel: a BatchNorm, which folding then takes up or leaves."""

    def change(self, op: Op) -> Op | None:
        scaled = self._scaled(op)
        if scaled is None:
            return None
        mul, scale, shift = scaled
        own = {"weight": scale, "bias": shift, "mean": torch.zeros_like(scale), "var": torch.ones_like(scale)}
        names = {role: f"{mul.name}.{role}" for role in own}
        self.params.update({names[role]: tensor for role, tensor in own.items()})
        name = op.name if mul.name.startswith(f"{op.name}/") else mul.name  # both are parts of one layer
        if op is not mul:
            self.drop([mul.name])
        if op.name != name:
            self.alias[op.name] = name
        return mul.with_(name=name, kind="batch_norm", params=names, attrs={"eps": 0.0})

    def _scaled(self, op: Op) -> tuple[Op, Tensor, Tensor] | None:
        """The product, its numbers, and those that are added to it."""
        if op.kind == "add":
            other, mul = self.tensor(op), self.inner(op.inputs[0])
            shift = per_channel(other, op) if other is not None else None
        else:
            other, mul, shift = None, op, None
        factor = self.tensor(mul) if mul is not None and mul.kind == "mul" else None
        scale = per_channel(factor, mul) if factor is not None and mul is not None else None
        if mul is None or scale is None or scale.numel() == 1 or len(mul.shape) < 3 or mul.shape != op.shape:
            return None
        if op.kind == "add":
            return None if shift is None else (mul, scale, shift.expand_as(scale).contiguous())
        return (mul, scale, torch.zeros_like(scale)) if self._behind_layer(mul) else None

    def _behind_layer(self, mul: Op) -> bool:
        """Whether a product alone stands behind a convolution that can take it up, and no sum does behind it."""
        layer = self.inner(mul.inputs[0])
        summed = [op for op in self.consumers[mul.name] if op.kind == "add" and self.tensor(op) is not None]
        return layer is not None and layer.kind in ("conv", "conv_transpose") and not summed


class _Numbers(Join):
    """An operand of one element is a number of the operator, and no parameter of the network."""

    def change(self, op: Op) -> Op | None:
        other = self.tensor(op) if "other" in op.params else None
        if other is None or other.numel() != 1 or other.is_meta or op.shape != self.graph[op.inputs[0]].shape:
            return None
        return op.with_(params={}, attrs={**op.attrs, "other": float(other)})


class _Parts(Join):
    """A concatenation of what was put together for it before, as files for XNNPACK have it, which joins few at once."""

    def change(self, op: Op) -> Op | None:
        if op.kind != "cat":
            return None
        parts = {name for name in op.inputs if self._is_part(op, self.inner(name))}
        self.drop(list(parts))
        inputs = (self.ops[name].inputs if name in parts else (name,) for name in op.inputs)
        return op.with_(inputs=tuple(one for names in inputs for one in names)) if parts else None

    def _is_part(self, op: Op, part: Op | None) -> bool:
        """Whether a value was named as a part of the concatenation."""
        return (
            part is not None
            and part.kind == "cat"
            and part.attrs == op.attrs
            and part.name.startswith(f"{op.name}/part")
        )
