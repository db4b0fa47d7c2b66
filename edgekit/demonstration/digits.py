"""The demo's images and its training: the handwritten digits that scikit-learn brings, 1,797 of 8x8 pixels.

E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
Each image is enlarged to 32x32 and belongs to exactly one of train, calibration and test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from edgekit.records.preprocessing import Preprocessing, normalize, to_pixels
from edgekit.util.files import make_folder

SIZE = 32  # pixels, both ways
PARTS = {"test": 400, "calibration": 100}  # images; the others are for training
BATCH = 32
LEARNING_RATE = 0.01  # the peak of one cycle; with 0.003 the narrow networks are far from done after as many epochs


class Digits:
    """The images, 32x32 gray, their classes, and the indices of each part."""

    def __init__(self, seed: int = 0) -> None:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        self.images = [_enlarged(image) for image in bunch.images]
        self.classes: NDArray[np.int64] = np.asarray(bunch.target, np.int64)
        order = np.random.default_rng(seed).permutation(len(self.images))
        test, calibration = PARTS["test"], PARTS["calibration"]
        self.parts = {
            "test": order[:test],
            "calibration": order[test : test + calibration],
            "train": order[test + calibration :],
        }

    def write(self, part: str, folder: Path) -> Path:
        """Write a part as PNG files, a sub-folder per class; return the folder."""
        for index in self.parts[part]:
            own = make_folder(folder / str(self.classes[index]))
            self.images[index].save(own / f"{index:04d}.png")
        return folder

    def tensors(self, part: str, preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
        """The inputs of a part (n, C, 32, 32), preprocessed as they will be on a device, and their classes (n,)."""
        pixels = [to_pixels(preprocessing, self.images[index], (SIZE, SIZE)) for index in self.parts[part]]
        inputs = np.stack([normalize(preprocessing, one) for one in pixels])
        return torch.from_numpy(inputs), torch.from_numpy(self.classes[self.parts[part]])


def _enlarged(image: NDArray[np.float64]) -> Image.Image:
    """8x8 values of 0 to 16 as a 32x32 gray image."""
    gray = Image.fromarray((image * (255 / 16)).round().astype(np.uint8))
    return gray.resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def train(network: nn.Module, inputs: Tensor, classes: Tensor, epochs: int, say: Callable[[int], None]) -> None:
    """Train in place with AdamW and one cycle of the learning rate, and leave the network in eval mode.

    `say` is told the number of each epoch as it begins. The same seed gives the same weights on the same machine.
    """
    torch.manual_seed(0)
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # twice as fast here
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, fused=True)
    steps = epochs * (len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for epoch in range(epochs):
        say(epoch + 1)
        for chosen in _batches(len(inputs)):
            x = inputs[chosen].contiguous(memory_format=torch.channels_last)
            loss = functional.cross_entropy(network(x), classes[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def _batches(count: int) -> Iterator[Tensor]:
    """Full batches in a new random order; a last small one would upset the statistics of BatchNorm."""
    order = torch.randperm(count)
    return (order[start : start + BATCH] for start in range(0, count - BATCH + 1, BATCH))
