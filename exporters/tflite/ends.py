"""The inputs and outputs of a program: the types and the order of axes in which a caller hands values in and out."""

from __future__ import annotations

from edgekit.exporters.tflite.layout import border, stored_shape
from edgekit.exporters.tflite.lowering import Lowering, Value, stored_dtype
from edgekit.ir.graph import Op


def given(to: Lowering, op: Op, io: str, torchs_axes: bool) -> Value:
    """Return what a caller hands in, in the order and type in which the operators read it."""
    layout, dtype = border(len(op.shape), torchs_axes), _given_dtype(op)
    in_integers = to.quantized is not None and io != "float32" and dtype == "float32"
    q = to.quantized.activations[op.name] if to.quantized and in_integers else None
    theirs = q.unsigned if q and io == "uint8" else q
    tensor = to.program.activation(op.name, stored_shape(op.shape, layout), theirs, dtype)
    to.program.inputs.append(tensor)
    value = Value(tensor, op.shape, layout, theirs, dtype=dtype)
    if any(reader.kind != "cast" for reader in to.readers[op.name]):
        value = to.converted(value, stored_dtype(op), f"{op.name}/{stored_dtype(op)}")
    return to.requantized(value, q, f"{op.name}/int8") if q else value


def hand_out(to: Lowering, public: str, name: str, io: str, torchs_axes: bool) -> None:
    """Hand a value out. One that is handed in, handed out already or owned is copied first."""
    value = to.value(name)
    value = to.arranged(value, border(len(value.shape), torchs_axes), name)
    if io == "float32":
        value = to.real(value, name)
    elif to.quantized and to.ops[name].dtype.is_floating_point:
        q = value.q or to.quantized.activations[name]
        value = to.requantized(value, q, f"{name}/int8")
        value = to.requantized(value, q.unsigned, f"{name}/uint8") if io == "uint8" else value
    taken = (*to.program.inputs, *to.program.outputs)
    if value.tensor in taken or to.program.tensors[value.tensor].constant is not None:
        sizes = stored_shape(value.shape, value.layout)
        ends = to.program.integers((-1, *sizes[1:]) if sizes else ())
        value = to.emit("RESHAPE", name, [value.tensor, ends], value)
    to.program.outputs.append(value.tensor)
    if public != name or len(to.graph.outputs) > 1:
        to.program.rename(value.tensor, public)


def _given_dtype(op: Op) -> str:
    """The type that a caller hands over: of an input of whole numbers its own."""
    return "float32" if op.dtype.is_floating_point else str(op.dtype).removeprefix("torch.")
