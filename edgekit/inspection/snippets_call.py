"""What a program in any language must know to call a file on an image, from its manifest.

A program is saved anywhere and moves with its file, so it looks for the file beside itself, and then where it was.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekit.data.labels import without_ids
from edgekit.records.formats import ARGMAX, CHANNELS_LAST
from edgekit.records.manifest import Manifest, TensorRecord, labels_path, pixels_are_codes
from edgekit.records.preprocessing import Preprocessing
from edgekit.util.formatting import shape_text

NAMES_IN_LINE = 4
MOST_NAMES = 100  # in a program; more are read from the file beside the network
IN_COMMENT = " ._-+=,()[]:"
IN_LITERAL = string.ascii_letters + string.digits + IN_COMMENT + "/;<>|!#&@^~{}'"  # alike in C++ and Kotlin


@dataclass(frozen=True)
class Call:
    """How one file is called on an image."""

    manifest: Manifest
    place: Path  # where the file lies now, from the root

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
        """Height, width and channels of the input, as the network wants it."""
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
        return pixels_are_codes(self.how, self.given)

    @property
    def gives_index(self) -> bool:
        """Whether the file answers with the index of the best class alone."""
        return self.manifest.output == ARGMAX

    @property
    def names_place(self) -> Path | None:
        """Where the names of all outputs are, a line each, if a program reads them because they are many; else None."""
        beside = labels_path(self.place)
        return beside if len(self.manifest.labels) > MOST_NAMES and beside.is_file() else None

    def names(self, literal: Callable[[str], str]) -> str:
        """Return the classes' names as literals of a language, NAMES_IN_LINE a line.

        Empty for a file without labels, and where a program reads them.
        """
        if self.names_place:
            return ""
        labels = [literal(one) for one in without_ids(self.manifest.labels)[self.how.class_offset :]]
        lines = (", ".join(labels[at : at + NAMES_IN_LINE]) for at in range(0, len(labels), NAMES_IN_LINE))
        return ",\n    ".join(lines)

    @property
    def name(self) -> str:
        """The file's name, as it lies there."""
        return self.place.name

    @property
    def title(self) -> str:
        """The file in words, for a comment."""
        return f"{self.file} ({in_comment(self.manifest.variant.name)}, {in_comment(self.manifest.precision)})"

    @property
    def file(self) -> str:
        """The file's name, for a comment."""
        return in_comment(self.name)


@dataclass(frozen=True)
class Array:
    """An input or output as numbers: in the network's axes, and as the file stores them."""

    tensor: TensorRecord

    @property
    def channels_last(self) -> bool:
        """Whether the file has the channels behind the other axes, and the network before them."""
        return self.tensor.layout in CHANNELS_LAST

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape in the file, for one example where the batch is free."""
        return (max(1, self.tensor.shape[0]), *self.tensor.shape[1:]) if self.tensor.shape else ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the network has."""
        batch, *sizes = self.stored or (1,)
        return (batch, sizes[-1], *sizes[:-1]) if self.channels_last else self.stored

    @property
    def count(self) -> int:
        """How many numbers."""
        return math.prod(self.stored)

    @property
    def places(self) -> tuple[int, int]:
        """The channels, and how many numbers each of them has in one example."""
        return self.shape[1], math.prod(self.shape[2:])

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest integer of a quantized input."""
        return (0, 255) if self.tensor.dtype == "uint8" else (-128, 127)

    @property
    def about(self) -> str:
        """Its name and its shape, for a comment."""
        last = ", channels last in the file" if self.channels_last else ""
        return f"{in_comment(self.tensor.name)}, {shape_text(self.shape) or 'one number'}{last}"


def template(name: str) -> string.Template:
    """Return a program of templates/, with ${name} where a file's own values go."""
    return string.Template((Path(__file__).with_name("templates") / name).read_text(encoding="utf-8"))


def in_comment(text: str) -> str:
    """Return what a comment in any language can hold without ending: other signs become `_`.

    A manifest can say anything.
    """
    return "".join(sign if sign.isalnum() or sign in IN_COMMENT else "_" for sign in text)


def cpp_literal(text: str) -> str:
    """Return a C++ string literal of the text's UTF-8 bytes; an octal escape takes no digit that follows."""
    data = text.encode("utf-8", "surrogatepass")
    return '"' + "".join(chr(byte) if chr(byte) in IN_LITERAL else f"\\{byte:03o}" for byte in data) + '"'


def kotlin_literal(text: str) -> str:
    """Return a Kotlin string literal, without a template in it."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
    return '"' + "".join(chr(code) if chr(code) in IN_LITERAL else f"\\u{code:04x}" for code in codes) + '"'
