"""`edgekit` is the one door: what it lists is there, sorted, loaded when asked for, and callable where it is a verb."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit


def test_the_list_is_sorted_and_true() -> None:
    assert edgekit.__all__ == sorted(edgekit.__all__)
    for name in edgekit.__all__:
        assert getattr(edgekit, name) is not None
    assert set(edgekit.COMMANDS) <= set(edgekit.__all__)


@pytest.mark.parametrize("name", edgekit.COMMANDS)
def test_a_verb_is_callable_and_named_like_its_command(name: str) -> None:
    module, function, _ = edgekit.COMMANDS[name]
    verb = getattr(importlib.import_module(module), function)
    assert callable(verb) and verb.__name__ == name and verb.__doc__
    assert callable(getattr(edgekit, name))


@pytest.mark.parametrize("name", ["bench", "models"])
def test_a_verb_stays_callable_when_its_namesake_module_is_imported(name: str) -> None:
    code = f"import edgekit, edgekit.{name}\nassert callable(edgekit.{name})\n"
    code += f"assert edgekit.{name}.__verb__ == ':'.join(edgekit.COMMANDS[{name!r}][:2])"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_callable_module_calls_its_function() -> None:
    assert edgekit.doctor().to_json()["machine"]["edgekit"] == edgekit.__version__


def test_type_checkers_see_each_command_where_it_is() -> None:
    tree = ast.parse(Path(str(edgekit.__file__)).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert {name: imported[name] for name in edgekit.COMMANDS} == {
        function: module for module, function, _ in edgekit.COMMANDS.values()
    }


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'exprot'"):
        _ = edgekit.exprot


def test_importing_edgekit_imports_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "pydantic", "sqlalchemy", "typer")
    code = f"import sys, edgekit; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
