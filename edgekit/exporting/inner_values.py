"""What a written int8 file gives inside: the value of each layer that it keeps, as real numbers in torch's layout.

The runtimes are asked for more outputs than the file has. onnxruntime still joins the same nodes, because only tensors
that exist as integers are asked for; LiteRT runs without a delegate, which would keep none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit.exporting.stored_values import stored, to_layout
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import QuantizedGraph
from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import Preprocessing

Array = NDArray[np.float32]


def inner_values(
    path: Path, quantized: QuantizedGraph, given: TensorRecord, x: Array, preprocessing: Preprocessing | None
) -> dict[str, Tensor]:
    """The layers' values on inputs x (N, C, *spatial), by operator name; empty for a format that shows none."""
    run = {".onnx": _onnx, ".tflite": _tflite}.get(path.suffix)
    if run is None:
        return {}
    answer = run(path, quantized)
    each = [answer(to_layout(stored(one[None], given, preprocessing), given.layout)) for one in x]
    return {name: torch.cat([found[name] for found in each]) for name in each[0]}


Answer = Callable[[NDArray[Any]], dict[str, Tensor]]


def _onnx(path: Path, quantized: QuantizedGraph) -> Answer:
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    made = {output for node in model.graph.node for output in node.output}
    wanted = {op.name: f"{op.name}/integers" for op in quantized.graph if f"{op.name}/integers" in made}
    final = quantized.graph.output
    wanted |= {} if final in wanted else {final: final}
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
        return torch.from_numpy((y.astype(np.float32) - zero.astype(np.float32)) * scale)

    def answer(fed: NDArray[Any]) -> dict[str, Tensor]:
        found = session.run(list(wanted.values()), {session.get_inputs()[0].name: fed})
        return {name: real(tensor, y) for (name, tensor), y in zip(wanted.items(), found, strict=True)}

    return answer


def _tflite(path: Path, quantized: QuantizedGraph) -> Answer:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    known = {detail["name"]: detail for detail in interpreter.get_tensor_details()}
    fused = fused_activations(quantized.graph)
    shown: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {}
    for op in quantized.graph:
        last = fused.get(op.name, op)
        detail = known.get(op.name if last is op else f"{op.name};{last.name}")
        if detail is not None and op.kind not in ("reshape", "permute", "input"):  # whose axes may lie in another order
            shown[last.name] = detail, last.shape

    def answer(fed: NDArray[Any]) -> dict[str, Tensor]:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], fed)
        interpreter.invoke()
        found = {name: _real(interpreter.get_tensor(detail["index"]), detail) for name, (detail, _) in shown.items()}
        return {name: torch.from_numpy(y) for name, y in found.items() if y.shape == shown[name][1]}

    return answer


def _real(y: NDArray[Any], detail: dict[str, Any]) -> Array:
    """A tensor of the file as real numbers, channels first."""
    scale, zero = detail["quantization"]
    real = (y.astype(np.float32) - zero) * np.float32(scale) if scale else y.astype(np.float32)
    return np.ascontiguousarray(np.moveaxis(real, -1, 1) if real.ndim > 2 else real)
