"""Functions of one tensor that treat every element alike, and softmax, in TFLite's words."""

from __future__ import annotations

from dataclasses import replace

import torch

from edgekit.exporters.int8.tflite_constraints import FIXED_OUTPUT, HARDSIGMOID_SUM
from edgekit.exporters.tflite.lowering import Lower, Lowering, Value, stored_dtype
from edgekit.exporters.tflite.ops_binary import operand
from edgekit.exporters.tflite.ops_shapes import few_axes
from edgekit.exporters.tflite.program import Grid
from edgekit.ir.graph import Op
from edgekit.ir.quantized import QParams

# One operator of TFLite each; the options that come from attributes.
UNARY = {
    "sigmoid": ("LOGISTIC", {}),
    "tanh": ("TANH", {}),
    "hardswish": ("HARD_SWISH", {}),
    "leaky_relu": ("LEAKY_RELU", {"alpha": "slope"}),
    "gelu": ("GELU", {}),
    "elu": ("ELU", {}),
    **{
        name: (name.upper(), {})
        for name in ("exp", "log", "sqrt", "rsqrt", "neg", "abs", "sin", "cos", "floor", "ceil", "round", "sign")
    },
    "logical_not": ("LOGICAL_NOT", {}),
}
_OF_FLOATS = frozenset({"floor", "ceil", "round", "sign"})  # TFLite has them for real numbers only
_CLIPS = {(0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}


def _quantization(to: Lowering, op: Op) -> QParams | None:
    return FIXED_OUTPUT.get(op.kind, to.wanted(op)) if to.int8(op) else None


def unary(to: Lowering, op: Op) -> Value:
    """Add one builtin operator of one tensor, in whatever order its elements lie."""
    builtin, names = UNARY[op.kind]
    x = to.read(op)
    if op.kind in _OF_FLOATS and x.dtype != "float32":
        return _of_integers(to, op, x)
    options = {option: op.attrs[attribute] for option, attribute in names.items()}
    if op.kind == "gelu":
        options["approximate"] = op.attrs["approximate"] == "tanh"
    return to.emit(builtin, op.name, [x.tensor], replace(x, q=_quantization(to, op)), **options)


def _of_integers(to: Lowering, op: Op, x: Value) -> Value:
    """Integers are whole already; their sign is that of the real number."""
    if op.kind != "sign":
        return x
    real = to.converted(x, "float32", f"{op.name}/float")
    return to.converted(to.emit("SIGN", f"{op.name}/sign", [real.tensor], real), x.dtype, op.name)


def cast(to: Lowering, op: Op) -> Value:
    """CAST; nothing between types that TFLite keeps alike."""
    return to.converted(to.read(op, real=True), stored_dtype(op), op.name)


def reciprocal(to: Lowering, op: Op) -> Value:
    """1 / x."""
    x = to.read(op, real=True)
    one = to.program.constant(f"{op.name}/one", torch.tensor([1.0]))
    return to.emit("DIV", op.name, [one, x.tensor], x)


def atan(to: Lowering, op: Op) -> Value:
    """Add ATAN2 of x and 1."""
    x = to.read(op, real=True)
    one = to.program.constant(f"{op.name}/one", torch.ones(to.program.tensors[x.tensor].shape))
    return to.emit("ATAN2", op.name, [x.tensor, one], x)


def relu(to: Lowering, op: Op) -> Value:
    """RELU. Integers that cannot say anything negative are rescaled: what is below zero ends at zero by itself."""
    x, q = to.read(op), _quantization(to, op)
    if x.q and q and q.zero_point == q.low:
        return to.requantized(x, q, op.name) if x.q != q else x
    return to.emit("RELU", op.name, [x.tensor], replace(x, q=_quantization(to, op)))


def clip(to: Lowering, op: Op) -> Value:
    """RELU6, RELU_N1_TO_1, or MAXIMUM and MINIMUM with constants."""
    x, low, high = to.read(op), op.attrs["min"], op.attrs["max"]
    if (low, high) in _CLIPS:
        return to.emit(_CLIPS[low, high], op.name, [x.tensor], replace(x, q=_quantization(to, op)))
    if low is not None:
        x = to.emit("MAXIMUM", f"{op.name}/low", [x.tensor, _bound(to, op, x, "min", low)], x)
    if high is not None:
        x = to.emit("MINIMUM", op.name, [x.tensor, _bound(to, op, x, "max", high)], x)
    return x


def _bound(to: Lowering, op: Op, x: Value, role: str, value: float) -> int:
    name = f"{op.name}/{role}"
    if x.q is None:
        return to.program.constant(name, torch.tensor([value]), None, x.dtype)
    integer = max(x.q.low, min(x.q.high, round(value / x.q.scale) + x.q.zero_point))
    grid = Grid((x.q.scale,), x.q.zero_point)
    return to.program.constant(name, torch.tensor([integer], dtype=torch.int8), None, "int8", grid)


def elu(to: Lowering, op: Op) -> Value:
    """ELU; with an alpha of its own as alpha * ELU(x) + (1 - alpha) * RELU(x), in float."""
    alpha = float(op.attrs["alpha"])
    if alpha == 1:
        return unary(to, op)
    x = to.read(op, real=True)
    bent = to.emit("ELU", f"{op.name}/elu", [x.tensor], x)
    straight = to.emit("RELU", f"{op.name}/relu", [x.tensor], x)

    def times(y: Value, role: str, factor: float) -> Value:
        constant = to.program.constant(f"{op.name}/{role}", torch.tensor([factor]))
        return to.emit("MUL", f"{op.name}/{role}_times", [y.tensor, constant], y)

    bent, straight = times(bent, "alpha", alpha), times(straight, "rest", 1 - alpha)
    return to.emit("ADD", op.name, [bent.tensor, straight.tensor], bent)


def hardsigmoid(to: Lowering, op: Op) -> Value:
    """relu6(x + 3) / 6: ADD with its activation fused, and MUL."""
    x, integers = to.read(op), to.int8(op)
    three, _ = to.constant(op, "three", torch.tensor([3.0]), integers)
    sixth, _ = to.constant(op, "sixth", torch.tensor([1 / 6]), integers)
    between = replace(x, q=HARDSIGMOID_SUM if integers else None)
    y = to.emit("ADD", f"{op.name}/add", [x.tensor, three], between, fusedActivationFunction="RELU6")
    return to.emit("MUL", op.name, [y.tensor, sixth], replace(y, q=_quantization(to, op)))


def silu(to: Lowering, op: Op) -> Value:
    """x * sigmoid(x): LOGISTIC and MUL."""
    x, integers = to.read(op), to.int8(op)
    gate = replace(x, q=FIXED_OUTPUT["sigmoid"] if integers else None)
    y = to.emit("LOGISTIC", f"{op.name}/sigmoid", [x.tensor], gate)
    return to.emit("MUL", op.name, [x.tensor, y.tensor], replace(x, q=_quantization(to, op)))


def prelu(to: Lowering, op: Op) -> Value:
    """PRELU with a slope per channel."""
    x = to.read(op)
    slope = to.graph.tensors(op)["weight"].expand(op.shape[1])
    shaped = operand(slope.reshape(-1, *[1] * (len(op.shape) - 2)), x.layout, len(op.shape))
    constant, _ = to.constant(op, "slope", shaped, x.q is not None)
    return to.emit("PRELU", op.name, [x.tensor, constant], replace(x, q=_quantization(to, op)))


def softmax(to: Lowering, op: Op) -> Value:
    """SOFTMAX or LOG_SOFTMAX over the last stored axis."""
    x, dim = to.read(op), op.attrs["dim"]
    x = to.arranged(x, (*(axis for axis in x.layout if axis != dim), dim), op.name)
    flat, _ = few_axes(to, x, (dim,), op.name)
    options = {"beta": 1.0} if op.kind == "softmax" else {}
    form = replace(flat, q=_quantization(to, op))
    return to.emit_joined(op.kind.upper(), op.name, [flat.tensor], form, replace(x, q=form.q), **options)


def softplus(to: Lowering, op: Op) -> Value:
    """log(1 + exp(z)) / beta with z = beta * x, as relu(z) + log(1 + exp(-|z|)), where nothing overflows.

    Above torch's threshold this is z to the last bit where the threshold is torch's own 20; a lower one is SELECT_V2.
    """
    x, name, beta, threshold = to.read(op, real=True), op.name, float(op.attrs["beta"]), float(op.attrs["threshold"])
    z = x if beta == 1 else _times(to, x, beta, f"{name}/scaled")
    far = to.emit("ABS", f"{name}/abs", [z.tensor], z)
    far = to.emit("NEG", f"{name}/neg", [far.tensor], z)
    far = to.emit("EXP", f"{name}/exp", [far.tensor], z)
    one = to.program.constant(f"{name}/one", torch.tensor([1.0]))
    far = to.emit("ADD", f"{name}/more", [far.tensor, one], z)
    far = to.emit("LOG", f"{name}/log", [far.tensor], z)
    near = to.emit("RELU", f"{name}/relu", [z.tensor], z)
    last = beta == 1 and threshold >= _EXACT
    y = to.emit("ADD", name if last else f"{name}/sum", [near.tensor, far.tensor], z)
    if threshold < _EXACT:
        limit = to.program.constant(f"{name}/threshold", torch.tensor([threshold]))
        above = to.emit("GREATER", f"{name}/above", [z.tensor, limit], replace(z, dtype="bool"))
        y = to.emit("SELECT_V2", f"{name}/linear", [above.tensor, z.tensor, y.tensor], z)
    return y if beta == 1 else _times(to, y, 1 / beta, name)


_EXACT = 17.0  # from here on softplus(z) is z in float32


def _times(to: Lowering, x: Value, factor: float, name: str) -> Value:
    return to.emit("MUL", name, [x.tensor, to.program.constant(f"{name}/factor", torch.tensor([factor]))], x)


# erf(z) for z >= 0 is 1 - (a1 t + ... + a5 t^5) exp(-z^2) with t = 1 / (1 + p z), to 1.5e-7
# (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_P = 0.3275911


def erf(to: Lowering, op: Op) -> Value:
    """TFLite has no error function: a polynomial and an exponential that are as good as float32."""
    x, name = to.read(op, real=True), op.name

    def step(builtin: str, part: str, a: Value, b: Value | float) -> Value:
        right = b.tensor if isinstance(b, Value) else to.program.constant(f"{name}/{part}/number", torch.tensor([b]))
        return to.emit(builtin, f"{name}/{part}", [a.tensor, right], a)

    z = to.emit("ABS", f"{name}/abs", [x.tensor], x)
    t = step("ADD", "denominator", step("MUL", "p", z, _ERF_P), 1.0)
    one = to.program.constant(f"{name}/one", torch.tensor([1.0]))
    t = to.emit("DIV", f"{name}/t", [one, t.tensor], x)
    y = step("MUL", "a5", t, _ERF[4])
    for index, factor in reversed(list(enumerate(_ERF[:4], start=1))):
        y = step("MUL", f"t{index}", step("ADD", f"a{index}", y, factor), t)
    square = to.emit("NEG", f"{name}/square", [step("MUL", "z2", z, z).tensor], x)
    y = step("MUL", "product", y, to.emit("EXP", f"{name}/exp", [square.tensor], x))
    y = to.emit("SUB", f"{name}/size", [one, y.tensor], x)
    return step("MUL", "signed", y, to.emit("SIGN", f"{name}/sign", [x.tensor], x))


LOWERINGS: dict[str, Lower] = {
    "relu": relu,
    "clip": clip,
    **dict.fromkeys(UNARY, unary),
    "elu": elu,
    "hardsigmoid": hardsigmoid,
    "silu": silu,
    "prelu": prelu,
    "softmax": softmax,
    "log_softmax": softmax,
    "cast": cast,
    "reciprocal": reciprocal,
    "softplus": softplus,
    "erf": erf,
    "atan": atan,
}
