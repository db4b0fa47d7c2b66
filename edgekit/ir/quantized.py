"""An int8 network as data: the folded graph, and for each tensor how its real values become integers.

Made by edgekit.exporters.int8.quantize from recorded ranges; read by the simulation and by the exporters.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from edgekit.ir.graph import Graph, Op
from edgekit.ir.kernels import along_axis

WEIGHT_LIMIT = 127  # -128 is left out: the integers of weights are symmetric, as all three runtimes want them


@dataclass(frozen=True)
class QParams:
    """real = (integer - zero_point) * scale, one for the whole tensor. The scale is a float32, as files keep it."""

    scale: float
    zero_point: int
    low: int = -128  # -128..127 for int8, 0..255 for uint8
    high: int = 127

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", struct.unpack("f", struct.pack("f", self.scale))[0])

    @property
    def unsigned(self) -> QParams:
        """The same grid for uint8: what int8 says by -128..127, uint8 says by 0..255."""
        return QParams(self.scale, self.zero_point + 128, 0, 255)

    def fake(self, x: Tensor) -> Tensor:
        """x rounded to what the integers can say, as float."""
        steps = torch.round(x / self.scale)
        return steps.clamp_(self.low - self.zero_point, self.high - self.zero_point).mul_(self.scale)


@dataclass(frozen=True)
class QWeight:
    """Symmetric int8 per output channel: real = integer * scale[channel]; values in -127..127 along `axis`."""

    values: Tensor  # int8, the float weight's shape
    scale: Tensor  # float32 (channels,)
    axis: int

    def real(self) -> Tensor:
        """Return the weight that the integers stand for, float32."""
        return self.values.to(torch.float32) * self.along(self.scale)

    def along(self, values: Tensor) -> Tensor:
        """Values per channel (channels,) in a shape that broadcasts over the weight."""
        return along_axis(values, self.axis, self.values.dim())


@dataclass(frozen=True)
class OwnLayer:
    """The integers of a layer in a quantized file: scales of its weight, its bias and the scales of that."""

    scale: Tensor  # float32, (1,) or (channels,)
    bias: Tensor | None = None  # int32 (channels,)
    bias_step: Tensor | None = None  # float32, (1,) or (channels,)


@dataclass(frozen=True)
class OwnIntegers:
    """What a quantized file says of integers, by the names of its layers: grids of activations, and of layers."""

    activations: Mapping[str, QParams]
    layers: Mapping[str, OwnLayer]


@dataclass(frozen=True)
class QuantizedGraph:
    """`graph` is folded, in float, its biases already corrected.

    `activations` holds every tensor that a runtime materialises (by operator name; what is fused into the operator
    before it has none; the output of an operator in `islands` has some only where an integer operator or a caller
    reads integers of it, and what nothing reads in integers has none where the runtime can hand out its float sums).
    `weights` holds the weights of conv, conv_transpose and linear by operator name. `biases` are int32 at scale
    input_scale * weight_scale, by operator name.
    Operators in `islands` are computed in float, each with the reason.
    """

    graph: Graph
    scheme: str  # tflite, onnxruntime or tensorrt; weights: these alone are integers, and the graph has what they say
    activations: Mapping[str, QParams]
    weights: Mapping[str, QWeight]
    biases: Mapping[str, Tensor]  # int32 (channels,)
    islands: Mapping[str, str]
    # (channels,) where the input's integers are pixels: what the real input has beyond what they stand for. The first
    # layers' biases contain it.
    input_offset: Tensor | None = None
    integer_border: bool = False  # a caller hands over and takes integers

    def bias_step(self, op: Op) -> Tensor:
        """What one integer of a layer's bias stands for, float64 (channels,): that of its input times its weight's."""
        return self.activations[op.inputs[0]].scale * self.weights[op.name].scale.double()

    def input_on_grid(self, x: Tensor) -> Tensor:
        """A real input (N, C, *spatial) as the real numbers that the input's integers stand for, not rounded yet."""
        if self.input_offset is None:
            return x
        return x - self.input_offset.reshape(1, -1, *[1] * (x.dim() - 2))
