"""docs/notebook.ipynb, its cells run in order as a notebook runs them: what it promises is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.short import SHORT
from tests.waiting import PATIENCE

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
# What a notebook brings along, as far as ours asks for it; and the last expression of each cell is shown.
RUN = """
import ast, json, sys, types

class SVG:
    def __init__(self, filename):
        self.text = open(filename, encoding="utf-8").read()

display = types.ModuleType("IPython.display")
display.SVG = SVG
sys.modules |= {"IPython": types.ModuleType("IPython"), "IPython.display": display}
space = {"__name__": "__main__"}
shown = None
for cell in json.loads(open(sys.argv[1], encoding="utf-8").read())["cells"]:
    if cell["cell_type"] == "code":
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), space)
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), space) if last else None
        if hasattr(shown, "_repr_html_"):
            print(shown)
            assert shown._repr_html_().count("<tr>") >= 2
        elif isinstance(shown, SVG):
            print("picture", shown.text[:4])
"""


def test_the_notebook_goes_from_a_module_to_a_choice(tmp_path: Path) -> None:
    for package in ("torch", "ai_edge_litert", "PIL", "vl_convert"):
        pytest.importorskip(package)
    command = [sys.executable, "-c", SHORT + RUN, str(NOTEBOOK)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert "_int8.tflite" in done.stdout and "picture <svg" in done.stdout and "top1" in done.stdout
    assert "chosen: " in done.stdout or "cannot decide: " in done.stdout, "a busy machine may leave it open"
    assert (tmp_path / "shapes.html").exists()


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells)
