"""Each kind of operator alone: its inputs, own tensors and attributes, and the function of torch that it stands for."""

from __future__ import annotations

from tests.exporters.case import Case as Case
from tests.exporters.kinds_axes import moves, products, reductions, seven_axes
from tests.exporters.kinds_elementwise import bits, one_tensor, two_tensors
from tests.exporters.kinds_layers import layers, norms, pads_and_pools, recurrences, resizes, samples

CASES: dict[str, Case] = (
    one_tensor()
    | two_tensors()
    | reductions()
    | products()
    | moves()
    | norms()
    | resizes()
    | pads_and_pools()
    | layers()
    | seven_axes()
) | recurrences()

SAMPLES = samples()  # ONNX has these from opset 16 on
BITS = bits()  # and these from opset 18 on
