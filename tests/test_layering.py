"""Data only walks down: a package imports from its own row of the table or from one above it, never from below."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.paths import ROOT

FOLDERS = {"edgekit": "edgekit", "models": "edgekit.models", "exporters": "edgekit.exporters", "bench": "edgekit.bench"}
# A row a line; a package stands for all that is in it which has no row of its own.
ROWS = (
    "callable_module keywords redact ir bench bench.ondevice",
    "errors",
    "registry util frontend",
    "bug_report records importers",
    "data network stats storage bench.links bench.android",
    # What was measured as rows: chosen among, then reported.
    "reporting.labels reporting.row_accuracy reporting.row_facts",
    "reporting.rows",
    "reporting.cautions",
    "checkpoints models exporters.int8 tensorrt demonstration",
    "importers.keras",  # its files are those of weights too
    "choosing",
    "reporting",
    "device exporters",
    "exporters.onnx.writer exporters.pt2.writer exporters.tflite.writer measure diagnosis",
    "exporters.tensorrt.writer comparison exporting inspection",
    "evaluation",
    "sweeps",
    "reproduction cli",
    "__main__",
)
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names.split()}
STRANGERS = ("models", "exporters", "bench")  # none of them imports another
HEAVY = (
    "torch",
    "onnx",
    "onnxruntime",
    "tensorflow",
    "ai_edge_litert",
    "altair",
    "vl_convert",
    "sklearn",
    "PIL",
    "distributed",
)
LIGHT = [
    *(
        "edgekit.cli.app",
        "edgekit.measure.command",
        "edgekit.storage.store",
        "edgekit.storage.command",
        "edgekit.bench",
    ),
    *("edgekit.reporting.command", "edgekit.reproduction.command", "edgekit.sweeps.command", "edgekit.diagnosis"),
    *("edgekit.device.registry", "edgekit.evaluation.command", "edgekit.demonstration.command"),
    *("edgekit.records.runtime", "edgekit.choosing.command"),
    *("edgekit.sweeps.fleet.engine", "edgekit.sweeps.fleet.worker"),
]
MAX_LINES, MAX_FUNCTION_LINES, MAX_FILES = 350, 70, 25


def modules() -> Iterator[tuple[str, Path]]:
    """Every module, by its full name; a package by its own."""
    for folder, prefix in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join((prefix, *parts)).removesuffix(".__init__"), path


MODULES = dict(modules())


def package(name: str) -> str:
    """The entry of the table that a module belongs to; the test fails for one that has none."""
    inner = name.removeprefix("edgekit").lstrip(".")
    while inner not in ROW_OF:
        inner, dot, _ = inner.rpartition(".")
        assert dot, f"{name} has no row: give its package a place in ROWS"
    return inner


def imported(name: str) -> Iterator[str]:
    """The modules of edgekit that a module imports, wherever in it; what only a type checker reads does not count."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    for node in _run(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(name, node)
            for alias in node.names:
                found = f"{source}.{alias.name}"
                if found in MODULES or source in MODULES:
                    yield found if found in MODULES else source


def _absolute(name: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".") + (["__init__"] if MODULES[name].name == "__init__.py" else [])
    return ".".join([*parts[: -node.level], *([node.module] if node.module else [])])


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _run(node)


def test_packages_import_one_way_and_never_in_a_circle() -> None:
    imports = {name: sorted(set(imported(name)) - {"edgekit", name}) for name in MODULES if name != "edgekit"}
    wrong = [
        f"{name} ({package(name)}, row {ROW_OF[package(name)]}) imports {other} ({package(other)})"
        for name, others in imports.items()
        for other in others
        if ROW_OF[package(other)] > ROW_OF[package(name)]
        or {package(name).partition(".")[0], package(other).partition(".")[0]} <= set(STRANGERS)
        and package(name).partition(".")[0] != package(other).partition(".")[0]
    ]
    assert not wrong, "\n".join(wrong)
    between: dict[str, set[str]] = {}
    for name, others in imports.items():
        between.setdefault(package(name), set()).update(package(other) for other in others)
    _refuse_circles({name: others - {name} for name, others in between.items()})
    _refuse_circles({name: {other for other in others if other in imports} for name, others in imports.items()})


def _refuse_circles(edges: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle of imports: {' <- '.join(error.args[1])}") from None


def test_comparing_imports_no_numpy() -> None:
    code = "import sys, edgekit.cli.commands.compare, edgekit.comparison.command; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_measures_and_reports_imports_nothing_heavy() -> None:
    code = f"""
import importlib, json, sys
found = {{}}
for name in {LIGHT!r}:
    importlib.import_module(name)
    found[name] = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {name: [] for name in LIGHT}


def test_folders_files_and_functions_stay_small_enough_to_read() -> None:
    long = []
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > MAX_LINES:
            long.append(f"{name} has {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                is_signature = len(node.args.args) + len(node.args.kwonlyargs) > 9  # a verb's arguments: its contract
                if length > MAX_FUNCTION_LINES and not is_signature:
                    long.append(f"{name}: {node.name} has {length} lines")
    folders = [path.parent for path in (*MODULES.values(), *(ROOT / "scripts").rglob("*.py"))]
    long += [
        f"{folder} has {folders.count(folder)} files" for folder in set(folders) if folders.count(folder) > MAX_FILES
    ]
    assert not long, "\n".join(long)
