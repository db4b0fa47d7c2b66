"""ONNX Runtime: runs .onnx files.

It is loaded by edgekit here, and by the runner on a device.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..tensor import Tensor

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
# fp32 is computed as fp32: TF32 keeps 10 bits of it.
PROVIDER_OPTIONS = {CUDA: {"use_tf32": "0"}}
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}
# By class name: the module they come from is private. Everything else means that this runtime cannot run the file.
BROKEN_FILE = {"InvalidProtobuf", "NoSuchFile", "InvalidArgument"}
INFO, WARNING = 1, 2  # how much onnxruntime logs
ARENA_RUNS = 3  # the first plans how activations share memory


class Session:
    """An open .onnx file; `found` says what really runs it."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        import onnxruntime

        threads, batch = options.get("threads") or 1, options.get("batch")
        provider = provider_of(onnxruntime, options.get("provider"))
        self._session = opened(onnxruntime, path, threads, provider, unoptimized=bool(options.get("unoptimized")))
        given = _given(options.get("shapes") or {}, [value.name for value in self._session.get_inputs()])
        strict = not options.get("free")
        self.inputs = [_tensor(value, batch, strict, given.get(value.name)) for value in self._session.get_inputs()]
        self.outputs = [_tensor(value, batch, strict=False) for value in self._session.get_outputs()]
        self._names = [value.name for value in self.outputs]
        self.found: dict[str, Any] = {
            "runtime_version": onnxruntime.__version__,
            "threads": self._session.get_session_options().intra_op_num_threads,
            "batch": batch,
            "spinning": threads > 1,
            "timed": "InferenceSession.run: inputs as they lie, outputs allocated",
            **_assigned(self._session, provider),
        }
        if given:
            self.found["input_shapes"] = {value.name: list(value.shape) for value in self.inputs}
        self.on_gpu = provider in (CUDA, TENSORRT)
        if self.on_gpu:
            self.found["timed"] = "run_with_iobinding and the wait for it: inputs and outputs in GPU memory, no copies"
            if self.found["nodes_by_provider"] is None:
                inputs = [value._replace(shape=(batch or 1, *value.shape[1:])) for value in self.inputs]
                self.found["nodes_by_provider"] = profiled(onnxruntime, path, threads, provider, inputs)

    def run(self, arrays: list[Any]) -> list[Any]:
        """Return the outputs for one array per input."""
        outputs: list[Any] = self._session.run(self._names, self._feed(arrays))
        return outputs

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """Return what is timed: one inference on these arrays."""
        if self.on_gpu:
            return self.bound(arrays, "cuda")
        run, names, feed = self._session.run, self._names, self._feed(arrays)
        return lambda: run(names, feed)

    def bound(self, arrays: list[Any], device: str) -> Callable[[], object]:
        """Return one inference on arrays in a device's memory, whose outputs stay there, with the wait for it."""
        import onnxruntime

        binding = self._session.io_binding()
        for name, array in self._feed(arrays).items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, device, 0))
        for name in self._names:
            binding.bind_output(name, device)
        run, wait = self._session.run_with_iobinding, binding.synchronize_outputs

        def step() -> None:
            run(binding)
            wait()

        return step

    def _feed(self, arrays: list[Any]) -> dict[str, Any]:
        return {value.name: array for value, array in zip(self.inputs, arrays)}  # noqa: B905 (strict= needs Python 3.10)


def preload() -> None:
    """Import the runtime and open nothing: the baseline of the memory figure."""
    import onnxruntime

    onnxruntime.SessionOptions()


def open_session(path: str, options: dict[str, Any]) -> Session:
    """Open a file.

    `options`: threads (default 1), batch (None: the file's), shapes (of inputs with sizes that are free beside the
    batch, by name; "": of the only input), free (such sizes may stay so), unoptimized (each operator as the file has
    it), provider (None: the CPU's; or "cuda", "tensorrt" ...).
    Raises ImportError without the package, ValueError for a broken file or an impossible wish, RuntimeError where
    this onnxruntime cannot run the file as asked.
    """
    if options.get("delegate"):
        raise ValueError("onnxruntime has providers, not delegates")
    return Session(path, options)


def provider_of(onnxruntime: Any, wish: str | None) -> str:
    """Return the name of the provider that is asked for ("cuda"; None: the CPU's).

    Raises RuntimeError where there is none.
    """
    available = onnxruntime.get_available_providers()
    wanted = (wish or CPU).lower()
    for name in available:
        if wanted in (name.lower(), name.lower().replace("executionprovider", "")):
            return str(name)
    raise RuntimeError("this onnxruntime has no provider '{}'; it has {}".format(wish, ", ".join(available)))


def opened(
    onnxruntime: Any, path: str, threads: int, provider: str, profile: str | None = None, unoptimized: bool = False
) -> Any:
    """Open a session; with `profile` its profiler writes to files of that prefix.

    Raises ValueError for a broken file, RuntimeError where this onnxruntime cannot run it.
    """
    settings = onnxruntime.SessionOptions()
    if unoptimized:
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if profile is not None:
        settings.enable_profiling, settings.profile_file_prefix = True, profile
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # The default, said aloud because it belongs to the number: waiting threads burn their cores.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "1")
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")  # ignored before 1.24
    asked = (provider, PROVIDER_OPTIONS[provider]) if provider in PROVIDER_OPTIONS else provider
    providers = [asked] if provider == CPU else [asked, CPU]
    if provider == TENSORRT:  # what it does not take is the GPU's before it is the processor's
        providers.insert(1, (CUDA, PROVIDER_OPTIONS[CUDA]))
    if provider in (CUDA, TENSORRT) and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA's libraries may lie in packages of Python
    try:
        return onnxruntime.InferenceSession(path, settings, providers=providers)
    except Exception as error:
        message = f"{Path(path).name}: {str(error).splitlines()[0]}"
        if type(error).__name__ in BROKEN_FILE:
            raise ValueError(message) from error
        raise RuntimeError(message) from error


