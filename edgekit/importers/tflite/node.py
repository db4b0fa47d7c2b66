"""An operator of a TFLite file, as the functions of table.py get it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.errors import UsageError
from edgekit.importers.held import Held, plain
from edgekit.importers.source import LARGEST
from edgekit.importers.tensors import is_known
from edgekit.util.formatting import shape_text

ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}


@dataclass(frozen=True)
class Blocks:
    """The dilation and the (low, high) padding of a convolution that the file computes in blocks."""

    dilation: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Node:
    """One operator. `inputs` and `outputs` are numbers of tensors; -1 is an input left out.

    `activation` is what it computes on its result, under the name `activation_name`. `fill` is what stands in for 0
    where it pads. `ends` are what a quantized file cuts its result off at, beside that.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any = None
    activation: str = "NONE"
    activation_name: str = ""
    fill: float = 0.0
    ends: tuple[float, float | None] | None = None
    blocks: Blocks | None = None  # of a convolution that is dilated by them

    def __str__(self) -> str:
        return f"operator {self.name} ({self.kind})"

    def get(self, option: str, default: Any = None) -> Any:
        """An option by the schema's name; the default where the file has no options."""
        if self.options is None:
            if default is None:
                raise self.refusal(
                    "does not say how it works (its options are missing)", "get or export the file again"
                )
            return default
        read = getattr(self.options, option, None)
        if read is None:
            raise self.refusal("has the options of another operator", "get or export the file again")
        return read()

    def listed(self, option: str) -> list[int]:
        """The numbers of an option that is a list; empty where the file has none."""
        if self.options is None or not hasattr(self.options, f"{option}Length"):
            return []
        count = getattr(self.options, f"{option}Length")()
        if count > 64:
            raise self.refusal(f"has {count} numbers as its {option}", "get or export the file again")
        return [int(getattr(self.options, option)(index)) for index in range(count)]

    def refusal(self, why: str, remedy: str = "write it with other operators") -> UsageError:
        """The error for an operator that cannot be read."""
        return UsageError(f"{self} {why}", remedy)

    def numbers(self, value: Held | None, what: str) -> list[Any]:
        """The numbers in a tensor that tells how the operator works. Raises UsageError where the input decides them."""
        if value is None:
            raise self.refusal(f"does not say its {what}", "get or export the file again")
        if not is_known(value.tensor):
            raise self.refusal(
                f"takes its {what} from the values of the network's input", "fix it when the file is made"
            )
        return list(plain(value).reshape(-1).tolist())

    def integers(self, value: Held | None, what: str) -> list[int]:
        """The same as whole numbers."""
        return [int(one) for one in self.numbers(value, what)]

    def sized(self, shape: Sequence[int]) -> tuple[int, ...]:
        """A shape that stands in the file. Raises UsageError for one that no network has."""
        if any(size < 0 for size in shape) or math.prod(shape) > LARGEST:
            raise self.refusal(
                f"makes a tensor of {shape_text(shape)}", "get or export the file again; no network needs that"
            )
        return tuple(shape)


TYPES = {  # of a CAST's result, by the schema's numbers; real numbers are float32 here, whatever the file has
    0: "float32",
    1: "float32",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float32",
    15: "int64",
    16: "int32",
}
