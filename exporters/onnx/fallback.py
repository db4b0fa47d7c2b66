"""An operator without an ONNX form of ours: torch exports it alone, it is proved, and its nodes are taken over."""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekit.errors import USERS_CODE, UsageError, first_line
from edgekit.exporters.onnx.emitter import Emission
from edgekit.ir.graph import Op
from edgekit.ir.reference import KERNELS
from edgekit.records.runtime import choose
from edgekit.util import apart

PROOF, PROOF_SECONDS = "edgekit.exporters.onnx.proof:answer", 300.0
FLOAT16 = onnx.TensorProto.FLOAT16
# How near values of float32, and of float16, must be, and what share of them: one that lies on an edge may be rounded
# to either side.
ROUNDING = {False: (1e-3, 0.999), True: (2e-2, 0.99)}


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
    """Add the nodes into which torch turns the operator; in float32, between casts, where float16 cannot have it.

    Raises UsageError where torch cannot write it, or writes something else than it computes, and BackendMissing without
    onnxruntime.
    """
    choose(Path("operator.onnx"))  # where the runtime that proves it is missing, that is the cause
    outside = [*x, *(own[role] for role in op.params if "module" not in op.attrs)]
    examples, kernel = _examples(e, op), _module(op)
    if e.half:
        try:
            _take_over(e, op, _exported(e, op, kernel.half(), examples), outside, out)
            return
        except UsageError:
            examples, kernel = [_of_type(value, torch.float32) for value in examples], kernel.float()
    exported = _exported(e, op, kernel, examples)
    if e.half:
        outside = [
            _cast(e, name, value, f"{op.name}/in{i}")
            for i, (name, value) in enumerate(zip(outside, examples, strict=True))
        ]
    _take_over(e, op, exported, outside, out)


def _take_over(e: Emission, op: Op, exported: Any, outside: list[str], out: str) -> None:
    """The nodes of an exported graph under our names, and a cast where it gives more than half precision."""
    wide = e.half and op.dtype.is_floating_point and exported.output[0].type.tensor_type.elem_type != FLOAT16
    names = {f"in{i}": name for i, name in enumerate(outside)} | {"out": f"{op.name}/wide" if wide else out, "": ""}
    for tensor in exported.initializer:
        names[tensor.name] = e.constant(f"{op.name}/{tensor.name}", onnx.numpy_helper.to_array(tensor))
    for index, node in enumerate(exported.node):
        for name in node.output:
            names.setdefault(name, f"{op.name}/{name.strip('/')}")
        taken = onnx.NodeProto()
        taken.CopyFrom(node)
        taken.name = op.name if names["out"] in [names[name] for name in node.output] else f"{op.name}/{index}"
        taken.input[:] = [names[name] for name in node.input]
        taken.output[:] = [names[name] for name in node.output]
        e.nodes.append(taken)
    if wide:
        e.node("Cast", [names["out"]], out, f"{op.name}/half", to=FLOAT16)


def _cast(e: Emission, name: str, like: Tensor, wide: str) -> str:
    return e.node("Cast", [name], wide, to=onnx.TensorProto.FLOAT) if like.is_floating_point() else name


def _module(op: Op) -> nn.Module:
    """The operator as a module of its own, which may be changed."""
    # Its tensors stay inside: torch does not trace a module whose tensors are handed over.
    return copy.deepcopy(op.attrs["module"]) if "module" in op.attrs else _Kernel(op)


def _examples(e: Emission, op: Op) -> list[Tensor]:
    """Inputs to export and to prove it with, drawn (seeded) where they are real numbers; then the operator's own."""
    drawn = torch.Generator().manual_seed(0)
    given = [e.graph[name] for name in op.inputs]
    inputs = [
        _of_type(torch.randn(one.shape, generator=drawn), e.dtype(one))
        if one.dtype.is_floating_point
        else torch.zeros(one.shape, dtype=one.dtype)
        for one in given
    ]
    return inputs if "module" in op.attrs else [*inputs, *e.tensors(op).values()]


def _of_type(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value


def _exported(e: Emission, op: Op, kernel: nn.Module, examples: list[Tensor]) -> Any:
    """The operator's graph as torch writes it, proved to compute what torch computes."""
    names = [f"in{i}" for i in range(len(examples))]
    free = {name: {0: "batch"} for name in [*names[: len(op.inputs)], "out"]} if e.dynamic_batch else None
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _unlogged(), torch.no_grad():
            # The exporter that needs no further package calls itself deprecated; its remarks are for
            # those who export by hand: here the proof decides.
            warnings.simplefilter("ignore")
            path, given, answered = (Path(folder) / name for name in ("operator.onnx", "given.npz", "answered.npy"))
            torch.onnx.export(
                kernel.eval(),
                tuple(examples),
                path,
                dynamo=False,
                opset_version=e.opset,
                input_names=names,
                output_names=["out"],
                dynamic_axes=free,
            )
            np.savez(given, *(value.detach().numpy() for value in examples))
            apart.call(PROOF, str(path), str(given), str(answered), seconds=PROOF_SECONDS)
            model = onnx.load(path)
            same = _alike(np.load(answered), kernel(*examples).detach().numpy())
    except apart.NoAnswer as error:
        raise _refusal(op, f"what runs it {error}") from error
    except USERS_CODE as error:  # torch, onnx and its runtime raise many kinds here, and user code runs too
        raise _refusal(op, first_line(error)) from error
    if any(attribute.HasField("g") for node in model.graph.node for attribute in node.attribute):
        raise _refusal(op, "it branches or loops")
    if not same:
        raise _refusal(op, "what torch writes for it gives other values than torch computes")
    return model.graph


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without what torch prints of a graph that it cannot write, which it does even where its log is off."""
    name = "_jit_onnx_log"
    kept = getattr(torch._C, name, None)
    if kept is None:
        yield
        return
    setattr(torch._C, name, lambda *parts: None)
    try:
        yield
    finally:
        setattr(torch._C, name, kept)


def _alike(got: NDArray[Any], want: NDArray[Any]) -> bool:
    tolerance, share = ROUNDING[want.dtype == np.float16]
    finite = np.abs(want[np.isfinite(want)])
    largest = float(finite.max()) if finite.size else 0.0
    close = np.isclose(got, want, tolerance, tolerance * largest, equal_nan=True)
    return got.shape == want.shape and bool(close.mean() >= share)


def _refusal(op: Op, why: str) -> UsageError:
    label = op.attrs.get("label", op.kind)
    return UsageError(
        f"{op.place}: '{label}' has no form in ONNX: {why}", "replace the operator, or try another --opset (13 to 20)"
    )
