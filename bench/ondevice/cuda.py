"""The little of NVIDIA's driver that running an engine needs: what GPU there is, memory, streams, events, graphs.

Called through ctypes: libcuda is part of the driver, on a desktop as on a Jetson, and its calls keep their
meaning; so neither PyTorch nor cuda-python nor a CUDA toolkit has to be on a device. Everything raises RuntimeError
with the driver's own word for what went wrong.
"""

from __future__ import annotations

import ctypes
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

LIBRARIES = ("libcuda.so.1", "libcuda.so", "/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1")
CC_MAJOR, CC_MINOR = 75, 76  # CUdevice_attribute
CAPTURE_THREAD_LOCAL = 1
BLOCKING_STREAM, DEFAULT_EVENT = 1, 0  # CU_STREAM_NON_BLOCKING: it does not wait for the default stream


class Gpu(NamedTuple):
    """A GPU as the driver names it; `compute_capability` as in 8.7."""

    name: str
    compute_capability: str
    memory_bytes: int


class Driver:
    """libcuda with the first GPU's primary context current in this thread; to `look` only, without a context."""

    def __init__(self, look: bool = False) -> None:
        self._library = _load()
        self._call("cuInit", 0)
        count = ctypes.c_int()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        if not count.value:
            raise RuntimeError("the driver sees no GPU")
        self._device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(self._device), 0)
        if look:
            return
        context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._device)
        self._call("cuCtxSetCurrent", context)

    def gpu(self) -> Gpu:
        """Return the GPU."""
        name, total = ctypes.create_string_buffer(256), ctypes.c_size_t()
        self._call("cuDeviceGetName", name, 256, self._device)
        self._call("cuDeviceTotalMem_v2", ctypes.byref(total), self._device)
        major, minor = (self._attribute(number) for number in (CC_MAJOR, CC_MINOR))
        return Gpu(name.value.decode(errors="replace"), f"{major}.{minor}", total.value)

    def uuid(self) -> str:
        """Return the GPU's own name, as nvidia-smi writes it."""
        found = (ctypes.c_ubyte * 16)()
        self._call("cuDeviceGetUuid", found, self._device)
        return f"GPU-{uuid.UUID(bytes=bytes(found))}"

    def version(self) -> str:
        """Return the newest CUDA version that this driver runs, as in 12.6."""
        number = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(number))
        return f"{number.value // 1000}.{number.value % 1000 // 10}"

    def free_bytes(self) -> int:
        """Memory of the GPU that nobody uses."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def allocate(self, size: int) -> int:
        """Allocate `size` bytes on the GPU, which stay until the process ends; return their address."""
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(1, size)))
        return address.value

    def upload(self, address: int, array: Any) -> None:
        """Copy a contiguous numpy array to the GPU, and wait."""
        self._call("cuMemcpyHtoD_v2", ctypes.c_uint64(address), ctypes.c_void_p(array.ctypes.data), _size(array))

    def download(self, array: Any, address: int) -> None:
        """Fill a contiguous numpy array from the GPU, and wait."""
        self._call("cuMemcpyDtoH_v2", ctypes.c_void_p(array.ctypes.data), ctypes.c_uint64(address), _size(array))

    def stream(self) -> int:
        """Make a stream of our own."""
        stream = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(stream), BLOCKING_STREAM)
        return int(stream.value or 0)

    def synchronize(self, stream: int) -> None:
        """Wait until a stream has done everything."""
        self._call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def event(self) -> Any:
        """Something that a stream can mark a time with."""
        event = ctypes.c_void_p()
        self._call("cuEventCreate", ctypes.byref(event), DEFAULT_EVENT)
        return event

    def record(self, event: Any, stream: int) -> None:
        """Mark the time when the stream comes by."""
        self._call("cuEventRecord", event, ctypes.c_void_p(stream))

    def elapsed_ms(self, start: Any, stop: Any) -> float:
        """Milliseconds on the GPU between two events that have passed."""
        milliseconds = ctypes.c_float()
        self._call("cuEventElapsedTime", ctypes.byref(milliseconds), start, stop)
        return float(milliseconds.value)

    def capture(self, stream: int, work: Callable[[], object]) -> Any:
        """Return what `work` puts on a stream as a graph that one call launches.

        Raises RuntimeError where it cannot be.
        """
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), CAPTURE_THREAD_LOCAL)
        try:
            work()
        finally:
            code = self._library.cuStreamEndCapture(ctypes.c_void_p(stream), ctypes.byref(graph))
        self._check("cuStreamEndCapture", code)
        self._call("cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_uint64(0))
        return ready

    def launch(self, graph: Any, stream: int) -> None:
        """Put a graph on a stream."""
        self._call("cuGraphLaunch", graph, ctypes.c_void_p(stream))

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), number, self._device)
        return value.value

    def _call(self, name: str, *arguments: Any) -> None:
        try:
            function = getattr(self._library, name)
        except AttributeError as error:
            raise RuntimeError("this NVIDIA driver is too old: it has no " + name) from error
        self._check(name, function(*arguments))

    def _check(self, name: str, code: int) -> None:
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorString(code, ctypes.byref(text))
            why = (text.value or b"error %d" % code).decode(errors="replace")
            raise RuntimeError(f"{name}: {why}")


def _size(array: Any) -> Any:
    return ctypes.c_size_t(array.nbytes)


def _load() -> Any:
    for name in (os.environ.get("EDGEKIT_LIBCUDA", ""), *LIBRARIES):
        try:
            if name:
                return ctypes.CDLL(name)
        except OSError:
            continue
    raise RuntimeError("there is no NVIDIA driver here (libcuda.so.1)")


def jetson_release() -> str | None:
    """Return the line of a Jetson that names its L4T release; None elsewhere."""
    try:
        return Path("/etc/nv_tegra_release").read_text(errors="replace").splitlines()[0]
    except (OSError, IndexError):
        return None
