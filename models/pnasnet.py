"""PNASNet-5: "Progressive Neural Architecture Search", Liu et al. 2018, Figure 1.

NASNet's parts (models/nasnet.py), with one kind of cell:

    2 = sep5(1) + max(1)
    3 = sep7(0) + max(0)
    4 = sep5(0) + sep3(0)
    5 = sep3(4) + max(0)
    6 = sep3(1) + 0
    2 to 6: 5 F channels

To halve, what reads 0 or 1 has stride 2; the map that is passed on as it is goes through ReLU, 1x1 / 2, BN.

    name            input    conv0        2 cells, / 2   n cells       n cells, the first / 2, twice
    pnasnet_mobile  224x224  3x3 / 2, 32  F = 13, 27     3 of F = 54   F = 108, 216: 1080 channels of 7x7
    pnasnet_large   331x331  3x3 / 2, 96  F = 54, 108    4 of F = 216  F = 432, 864: 4320 channels of 11x11
    then ReLU, average pool, dropout, linear to classes
"""

from __future__ import annotations

from torch import nn

from edgekit.models.blocks import register
from edgekit.models.nasnet import CellNetwork, Kind, Step
from edgekit.network.spec import ModelSpec, Published
from edgekit.records.preprocessing import TENSORFLOW

CELL = Kind(
    (
        ("sep5", 1, "max", 1),
        ("sep7", 0, "max", 0),
        ("sep5", 0, "sep3", 0),
        ("sep3", 4, "max", 0),
        ("sep3", 1, "same", 0),
    ),
    range(2, 7),
)


def _steps(width: int, n: int) -> list[Step]:
    steps = [Step(CELL, width // 4, 2), Step(CELL, width // 2, 2)]
    for wide in (width, 2 * width, 4 * width):
        steps += [Step(CELL, wide, 2 if wide > width else 1), *[Step(CELL, wide)] * (n - 1)]
    return steps


def pnasnet_mobile(resolution: int = 224, classes: int = 1000) -> nn.Module:
    """PNASNet-5 of three cells at a size, the first of 54 channels."""
    return CellNetwork(resolution, classes, 32, _steps(54, 3))


def pnasnet_large(resolution: int = 331, classes: int = 1000) -> nn.Module:
    """PNASNet-5 of four cells at a size, the first of 216 channels."""
    return CellNetwork(resolution, classes, 96, _steps(216, 4))


for _build, _resolution, _published in (
    (pnasnet_mobile, 224, Published("Liu et al. 2018, Table 4", 0.742, 0.919, 588e6, 5.1e6)),
    (pnasnet_large, 331, Published("Liu et al. 2018, Table 5", 0.829, 0.962, 25.0e9, 86.1e6, macs_unit=1e8)),
):
    register(
        ModelSpec(
            name=_build.__name__,
            family="NASNet",
            paper="Liu et al., Progressive Neural Architecture Search, 2018",
            build=_build,
            input_shape=(3, _resolution, _resolution),
            preprocessing=TENSORFLOW,
            published=(_published,),
        )
    )
