"""The one reader of YAML: lines of mistakes, no name twice, values as they stand."""

from __future__ import annotations

import pytest
import yaml

from edgekit.util.yaml_text import YamlError, line_of, pairs, root, values


def test_values_are_those_of_yaml() -> None:
    text = "a: [1, 2.5, yes]\nb: {c: null, d: x}\nbase: &base {e: 1}\nf: {<<: *base, g: 2}\n"
    assert values(text) == yaml.safe_load(text)
    assert values("") is None


def test_nodes_keep_their_text_and_line() -> None:
    node = root("a: 007\n\nb: {c: 1}\n")
    assert isinstance(node, yaml.MappingNode)
    found = pairs(node)
    assert {name: line for name, (line, _) in found.items()} == {"a": 1, "b": 3}
    assert found["a"][1].value == "007" and line_of(found["b"][1]) == 3
    assert root("") is None


@pytest.mark.parametrize(
    ("text", "cause", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' is there twice, first in line 1", (3, 1)),
        ("x: {a: 1, a: 3}\n", "'a' is there twice, first in line 1", (1, 11)),
        ("? [a]\n: 1\n", "a name must be text", (1, 3)),
        ("a: 2024-02-30\n", "2024-02-30 is no timestamp", (1, 4)),
        ("a: [\n", "expected the node content", (2, 1)),
        ("a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor", (1, 4)),
        ("[" * 5000, "it is nested too deep", (None, None)),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_place(
    text: str, cause: str, place: tuple[int | None, int | None]
) -> None:
    with pytest.raises(YamlError) as caught:
        values(text)
    assert cause in caught.value.cause and "\n" not in str(caught.value)
    assert (caught.value.line, caught.value.column) == place
