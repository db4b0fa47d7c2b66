"""YAML that tells the line of what is wrong, and takes no name twice, where plain YAML silently keeps the last."""

from __future__ import annotations

from typing import Any

import yaml

LONGEST = 200  # characters of a cause


class YamlError(ValueError):
    """What is wrong with a text, in one line. `line` and `column` count from 1; None where that is not known."""

    def __init__(self, cause: str, line: int | None = None, column: int | None = None) -> None:
        self.cause, self.line, self.column = " ".join(cause.split())[:LONGEST] or "too deep", line, column
        super().__init__(self.cause + (f" (line {line}, column {column})" if line else ""))


def values(text: str) -> Any:
    """Return a text as Python's values. Raises YamlError."""
    return _read(text, _Loader)


def root(text: str) -> yaml.Node | None:
    """Return the outermost node of a text, or None if it is empty; each of its scalars is text. Raises YamlError."""
    node: yaml.Node | None = _read(text, None)
    return node


def pairs(node: yaml.MappingNode) -> dict[str, tuple[int, yaml.Node]]:
    """The names of a mapping with their line and value. Raises YamlError for one that stands twice or is no text."""
    found: dict[str, tuple[int, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not key.value:
            raise _wrong("a name must be text", key)
        if key.value in found:
            raise _wrong(f"'{key.value}' is there twice, first in line {found[key.value][0]}", key)
        found[key.value] = (line_of(key), value)
    return found


def line_of(node: yaml.Node) -> int:
    """Return the line in which a node begins."""
    return int(node.start_mark.line) + 1


def _wrong(cause: str, node: yaml.Node) -> YamlError:
    return YamlError(cause, line_of(node), int(node.start_mark.column) + 1)


def _read(text: str, loader: type[_Loader] | None) -> Any:
    try:
        return yaml.load(text, loader) if loader else yaml.compose(text, yaml.BaseLoader)
    except RecursionError as error:
        raise YamlError("it is nested too deep") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise YamlError(str(getattr(error, "problem", None) or error), *place) from error


class _Loader(yaml.SafeLoader):
    """The safe loader, whose errors are YamlError."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node; one that is not what its tag or its looks promise is an error with its line."""
        try:
            return super().construct_object(node, deep)
        except YamlError:
            raise
        except (ValueError, LookupError, ArithmeticError, AttributeError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise _wrong(f"{str(node.value)[:60]} is no {kind} that can be read", node) from error


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    pairs(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
