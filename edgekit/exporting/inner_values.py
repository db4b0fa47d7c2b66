"""What a written file gives inside: the value of each layer that it keeps, as real numbers in torch's layout.

The runtimes are asked for more outputs than the file has. onnxruntime still joins the same nodes, because only tensors
that exist as integers are asked for; LiteRT runs without a delegate, which would keep none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit.exporters.tflite.layout import Layout, border
from edgekit.exporters.tflite.lowering_table import kept
from edgekit.exporting.stored_values import stored, to_layout
from edgekit.ir import near_ties
from edgekit.ir.graph import Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import Preprocessing

Array = NDArray[np.float32]
SHOWING = (".onnx", ".tflite")  # files that give inner values; an engine keeps none


def inner_values(
    path: Path,
    quantized: QuantizedGraph,
    given: Sequence[TensorRecord],
    xs: Sequence[Array],
    preprocessing: Preprocessing | None = None,
    how: tuple[str, str] = ("float32", "nhwc"),
    islands: bool = False,
) -> dict[str, Tensor]:
    """Return the layers' values on inputs (N, C, *spatial) by operator name; empty for a format that shows none.

    `how` is the file's --io and --layout. With `islands` an ONNX file shows all that it computes in float, too, and not
    the choices among it alone, which may fall otherwise where values tie. A TFLite file always does.
    """
    if path.suffix not in SHOWING:
        return {}
    answer = _onnx(path, quantized, islands) if path.suffix == ".onnx" else _tflite(path, quantized, how)
    pixels = [preprocessing if one is given[0] else None for one in given]
    fed = zip(*xs, strict=True)
    each = [
        answer([to_layout(stored(x[None], to, by), to.layout) for x, to, by in zip(row, given, pixels, strict=True)])
        for row in fed
    ]
    if len(each) == 1:
        return each[0]
    return {name: torch.cat([found[name] for found in each]) if y.dim() else y for name, y in each[0].items()}


Answer = Callable[[list[NDArray[Any]]], dict[str, Tensor]]


def _onnx(path: Path, quantized: QuantizedGraph, islands: bool) -> Answer:
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    made = {output for node in model.graph.node for output in node.output}
    wanted = {op.name: f"{op.name}/integers" for op in quantized.graph if f"{op.name}/integers" in made}
    ends = {op.name: public for op, public in _ends(quantized) if op.name not in wanted and public in made}
    wanted |= ends
    floats = [quantized.graph[name] for name in quantized.islands if name not in wanted and name in made]
    wanted |= {op.name: op.name for op in floats if islands or near_ties.is_choice(op)}
    inside = fused_activations(quantized.graph)
    free = (op.name for op in quantized.graph if op.name not in {*quantized.activations, *quantized.islands, *inside})
    wanted |= {name: name for name in free if name not in wanted and name in made}  # sums that nothing rounds
    outputs = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted.values() if name not in outputs)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    grids = {node.input[0]: node.input[1:] for node in model.graph.node if node.op_type == "DequantizeLinear"}

    def real(tensor: str, y: NDArray[Any]) -> Tensor:
        if tensor not in grids:
            return torch.from_numpy(y)
        scale, zero = (constants[name] for name in grids[tensor])
        return torch.from_numpy(np.asarray((y.astype(np.float32) - zero.astype(np.float32)) * scale))

    names = [one.name for one in session.get_inputs()]

    def answer(fed: list[NDArray[Any]]) -> dict[str, Tensor]:
        found = session.run(list(wanted.values()), dict(zip(names, fed, strict=True)))
        return {name: real(tensor, y) for (name, tensor), y in zip(wanted.items(), found, strict=True)}

    return answer


def _ends(quantized: QuantizedGraph) -> list[tuple[Op, str]]:
    return [(quantized.graph[name], public) for public, name in quantized.graph.outputs.items()]


def _tflite(path: Path, quantized: QuantizedGraph, how: tuple[str, str]) -> Answer:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    details = interpreter.get_tensor_details()
    known = {detail["name"].rpartition(";")[2]: detail for detail in details}  # of joined operators the last
    known |= {detail["name"]: detail for detail in details}
    inside = fused_activations(quantized.graph)
    places = kept(quantized, how[0], how[1] == "nchw")
    ends = zip(quantized.graph.outputs.values(), interpreter.get_output_details(), strict=True)
    shown: dict[str, tuple[dict[str, Any], Layout]] = {
        name: (detail, border(len(detail["shape"]), how[1] == "nchw")) for name, detail in ends
    }
    for op in quantized.graph:
        moved = op.kind in ("input", "reshape", "permute")  # which give a tensor of another operator, as a rule
        if not moved and op.name not in inside and op.name in places:
            tensor, layout = places[op.name]
            detail = known.get(tensor, known.get(op.name))  # a file that is wrong may join other operators
            shown |= {op.name: (detail, layout)} if detail and len(detail["shape"]) == len(layout) else {}

    def answer(fed: list[NDArray[Any]]) -> dict[str, Tensor]:
        for detail, y in zip(interpreter.get_input_details(), fed, strict=True):
            interpreter.set_tensor(detail["index"], y)
        interpreter.invoke()
        return {
            name: _real(interpreter.get_tensor(detail["index"]), detail, layout)
            for name, (detail, layout) in shown.items()
        }

    return answer


def _real(y: NDArray[Any], detail: dict[str, Any], layout: Layout) -> Tensor:
    """A tensor of the file as real numbers with torch's axes."""
    scale, zero = detail["quantization"]
    real = (y.astype(np.float32) - zero) * np.float32(scale) if scale else y.astype(np.float32)
    axes = [axis for axis in layout if axis is not None]
    sizes = [size for size, axis in zip(y.shape, layout, strict=True) if axis is not None]
    bare = torch.from_numpy(np.asarray(real)).reshape(sizes)  # arithmetic of one number gives no array
    return bare.permute([axes.index(axis) for axis in range(len(axes))])
