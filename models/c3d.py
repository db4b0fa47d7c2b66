"""C3D: "Learning Spatiotemporal Features with 3D Convolutional Networks", Tran et al. 2015, Figure 3.

16 frames of 112x112; every convolution is 3x3x3 with ReLU:

    conv1a    64    16 x 112x112    pool1 1x2x2
    conv2a   128    16 x  56x56     pool2 2x2x2
    conv3a   256, conv3b 256         8 x 28x28      pool3 2x2x2
    conv4a   512, conv4b 512         4 x 14x14      pool4 2x2x2
    conv5a   512, conv5b 512         2 x  7x7       pool5 2x2x2, one pixel of padding in space: 1 x 4x4
    fc6 4096, fc7 4096, fc8 classes                 ReLU and dropout after the first two
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.models.blocks import only_resolution, register
from edgekit.network.spec import ModelSpec, Published


def conv(inputs: int, outputs: int) -> nn.Sequential:
    """3x3x3, ReLU."""
    return nn.Sequential(nn.Conv3d(inputs, outputs, 3, 1, 1), nn.ReLU())


class C3D(nn.Module):
    """(N, 3, 16, 112, 112) -> (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1a = conv(3, 64)
        self.pool1 = nn.MaxPool3d((1, 2, 2))
        self.conv2a = conv(64, 128)
        self.pool2 = nn.MaxPool3d(2)
        self.conv3a = conv(128, 256)
        self.conv3b = conv(256, 256)
        self.pool3 = nn.MaxPool3d(2)
        self.conv4a = conv(256, 512)
        self.conv4b = conv(512, 512)
        self.pool4 = nn.MaxPool3d(2)
        self.conv5a = conv(512, 512)
        self.conv5b = conv(512, 512)
        self.pool5 = nn.MaxPool3d(2, padding=(0, 1, 1))
        self.fc6 = nn.Linear(512 * 1 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool2(self.conv2a(self.pool1(self.conv1a(x))))  # (N, 128, 8, 28, 28)
        x = self.pool3(self.conv3b(self.conv3a(x)))  # (N, 256, 4, 14, 14)
        x = self.pool4(self.conv4b(self.conv4a(x)))  # (N, 512, 2, 7, 7)
        x = self.pool5(self.conv5b(self.conv5a(x))).flatten(1)  # (N, 8192)
        x = self.dropout(self.fc6(x).relu())
        x = self.dropout(self.fc7(x).relu())
        return self.fc8(x)


def c3d(resolution: int = 112, classes: int = 101) -> nn.Module:
    """C3D for 16 frames of 112x112."""
    only_resolution("c3d", resolution, 112)
    return C3D(classes)


register(
    ModelSpec(
        name="c3d",
        family="C3D",
        paper="Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, 2015",
        build=c3d,
        input_shape=(3, 16, 112, 112),
        classes=101,
        fixed_resolution=True,
        published=(Published("Tran et al. 2015, Table 3, UCF101, one network, fc6 and a linear SVM", top1=0.823),),
    )
)
