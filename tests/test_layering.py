"""Data only walks down: a module imports from its own row of the table or from one above it, never from below."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"edgekit": "", "models": "models.", "exporters": "exporters.", "bench": "bench."}
# A name stands for itself, for the package of that name, and for `name_*`, unless those are named too.
ROWS = (
    "errors callable_module masking wording",
    "registry files preprocess graph kernels",
    "spec artifact images labels packed padding fusion quantized operators forms trace export_result",
    "fold layers memory roofline measurement disturbance hosts setting calibration source snippets runtime download "
    "pretrained",
    "stats verdict contrast profiling accuracy parity weights models exporters engine bench pareto mixed proof",
    "store device zoo inspection preparation eval",
    "charts report_facts report_labels report_rows report_profile report_data report_failures report_int8 report_page "
    "report_text",
    "measuring comparison latency_gate cells exporting benchmarking evaluation report digits",
    "sweep reproduction doctor demonstration",
    "cli __main__",
)
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names.split()}
HEAVY = ("torch", "onnx", "onnxruntime", "tensorflow", "ai_edge_litert", "altair", "vl_convert", "sklearn", "PIL")
LIGHT = [
    *("edgekit.cli_app", "edgekit.benchmarking", "edgekit.store", "edgekit.report", "edgekit.doctor", "edgekit.device"),
    *("edgekit.evaluation", "edgekit.demonstration", "edgekit.runtime", "edgekit.bench"),
    *("edgekit.sweep", "edgekit.reproduction", "edgekit.store_merge"),
]
MAX_LINES, MAX_FUNCTION_LINES = 350, 70


def modules() -> Iterator[tuple[str, Path]]:
    """Every module, named without `edgekit.`"""
    for folder, prefix in FOLDERS.items():
        for path in sorted((ROOT / folder).glob("*.py")):
            name = prefix.rstrip(".") if path.stem == "__init__" else prefix + path.stem
            if name:
                yield name, path


MODULES = dict(modules())


def row(name: str) -> int:
    """The row of a module; the test fails for one that has no place in the table."""
    first = name.partition(".")[0]
    for candidate in (first, first.partition("_")[0]):
        if candidate in ROW_OF:
            return ROW_OF[candidate]
    raise AssertionError(f"{name} has no row: give it a place in ROWS")


def imported(path: Path) -> Iterator[str]:
    """What a file imports from edgekit, wherever in it, named without `edgekit.`"""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "edgekit":
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgekit."):
            yield (node.module or "").removeprefix("edgekit.")
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("edgekit.") for a in node.names if a.name.startswith("edgekit."))


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name: str) -> None:
    below = [other for other in imported(MODULES[name]) if row(other) > row(name)]
    assert not below, f"{name} (row {row(name)}) imports {below}"


@pytest.mark.parametrize(
    "name", [name for name in MODULES if name.partition(".")[0] in ("models", "exporters", "bench")]
)
def test_models_exporters_and_bench_do_not_know_each_other(name: str) -> None:
    own = name.partition(".")[0]
    others = {"models", "exporters", "bench"} - {own}
    assert not [other for other in imported(MODULES[name]) if other.partition(".")[0] in others]


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


@pytest.mark.parametrize("name", MODULES)
def test_files_and_functions_stay_small_enough_to_read(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            is_signature = len(node.args.args) + len(node.args.kwonlyargs) > 9  # a verb's arguments are its contract
            assert length <= MAX_FUNCTION_LINES or is_signature, f"{node.name} has {length} lines"


def test_each_folder_is_flat() -> None:
    nested = [path for folder in FOLDERS for path in (ROOT / folder).glob("*/*.py") if not path.parent.is_symlink()]
    assert not nested
