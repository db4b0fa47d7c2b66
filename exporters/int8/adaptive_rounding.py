"""Rounding weights up or down by what it does to each layer's output, rather than to the nearest integer.

The objective is that of Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (2020), section 3:
the squared error of a layer's output on calibration images, quadratic in the rounding errors of its weights. Layer
after layer, the input being what the int8 network hands over, so that a layer also makes up for what was lost before
it. There it is solved by relaxing and descending along the gradient; here by coordinate descent over the two
neighbours of each weight, all output channels at once, which takes no tuning and a hundredth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.exporters.int8.activations import scheme_of
from edgekit.exporters.int8.bias_correction import moved_bias
from edgekit.exporters.int8.pair_sums import LIMIT, adds_in_pairs, partners
from edgekit.exporters.int8.simulate import integer_graph, round_values
from edgekit.ir.graph import Graph, Op
from edgekit.ir.quantized import QuantizedGraph, QWeight
from edgekit.ir.reference import KERNELS, pad_argument

MAX_COLUMNS = 2304  # weights of one output channel; the moments of more cost too much memory and time
ROWS = 1 << 15  # places of the kernel that the moments are taken over, of all images together
SWEEPS = 6
BLOCK = 64  # columns whose effect on the later ones is added up in one product
RIDGE = 0.1  # of the mean variance, added to every variance: moments of few images are not trusted to the end


@torch.no_grad()
def adapted(quantized: QuantizedGraph, graph: Graph, x: Tensor) -> QuantizedGraph:
    """The same network with its weights rounded up or down to fit the float `graph` on `x`, biases following.

    Convolutions in two dimensions and linear layers of up to MAX_COLUMNS weights per output channel are adapted; of
    the others only the biases are moved.
    """
    weights, biases = dict(quantized.weights), dict(quantized.biases)
    rounding = round_values(quantized)
    readers = graph.consumers()
    waiting = {op.name: len(readers[op.name]) for op in graph}
    exact: dict[str, Tensor] = {}
    coarse: dict[str, Tensor] = {}
    integer = integer_graph(quantized)
    for op, product in zip(graph, integer, strict=True):
        if op.kind == "input":
            exact[op.name] = coarse[op.name] = x
        else:
            exact[op.name] = KERNELS[op.kind](op, [exact[name] for name in op.inputs], graph.tensors(op))
            own = integer.tensors(product)
            inputs = [coarse[name] for name in op.inputs]
            if op.name in weights:
                if _fits(op, weights[op.name]):
                    weights[op.name] = _rounded(quantized, graph, op, inputs[0], exact[op.name])
                    own = {"weight": weights[op.name].values.float(), "bias": own["bias"]}
                biases[op.name] = moved_bias(quantized, op, inputs[0], own, exact[op.name])
                own = {**own, "bias": biases[op.name].float()}
            coarse[op.name] = KERNELS[product.kind](product, inputs, own)
        changed = rounding(op, coarse[op.name])
        coarse[op.name] = coarse[op.name] if changed is None else changed
        for name in op.inputs:
            waiting[name] -= 1
            if waiting[name] == 0 and not graph.is_output(name):
                del exact[name], coarse[name]
    return replace(quantized, weights=weights, biases=biases)


def _fits(op: Op, weight: QWeight) -> bool:
    two_dimensional = op.kind == "conv" and len(op.shape) == 4 or op.kind == "linear" and len(op.shape) == 2
    return two_dimensional and weight.values[0].numel() <= MAX_COLUMNS


def _rounded(quantized: QuantizedGraph, graph: Graph, op: Op, x: Tensor, wanted: Tensor) -> QWeight:
    """The weight of `op` that brings its output on `x`, which stands on the grid, nearest to `wanted`."""
    weight, target = quantized.weights[op.name], graph.tensors(op)["weight"].detach().float()
    missed = KERNELS[op.kind](op, [x], {"weight": target}) - wanted  # the bias takes up what is constant in it
    rows, errors = _places(op, x, missed, target)
    spread = rows.transpose(1, 2) @ rows / rows.shape[1]
    spread.diagonal(dim1=1, dim2=2).add_(RIDGE * spread.diagonal(dim1=1, dim2=2).mean(1, keepdim=True))
    shared = errors.transpose(1, 2) @ rows / rows.shape[1]
    groups = len(rows)
    scale = weight.scale.reshape(groups, -1, 1)
    flat = target.reshape(groups, -1, rows.shape[2])
    values = weight.values.reshape(flat.shape).float()
    pairs = scheme_of(quantized.scheme).pairs and adds_in_pairs(op, target)
    partner = partners(target.shape[1], target[0, 0].numel()) if pairs else None
    found = descend(values, flat, scale, spread, shared, partner)
    return replace(weight, values=found.reshape(weight.values.shape).to(torch.int8))


def _places(op: Op, x: Tensor, missed: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """What the weights meet (groups, places, columns) and what the outputs miss there (groups, places, outputs).

    Both without their means, at places that are drawn (seeded) where there are more than ROWS.
    """
    if op.kind == "linear":
        return (x - x.mean(0))[None], (missed - missed.mean(0))[None]
    generator = torch.Generator().manual_seed(0)
    a, groups, each = op.attrs, op.attrs["groups"], max(ROWS // len(x), 1)
    rows, errors = [], []
    for image, miss in zip(x, missed, strict=True):
        padded = F.pad(image[None], pad_argument(a["padding"]))
        columns = F.unfold(padded, weight.shape[2:], a["dilation"], 0, a["stride"])[0]
        chosen = torch.randperm(columns.shape[1], generator=generator)[:each]
        rows.append(columns[:, chosen])
        errors.append(miss.flatten(1)[:, chosen])
    both = [torch.cat(parts, 1) for parts in (rows, errors)]
    found = [(part - part.mean(1, keepdim=True)).reshape(groups, -1, part.shape[1]).transpose(1, 2) for part in both]
    return found[0], found[1]


def descend(
    values: Tensor,
    target: Tensor,
    scale: Tensor,
    spread: Tensor,
    shared: Tensor,
    partner: Sequence[int | None] | None = None,
) -> Tensor:
    """Integers (groups, outputs, columns) next to target / scale that lower the squared error, one flip after another.

    With d = values * scale - target the error is d spread d + 2 d shared. `scale` is (groups, outputs, 1), `spread`
    (groups, columns, columns), `shared` (groups, outputs, columns). `partner` is the column that a kernel adds to each
    in 16 bits; they stay within them. Never worse than the `values` given.
    """
    values, d = values.clone(), values * scale - target
    slope = d @ spread + shared
    for _ in range(SWEEPS):
        flips = 0
        for start in range(0, values.shape[2], BLOCK):
            block = slice(start, start + BLOCK)
            before = d[:, :, block].clone()
            near, inner = slope[:, :, block].clone(), spread[:, block, block]
            for j in range(near.shape[2]):
                column = start + j
                up = torch.where(d[:, :, column] > 0, -1.0, 1.0)
                step = up * scale[:, :, 0]
                gain = 2 * step * near[:, :, j] + step.square() * inner[:, j, j, None]
                allowed = (values[:, :, column] + up).abs() <= 127
                other = partner[column] if partner else None
                if other is not None:
                    allowed &= (values[:, :, column] + up + values[:, :, other]).abs() <= LIMIT
                step = torch.where((gain < 0) & allowed, step, 0.0)
                values[:, :, column] += torch.where(step == 0, 0.0, up)
                d[:, :, column] += step
                near += step[:, :, None] * inner[:, j, None, :]
                flips += int((step != 0).sum())
            slope += (d[:, :, block] - before) @ spread[:, block, :]
        if flips == 0:
            break
    return values
