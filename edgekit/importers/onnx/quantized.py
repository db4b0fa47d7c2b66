"""A quantized file as a network of real numbers, and the ranges that its own integers span.

QuantizeLinear and DequantizeLinear around what the network computes are left out: what their integers span is kept as a
range of the layer before them. Where they begin at 0, the file may have no Relu of its own, so one stands in their
place unless the layer before gives nothing below 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from edgekit.importers.onnx.node import Block, Node
from edgekit.ir.quantized import OwnIntegers, OwnLayer, QParams

Range = tuple[float, float]
_RELU6 = 6.0
# Where the grid of what an operator gives stands among its inputs: scale, and the zero point behind it.
GRIDS = {
    "QuantizeLinear": 1,
    "QLinearConv": 6,
    "com.microsoft.QLinearConv": 6,
    "QLinearMatMul": 6,
    "com.microsoft.QGemm": 7,
    "com.microsoft.QLinearAdd": 6,
    "com.microsoft.QLinearMul": 6,
    "com.microsoft.QLinearSigmoid": 3,
    "com.microsoft.QLinearLeakyRelu": 3,
    "com.microsoft.QLinearAveragePool": 3,
    "com.microsoft.QLinearGlobalAveragePool": 3,
    "com.microsoft.QLinearSoftmax": 3,
    "com.microsoft.QLinearReduceMean": 3,
    "com.microsoft.QLinearConcat": 0,
}
_NEVER_BELOW_0 = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Exp", "Abs", "Softplus", "Sqrt"})
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_TAKE_UP = _WEIGHTED | {"QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger"}
_PASS = frozenset({"DequantizeLinear", "QuantizeLinear", "Identity", "Dropout"})
_FOLDED = frozenset({"BatchNormalization", "Mul", "Div", "Add", "Sub"})
_ADD_UP = frozenset({"Add", "Mul", "Div"})  # of what is never below 0 they give nothing below 0
_KEEP_SIGN = frozenset(
    {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Reshape", "Flatten", "Transpose", "Identity"}
    | {
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Gather",
        "Concat",
        "Resize",
        "Dropout",
        "Pad",
        "LRN",
        "DequantizeLinear",
        "QuantizeLinear",
    }
)


class _Reader:
    """Goes through the nodes in order. Of each value it knows whether an input reaches it, and where that may end."""

    def __init__(
        self,
        block: Block,
        inputs: Mapping[str, QParams | None],
        arrays: Any,
        constants: Mapping[str, Any],
        may_cut_off: bool,
    ) -> None:
        self._may_cut_off = may_cut_off
        self._weighted = set[str]()  # layers that can take up a product or a sum behind them
        self._readers = Counter([*block.outputs, *(name for node in block.nodes for name in node.inputs)])
        self._computed, self._positive, self._cut = set(inputs), set[str](), set[str]()
        self._layers = {name: name for name in inputs}  # what gives a value: an operator, or an input
        self._arrays, self._constants = arrays, constants
        self.grids = {name: grid for name, grid in inputs.items() if grid is not None}
        self.ranges: dict[str, Range] = {name: _ends(grid) for name, grid in self.grids.items()}
        self.own: dict[str, OwnLayer] = {}  # by layer
        self._pairs: dict[str, Node] = {}  # DequantizeLinear of what the file owns, by what it gives

    def read(self, node: Node) -> Node:
        """The node as it is run."""
        reads = [name for name in node.inputs if name in self._computed]
        if not reads:
            self._pairs |= {node.outputs[0]: node} if node.kind == "DequantizeLinear" else {}
            return replace(node, kind="QuantizeLinear of a constant") if node.kind == "QuantizeLinear" else node
        self._computed.update(filter(None, node.outputs))
        if node.kind in _WEIGHTED and (own := self._layer(node)) is not None:
            self.own[node.name] = own
        before = self._layers[reads[0]]
        if node.kind in _FOLDED and len(reads) == 1 and before in self._weighted and self._readers[reads[0]] == 1:
            self.ranges.pop(before, None)  # it then gives what this one gives
            self.grids.pop(before, None)
        self._weighted |= {node.name} if node.kind in _TAKE_UP else set()
        layer = self._layers.get(reads[0], node.name) if node.kind in _PASS else node.get("layer", node.name)
        if node.key in GRIDS:
            node, layer = self._gridded(node, reads, layer)
        self._layers.update(dict.fromkeys(node.outputs, layer))
        self._know(node, reads)
        return node

    def _know(self, node: Node, reads: Sequence[str]) -> None:
        """Keep what is known of what a node gives."""
        positive, cut = self._ends_of(node, reads)
        self._positive.update(node.outputs if positive else ())
        self._cut.update(node.outputs if cut else ())

    def _ends_of(self, node: Node, reads: Sequence[str]) -> tuple[bool, bool]:
        """Whether what a node gives is never below 0, and whether the file itself cuts it off there and above."""
        kind, own = node.kind.removeprefix("QLinear"), set(node.inputs).difference(reads)
        cuts = kind == "Clip" or node.get("ends") is not None
        keeps = kind in _KEEP_SIGN or (kind in _ADD_UP and all(map(self._is_never_negative, own)))
        positive = cuts or kind in _NEVER_BELOW_0 or (keeps and self._positive.issuperset(reads))
        return positive, cuts or (keeps and self._cut.issuperset(reads))

    def _gridded(self, node: Node, reads: Sequence[str], layer: str) -> tuple[Node, str]:
        """An operator that gives integers, with where they are cut off; and the layer whose range they span."""
        at = GRIDS[node.key]
        scale, zero = [*node.inputs[at : at + 2], "", ""][:2]
        grid = grid_of(scale, zero, self._arrays, self._constants)
        if grid is None:
            return node, layer
        (low, high), step = _ends(grid), grid.scale
        node = replace(node, attributes={**node.attributes, "grid": [*node.inputs[at : at + 2], ""][:2]})
        of_source = node.kind == "QuantizeLinear"  # else the operator computes before it cuts off
        positive, cut = self._ends_of(node, reads)
        is_six = abs(high - _RELU6) < step and not cut
        if self._may_cut_off and low >= 0 and (is_six or not positive):
            name = f"{layer}/relu" if of_source else node.name
            node = replace(node, name=name, attributes={**node.attributes, "ends": (0.0, _RELU6 if is_six else None)})
            layer = name
        self.ranges[layer], self.grids[layer] = (low, high), grid
        return node, layer

    def _is_never_negative(self, name: str) -> bool:
        """Whether no element of what the file owns is below 0."""
        if name in self._constants:
            return bool((self._arrays(name) >= 0).all())
        pair = self._pairs.get(name)
        zero = self._held(pair, 2)
        if pair is None or pair.inputs[0] not in self._constants or (zero is not None and zero.size != 1):
            return False
        return bool((self._arrays(pair.inputs[0]) >= (0 if zero is None else zero[0])).all())

    def _layer(self, node: Node) -> OwnLayer | None:
        """The scales and the bias of a layer whose weight is symmetric int8."""
        weight, bias = (self._pairs.get(name) for name in [*node.inputs[1:], "", ""][:2])
        scale = self._held(weight, 1)
        if weight is None or scale is None:
            return None
        values, zero = self._arrays(weight.inputs[0]), self._held(weight, 2)
        if values.dtype != np.int8 or (zero is not None and zero.any()):
            return None
        step = self._held(bias, 1)
        if bias is None or step is None or self._arrays(bias.inputs[0]).dtype != np.int32:
            return OwnLayer(torch.from_numpy(scale))
        return OwnLayer(
            torch.from_numpy(scale), torch.from_numpy(self._arrays(bias.inputs[0]).copy()), torch.from_numpy(step)
        )

    def _held(self, node: Node | None, at: int) -> Any:
        """An argument of a DequantizeLinear as a row; None where it has none, or one that is computed."""
        name = [*node.inputs, "", ""][at] if node is not None else ""
        return self._arrays(name).reshape(-1).copy() if name in self._constants else None


def grid_of(scale: str, zero: str, arrays: Any, constants: Mapping[str, Any]) -> QParams | None:
    """The 8-bit grid that two constants of a file say by their names; None where they are computed or say another."""
    if scale not in constants or (zero and zero not in constants):
        return None
    step, shift = arrays(scale), arrays(zero) if zero else np.zeros((), np.uint8)
    if step.size != 1 or not step.all() or shift.size != 1 or shift.dtype.kind not in "iu" or shift.dtype.itemsize > 1:
        return None
    ends = np.iinfo(shift.dtype)
    return QParams(float(step.reshape(-1)[0]), int(shift.reshape(-1)[0]), int(ends.min), int(ends.max))


def _ends(grid: QParams) -> Range:
    """The least and the largest real number that integers mean."""
    return (grid.low - grid.zero_point) * grid.scale, (grid.high - grid.zero_point) * grid.scale


def in_real_numbers(
    block: Block,
    inputs: Mapping[str, QParams | None],
    arrays: Any,
    constants: Mapping[str, Any],
    may_cut_off: bool,
) -> tuple[Block, dict[str, Range], OwnIntegers]:
    """The nodes of a file in real numbers, and by layer its ranges and its integers.

    `inputs` have their grids where they are integers with one. `arrays` reads a constant by its name. `may_cut_off`:
    integers that begin at 0 may stand for a Relu; not in files that have each Relu as an operator.
    """
    reader = _Reader(block, inputs, arrays, constants, may_cut_off)
    nodes = tuple(reader.read(node) for node in block.nodes)
    return Block(nodes, block.outputs), reader.ranges, OwnIntegers(reader.grids, reader.own)
