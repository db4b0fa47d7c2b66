"""torch, eagerly: runs .onnx files operator by operator, as a second opinion and as what a network costs unexported.

On a GPU with the provider "cuda"; with "cuda-graph" its kernels are launched together, as one graph.

The file is the same that other runtimes run; a torch program on disk would be a pickle, or could fall back to one.
Float files only. It is loaded by edgekit here, and by the runner on a device. What it knows of operators is in
torch_operators.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import onnx
import torch
from onnx import helper, numpy_helper

from .. import cuda_torch
from ..tensor import Tensor
from . import torch_operators

if TYPE_CHECKING:  # Python 3.8 cannot subscript it at run time
    Function = Callable[..., Any]


PROVIDERS = ("cpu", "cuda", "cuda-graph")


class Step(NamedTuple):
    """A function, the names of what it reads, the name of what it makes, and what nobody reads after it."""

    function: Function
    inputs: tuple[str, ...]
    output: str
    dead: tuple[str, ...]


class Session:
    """An open .onnx file, its weights as torch tensors."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        threads, batch = options.get("threads") or 1, options.get("batch")
        self._provider = _provider(options.get("provider"))
        self._device = "cpu" if self._provider == "cpu" else "cuda"
        torch.set_num_threads(threads)
        graph, self._weights = _read(path)
        self.inputs = [_tensor(value, batch) for value in graph.input if value.name not in self._weights]
        self.outputs = [_tensor(value, batch) for value in graph.output]
        arrays = dict(self._weights)
        self._weights = {name: torch.from_numpy(array.copy()).to(self._device) for name, array in arrays.items()}
        self._steps = _steps(graph, arrays)
        self._step: Any = None
        self._found: dict[str, Any] = {
            "runtime_version": torch.__version__,
            "threads": torch.get_num_threads(),
            "batch": batch,
            "provider": self._provider,
            "timed": "eager operators, inputs and outputs as tensors",
            **(cuda_torch.settings() if self._device == "cuda" else {}),
        }

    @property
    def found(self) -> dict[str, Any]:
        """What really runs the file; on a GPU also the time there of the latest inferences."""
        return {**self._found, **(self._step.facts() if self._step else {})}

    def run(self, arrays: list[Any]) -> list[Any]:
        """The outputs for one array per input."""
        return [tensor.cpu().numpy() for tensor in self._infer(self._fed(arrays))]

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """What is timed: one inference on these arrays."""
        fed = self._fed(arrays)
        if self._device == "cpu":
            return lambda: self._infer(fed)
        as_graph = self._provider == "cuda-graph"
        step: Callable[[], object] = cuda_torch.Step(lambda: self._infer(fed), as_graph)
        self._step = step
        return step

    def _fed(self, arrays: list[Any]) -> dict[str, Any]:
        pairs = zip(self.inputs, arrays)  # noqa: B905 (strict= needs Python 3.10)
        return {value.name: torch.from_numpy(array).to(self._device) for value, array in pairs}

    def _infer(self, fed: dict[str, Any]) -> list[Any]:
        values = {**self._weights, **fed}
        with torch.inference_mode():
            for step in self._steps:
                values[step.output] = step.function(*[values[name] for name in step.inputs])
                for name in step.dead:
                    del values[name]
        return [values[output.name] for output in self.outputs]


def _provider(wish: str | None) -> str:
    name = (wish or "cpu").lower().replace("_", "-")
    if name not in PROVIDERS:
        raise ValueError("torch has the providers {}, not '{}'".format(", ".join(PROVIDERS), wish))
    if name != "cpu" and not torch.cuda.is_available():
        raise RuntimeError(f"provider {name}: this torch ({torch.__version__}) sees no CUDA GPU")
    return name


def preload() -> None:
    """Importing this file has imported the runtime: the baseline of the memory figure."""


def open_session(path: str, options: dict[str, Any]) -> Session:
    """Open a file. `options`: threads (default 1), batch (None: the file's), provider (None: cpu; see PROVIDERS).

    Raises ImportError without torch or onnx, ValueError for a broken file or an impossible wish, RuntimeError for an
    operator that torch_operators.py does not know.
    """
    if options.get("delegate"):
        raise ValueError("torch has providers, not delegates")
    return Session(path, options)


def _read(path: str) -> tuple[Any, dict[str, Any]]:
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's own class, which is private
        raise ValueError(f"{path} is no ONNX file: {error}") from error
    if not graph.node:
        raise ValueError(f"{path} holds no network")
    constants = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return graph, constants


def _tensor(value: Any, batch: int | None) -> Tensor:
    kind = value.type.tensor_type
    shape = [size.dim_value if size.HasField("dim_value") else -1 for size in kind.shape.dim]
    if -1 in shape[1:]:
        raise RuntimeError(f"'{value.name}' has free sizes beside the batch")
    if shape and batch is not None:
        if shape[0] not in (-1, batch):
            raise ValueError(f"the file fixes its batch at {shape[0]}, and {batch} was asked")
        shape[0] = batch
    return Tensor(value.name, str(helper.tensor_dtype_to_np_dtype(kind.elem_type)), tuple(shape))


def _steps(graph: Any, constants: dict[str, Any]) -> list[Step]:
    steps: list[Step] = []
    for raw in graph.node:
        if raw.op_type == "Constant":
            continue
        if raw.op_type not in torch_operators.OPERATORS:
            raise RuntimeError(f"torch has no form here for the operator {raw.op_type}")
        attributes = {item.name: helper.get_attribute_value(item) for item in raw.attribute}
        node = torch_operators.Node(raw.op_type, tuple(raw.input), tuple(raw.output), attributes, constants)
        read, build = torch_operators.OPERATORS[raw.op_type]
        inputs = tuple(name for name in node.inputs[:read] if name)
        steps.append(Step(build(node), inputs, node.outputs[0], ()))
    last = {name: index for index, step in enumerate(steps) for name in step.inputs}
    kept = {value.name for value in graph.output} | set(constants) | {value.name for value in graph.input}
    return [
        step._replace(dead=tuple(name for name in {*step.inputs} if last[name] == index and name not in kept))
        for index, step in enumerate(steps)
    ]
