"""What goes into a file, as keys over content: the same key is the same file, and may be answered from what is there.

A file's key covers the folded network with its weights, the images and everything else that it is written from, the
options that it heeds, and the versions of all tools, edgekit's own source among them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError
from edgekit.exporting.options import ExportOptions
from edgekit.records.artifact import Artifact, open_artifact
from edgekit.records.formats import FORMATS, tool_versions

if TYPE_CHECKING:
    from edgekit.device.target import Target
    from edgekit.exporting.prepare import Prepared
    from edgekit.ir.graph import Graph

Inputs = Mapping[str, Any]
MADE_FROM = "made_from"  # where a manifest's details have the key
SOURCES = ("edgekit", "edgekit.models", "edgekit.exporters", "edgekit.bench")
ELSEWHERE = ("weights", "data", "preprocess", "labels", "out", "devices")  # whose content stands in the key, or nothing


def key(inputs: Inputs) -> str:
    """32 hex digits that two sets of inputs share exactly when they are equal."""
    text = json.dumps(inputs, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@cache
def tools() -> dict[str, str]:
    """Versions of what shapes a file, and a digest of edgekit's own source."""
    return {"edgekit": _source(), **tool_versions()}


def is_known(asked: ExportOptions, target: Target) -> bool:
    """Whether keys tell all that files depend on: not what a device says of them, nor gates that measure."""
    return target.is_local and asked.max_latency is None and asked.max_drop is None


def content_key(prepared: Prepared) -> str | None:
    """The key of what every file of an export is made from; None where the network has something of unknown kind."""
    file, sets = prepared.point.spec.file, (prepared.calibration, prepared.images)
    try:
        graph = _graph(prepared.graph)
    except TypeError:
        return None
    return key(
        {
            "point": [str(prepared.point), prepared.point.input_shapes],
            "graph": graph,
            "counts": [prepared.table.macs, prepared.table.params, *prepared.remaining],
            "weights": prepared.weights.model_dump(mode="json"),
            "preprocessing": prepared.preprocessing.model_dump(mode="json"),
            "images": [None if one is None else one.hash for one in sets],
            "ranges": prepared.file_ranges,
            "labels": prepared.labels,
            "source": file.model_dump(mode="json") if file else None,
            "tools": tools(),
        }
    )


def file_key(content: str | None, format: str, asked: ExportOptions) -> str | None:
    """The key of one file; `asked` holds the options that it heeds. None for what runs only where it was built."""
    if content is None or FORMATS[format].is_built:
        return None
    return key({"content": content, **{name: one for name, one in asked.given().items() if name not in ELSEWHERE}})


def there(path: Path, made_from: str | None) -> Artifact | None:
    """Return the file at `path`, if it was made from these inputs, and is still what its manifest says."""
    if made_from is None or not path.exists():
        return None
    try:
        found = open_artifact(path)
    except EdgekitError:
        return None
    return found if found.manifest and found.manifest.details.get(MADE_FROM) == made_from else None


def _graph(graph: Graph) -> str:
    digest = hashlib.sha256()
    for op in graph.ops:
        parts = (op.name, op.kind, op.inputs, op.shape, dict(op.params), dict(op.attrs), str(op.dtype))
        for part in _parts(parts):
            digest.update(part)
    for part in _parts((dict(graph.outputs), dict(graph.params))):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes | memoryview]:
    """The bytes of a value of an operator, told apart from those of any other. Raises TypeError for unknown kinds."""
    import torch

    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous()
        yield f"tensor {flat.dtype} {tuple(flat.shape)}\0".encode()
        yield flat.reshape(-1).view(torch.uint8).numpy().data if flat.numel() else b""
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}\0".encode()
        for name in sorted(value):
            yield from _parts((name, value[name]))
    elif isinstance(value, tuple | list):
        yield f"row {len(value)}\0".encode()
        for one in value:
            yield from _parts(one)
    elif value is None or isinstance(value, str | int | float | complex | slice | torch.dtype | torch.Size):
        yield f"{type(value).__name__} {value!r}\0".encode("utf-8", "surrogatepass")
    else:
        raise TypeError(f"no key for a {type(value).__name__}")


def _source() -> str:
    """edgekit's version, and a digest of its files where they may be worked on."""
    digest = hashlib.sha256()
    for package in SOURCES:
        add_sources(digest, package, importlib.util.find_spec(package))
    return f"{importlib.metadata.version('edgekit')} {digest.hexdigest()[:16]}"


def add_sources(digest: Any, package: str, found: ModuleSpec | None) -> None:
    """Add the name and the bytes of each Python file of a package, or of a module that is one file."""
    if found is None:
        return
    for folder in found.submodule_search_locations or ():
        for path in sorted(Path(folder).rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    if not found.submodule_search_locations and found.origin and Path(found.origin).is_file():
        digest.update(Path(found.origin).read_bytes())
