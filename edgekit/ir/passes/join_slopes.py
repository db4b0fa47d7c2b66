"""Activations of one or two straight lines that files say as maxima, minima and rectified halves."""

from __future__ import annotations

from edgekit.ir.graph import Op
from edgekit.ir.passes.join import Join, per_channel


class Clips(Join):
    """A maximum and a minimum with numbers: a clip, or a relu."""

    def change(self, op: Op) -> Op | None:
        if op.kind not in ("maximum", "minimum"):
            return None
        end = self.number(op)
        if end is None or not op.dtype.is_floating_point:
            return None
        before = self.inner(op.inputs[0])
        other = None if before is None else self._other_end(op, before)
        if before is not None and other is not None:
            low, high = (end, other) if op.kind == "maximum" else (other, end)
            if low > high:
                return None  # one number comes out
            self.drop([before.name])
            return op.with_(kind="clip", inputs=before.inputs, params={}, attrs={"min": low, "max": high})
        return op.with_(kind="relu", params={}, attrs={}) if op.kind == "maximum" and end == 0 else None

    def _other_end(self, op: Op, before: Op) -> float | None:
        """The other number, where the operator before cuts off at the other side."""
        if before.kind == "relu":
            return 0.0 if op.kind == "minimum" else None
        return self.number(before) if {op.kind, before.kind} == {"maximum", "minimum"} else None


class Slopes(Join):
    """relu(x) - slope * relu(-x): a prelu; and the larger of x and a part of x: a leaky relu."""

    def change(self, op: Op) -> Op | None:
        if len(op.inputs) != 2:
            return None
        pairs = (op.inputs, op.inputs[::-1]) if op.kind in ("add", "maximum") else (op.inputs,)
        change = {"add": self._prelu, "sub": self._prelu, "maximum": self._leaky_relu}.get(op.kind)
        return next(filter(None, (change(op, *pair) for pair in pairs)), None) if change else None

    def _prelu(self, op: Op, above: str, below: str) -> Op | None:
        positive, scaled = self.inner(above), self.inner(below)
        if positive is None or positive.kind != "relu" or scaled is None or scaled.kind != "mul":
            return None
        slope, negative = self.tensor(scaled), self.inner(scaled.inputs[0])
        turned = self.inner(negative.inputs[0]) if negative is not None and negative.kind == "relu" else None
        if (
            slope is None
            or negative is None
            or turned is None
            or turned.kind != "neg"
            or turned.inputs != positive.inputs
        ):
            return None
        weight = slope.reshape(1) if slope.numel() == 1 else per_channel(slope, op)
        if weight is None or op.shape != positive.shape:
            return None
        self.drop([positive.name, scaled.name, negative.name, turned.name])
        self.readers[positive.inputs[0]] -= 1
        name = f"{op.name}.weight"
        self.params[name] = weight if op.kind == "sub" else -weight
        return op.with_(kind="prelu", inputs=positive.inputs, params={"weight": name}, attrs={})

    def _leaky_relu(self, op: Op, x: str, part: str) -> Op | None:
        scaled = self.inner(part)
        slope = self.number(scaled) if scaled is not None and scaled.kind == "mul" and scaled.inputs == (x,) else None
        if slope is None or not 0 < slope < 1:
            return None
        self.drop([part])
        self.readers[x] -= 1
        return op.with_(kind="leaky_relu", inputs=(x,), params={}, attrs={"slope": slope})
