"""What the layers of a Keras model compute, held against a network layer by layer.

Shapes of weights alone do not tell a stride, a padding or an activation; the model's configuration does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.checkpoints.keras.config import KerasLayer
from edgekit.errors import UsageError
from edgekit.ir.graph import Graph, Op
from edgekit.util.formatting import shape_text

Padding = tuple[tuple[int, int], ...]
_NO_PADDING: Padding = ((0, 0), (0, 0))
_SHAPES_ONLY = ("reshape", "permute")
_ACTIVATIONS = ("relu", "tanh", "sigmoid", "softmax")


@dataclass(frozen=True)
class Step:
    """One operation in the words of a graph. Paddings are explicit ones; `same` adds TensorFlow's own."""

    kind: str
    layer: KerasLayer
    attrs: Mapping[str, Any] = field(default_factory=dict)
    padding: Padding = _NO_PADDING
    same: bool = False


def steps(path: Path, layers: Sequence[KerasLayer]) -> list[Step]:
    """Return what the layers compute at inference. Raises UsageError for a layer that is not known."""
    found: list[Step] = []
    for layer in layers:
        if layer.kind not in _KINDS:
            raise UsageError(
                f"{path.name} has the layer {layer.name[:80]} of the class {layer.kind[:40]}, "
                "which is not read from Keras files",
                "leave it out of the model, or save the weights for the torch network",
            )
        found += _KINDS[layer.kind](layer)
    if found and found[-1].kind == "softmax":  # files answer with logits; --output softmax adds it
        found.pop()
    return _padded(_without_reshapes(found))


def compare(path: Path, found: Sequence[Step], graph: Graph, model: str) -> None:
    """Raise UsageError with the first layer that computes something else than the network does there."""
    ops = [op for op in graph if op.kind != "input" and not _only_reshapes(op, graph)]
    found = [
        step for step in found if step.kind != "mean" or any(op.kind == "mean" for op in ops) or not _one_place(graph)
    ]
    for index, step in enumerate(found):
        op = ops[index] if index < len(ops) else None
        told = _difference(step, op, graph)
        if told:
            name = f"{path.name}: its layer {step.layer.name[:80]} ({step.layer.kind})"
            raise UsageError(f"{name} {told}, so it is no {model}", _remedy(told, model))
    if len(ops) > len(found):
        raise UsageError(
            f"{path.name} ends before {ops[len(found)].name} ({ops[len(found)].kind}) of {model}",
            f"give weights of {model}",
        )


def _remedy(told: str, model: str) -> str:
    if "pads" in told:
        return "choose the resolution that it was trained at, or a multiple of 32, where both paddings are the same"
    return f"give weights of {model}, or bring the network that it is of as FILE.py:function"


def _difference(step: Step, op: Op | None, graph: Graph) -> str | None:
    """What is different; None where both compute the same."""
    if op is None:
        return "comes after the network's last one"
    if {step.kind, op.kind} <= {"conv", "linear"}:
        return _convolution_differs(step, op, graph)
    if step.kind != op.kind:
        return f"computes {step.kind} where {op.name} computes {op.kind}"
    for key, value in step.attrs.items():
        if op.attrs.get(key) != value:
            return f"has {key} {_told(value)} where {op.name} has {_told(op.attrs.get(key))}"
    return _padding_differs(step, op, graph) if "pool" in step.kind else None


def _convolution_differs(step: Step, op: Op, graph: Graph) -> str | None:
    wanted = {
        "kernel": tuple(graph.params[op.params["weight"]].shape[2:]) or (1, 1),
        "stride": op.attrs.get("stride", (1, 1)),
        "dilation": op.attrs.get("dilation", (1, 1)),
    }
    depthwise = op.attrs.get("groups", 1) > 1
    if step.attrs["depthwise"] != depthwise and graph[op.inputs[0]].shape[1] > 1:  # one channel is both
        own, other = ("depthwise", "full") if step.attrs["depthwise"] else ("full", "depthwise")
        return f"is a {own} convolution where {op.name} is a {other} one"
    for key, value in wanted.items():
        if step.attrs[key] != value:
            return f"has {key} {_told(step.attrs[key])} where {op.name} has {_told(value)}"
    return _padding_differs(step, op, graph) if op.kind == "conv" else None


