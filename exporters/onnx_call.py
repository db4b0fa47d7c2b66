"""An operator without an ONNX form of ours: torch exports it alone, and its nodes are taken over."""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from edgekit.errors import UsageError
from edgekit.exporters.onnx_emit import Emission
from edgekit.graph import Op
from edgekit.kernels import KERNELS


class _Kernel(nn.Module):
    """One operator as a module of its inputs and then its own tensors, so that these keep their names."""

    def __init__(self, op: Op) -> None:
        super().__init__()
        self.op = op

    def forward(self, *tensors: Tensor) -> Tensor:
        count = len(self.op.inputs)
        own = dict(zip(self.op.params, tensors[count:], strict=True))
        return KERNELS[self.op.kind](self.op, list(tensors[:count]), own)


def inline(e: Emission, op: Op, x: list[str], own: dict[str, str], out: str) -> None:
    """Add the nodes into which torch turns the operator. Raises UsageError where torch cannot."""
    outside = [*x, *(own[role] for role in op.params if "module" not in op.attrs)]
    exported = _export(e, op, [f"in{i}" for i in range(len(outside))]).graph
    names = {f"in{i}": name for i, name in enumerate(outside)} | {"out": out, "": ""}
    for tensor in exported.initializer:
        names[tensor.name] = e.constant(f"{op.name}/{tensor.name}", onnx.numpy_helper.to_array(tensor))
    for index, node in enumerate(exported.node):
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise _refusal(op, "it branches or loops")
        for name in node.output:
            names.setdefault(name, f"{op.name}/{name.strip('/')}")
        taken = onnx.NodeProto()
        taken.CopyFrom(node)
        taken.name = op.name if out in [names[name] for name in node.output] else f"{op.name}/{index}"
        taken.input[:] = [names[name] for name in node.input]
        taken.output[:] = [names[name] for name in node.output]
        e.nodes.append(taken)


def _export(e: Emission, op: Op, names: list[str]) -> Any:
    examples = [torch.zeros(e.graph[name].shape, dtype=e.dtype(e.graph[name])) for name in op.inputs]
    kernel: nn.Module = _Kernel(op)
    if "module" in op.attrs:  # its tensors stay inside: torch does not trace a module whose tensors are handed over
        kernel = copy.deepcopy(op.attrs["module"]).to(e.dtype(op))
    else:
        examples += e.tensors(op).values()
    free = {name: {0: "batch"} for name in [*names[: len(op.inputs)], "out"]} if e.dynamic_batch else None
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            # The exporter that needs no further package calls itself deprecated; its remarks are for
            # those who export by hand: here parity decides.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                kernel.eval(),
                tuple(examples),
                Path(folder) / "operator.onnx",
                dynamo=False,
                opset_version=e.opset,
                input_names=names,
                output_names=["out"],
                dynamic_axes=free,
            )
            return onnx.load(Path(folder) / "operator.onnx")
    except Exception as error:  # torch raises many kinds here, and user code runs too
        raise _refusal(op, (str(error).strip() or type(error).__name__).splitlines()[0]) from error


def _refusal(op: Op, why: str) -> UsageError:
    label = op.attrs.get("label", op.kind)
    return UsageError(
        f"{op.name}: '{label}' has no form in ONNX: {why}", "replace the operator, or try another --opset (13 to 20)"
    )
