"""`python -m scripts.onnx_operators`: the operators of ONNX that are read, put into docs/onnx-operators.md."""

from __future__ import annotations

from pathlib import Path

from edgekit.importers.onnx.model import OLDEST
from edgekit.importers.onnx.table import LIMITS, OPERATORS, QUANTIZED
from edgekit.util.files import write_atomically

PAGE = Path(__file__).resolve().parent.parent / "docs" / "onnx-operators.md"
HEAD = f"""# ONNX operators that are read

Made by `python -m scripts.onnx_operators` from the table of the reader, `edgekit/importers/onnx/table.py`. Opsets
{OLDEST} to that of the installed `onnx`. Each operator passes all tests of real numbers that `onnx` has for it
(`tests/importers/onnx/test_node_tests.py`), but for those that train, and two of `Resize` with aligned corners and
a size that is no whole number: there onnxruntime, and so this reader, takes whole sizes. `If` is read where its
condition is known, and `Constant` where it holds numbers.
"""
OF_INTEGERS = """
## Of quantised files

These are read as what they compute in real numbers; what their integers span is kept (`--ranges file`).

"""


def page() -> str:
    """The whole page."""
    plain = sorted(set(OPERATORS) - set(QUANTIZED))
    shown = [f"`{name}`" + (f" ({LIMITS[name]})" if name in LIMITS else "") for name in plain]
    integer = [f"`{name}`" for name in sorted(QUANTIZED) if " " not in name]
    return f"{HEAD}\n{', '.join(shown)}.\n{OF_INTEGERS}{', '.join(integer)}.\n"


def main() -> None:
    """Write the page."""
    write_atomically(PAGE, page().encode())


if __name__ == "__main__":
    main()
