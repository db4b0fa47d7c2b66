"""torch, eagerly: runs archives of torch.export (.pt2), and says what a network costs without a compiler.

On a GPU with the provider "cuda"; with "cuda-graph" its kernels are launched together, as one graph. It is loaded by
edgekit here, and by the runner on a device, which needs torch of the release that wrote the archive, or a newer one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument

from .. import cuda_torch, torch_archive
from ..tensor import Tensor

if TYPE_CHECKING:  # Python 3.8 cannot subscript it at run time
    from torch.export import ExportedProgram


PROVIDERS = ("cpu", "cuda", "cuda-graph")


class Session:
    """An open archive."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        threads, batch = options.get("threads") or 1, options.get("batch")
        self._provider = _provider(options.get("provider"))
        self._device = "cpu" if self._provider == "cpu" else "cuda"
        torch.set_num_threads(threads)
        program, names, _ = torch_archive.load(Path(path))
        self.inputs, self.outputs = _sides(program, names, batch)
        self._graph = moved(program, self._device).graph_module
        self._given, self._places, self._taken = _arguments(program)
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
        """Return the outputs for one array per input."""
        return [tensor.cpu().numpy() for tensor in self._infer(self._fed(arrays))]

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """Return what is timed: one inference on these arrays."""
        fed = self._fed(arrays)
        if self._device == "cpu":
            return lambda: self._infer(fed)
        as_graph = self._provider == "cuda-graph"
        step: Callable[[], object] = cuda_torch.Step(lambda: self._infer(fed), as_graph)
        self._step = step
        return step

    def _fed(self, arrays: list[Any]) -> list[Any]:
        """What the program's graph takes: its own tensors and numbers, and the inputs at their places."""
        fed = list(self._given)
        for place, array in zip(self._places, arrays):  # noqa: B905 (strict= needs Python 3.10)
            fed[place] = torch.from_numpy(array).to(self._device)
        return fed

    def _infer(self, fed: list[Any]) -> list[Any]:
        with torch.inference_mode():
            answered = self._graph(*fed)
        return [answered[place] for place in self._taken]


def _provider(wish: str | None) -> str:
    name = (wish or "cpu").lower().replace("_", "-")
    if name not in PROVIDERS:
        raise ValueError("torch has the providers {}, not '{}'".format(", ".join(PROVIDERS), wish))
    if name != "cpu" and not torch.cuda.is_available():
        raise RuntimeError(f"provider {name}: this torch ({torch.__version__}) sees no CUDA GPU")
    return name


def preload() -> None:
    """Load what opens archives: the baseline of the memory figure."""
    __import__("torch.export.pt2_archive._package")


def open_session(path: str, options: dict[str, Any]) -> Session:
    """Open a file. `options`: threads (default 1), batch (None: the file's), provider (None: cpu; see PROVIDERS).

    Raises ImportError without torch, ValueError for a broken file or an impossible wish, RuntimeError for a provider
    that is not there and for inputs that no array can be.
    """
    if options.get("delegate"):
        raise ValueError("torch has providers, not delegates")
    return Session(path, options)


def moved(program: ExportedProgram, device: str) -> ExportedProgram:
    """Return the program with its tensors, and those that it makes, on another device."""
    if device == "cpu":
        return program
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(program, device)


def _sides(program: ExportedProgram, names: dict[str, list[str]], batch: int | None) -> list[list[Tensor]]:
    """The inputs and the outputs; without names of edgekit's, under those of the program."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    signature = program.graph_signature
    sides = {
        "inputs": [one.arg for one in signature.input_specs if one.kind == InputKind.USER_INPUT],
        "outputs": [one.arg for one in signature.output_specs if one.kind == OutputKind.USER_OUTPUT],
    }
    found = []
    for side, every in sides.items():
        tensors = [one.name for one in every if isinstance(one, TensorArgument)]
        known = names.get(side, ())
        called = known if len(known) == len(tensors) else tensors
        found.append([_tensor(name, values[own], batch) for name, own in zip(called, tensors)])  # noqa: B905
    return found


def _tensor(name: str, value: Any, batch: int | None) -> Tensor:
    shape = [size if isinstance(size, int) else -1 for size in value.shape]
    if -1 in shape[1:]:
        raise RuntimeError(f"'{name}' has free sizes beside the batch")
    if value.dtype == torch.bfloat16 or value.is_complex():
        raise RuntimeError(f"'{name}' is {value.dtype}, which no array is here")
    if shape and batch is not None:
        if shape[0] not in (-1, batch):
            raise ValueError(f"the file fixes its batch at {shape[0]}, and {batch} was asked")
        shape[0] = batch
    return Tensor(name, str(value.dtype).replace("torch.", ""), tuple(shape))


def _arguments(program: ExportedProgram) -> tuple[list[Any], list[int], list[int]]:
    """What the graph takes, without the inputs; their places; and which of its answers are outputs."""
    held = {**program.state_dict, **program.constants}
    given: list[Any] = []
    places = []
    for one in program.graph_signature.input_specs:
        if one.kind != InputKind.USER_INPUT:
            given.append(held[one.target or ""])
        elif isinstance(one.arg, TensorArgument):
            places.append(len(given))
            given.append(None)
        else:
            given.append(getattr(one.arg, "value", None))
    outputs = enumerate(program.graph_signature.output_specs)
    taken = [
        place for place, one in outputs if one.kind == OutputKind.USER_OUTPUT and isinstance(one.arg, TensorArgument)
    ]
    return given, places, taken
