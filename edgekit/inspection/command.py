"""`edgekit inspect`: what a file is, what it was made from, whether it is intact, and how to call it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import BackendMissing, UsageError, first_line
from edgekit.inspection import snippets
from edgekit.records.manifest import Artifact, Manifest, open_artifact

Contents = tuple[dict[str, int], tuple[str, ...]]


@dataclass(frozen=True)
class InspectResult:
    """What is known of one file.

    `operators` are read from the file itself; None, with the `reason`, where that needs a package that is missing.
    """

    artifact: Artifact
    bytes: int
    operators: dict[str, int] | None
    labels: tuple[str, ...]  # the outputs' names, read from the file too
    reason: str | None
    layers: tuple[dict[str, Any], ...] | None
    snippet: str | None

    def to_json(self) -> dict[str, Any]:
        """Everything under plain keys; the manifest as it stands beside the file."""
        manifest = self.artifact.manifest
        return {
            "path": str(self.artifact.path),
            "format": self.artifact.format,
            "foreign": self.artifact.foreign,
            "intact": None if manifest is None else True,  # a file that is not is an error
            "bytes": self.bytes,
            "operators": self.operators,
            "operators_reason": self.reason,
            "labels": list(self.labels),
            "manifest": manifest.model_dump(mode="json") if manifest else None,
            "layers": list(self.layers) if self.layers is not None else None,
            "snippet": self.snippet,
        }


def inspect(artifact: str | Path, *, layers: bool = False, snippet: str | None = None) -> InspectResult:
    """Open an artifact and say what it is. Raises UsageError when it is missing, altered or of something else.

    `layers` adds what was recorded per layer of an int8 file (signal-to-noise in dB, worst first). `snippet` names a
    language and adds code that runs the file on one image.
    """
    if snippet is not None:
        snippets.check_language(snippet)
    opened = open_artifact(Path(artifact))
    operators: dict[str, int] | None = None
    labels: tuple[str, ...] = ()
    reason = None
    try:
        operators, labels = CONTENTS[opened.format](opened.path)
    except BackendMissing as error:
        reason = f"{error.message}: {error.remedy}"
    return InspectResult(
        artifact=opened,
        bytes=opened.path.stat().st_size,
        operators=operators,
        labels=labels,
        reason=reason,
        layers=_layers(opened) if layers else None,
        snippet=_snippet(opened, snippet) if snippet else None,
    )


def _layers(opened: Artifact) -> tuple[dict[str, Any], ...]:
    recorded: Sequence[dict[str, Any]] | None = _manifest(opened, "--layers").details.get("layer_snr")
    if recorded is None:
        raise UsageError(
            f"{opened.path.name} is not int8: every layer is as exact as its precision",
            "inspect an int8 file, or use `edgekit summary` for the layer table",
        )
    return tuple(recorded)


def _snippet(opened: Artifact, language: str) -> str:
    named = _manifest(opened, "--snippet").model_copy(update={"file": opened.path.name})
    return snippets.snippet(named, language)


def _manifest(opened: Artifact, needed_by: str) -> Manifest:
    if opened.manifest is None:
        raise UsageError(f"{opened.path.name} has no manifest, which {needed_by} needs", "export it with edgekit")
    return opened.manifest


# Operators and the outputs' names as they stand in the file


def _tflite(path: Path) -> Contents:
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


def _onnx(path: Path) -> Contents:
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


def _engine(path: Path) -> Contents:
    raise BackendMissing("a TensorRT engine can only be read on the device that it was built for", "inspect it there")


CONTENTS = {"tflite": _tflite, "onnx": _onnx, "tensorrt": _engine}
