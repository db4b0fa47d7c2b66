"""What several families share: registration, TensorFlow's padding, and the squeeze of a feature map into a vector."""

from __future__ import annotations

from torch import nn

from edgekit.errors import UsageError
from edgekit.network.spec import MODELS, ModelSpec
from edgekit.records.preprocessing import TORCHVISION

# CIFAR images come in their own size: nothing is cropped.
CIFAR = TORCHVISION.model_copy(update={"crop_fraction": 1.0})


def register(spec: ModelSpec) -> ModelSpec:
    """Add a network to the zoo under its own name."""
    return MODELS.register(spec.name, spec)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME for one axis of `size` pixels: (low, high) zeros, the odd one at the high end.

    The output has ceil(size / stride) pixels, so the padding of a strided layer depends on its own input:
    3x3 stride 2 pads (0, 1) at 100 pixels and (1, 1) at 25.
    """
    steps = -(-size // stride)
    total = max((steps - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def make_divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `channels`, but at least 90 % of it (MobileNet v2's reference code)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def conv_bn(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution (0), BN (1), activation (2); padded symmetrically, so that stride 1 keeps the size."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


def only_resolution(name: str, given: int, own: int) -> None:
    """Raise UsageError unless a network whose classifier fixes its resolution is built at that resolution."""
    if given != own:
        raise UsageError(
            f"the classifier of {name} fixes its resolution at {own}, not {given}", f"build it with resolution={own}"
        )
