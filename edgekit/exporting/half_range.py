"""Values of a network that float16 cannot hold: an fp16 file then answers otherwise where a device computes in it.

Runtimes on CPUs compute fp16 files in float32, so that comparing answers there shows nothing of this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit.exporters.half import LARGEST
from edgekit.ir.graph import Graph, Op

_SOFTMAX = ("softmax", "log_softmax")
_PASSING = ("add", "reshape", "permute", "slice", "cat")
EXAMPLES = 2  # that are looked at: the last ones, which are images where there are any


def beyond_half(graph: Graph, inputs: Sequence[NDArray[np.generic]]) -> str | None:
    """Return a sentence on the layer with the largest value where that is beyond float16; None where all fit.

    `inputs` has (n, *shape of one) for each input. A value is dropped after its last reading, as in any run of the
    graph. Infinite values and masks in front of a softmax are passed over. None, too, where the graph cannot be run.
    """
    found: dict[str, float] = {}
    masked = _masked(graph)

    def look(op: Op, y: Tensor) -> None:
        if op.kind != "constant" and y.is_floating_point() and y.numel():
            low, high = (float(end) for end in torch.aminmax(y))
            ends = (high,) if op.name in masked else (-low, high)
            largest = max((end for end in ends if np.isfinite(end)), default=0.0)
            found[op.name] = max(largest, found.get(op.name, 0.0))

    count = len(inputs[0])
    try:
        for index in range(max(count - EXAMPLES, 0), count):
            graph.run(*(torch.from_numpy(x[index : index + 1]) for x in inputs), observe=look)
    except Exception:  # it only informs, and never stops an export
        return None
    name = max(found, key=lambda one: found[one], default=None)
    if name is None or found[name] <= LARGEST:
        return None
    return (
        f"values of {name} reach {found[name]:.1e}, beyond float16 ({LARGEST:.0f}): where a device computes in "
        "float16, answers become infinite or not a number; use fp32 there"
    )


def _masked(graph: Graph) -> set[str]:
    """Values that a softmax alone reads, whatever moves or adds them: the most negative are right at minus infinity."""
    found: set[str] = set()
    for op in reversed(graph.ops):
        readers = graph.consumers[op.name]
        ends = [one.kind in _SOFTMAX or (one.kind in _PASSING and one.name in found) for one in readers]
        if ends and all(ends) and not graph.is_output(op.name):
            found.add(op.name)
    return found
