"""torch on a GPU: what is timed, eagerly or as a CUDA graph, and the settings under which.

For runtimes/torch.py, and for the power that `make gpu-check` reads.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch

CUDA: Any = torch.cuda
CUDNN: Any = torch.backends.cudnn
RING = 64  # the device times of the latest inferences are kept
CAPTURE_WARMUPS = 3  # kernels are chosen before they are captured


class Step:
    """One inference on the GPU and the wait for it, timed there too.

    As a graph: the first is plain, the second captures it, the others launch it.
    """

    def __init__(self, work: Callable[[], object], as_graph: bool) -> None:
        self._work, self._as_graph, self._runs = work, as_graph, 0
        self._graph: Any = None
        self._kept: object = None  # what the graph writes into
        self._pairs = [(_event(), _event()) for _ in range(RING)]

    def __call__(self) -> None:
        if self._as_graph and self._runs == 1:
            self._capture()
        start, stop = self._pairs[self._runs % RING]
        start.record()
        if self._graph is None:
            self._work()
        else:
            self._graph.replay()
        stop.record()
        stop.synchronize()
        self._runs += 1

    def _capture(self) -> None:
        beside = CUDA.Stream()
        beside.wait_stream(CUDA.current_stream())
        with CUDA.stream(beside):
            for _ in range(CAPTURE_WARMUPS):
                self._work()
        CUDA.current_stream().wait_stream(beside)
        graph = CUDA.CUDAGraph()
        with CUDA.graph(graph):
            self._kept = self._work()
        self._graph = graph

    def facts(self) -> dict[str, Any]:
        """Return the median time on the GPU, and how much memory torch took there."""
        timed = [start.elapsed_time(stop) for start, stop in self._pairs[: min(self._runs, RING)]]
        return {
            "device_ms": statistics.median(timed) if timed else None,
            "device_samples": len(timed),
            "cuda_graph": self._graph is not None,
            "gpu_memory_bytes": CUDA.max_memory_reserved(),
            "gpu_memory_method": "what torch's allocator reserved at most; the CUDA context is not in it",
        }


def _event() -> Any:
    return CUDA.Event(enable_timing=True)


def settings() -> dict[str, Any]:
    """Return what runs there; fp32 is computed as fp32, and cuDNN may look for its fastest kernels first."""
    CUDNN.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    CUDNN.benchmark = True
    return {
        "gpu": CUDA.get_device_name(),
        "compute_capability": "{}.{}".format(*CUDA.get_device_capability()),
        "cuda": torch.version.cuda,
        "cudnn": CUDNN.version(),
        "tf32": False,
        "timed": "eager operators and the wait for them: inputs and outputs in GPU memory, no copies",
    }