def _padding_differs(step: Step, op: Op, graph: Graph) -> str | None:
    sizes = graph[op.inputs[0]].shape[2:]
    steps_of = zip(step.attrs["kernel"], step.attrs["stride"], step.attrs.get("dilation", (1, 1)), strict=True)
    found = tuple(
        _same(size, *steps, explicit) if step.same else explicit
        for size, steps, explicit in zip(sizes, steps_of, step.padding, strict=True)
    )
    if found == op.attrs["padding"] and (step.kind != "avg_pool" or found == _NO_PADDING):
        return None
    return f"pads its input of {_told(sizes)} by {found}, where {op.name} pads by {op.attrs['padding']}"


def _same(size: int, kernel: int, stride: int, dilation: int, explicit: tuple[int, int]) -> tuple[int, int]:
    """TensorFlow's SAME of an axis, around zeros that stand there already."""
    size += sum(explicit)
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return explicit[0] + total // 2, explicit[1] + total - total // 2


def _told(value: Any) -> str:
    return shape_text(value) if isinstance(value, (tuple, list)) else str(value)


def _one_place(graph: Graph) -> bool:
    """Whether the last map has one place, whose mean is no operator."""
    maps = [op.shape[2:] for op in graph if len(op.shape) == 4]
    return bool(maps) and maps[-1] == (1, 1)


def _only_reshapes(op: Op, graph: Graph) -> bool:
    """Whether it leaves the order of the numbers, as after a mean over a map."""
    return op.kind in _SHAPES_ONLY and all(size == 1 for size in graph[op.inputs[0]].shape[2:])


def _without_reshapes(found: Sequence[Step]) -> list[Step]:
    """What follows a mean over the whole map has one place only, which no reshape changes."""
    mean = next((index for index, step in enumerate(found) if step.kind == "mean"), len(found))
    return [step for index, step in enumerate(found) if step.kind != "reshape" or index < mean]


def _padded(found: Sequence[Step]) -> list[Step]:
    """Zeros around a map belong to the convolution that reads them, as in the graph."""
    result: list[Step] = []
    waiting: Padding | None = None
    for step in found:
        if step.kind == "pad":
            waiting = step.padding if waiting is None else _sum(waiting, step.padding)
        elif waiting is not None and step.kind == "conv":
            result.append(Step(step.kind, step.layer, step.attrs, waiting, step.same))
            waiting = None
        else:
            if waiting is not None:
                result.append(Step("pad", step.layer))
                waiting = None
            result.append(step)
    return result


def _sum(one: Padding, other: Padding) -> Padding:
    return tuple((a + c, b + d) for (a, b), (c, d) in zip(one, other, strict=True))


# What each class of Keras computes


def _nothing(layer: KerasLayer) -> Iterator[Step]:
    yield from ()


def _conv(layer: KerasLayer) -> Iterator[Step]:
    config = layer.config
    attrs = {
        "kernel": _pair(config["kernel_size"]),
        "stride": _pair(config.get("strides", 1)),
        "dilation": _pair(config.get("dilation_rate", 1)),
        "depthwise": layer.kind == "DepthwiseConv2D" or config.get("groups", 1) > 1,
    }
    yield Step("conv", layer, attrs, same=config.get("padding") == "same")
    yield from _activation(layer)


def _dense(layer: KerasLayer) -> Iterator[Step]:
    yield Step("linear", layer, {"kernel": (1, 1), "stride": (1, 1), "dilation": (1, 1), "depthwise": False})
    yield from _activation(layer)


def _norm(layer: KerasLayer) -> Iterator[Step]:
    yield Step("batch_norm", layer)