def _assigned(session: Any, provider: str) -> dict[str, Any]:
    """The provider that really runs the nodes; RuntimeError where it is not the one that was asked for."""
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"{provider} was asked for, and {session.get_providers()[0]} would run")
    try:
        parts = session.get_provider_graph_assignment_info()
    except (AttributeError, RuntimeError):
        return {"provider": provider, "nodes_by_provider": None}
    nodes: dict[str, int] = {}
    for part in parts:
        nodes[part.ep_name] = nodes.get(part.ep_name, 0) + len(part.get_nodes())
    return {"provider": provider, "nodes_by_provider": _checked(nodes, provider)}


def _checked(nodes: dict[str, int], provider: str) -> dict[str, int]:
    if nodes and not nodes.get(provider):
        raise RuntimeError("{} was asked for and runs no node; {} does".format(provider, ", ".join(nodes)))
    return nodes


def profiled(onnxruntime: Any, path: str, threads: int, provider: str, inputs: list[Tensor]) -> dict[str, int]:
    """Return how many nodes each provider really ran, seen in one inference of a session of its own.

    For releases that do not tell it otherwise. Raises RuntimeError where the provider that was asked for ran none.
    """
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        session = opened(onnxruntime, path, threads, provider, str(Path(folder) / "profile"))
        session.run(None, {value.name: np.zeros(value.shape, value.dtype) for value in inputs})
        events = json.loads(Path(session.end_profiling()).read_text())
    ran = {(event["name"], event["args"]["provider"]) for event in events if event.get("args", {}).get("provider")}
    nodes: dict[str, int] = {}
    for _, name in ran:
        nodes[name] = nodes.get(name, 0) + 1
    return _checked(nodes, provider)


def arena(path: str, options: dict[str, Any], arrays: list[Any]) -> dict[str, Any]:
    """Return what onnxruntime's arena has taken after a few inferences: weights that it rearranged, and activations.

    It tells so in its own log alone, so that a session of its own is made, with the log read from stderr.
    """
    import onnxruntime

    with tempfile.TemporaryFile() as log:
        stderr = os.dup(2)
        os.dup2(log.fileno(), 2)
        onnxruntime.set_default_logger_severity(INFO)
        try:
            session = Session(path, options)
            step = session.prepare(arrays)
            for _ in range(ARENA_RUNS):
                step()
        finally:
            onnxruntime.set_default_logger_severity(WARNING)
            os.dup2(stderr, 2)
            os.close(stderr)
        log.seek(0)
        taken = arenas(log.read().decode(errors="replace"))
    name = "Cuda" if session.on_gpu else "Cpu"
    if name not in taken:
        return {"arena_reason": "onnxruntime's log does not tell it"}
    return {
        "arena_bytes": taken[name],
        "arena_method": "onnxruntime's log of its arena: rearranged weights and activations",
    }


def arenas(log: str) -> dict[str, int]:
    """Return the bytes of each arena (Cpu, Cuda), as onnxruntime's log told them last."""
    found, name = {}, ""
    for line in log.splitlines():
        grows = re.search(r"Extending BFCArena for (\w+)", line)
        total = re.search(r"Total allocated bytes: ([0-9]{1,15})(?![0-9])", line)
        if grows:
            name = grows.group(1)
        elif total and name:
            found[name] = int(total.group(1))
    return found


def _given(shapes: dict[str, list[int]], names: list[str]) -> dict[str, list[int]]:
    """The shapes that were asked for, by the inputs' names. Raises ValueError where that is not clear."""
    unknown = [name for name in shapes if name and name not in names]
    if unknown or ("" in shapes and len(names) > 1):
        raise ValueError("--input must name one of this file's inputs: {}".format(", ".join(names)))
    return {name or names[0]: sizes for name, sizes in shapes.items()}


def _tensor(value: Any, batch: int | None, strict: bool = True, given: list[int] | None = None) -> Tensor:
    if value.type not in DTYPES:
        raise RuntimeError(f"'{value.name}' is a {value.type}, which cannot be handed over")
    shape = [size if isinstance(size, int) else -1 for size in value.shape]
    if given is not None:
        if len(given) != len(shape) or any(size not in (-1, asked) for size, asked in zip(shape, given)):  # noqa: B905
            raise ValueError(f"--input {given} does not fit '{value.name}', which is {value.shape}")
        shape = list(given)
    if strict and -1 in shape[1:]:
        raise RuntimeError(f"input '{value.name}' has free sizes {value.shape}; only the batch may be free")
    if shape and batch is not None:
        if strict and shape[0] not in (-1, batch):
            raise ValueError(f"the file fixes its batch at {shape[0]}, and {batch} was asked")
        shape[0] = batch
    return Tensor(value.name, DTYPES[value.type], tuple(shape))
