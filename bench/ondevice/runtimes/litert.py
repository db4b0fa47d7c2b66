"""LiteRT (ai-edge-litert; its old name is tflite-runtime): runs .tflite files.

It is loaded by edgekit here, and by the runner on a device.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..tensor import Tensor

PACKAGES = ("ai_edge_litert", "tflite_runtime")


class Session:
    """An open .tflite file; `found` says what really runs it."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        library = load_library()
        threads, batch, delegate = options.get("threads") or 1, options.get("batch"), options.get("delegate")
        self._interpreter = _open(library, path, threads, delegate, bool(options.get("unoptimized")))
        free = batch is None  # only then may a free batch stay free
        if batch is not None:
            self._resize([(batch, *value["shape"][1:]) for value in self._interpreter.get_input_details()], batch)
        self._shapes = [tuple(value["shape"]) for value in self._interpreter.get_input_details()]
        self.inputs = [_tensor(value, free) for value in self._interpreter.get_input_details()]
        self.outputs = [_tensor(value, free) for value in self._interpreter.get_output_details()]
        self.found: dict[str, Any] = {
            "runtime_version": version_of(library),
            "package": library.__name__.split(".")[0],
            "threads": threads,  # as set: the interpreter does not tell
            "batch": batch,
            "input_quantization": _quantization(self._interpreter.get_input_details()),
            "timed": "Interpreter.invoke: inputs set before, outputs not copied",
            **_delegated(self._interpreter, delegate),
        }

    def run(self, arrays: list[Any]) -> list[Any]:
        """Return the outputs for one array per input.

        The batch may differ from the last one's where the file allows it.
        """
        shapes = [array.shape for array in arrays]
        if shapes != self._shapes:
            self._resize(shapes, shapes[0][0])
            self._shapes = shapes
        self._set(arrays)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(value["index"]) for value in self._interpreter.get_output_details()]

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """Return what is timed: one inference on these arrays."""
        self._set(arrays)
        invoke: Callable[[], object] = self._interpreter.invoke
        return invoke

    def _set(self, arrays: list[Any]) -> None:
        for value, array in zip(self._interpreter.get_input_details(), arrays):  # noqa: B905 (strict= needs Python 3.10)
            self._interpreter.set_tensor(value["index"], array)

    def _resize(self, shapes: list[Any], batch: int) -> None:
        details = self._interpreter.get_input_details()
        if all(tuple(value["shape"]) == tuple(shape) for value, shape in zip(details, shapes)):  # noqa: B905
            return
        fixed = "the file fixes its batch at {}, and {} was asked".format(details[0]["shape"][0], batch)
        try:
            for value, shape in zip(details, shapes):  # noqa: B905
                self._interpreter.resize_tensor_input(value["index"], [int(size) for size in shape])
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{fixed} ({_line(error)})") from error
        if any(value["shape"][0] != batch for value in self._interpreter.get_output_details()):
            raise ValueError(fixed)


def preload() -> None:
    """Import the runtime and open nothing: the baseline of the memory figure."""
    load_library()


def open_session(path: str, options: dict[str, Any]) -> Session:
    """Open a file.

    `options`: threads (default 1), batch (None: the file's), delegate (None: the runtime's default, XNNPACK where it
    is built in; "xnnpack": the same, asserted; "none"; or the path of an external delegate's library), unoptimized (the
    reference kernels, to be what others are held against).
    Raises ImportError without the package, ValueError for a broken file or an impossible wish, RuntimeError where
    this runtime cannot run the file as asked.
    """
    if options.get("provider"):
        raise ValueError("litert has delegates, not providers")
    return Session(path, options)


def load_library() -> Any:
    """Import the interpreter of whichever package is installed. Raises ModuleNotFoundError where neither is."""
    for package in PACKAGES:
        try:
            return importlib.import_module(package + ".interpreter")
        except ModuleNotFoundError as error:
            if error.name not in (package, package + ".interpreter"):
                raise
    raise ModuleNotFoundError("neither {} nor {} is installed".format(*PACKAGES), name=PACKAGES[0])


def version_of(library: Any) -> str | None:
    """Return the release of the package; None where it does not tell."""
    from importlib import metadata

    try:
        return metadata.version(library.__name__.split(".")[0])
    except metadata.PackageNotFoundError:
        return None


