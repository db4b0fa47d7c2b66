"""Arguments of forward() that hold several tensors."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import onnx
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from edgekit.network.structured_inputs import taking_tensors
from edgekit.network.user_model import find

IMAGE, STATE = (1, 3, 6, 6), (1, 4)
IMAGES = ("batch.cams.left", "maps.0")  # the inputs of this shape that do not say so in their names


class Tuple(NamedTuple):
    image: Tensor
    state: Tensor


@dataclasses.dataclass
class Data:
    image: Tensor
    state: Tensor
    scale: float = 2.0


@dataclasses.dataclass
class Outer:
    inner: Data
    bias: Tensor


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def added(self, image: Tensor, state: Tensor) -> Tensor:
        made: Tensor = self.conv(image).mean((2, 3)) * state
        return made


class OfMapping(Net):
    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        return self.added(batch["image"], batch["state"])


class OfNestedMapping(Net):
    def forward(self, batch: dict[str, Any], bias: Tensor) -> Tensor:
        return self.added(batch["cams"]["left"], batch["state"]) + bias


class OfTuple(Net):
    def forward(self, batch: Tuple) -> Tensor:
        return self.added(batch.image, batch.state)


class OfData(Net):
    def forward(self, batch: Data | None = None) -> Tensor:
        assert batch is not None
        return self.added(batch.image, batch.state) * batch.scale


class OfList(Net):
    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        image, state = maps
        return self.added(image, state)


class OfData2(Net):
    def forward(self, batch: Outer) -> Tensor:
        return self.added(batch.inner.image, batch.inner.state) + batch.bias


class OfTwo(Net):
    def forward(self, left: dict[str, Tensor], right: dict[str, Tensor], state: Tensor) -> Tensor:
        return self.added(left["image"] - right["image"], state)


class OfKeys(Net):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.added(batch["the image"], batch["self"])


SAME = ("left.a_b", "left.a.b", "right.a_b", "right.b")
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...], Callable[..., tuple[Any, ...]], list[str]]] = {
    "a dictionary": (
        OfMapping, ("batch.image", "batch.state"), lambda x, s: ({"image": x, "state": s},), ["image", "state"]),
    "nested dictionaries beside a tensor": (
        OfNestedMapping, ("batch.cams.left", "batch.state", "bias"),
        lambda x, s, b: ({"cams": {"left": x}, "state": s}, b), ["left", "state", "bias"]),
    "a named tuple": (OfTuple, ("batch.image", "batch.state"), lambda x, s: (Tuple(x, s),), ["image", "state"]),
    "a dataclass that may be None": (
        OfData, ("batch.image", "batch.state"), lambda x, s: (Data(x, s),), ["image", "state"]),
    "a dataclass in a dataclass": (
        OfData2, ("batch.inner.image", "batch.inner.state", "batch.bias"),
        lambda x, s, b: (Outer(Data(x, s), b),), ["image", "state", "bias"]),
    "two dictionaries with one key": (
        OfTwo, ("left.image", "right.image", "state"),
        lambda x, y, s: ({"image": x}, {"image": y}, s), ["left_image", "right_image", "state"]),
    "keys that are no names": (
        OfKeys, ("batch.the image", "batch.self"), lambda x, s: ({"the image": x, "self": s},),
        ["batch_the_image", "batch_self"]),
    "a list": (OfList, ("maps.0", "maps.1"), lambda x, s: ([x, s],), ["maps_0", "maps_1"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_tensor_of_an_argument_is_an_input(case: str) -> None:
    make, names, argument, told = CASES[case]
    module = make().eval()
    shapes = [IMAGE if "image" in name or name in IMAGES else STATE for name in names]
    flat = taking_tensors(module, names)
    graph = trace(flat, *shapes)
    assert [op.name for op in graph.inputs] == told
    x = [torch.randn(shape) for shape in shapes]
    with torch.no_grad():
        want = module(*argument(*x))
        torch.testing.assert_close(flat(*x), want)
    torch.testing.assert_close(graph.run(*x), want)
    assert type(flat) is not type(module) and flat.state_dict().keys() == module.state_dict().keys()


def test_a_module_that_takes_tensors_is_left_alone() -> None:
    module = nn.Conv2d(3, 4, 3)
    assert taking_tensors(module, ("input",)) is module


def test_a_file_of_a_dictionary_has_named_inputs(tmp_path: Any) -> None:
    found = edgekit.export(
        OfMapping().eval(), input={"batch.image": IMAGE, "batch.state": STATE}, format="onnx", out=tmp_path
    )
    model = onnx.load(str(found.artifacts[0].path))
    assert [one.name for one in model.graph.input] == ["image", "state"]


@pytest.mark.parametrize(
    ("make", "given", "said", "remedy"),
    [
        (OfMapping, {"image": IMAGE, "state": STATE}, "takes batch, not image, state", r"batch\.image"),
        (OfTuple, {"batch.image": IMAGE}, "batch of forward.* is a Tuple: missing .*'state'", r"--input batch\.state="),
        (OfData, {"batch.img": IMAGE, "batch.state": STATE}, "is a Data: ", r"--input batch\.image="),
        (OfMapping, {"batch": IMAGE, "batch.state": STATE}, "batch.state names no tensor of its own", "once for each"),
        (OfMapping, {"batch.state": STATE, "batch.state.x": STATE}, "names no tensor of its own", "once for each"),
        (OfTwo, dict.fromkeys(SAME, IMAGE), "two inputs are called left_a_b in a file", "another key"),
        (OfMapping, {"batch.": IMAGE}, "names no tensor of its own", "once for each"),
    ],
)
def test_names_that_do_not_fit_are_told(make: Callable[[], nn.Module], given: Any, said: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        find(make().eval(), given).build()
    assert re.search(remedy, caught.value.remedy)


def test_a_tensor_in_place_of_a_dictionary_is_told_with_its_name() -> None:
    with pytest.raises(UsageError, match="asks a tensor for 'image'") as caught:
        trace(OfMapping().eval(), IMAGE)
    assert "--input batch.image=1,..." in caught.value.remedy


def test_several_shapes_for_one_argument_are_told() -> None:
    with pytest.raises(UsageError, match="takes 1 inputs") as caught:
        trace(OfMapping().eval(), IMAGE, STATE)
    assert "--input batch.KEY=1,..." in caught.value.remedy
