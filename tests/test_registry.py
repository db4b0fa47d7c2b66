"""The registry: names are unique, aliases resolve, a misspelt name suggests the nearest."""

import pytest

from edgekit.errors import UsageError
from edgekit.registry import Registry, each


def test_an_unknown_name_suggests_the_nearest() -> None:
    table = Registry[int]("network", {"mobilenet": 1, "resnet50": 2})
    with pytest.raises(UsageError, match="did you mean 'mobilenet'"):
        table["mobilnet"]


def test_a_name_is_registered_once() -> None:
    table = Registry[int]("network")
    table.register("a", 1)
    with pytest.raises(ValueError, match="twice"):
        table.register("a", 2)


def test_aliases_are_accepted_and_not_listed() -> None:
    table = Registry[int]("format", {"tflite": 1}, aliases={"litert": "tflite"})
    assert table["litert"] == 1 and list(table) == ["tflite"] and "litert" in table
    with pytest.raises(UsageError, match="did you mean 'tflite'"):
        table["litrt"]


def test_a_lazy_entry_is_loaded_when_it_is_asked_for() -> None:
    assert Registry[float]("constant", {"pi": "math:pi"})["pi"] > 3


@pytest.mark.parametrize(("names", "found"), [("litert, b,tflite,", ("tflite", "b")), (["b"], ("b",)), (" ,", ())])
def test_several_names_are_canonical_and_each_once(names: str | list[str], found: tuple[str, ...]) -> None:
    table = Registry[int]("format", {"tflite": 1, "b": 2}, aliases={"litert": "tflite"})
    assert each(names, table.canonical) == found
