"""`edgekit inspect`: what a file is, what it was made from, whether it is intact, and how to call it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from edgekit.errors import BackendMissing, UsageError
from edgekit.inspection import snippets
from edgekit.inspection.facts import facts_of, of_layer
from edgekit.inspection.pairs import PAIRED
from edgekit.inspection.rejected import open_rejected
from edgekit.records.artifact import Artifact, open_artifact
from edgekit.records.formats import REJECTED, check_not_rejected
from edgekit.records.manifest import Manifest
from edgekit.util import apart
from edgekit.util.formatting import printable
from edgekit.util.tabled import Several, Shown, Tabled

Files = list[str | Path] | list[str] | list[Path] | tuple[str | Path, ...]
SECONDS = 60.0  # for reading what stands in a file


@dataclass(frozen=True, repr=False)
class InspectResult(Tabled):
    """What is known of one file.

    `operators` are read from the file itself; None, with the `reason`, where that needs a package that is missing.
    `quantized_for` tells of an ONNX file with Q/DQ pairs which runtimes take them (edgekit.inspection.pairs).
    """

    artifact: Artifact
    bytes: int
    operators: dict[str, int] | None
    labels: tuple[str, ...]  # the outputs' names, read from the file too
    reason: str | None
    layers: tuple[dict[str, Any], ...] | None
    snippet: str | None
    quantized_for: dict[str, list[str]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything under plain keys; the manifest as it stands beside the file."""
        manifest = self.artifact.manifest
        return {
            "path": str(self.artifact.path),
            "format": self.artifact.format,
            "foreign": self.artifact.foreign,
            "rejected": list(manifest.parity.reasons) if manifest is not None and self.artifact.rejected else None,
            "intact": None if manifest is None else True,  # a file that is not is an error
            "bytes": self.bytes,
            "parts": [str(part) for part in self.artifact.parts],
            "operators": self.operators,
            "operators_reason": self.reason,
            "labels": list(self.labels),
            "quantized_for": self.quantized_for,
            "manifest": manifest.model_dump(mode="json") if manifest else None,
            "layers": list(self.layers) if self.layers is not None else None,
            "snippet": self.snippet,
        }

    def shown(self) -> list[Shown]:
        """Return the facts and the layers that the command line shows; the code alone, where it was asked for."""
        document = printable(self.to_json())
        if self.snippet is not None:
            return [Shown(code=document["snippet"])]
        told = [Shown(heads=("what", "value"), lines=facts_of(document))]
        layers = document["layers"]
        if layers:
            told.append(Shown(heads=tuple(layers[0]), lines=[[of_layer(key, one) for key in one] for one in layers]))
        return told


@dataclass(frozen=True, repr=False)
class Inspections(Several[InspectResult]):
    """What is known of several files, in the order given."""

    key = "files"
    of = "path"


@overload
def inspect(artifact: str | Path, *, layers: bool = False, snippet: str | None = None) -> InspectResult: ...
@overload
def inspect(artifact: Files, *, layers: bool = False, snippet: str | None = None) -> Inspections: ...
def inspect(
    artifact: str | Path | Files, *, layers: bool = False, snippet: str | None = None
) -> InspectResult | Inspections:
    """Open an artifact and say what it is; of a list of them one after the other, in its order.

    Raises UsageError when it is missing, altered or of something else.

    A file that failed its verification is told by its manifest, with the reasons; no code is given that would run it.

    `layers` adds what was recorded per layer of an int8 file (signal-to-noise in dB, worst first). `snippet` names a
    language and adds code that runs the file on one image, wherever it is saved
    (edgekit.inspection.snippets.snippet).
    """
    if isinstance(artifact, (list, tuple)):
        return Inspections(tuple(_inspected(Path(one), layers, snippet) for one in artifact))
    return _inspected(Path(artifact), layers, snippet)


def _inspected(path: Path, layers: bool, snippet: str | None) -> InspectResult:
    if snippet is not None:
        snippets.check_language(snippet)
        check_not_rejected(path)
    opened = open_rejected(path) if path.suffix == REJECTED else open_artifact(path)
    operators: dict[str, int] | None = None
    labels: tuple[str, ...] = ()
    reason = None
    try:
        operators, labels = _contents(opened)
    except BackendMissing as error:
        reason = f"{error.message}: {error.remedy}"
    return InspectResult(
        artifact=opened,
        bytes=opened.still().bytes,
        operators=operators,
        labels=labels,
        reason=reason,
        layers=_layers(opened) if layers else None,
        snippet=_snippet(opened, snippet) if snippet else None,
        quantized_for=_pairs(opened.path) if PAIRED in (operators or ()) and not opened.rejected else None,
    )


def _contents(opened: Artifact) -> tuple[dict[str, int], tuple[str, ...]]:
    """The operators in a file with their counts, and its labels, as a process of its own reads them.

    Of a rejected file as its manifest tells them: nothing opens it.
    """
    if opened.rejected and opened.manifest is not None:
        return opened.manifest.operators, opened.manifest.labels
    operators, labels = _apart("edgekit.inspection.contents:of", opened.path)
    return operators, tuple(labels)


def _pairs(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = _apart("edgekit.inspection.pairs:quantized_for", path)
    return found


def _apart(function: str, path: Path) -> Any:
    """What a function says of a file, in a process of its own."""
    try:
        return apart.call(function, str(path), seconds=SECONDS)
    except apart.NoAnswer as error:
        raise UsageError(f"{path} cannot be read: what reads it {error}", "give a file that is whole") from error


def _layers(opened: Artifact) -> tuple[dict[str, Any], ...]:
    recorded: Sequence[dict[str, Any]] | None = _manifest(opened, "--layers").details.get("layer_snr")
    if recorded is None:
        raise UsageError(
            f"{opened.path.name} is not int8: every layer is as exact as its precision",
            "inspect an int8 file, or use `edgekit summary` for the layer table",
        )
    return tuple(recorded)


def _snippet(opened: Artifact, language: str) -> str:
    return snippets.snippet(_manifest(opened, "--snippet"), language, opened.path)


def _manifest(opened: Artifact, needed_by: str) -> Manifest:
    if opened.manifest is None:
        raise UsageError(f"{opened.path.name} has no manifest, which {needed_by} needs", "export it with edgekit")
    return opened.manifest
