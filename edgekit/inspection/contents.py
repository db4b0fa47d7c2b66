"""What stands in a file itself: its operators with their counts, and the names of its outputs.

One function a format, which its record in edgekit.records.formats names. Each raises UsageError for a file of something
else, and BackendMissing where the package that reads it is not installed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from edgekit.errors import BackendMissing, UsageError, first_line
from edgekit.records.formats import FORMATS, format_of

GETITEM = "_operator.getitem"  # takes one of several results apart
Contents = tuple[dict[str, int], tuple[str, ...]]


def of(path: str) -> Contents:
    """Read a file of any format, in a process of its own (edgekit.util.apart)."""
    return FORMATS[format_of(Path(path)).name].contents(Path(path))


def tflite(path: Path) -> Contents:
    """Read a TFLite file. Raises BackendMissing without LiteRT."""
    try:
        from ai_edge_litert import schema_py_generated as schema

        from edgekit.exporters.tflite.metadata import read_labels
    except ImportError as error:
        raise BackendMissing("reading TFLite files needs ai-edge-litert", "pip install 'edgekit[litert]'") from error
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise UsageError(f"{path} is not a TFLite file", "give a file that starts as one")
    try:
        return _tflite_operators(schema, data), read_labels(path)
    except Exception as error:  # whatever the flatbuffer reader stumbles over, and zip and Unicode behind it
        raise _broken(path, "TFLite", error) from error


def _tflite_operators(schema: Any, data: bytes) -> dict[str, int]:
    """How many of each operator the first graph has. A broken file raises anything."""
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model = schema.Model.GetRootAs(data, 0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    graph = model.Subgraphs(0)
    found = Counter[str]()
    for index in range(graph.OperatorsLength()):
        code = codes[graph.Operators(index).OpcodeIndex()]
        found[names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]] += 1
    return dict(sorted(found.items()))


def _broken(path: Path, kind: str, error: Exception) -> UsageError:
    return UsageError(
        f"{path} is no readable {kind} file (truncated or something else): {first_line(error)[:160]}",
        "get or export the file again",
    )


def onnx(path: Path) -> Contents:
    """Read an ONNX file. Raises BackendMissing without onnx."""
    try:
        import onnx
    except ImportError as error:
        raise BackendMissing("reading ONNX files needs onnx", "pip install 'edgekit[export]'") from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own kinds of error
        raise UsageError(f"{path} is not an ONNX file", "give a file that onnx can load") from error
    if not model.graph.node:  # no bytes at all are a message of protobuf, too
        raise UsageError(f"{path} is not an ONNX file: it has no operators", "get or export the file again")
    try:  # a text that is none comes as bytes
        labels = (line for one in model.metadata_props if one.key == "labels" for line in one.value.splitlines())
        counts = Counter(node.op_type.encode().decode() for node in model.graph.node)
        return dict(sorted(counts.items())), tuple(line.encode().decode() for line in labels)
    except (AttributeError, UnicodeError) as error:
        raise _broken(path, "ONNX", error) from error


def pt2(path: Path) -> Contents:
    """Read an archive of torch.export. Raises BackendMissing without torch."""
    try:
        from edgekit.bench.ondevice import torch_archive
    except ImportError as error:
        raise BackendMissing("reading .pt2 files needs torch", "pip install 'edgekit[export]'") from error
    try:
        graph, labels = torch_archive.check(path), torch_archive.beside(path, "labels")
    except ValueError as error:
        raise UsageError(str(error), "get or export the file again") from error
    targets = (node["target"] for node in graph["graph_module"]["graph"]["nodes"])
    counts = Counter(one.replace("torch.ops.", "").rpartition(".")[0] for one in targets if one != GETITEM)
    return dict(sorted(counts.items())), tuple(labels.splitlines())


def engine(path: Path) -> Contents:
    """Raise BackendMissing: only TensorRT reads its engines. An empty file, which is none, is a UsageError."""
    if not path.stat().st_size:
        raise UsageError(f"{path} is no TensorRT engine: it is empty", "build the engine again")
    raise BackendMissing("a TensorRT engine can only be read on the device that it was built for", "inspect it there")
