"""ONNX Runtime's own profiler (SessionOptions.enable_profiling): the time of each node that it really runs.

Its optimizer has joined and renamed nodes by then: their names go back as they are.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

WARM_RUNS = 3
NODE = "_kernel_time"  # what it puts behind a node's name; older releases also have events before and after it


def profile(module: Any, path: str, options: dict[str, Any], inputs: list[Any], runs: int) -> dict[str, Any]:
    """Median time of each node and of the whole inference over `runs`. RuntimeError where nothing is told."""
    import onnxruntime

    provider = module.provider_of(onnxruntime, options.get("provider"))
    if provider != module.CPU:
        raise RuntimeError("onnxruntime's profiler times what it hands to a GPU, not what the GPU does with it")
    with tempfile.TemporaryDirectory() as folder:
        session = module.opened(onnxruntime, path, options.get("threads") or 1, provider, str(Path(folder) / "profile"))
        feed = {value.name: array for value, array in zip(session.get_inputs(), inputs)}  # noqa: B905 (Python 3.8)
        for _ in range(WARM_RUNS + runs):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    return read(events, runs)


def read(events: list[dict[str, Any]], runs: int) -> dict[str, Any]:
    """Return the same from the events of a trace, of its last `runs` inferences."""
    times: dict[Any, list[int]] = {}
    words: dict[Any, dict[str, str]] = {}
    totals: list[int] = []
    inferences = [index for index, event in enumerate(events) if event.get("name") == "model_run"]
    if len(inferences) < runs:
        raise RuntimeError(f"onnxruntime's profiler kept {len(inferences)} of {runs} inferences")
    start = inferences[-runs - 1] + 1 if len(inferences) > runs else 0
    for event in events[start : inferences[-1] + 1]:
        name, details = str(event.get("name")), event.get("args") or {}
        if name == "model_run":
            totals.append(int(1000 * event["dur"]))
        elif event.get("cat") == "Node" and name.endswith(NODE):
            key = (details.get("node_index"), name)
            words[key] = {"name": name[: -len(NODE)], "op": str(details.get("op_name"))}
            times.setdefault(key, []).append(int(1000 * event["dur"]))
    return {
        "method": f"onnxruntime's profiler, whole microseconds, median of {runs} inferences",
        "total_ns": int(statistics.median(totals)),
        "operators": [{**words[key], "ns": int(statistics.median(found))} for key, found in times.items()],
    }
