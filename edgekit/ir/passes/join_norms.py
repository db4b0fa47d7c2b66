"""Layer normalization that files say as means, differences and a root."""

from __future__ import annotations

import math

from edgekit.ir.graph import Op
from edgekit.ir.passes.join import Join


class LayerNorms(Join):
    """(x - mean) / sqrt(variance + eps), with a product and a sum for each element of a row behind it.

    Also in TensorFlow's order: x * k + (shift - mean * k), where k is the weight over the root.
    """

    def change(self, op: Op) -> Op | None:
        if len(op.inputs) == 1:
            return self._affine(op)
        if op.kind == "div":
            return self._normalized(op, *op.inputs)
        if op.kind == "mul":
            return self._normalized(op, *op.inputs) or self._normalized(op, *op.inputs[::-1])
        return (
            self._of_products(op, *op.inputs) or self._of_products(op, *op.inputs[::-1]) if op.kind == "add" else None
        )

    def _normalized(self, op: Op, apart: str, root: str) -> Op | None:
        """A difference over a root, or times one over the root."""
        difference = self.ops[apart]
        mean = self._mean(difference)
        found = self._deviation(root, difference, mean, divided=op.kind == "div") if mean is not None else None
        if mean is None or found is None or self.readers[mean.name] != 1 or self.readers[apart] != 3:
            return None
        if any(map(self.graph.is_output, (mean.name, apart))) or op.shape != difference.shape:
            return None
        eps, inside = found
        x = difference.inputs[0]
        self.drop([*inside, mean.name, apart])
        self.readers[x] -= 1
        return op.with_(kind="layer_norm", inputs=(x,), params={}, attrs={"dims": mean.attrs["dims"], "eps": eps})

    def _mean(self, difference: Op) -> Op | None:
        """The mean over the last axes that a value is apart from."""
        if difference.kind != "sub" or len(difference.inputs) != 2:
            return None
        x, mean = difference.inputs[0], self.ops[difference.inputs[1]]
        return mean if mean.inputs == (x,) and self._over_last(mean, len(difference.shape)) else None

    def _over_last(self, mean: Op, rank: int) -> bool:
        dims = tuple(mean.attrs.get("dims", ()))
        return mean.kind == "mean" and bool(mean.attrs["keepdim"]) and dims == tuple(range(rank - len(dims), rank))

    def _deviation(self, name: str, difference: Op, mean: Op, divided: bool) -> tuple[float, list[str]] | None:
        """The eps under the root of the mean square of a difference, or of one over the root; and what is between."""
        root, names = self.inner(name), [name]
        if root is not None and not divided and root.kind == "reciprocal":
            root, divided = self.inner(root.inputs[0]), True
            names += [root.name] if root is not None else []
        if root is None or root.kind != ("sqrt" if divided else "rsqrt"):
            return None
        more = self.inner(root.inputs[0])
        eps = self.number(more) if more is not None and more.kind == "add" else None
        variance = self.inner(more.inputs[0]) if more is not None and eps is not None else None
        if more is None or eps is None or variance is None or not self._over_last(variance, len(difference.shape)):
            return None
        square = self.inner(variance.inputs[0])
        if square is None or square.kind != "mul" or square.inputs != (difference.name,) * 2:
            return None
        if variance.attrs["dims"] != mean.attrs["dims"]:
            return None
        return eps, [*names, more.name, variance.name, square.name]

    def _affine(self, op: Op) -> Op | None:
        """A normalization with a product, then a sum, for each element of a row."""
        other, norm = self.tensor(op), self.inner(op.inputs[0])
        role = {"mul": "weight", "add": "bias"}.get(op.kind)
        if other is None or role is None or norm is None or norm.kind != "layer_norm" or op.shape != norm.shape:
            return None
        if set(norm.params) != (set() if role == "weight" else {"weight"}):
            return None
        params = self._rows(op, norm, role)
        self.drop([norm.name] if params else [])
        return op.with_(kind="layer_norm", inputs=norm.inputs, params=params, attrs=norm.attrs) if params else None

    def _rows(self, op: Op, norm: Op, role: str) -> dict[str, str] | None:
        """The tensors of a normalization with one more, that of an operator; None where that is no row."""
        name = op.params.get("other", "")
        other = self.params.get(name)
        sizes = tuple(op.shape[dim] for dim in norm.attrs["dims"])
        if other is None or other.numel() != math.prod(sizes) or tuple(other.shape)[-len(sizes) :] != sizes:
            return None
        if tuple(other.shape) != sizes:
            name = f"{op.name}.{role}"
            self.params[name] = other.reshape(sizes)
        return {**norm.params, role: name}

    def _of_products(self, op: Op, product: str, rest: str) -> Op | None:
        """TensorFlow's order of the arithmetic."""
        scaled, shifted = self.inner(product), self.inner(rest)
        if scaled is None or scaled.kind != "mul" or shifted is None or not self._is_shift(shifted):
            return None
        moved = self.inner(shifted.inputs[0])
        if moved is None or moved.kind != "mul" or len(moved.inputs) != 2 or len(scaled.inputs) != 2:
            return None
        shared = [name for name in scaled.inputs if name in moved.inputs]
        if len(shared) != 1:
            return None
        k = self.ops[shared[0]]
        (x,), (m,) = ([name for name in two.inputs if name != k.name] for two in (scaled, moved))
        return self._with_weight(op, x, m, k, [scaled.name, shifted.name, moved.name], shifted)

    def _is_shift(self, op: Op) -> bool:
        return op.kind == "sub" and "other" in op.params and bool(op.attrs.get("reflected"))

    def _with_weight(self, op: Op, x: str, m: str, k: Op, inside: list[str], shifted: Op) -> Op | None:
        """The normalization whose weight over the root is k."""
        reads = [one for one in self.consumers[m] if one.kind == "sub" and one.inputs == (x, m)]
        if k.kind != "mul" or self.tensor(k) is None or self.readers[k.name] != 2 or len(reads) != 1:
            return None
        difference = self.inner_twice(reads[0].name)
        mean = self._mean(difference) if difference is not None else None
        found = self._deviation(k.inputs[0], difference, mean, divided=False) if difference and mean else None
        if difference is None or mean is None or found is None or self.readers[m] != 2 or self.graph.is_output(m):
            return None
        norm = op.with_(kind="layer_norm", inputs=(x,), params={}, attrs={"dims": mean.attrs["dims"], "eps": found[0]})
        for one, role in ((k, "weight"), (shifted, "bias")):
            params = self._rows(one.with_(shape=op.shape), norm, role)
            if params is None:
                return None
            norm = norm.with_(params=params)
        self.drop([*inside, k.name, *found[1], difference.name, m])
        self.readers[x] -= 2
        return norm

    def inner_twice(self, name: str) -> Op | None:
        """Return an operator that one other reads twice, and nobody else."""
        return self.ops[name] if self.readers[name] == 2 and not self.graph.is_output(name) else None
