"""TensorRT: runs .engine files on an NVIDIA GPU.

It is loaded by edgekit here, and by the runner on a device; cuda.py calls the driver. What the manifest of an engine
(`<file>.json`, where it is beside it) says that it belongs to is compared before anything is loaded.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import cuda, engines
from ..tensor import Tensor

RING = 64  # the device times of the latest inferences are kept
DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
# How TensorRT words a plan of another release or of another GPU.
FOREIGN = (
    *("serialization version", "library version", "magictag", "version tag"),
    *("incompatible device", "compute capability", "platform"),
)


class Session:
    """An open engine; `found` says what really runs it, with device times once something was timed.

    `product` is one of engines.TITLES, and `trt` its Python package, which is the same for both but for its name.
    """

    def __init__(self, trt: Any, product: str, path: str, options: dict[str, Any]) -> None:
        _refuse_other_product(product, path)
        self.package = trt
        self._driver = cuda.Driver()
        gpu = self._driver.gpu()
        manifest = engines.manifest_beside(path)
        here = {product: trt.__version__, "compute_capability": gpu.compute_capability}
        engines.check(manifest, {**here, "gpu": gpu.name, "jetpack": engines.jetpack()})
        free_before = self._driver.free_bytes()
        self._engine, self._runtime = _deserialize(trt, path, manifest)  # an engine lives no longer than its runtime
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise RuntimeError(f"{Path(path).name}: no execution context; see whether the GPU's memory ran out")
        self._stream = self._driver.stream()
        self._batch = options.get("batch")
        self._names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        is_input = {name: self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in self._names}
        self._in = [name for name in self._names if is_input[name]]
        self._out = [name for name in self._names if not is_input[name]]
        self.inputs = [self._tensor(name, strict=True) for name in self._in]
        self._buffers: dict[str, tuple[int, int]] = {}
        self._shapes: list[Any] = []
        self.outputs = [self._tensor(name, strict=False) for name in self._out]
        self._step: Step | None = None
        self._found: dict[str, Any] = {
            "runtime_version": trt.__version__,
            "threads": 1,
            "batch": self._batch,
            "provider": product,
            "gpu": gpu.name,
            "compute_capability": gpu.compute_capability,
            "cuda_driver": self._driver.version(),
            "layers": self._engine.num_layers,
            "activation_memory_bytes": _activation_memory(self._engine),
            "gpu_memory_bytes": max(0, free_before - self._driver.free_bytes()),
            "gpu_memory_method": "free memory of the whole GPU before loading, less after it",
            "timed": "one launch and the wait for it: inputs and outputs in GPU memory, no copies",
        }

    @property
    def found(self) -> dict[str, Any]:
        """What runs the file; `device_ms` is the median time on the GPU of the latest inferences that were timed."""
        return {**self._found, **(self._step.facts() if self._step else {})}

    def run(self, arrays: list[Any]) -> list[Any]:
        """Return the outputs for one array per input, copied to the GPU and back."""
        self._feed(arrays)
        self._enqueue()
        self._driver.synchronize(self._stream)
        return [self._fetch(tensor) for tensor in self._outputs_now()]

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """Return what is timed: one inference on these arrays, which lie in GPU memory.

        From the third on it runs as a CUDA graph.
        """
        self._feed(arrays)
        self._step = Step(self._driver, self._stream, self._enqueue)
        return self._step

    def profile(self, profiler: Any) -> None:
        """Have every later `run` tell `profiler`, a tensorrt.IProfiler, how long each layer took."""
        self._context.profiler = profiler

    def _feed(self, arrays: list[Any]) -> None:
        import numpy as np

        shapes = [tuple(array.shape) for array in arrays]
        if shapes != self._shapes:
            for name, shape in zip(self._in, shapes):  # noqa: B905 (strict= needs Python 3.10)
                if not self._context.set_input_shape(name, shape):
                    raise ValueError(f"the engine was not built for a batch of {shape[0]}: {name} cannot be {shape}")
            self._shapes = shapes
        for name, array in zip(self._in, arrays):  # noqa: B905
            data = np.ascontiguousarray(array)
            self._driver.upload(self._address(name, data.nbytes), data)
        for tensor in self._outputs_now():
            self._address(tensor.name, int(np.prod(tensor.shape)) * np.dtype(tensor.dtype).itemsize)

    def _outputs_now(self) -> list[Tensor]:
        """The outputs at the shapes that the inputs have now."""
        shapes = [tuple(int(size) for size in self._context.get_tensor_shape(value.name)) for value in self.outputs]
        return [value._replace(shape=shape) for value, shape in zip(self.outputs, shapes)]  # noqa: B905

    def _address(self, name: str, size: int) -> int:
        """GPU memory for a tensor, as much as it ever needed, and known to the engine."""
        address, had = self._buffers.get(name, (0, -1))
        if size > had:
            address = self._driver.allocate(size)
            self._buffers[name] = (address, size)
            if not self._context.set_tensor_address(name, address):
                raise RuntimeError(f"TensorRT does not take memory for {name}")
        return address

    def _fetch(self, tensor: Tensor) -> Any:
        import numpy as np

        array = np.empty(tensor.shape, tensor.dtype)
        self._driver.download(array, self._buffers[tensor.name][0])
        return array

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._stream):
            raise RuntimeError("TensorRT could not run the engine; its messages say why")

    def _tensor(self, name: str, strict: bool) -> Tensor:
        kind = str(self._engine.get_tensor_dtype(name).name)
        if kind not in DTYPES:
            raise RuntimeError(f"'{name}' is a {kind}, which cannot be handed over")
        shape = [int(size) for size in self._engine.get_tensor_shape(name)]
        if strict and -1 in shape[1:]:
            raise RuntimeError(f"input '{name}' has free sizes {shape}; only the batch may be free")
        if shape and self._batch is not None:
            if strict and shape[0] not in (-1, self._batch):
                raise ValueError(f"the file fixes its batch at {shape[0]}, and {self._batch} was asked")
            shape[0] = self._batch
        return Tensor(name, DTYPES[kind], tuple(shape))


class Step:
    """One inference and the wait for it, timed on the GPU too.

    The first is plain; TensorRT wants one before its work can be captured. The second captures a graph, the others
    launch it, so that the GPU is measured and not how fast the host can hand it kernels.
    """

    def __init__(self, driver: Any, stream: int, enqueue: Callable[[], None]) -> None:
        self._driver, self._stream, self._enqueue = driver, stream, enqueue
        self._pairs = [(driver.event(), driver.event()) for _ in range(RING)]
        self._runs = 0
        self._graph: Any = None
        self._why: str | None = None

    def __call__(self) -> None:
        if self._runs == 1:
            self._capture()
        start, stop = self._pairs[self._runs % RING]
        self._driver.record(start, self._stream)
        if self._graph is None:
            self._enqueue()
        else:
            self._driver.launch(self._graph, self._stream)
        self._driver.record(stop, self._stream)
        self._driver.synchronize(self._stream)
        self._runs += 1

    def _capture(self) -> None:
        try:
            self._graph = self._driver.capture(self._stream, self._enqueue)
        except RuntimeError as error:  # a layer that waits for the host cannot be captured; it is said in `found`
            self._why = str(error)

    def facts(self) -> dict[str, Any]:
        """Return the median time on the GPU, and whether a graph ran."""
        timed = [self._driver.elapsed_ms(*pair) for pair in self._pairs[: min(self._runs, RING)]]
        return {
            "device_ms": statistics.median(timed) if timed else None,
            "device_samples": len(timed),
            "cuda_graph": self._graph is not None,
            "cuda_graph_reason": self._why,
        }


def preload() -> None:
    """Import the runtime and open nothing: the baseline of the memory figure."""
    engines.load(engines.TENSORRT)


def open_session(path: str, options: dict[str, Any]) -> Session:
    """Open an engine. `options`: batch (None: the file's); threads mean nothing here.

    Raises ImportError without tensorrt, ValueError for a broken file or an impossible wish, RuntimeError where there is
    no GPU, or for an engine of another TensorRT or GPU, which is said before it is loaded.
    """
    return open_with(engines.TENSORRT, path, options)


def open_with(product: str, path: str, options: dict[str, Any]) -> Session:
    """Return the same with either product."""
    for name in ("provider", "delegate"):
        if options.get(name):
            raise ValueError(f"{product} has no {name}")
    return Session(engines.load(product), product, path, options)


def _refuse_other_product(product: str, path: str) -> None:
    """Raise RuntimeError for an engine that the other product built."""
    built_by = engines.product_of(path)
    if built_by is not None and built_by != product:
        made, own = engines.TITLES[built_by], engines.TITLES[product]
        raise RuntimeError(
            f"{Path(path).name} was built by {made}, and {own} does not run it; use --runtime {built_by}"
        )


def _deserialize(trt: Any, path: str, manifest: dict[str, Any]) -> tuple[Any, Any]:
    errors: list[str] = []

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                errors.append(" ".join(msg.split()))
                print(errors[-1], file=sys.stderr)

    name = Path(path).name
    data = Path(path).read_bytes()
    if not data:
        raise ValueError(f"{name} is empty")
    runtime = trt.Runtime(Log())
    if runtime.num_DLA_cores:
        runtime.DLA_core = 0  # what engines for DLA are built for; others take no notice
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        why = errors[0] if errors else "TensorRT does not say why"
        if any(word in error.lower() for error in errors for word in FOREIGN):
            here = f"the engine {name} was built by another TensorRT or for another GPU ({why})"
            raise RuntimeError(here + engines.REBUILD + engines.command(manifest))
        raise ValueError(f"{name} is no TensorRT engine: {why}")
    return engine, runtime


def _activation_memory(engine: Any) -> int | None:
    for name in ("device_memory_size_v2", "device_memory_size"):  # renamed by TensorRT 10; 11 has the new one alone
        if hasattr(engine, name):
            return int(getattr(engine, name))
    return None
