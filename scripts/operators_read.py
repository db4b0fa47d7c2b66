"""`python -m scripts.operators_read`: the operators of ONNX and TFLite files that are read, put into docs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.importers.onnx import table as onnx
from edgekit.importers.onnx.model import OLDEST
from edgekit.importers.tflite import table as tflite
from edgekit.util.files import write_atomically

DOCS = Path(__file__).resolve().parent.parent / "docs"
ONNX_HEAD = f"""# ONNX operators that are read

Made by `python -m scripts.operators_read` from the table of the reader, `edgekit/importers/onnx/table.py`. Opsets
{OLDEST} to that of the installed `onnx`. Each operator passes all tests of real numbers that `onnx` has for it
(`tests/importers/onnx/test_node_tests.py`), but for those that train, and two of `Resize` with aligned corners and
a size that is no whole number: there onnxruntime, and so this reader, takes whole sizes. Of an `If` whose condition the
network computes, both branches are computed.
"""
OF_INTEGERS = """
## Of quantized files

These are read as what they compute in real numbers; int8 files that are made of them keep their scales.

"""
TFLITE_HEAD = """# TFLite operators that are read

Made by `python -m scripts.operators_read` from the table of the reader, `edgekit/importers/tflite/table.py`. LiteRT's
reference kernels judge them (`tests/importers/tflite/test_reader.py`). Activations that are fused into an operator are
read: RELU, RELU6 and RELU_N1_TO_1.
"""


def _listed(names: list[str], limits: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}`" + (f" ({limits[name]})" if name in limits else "") for name in names)


def pages() -> dict[Path, str]:
    """Return the pages by their paths."""
    plain = sorted(set(onnx.OPERATORS) - set(onnx.QUANTIZED))
    integer = sorted(name for name in onnx.QUANTIZED if " " not in name)
    return {
        DOCS
        / "onnx-operators.md": f"{ONNX_HEAD}\n{_listed(plain, onnx.LIMITS)}.\n{OF_INTEGERS}{_listed(integer, {})}.\n",
        DOCS / "tflite-operators.md": f"{TFLITE_HEAD}\n{_listed(sorted(tflite.OPERATORS), tflite.LIMITS)}.\n",
    }


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        write_atomically(path, text.encode())


if __name__ == "__main__":
    main()
