"""LeNet-5: "Gradient-Based Learning Applied to Document Recognition", LeCun, Bottou, Bengio, Haffner 1998.

    C1 conv 5x5       1 ->   6   28x28
    S2 pool 2x2 / 2              14x14
    C3 conv 5x5       6 ->  16   10x10     connected to all maps, as everyone draws it today
    S4 pool 2x2 / 2               5x5
    C5 conv 5x5      16 -> 120    1x1
    F6 linear       120 ->  84
    output           84 ->  10             linear, where the paper has radial basis functions

tanh after every layer but the last. The paper's subsampling has a coefficient and a bias per map; here it is plain
average pooling, or by option max pooling.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.models.blocks import only_resolution, register
from edgekit.network.spec import ModelSpec, Published
from edgekit.records.preprocessing import Preprocessing


class LeNet5(nn.Module):
    """(N, 1, 32, 32) -> (N, classes)."""

    def __init__(self, classes: int, pool: str) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = nn.AvgPool2d(2) if pool == "avg" else nn.MaxPool2d(2)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = nn.AvgPool2d(2) if pool == "avg" else nn.MaxPool2d(2)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.s2(self.c1(x).tanh())  # (N, 6, 14, 14)
        x = self.s4(self.c3(x).tanh())  # (N, 16, 5, 5)
        x = self.c5(x).tanh().flatten(1)  # (N, 120)
        return self.output(self.f6(x).tanh())


def lenet5(resolution: int = 32, classes: int = 10, pool: str = "avg") -> nn.Module:
    """LeNet-5 with `pool` "avg" or "max"; 32x32 gray images only."""
    only_resolution("lenet5", resolution, 32)
    return LeNet5(classes, pool)


register(
    ModelSpec(
        name="lenet5",
        family="LeNet",
        paper="LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998",
        build=lenet5,
        input_shape=(1, 32, 32),
        classes=10,
        fixed_resolution=True,
        options={"pool": ("avg", "max")},
        # The paper's input: background -0.1, foreground 1.175.
        preprocessing=Preprocessing(channels="L", crop_fraction=1.0, mean=(20.0,), std=(200.0,)),
        published=(
            Published(
                "LeCun et al. 1998, section III.B, MNIST test error 0.95 %", top1=0.9905, params=60_000, params_unit=1
            ),
        ),
    )
)
