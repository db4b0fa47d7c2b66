"""A name of a module in a docstring, a comment or a document leads somewhere, also after files were moved."""

from __future__ import annotations

import ast
import re

import edgekit
from tests.paths import ROOT
from tests.test_layering import MODULES

EXAMPLES = {ROOT / "docs" / "extending.md"}  # names what its reader adds; test_extending adds it
DOTTED = re.compile(r"\bedgekit(?:\.[A-Za-z_]\w*)+")
FILES = re.compile(r"\.(db|yaml|json)$")


def named(module: str) -> set[str]:
    """Every name that a module defines, imports or uses."""
    nodes = list(ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))))
    found = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    return found | {node.id for node in nodes if isinstance(node, ast.Name)}


def leads_somewhere(name: str) -> bool:
    """Whether a dotted name is a module, or a name in one."""
    module, rest = name, ""
    while module not in MODULES:
        module, _, last = module.rpartition(".")
        rest = last
    return not rest or rest in named(module) or (module == "edgekit" and rest in edgekit.__all__)


def test_names_of_modules_lead_somewhere() -> None:
    files = [*MODULES.values(), *(ROOT / "scripts").glob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    files += (ROOT / "edgekit" / "reporting" / "assets").glob("*.js")
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in set(files) - EXAMPLES
        for name in DOTTED.findall(path.read_text(encoding="utf-8"))
        if not FILES.search(name) and not leads_somewhere(name)
    }
    assert not found, "\n".join(sorted(found))