def _relu(layer: KerasLayer) -> Iterator[Step]:
    config = layer.config
    slope = config.get("negative_slope") or 0.0
    if _number(slope) or _number(config.get("threshold") or 0.0):
        yield Step("leaky_relu", layer)
    elif config.get("max_value") is None:
        yield Step("relu", layer)
    else:
        yield Step("clip", layer, {"min": 0.0, "max": _number(config["max_value"])})


def _activation(layer: KerasLayer) -> Iterator[Step]:
    name = layer.config.get("activation") or "linear"
    if isinstance(name, Mapping):  # a function as an object: {"class_name": "function", "config": "relu6"}
        inner = name.get("config")
        name = inner if isinstance(inner, str) else str(name.get("class_name"))
    if name == "relu6":
        yield Step("clip", layer, {"min": 0.0, "max": 6.0})
    elif name != "linear":
        yield Step(name if name in _ACTIVATIONS else f"activation {str(name)[:40]}", layer)


def _softmax(layer: KerasLayer) -> Iterator[Step]:
    yield Step("softmax", layer)


def _mean(layer: KerasLayer) -> Iterator[Step]:
    yield Step("mean", layer)


def _pool(layer: KerasLayer) -> Iterator[Step]:
    config = layer.config
    size = _pair(config["pool_size"])
    attrs = {"kernel": size, "stride": _pair(config["strides"]) if config.get("strides") else size}
    kind = "max_pool" if layer.kind.startswith("Max") else "avg_pool"
    yield Step(kind, layer, attrs, same=config.get("padding") == "same")


def _pad(layer: KerasLayer) -> Iterator[Step]:
    given = layer.config["padding"]
    sides = [given, given] if isinstance(given, int) else given
    yield Step("pad", layer, padding=tuple((one, one) if isinstance(one, int) else tuple(one) for one in sides))


def _reshape(layer: KerasLayer) -> Iterator[Step]:
    yield Step("reshape", layer)


def _scaled(layer: KerasLayer) -> Iterator[Step]:
    """x * scale + offset, by a layer or by an operation with one number."""
    name = str(layer.config.get("function") or layer.kind).rpartition(".")[2].lower()
    if layer.kind == "Rescaling":
        yield Step("scale", layer, {"scale": _number(layer.config["scale"]), "offset": _number(layer.config["offset"])})
        return
    (by,) = layer.constants
    scale = {"truediv": 1 / by if by else 0.0, "divide": 1 / by if by else 0.0, "multiply": by, "mul": by}
    scale["truedivide"] = scale["divide"]
    offset = {"subtract": -by, "sub": -by, "add": by}
    if name not in {**scale, **offset}:
        yield Step(name[:40], layer)
    else:
        yield Step("scale", layer, {"scale": scale.get(name, 1.0), "offset": offset.get(name, 0.0)})


def _number(value: Any) -> float:
    """A number, or the one that several are."""
    several = value if isinstance(value, list) else [value]
    (only,) = {float(one) for one in several}
    return only


def _pair(value: Any) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


_IN_TRAINING = (
    *("Dropout", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness"),
)
_KINDS: dict[str, Callable[[KerasLayer], Iterator[Step]]] = {
    **dict.fromkeys((*_IN_TRAINING, "InputLayer", "Identity"), _nothing),
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D"), _conv),
    "Dense": _dense,
    "BatchNormalization": _norm,
    "ReLU": _relu,
    "Activation": _activation,
    "Softmax": _softmax,
    "GlobalAveragePooling2D": _mean,
    **dict.fromkeys(("MaxPooling2D", "AveragePooling2D"), _pool),
    "ZeroPadding2D": _pad,
    **dict.fromkeys(("Flatten", "Reshape"), _reshape),
    **dict.fromkeys(("Rescaling", "TrueDivide", "Divide", "Multiply", "Subtract", "Add", "TFOpLambda"), _scaled),
}
