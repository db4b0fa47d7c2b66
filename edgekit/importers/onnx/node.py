"""A node of an ONNX graph, as the operators of table.py get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from edgekit.errors import UsageError
from edgekit.importers.tensors import is_known

STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class Node:
    """One operator of the file. `attributes` hold numbers, texts, lists of them, numpy arrays and `Block`s."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int
    domain: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"node {self.name} ({self.kind})"

    @property
    def key(self) -> str:
        """What the table of operators knows it by."""
        return self.kind if self.domain in STANDARD else f"{self.domain}.{self.kind}"

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default where the file leaves it out."""
        return self.attributes.get(name, default)

    def asks(self, index: int) -> bool:
        """Whether anybody can read the output at an index."""
        return index < len(self.outputs) and bool(self.outputs[index])

    def refusal(self, why: str, remedy: str = "write it with other operators") -> UsageError:
        """The error for a node that cannot be read."""
        return UsageError(f"{self} {why}", remedy)

    def numbers(self, value: Tensor, what: str) -> list[Any]:
        """The numbers in a tensor that tells how the operator works. Raises UsageError where the input decides them."""
        if not is_known(value):
            raise self.refusal(
                f"takes its {what} from the values of the network's input", "fix it when the file is made"
            )
        return list(value.reshape(-1).tolist())

    def integers(self, value: Tensor | None, what: str, attribute: str = "") -> list[int] | None:
        """Whole numbers from an attribute, as older opsets have them, or from an input; None where neither is there."""
        if attribute and attribute in self.attributes:
            return [int(one) for one in self.attributes[attribute]]
        return None if value is None else [int(one) for one in self.numbers(value, what)]

    def integer(self, value: Tensor, what: str) -> int:
        """One whole number from an input."""
        (found,) = self.numbers(value, what)
        return int(found)


@dataclass(frozen=True)
class Block:
    """Nodes in an order in which they can run, and the names of what they give: a graph, or a branch of one."""

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def readers(self) -> dict[str, list[Node]]:
        """The nodes that read a value, by its name; once for each reading."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found
