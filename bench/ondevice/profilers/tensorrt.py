"""TensorRT's own profiler (IProfiler): the time on the GPU of each layer of an engine.

An engine joins layers and tells so in their names, which go back as they are; it tells no kinds.
"""

from __future__ import annotations

import statistics
from typing import Any

WARM_RUNS = 3
REFORMATTING = "Reformatting CopyNode"  # what TensorRT inserts where two layers want their data in different orders


def profile(module: Any, path: str, options: dict[str, Any], inputs: list[Any], runs: int) -> dict[str, Any]:
    """Median time of each layer over `runs`, and of all together. RuntimeError where nothing is told."""
    session = module.open_session(path, options)
    base: Any = session.package.IProfiler

    class Told(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)
            self.layers: list[tuple[str, float]] = []

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.layers.append((layer_name, ms))

    told, inferences = Told(), []
    session.profile(told)
    for _ in range(WARM_RUNS + runs):
        session.run(inputs)
        inferences.append(told.layers)
        told.layers = []
    return read(inferences[WARM_RUNS:])


def read(inferences: list[list[tuple[str, float]]]) -> dict[str, Any]:
    """Return the same from what was told of each inference: names and milliseconds, in the order in which they ran."""
    names = [name for name, _ in inferences[0]]
    if not names:
        raise RuntimeError("TensorRT's profiler told of no layer; the engine may have been built without their names")
    if any([name for name, _ in layers] != names for layers in inferences):
        raise RuntimeError("TensorRT's profiler told of other layers from inference to inference")
    times = [[round(ms * 1e6) for _, ms in layers] for layers in inferences]
    return {
        "method": f"TensorRT's profiler, on the GPU, layers one after the other, median of {len(times)} inferences",
        "total_ns": int(statistics.median(sum(inference) for inference in times)),
        "operators": [
            {"name": name, "op": kind(name), "ns": int(statistics.median(inference[at] for inference in times))}
            for at, name in enumerate(names)
        ],
    }


def kind(name: str) -> str:
    """Return what a layer of an engine is, as far as its name tells."""
    return REFORMATTING if name.startswith(REFORMATTING) else name
