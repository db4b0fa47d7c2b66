"""OverFeat, the fast model: "OverFeat: Integrated Recognition, Localization and Detection", Sermanet et al. 2014.

    layer   output          filter           then
    conv1     96 x 56x56    11x11 / 4        ReLU, max pool 2x2 / 2
    conv2    256 x 24x24    5x5              ReLU, max pool 2x2 / 2
    conv3    512 x 12x12    3x3, padded      ReLU
    conv4   1024 x 12x12    3x3, padded      ReLU
    conv5   1024 x 12x12    3x3, padded      ReLU, max pool 2x2 / 2
    linear 3072, 4096, classes, with ReLU and dropout 50 %

The paper slides the classifier over larger images; here it is for one window of 231x231.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.models.blocks import only_resolution, register
from edgekit.network.spec import ModelSpec, Published


class OverFeat(nn.Module):
    """(N, 3, 231, 231) -> (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 96, 11, 4), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(96, 256, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(256, 512, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(512, 1024, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(1024, 1024, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        )
        self.classifier = nn.Sequential(
            *(nn.Linear(1024 * 6 * 6, 3072), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(3072, 4096), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(4096, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (N, 1024, 6, 6)
        return self.classifier(x.flatten(1))


def overfeat(resolution: int = 231, classes: int = 1000) -> nn.Module:
    """The fast model; 231x231 only."""
    only_resolution("overfeat", resolution, 231)
    return OverFeat(classes)


register(
    ModelSpec(
        name="overfeat",
        family="AlexNet",
        paper="Sermanet et al., OverFeat: Integrated Recognition, Localization and Detection, 2014",
        build=overfeat,
        input_shape=(3, 231, 231),
        fixed_resolution=True,
        published=(
            Published(
                "Sermanet et al. 2014, Tables 2 and 4, one fast model, one scale, coarse stride, ILSVRC'12 validation",
                top1=0.6072,
                top5=0.8288,
                macs=2810e6,
                params=145e6,
                one_crop=False,
            ),
        ),
    )
)