def _open(library: Any, path: str, threads: int, delegate: str | None, unoptimized: bool = False) -> Any:
    kinds = library.OpResolverType
    arguments: dict[str, Any] = {"num_threads": threads}
    if delegate not in (None, "xnnpack"):
        arguments["experimental_op_resolver_type"] = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    if delegate not in (None, "xnnpack", "none"):
        arguments["experimental_delegates"] = [_external(library, str(delegate))]
    if not unoptimized:
        return _allocated(library, path, arguments)
    try:
        return _allocated(library, path, {**arguments, "experimental_op_resolver_type": kinds.BUILTIN_REF})
    except (RuntimeError, ValueError):  # a few operators have no reference kernel: then the runtime's own, undelegated
        kind = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        return _allocated(library, path, {**arguments, "experimental_op_resolver_type": kind})


def _allocated(library: Any, path: str, arguments: dict[str, Any]) -> Any:
    name = Path(path).name
    try:
        interpreter = library.Interpreter(path, **arguments)
    except ValueError as error:
        # One class for both: an operator that the runtime lacks is told apart by its words.
        kind = RuntimeError if "op" in _line(error).lower().split() else ValueError
        raise kind(f"{name}: {_line(error)}") from error
    try:
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise RuntimeError(f"{name}: {_line(error)}") from error
    return interpreter


def _external(library: Any, path: str) -> Any:
    if not Path(path).is_file():
        raise ValueError(f"delegate '{path}' is neither xnnpack, none nor a library's path")
    try:
        return library.load_delegate(path)
    except (OSError, ValueError) as error:
        raise RuntimeError(f"the delegate {path} does not load: {_line(error)}") from error


def _delegated(interpreter: Any, wish: str | None) -> dict[str, Any]:
    """How many of the file's operators a delegate really runs; RuntimeError where one was asked for and runs none."""
    try:
        nodes = interpreter._get_ops_details()
    except (AttributeError, RuntimeError):  # no public call tells it
        return {"delegate": wish, "nodes": None, "nodes_delegated": None}
    own = [node for node in nodes if node["op_name"] != "DELEGATE"]
    left = undelegated(nodes, [value["index"] for value in interpreter.get_output_details()])
    delegated = len(own) - len(left)
    if wish not in (None, "none") and not delegated:
        raise RuntimeError(f"the delegate {wish} was asked for and runs no operator")
    name = None if not delegated else "xnnpack" if wish is None else wish
    return {
        "delegate": name,
        "nodes": len(own),
        "nodes_delegated": delegated,
        "undelegated": sorted({node["op_name"] for node in left}),
    }


def undelegated(nodes: list[dict[str, Any]], outputs: list[int]) -> list[dict[str, Any]]:
    """Return the file's operators that no delegate took over.

    A delegate's node is added beside the operators that it replaces, with the same output tensors; walking back from
    the outputs, it wins wherever there is one.
    """
    makers: dict[int, dict[str, Any]] = {}
    for node in sorted(nodes, key=lambda node: node["op_name"] == "DELEGATE"):
        makers.update({int(tensor): node for tensor in node["outputs"]})
    found: dict[int, dict[str, Any]] = {}
    seen, waiting = set(), [int(tensor) for tensor in outputs]
    while waiting:
        tensor = waiting.pop()
        if tensor in seen or tensor not in makers:
            continue
        seen.add(tensor)
        node = makers[tensor]
        waiting += [int(source) for source in node["inputs"]]
        if node["op_name"] != "DELEGATE":
            found[id(node)] = node
    return list(found.values())


def _tensor(value: dict[str, Any], free: bool) -> Tensor:
    import numpy as np

    signature = value.get("shape_signature")
    shape = signature if free and signature is not None and len(signature) else value["shape"]
    return Tensor(value["name"], str(np.dtype(value["dtype"])), tuple(int(size) for size in shape))


def _quantization(inputs: list[dict[str, Any]]) -> list[Any] | None:
    """[scale, zero point] of a file's first input; None where it has none."""
    scale, zero_point = (inputs[0].get("quantization") if inputs else None) or (0.0, 0)
    return [float(scale), int(zero_point)] if scale else None


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
