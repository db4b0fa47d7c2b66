"""What a program in any language must know to call a file on an image, from its manifest."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.artifact import Manifest, TensorRecord, pixels_are_codes
from edgekit.preprocess import Preprocessing


@dataclass(frozen=True)
class Call:
    """How one file is called. `height`, `width` and `channels` are of the input as the network wants it."""

    manifest: Manifest

    @property
    def how(self) -> Preprocessing:
        """From image to input."""
        return self.manifest.preprocessing

    @property
    def given(self) -> TensorRecord:
        """The input."""
        return self.manifest.inputs[0]

    @property
    def taken(self) -> TensorRecord:
        """The output."""
        return self.manifest.outputs[0]

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        channels, height, width = self.manifest.variant.input_shape[1:]
        return height, width, channels

    @property
    def shape(self) -> tuple[int, ...]:
        """The input's shape in the file's order, for one image."""
        return (1, *self.given.shape[1:])

    @property
    def channels_first(self) -> bool:
        """Whether the file wants NCHW."""
        return self.given.layout.startswith("NC")

    @property
    def takes_pixels(self) -> bool:
        """Whether the input's integers are pixels, as they are (uint8) or less 128 (int8)."""
        return self.given.dtype in ("uint8", "int8") and pixels_are_codes(self.how, self.given)

    @property
    def gives_index(self) -> bool:
        """Whether the file answers with the index of the best class alone."""
        return self.manifest.output == "argmax"

    @property
    def title(self) -> str:
        """The file in words."""
        return f"{self.manifest.file} ({self.manifest.variant.name}, {self.manifest.precision})"
