"""Files that failed their verification: they are kept with their manifest, to be looked at and not to be run."""

from __future__ import annotations

from pathlib import Path

from edgekit.errors import UsageError
from edgekit.records.artifact import Artifact
from edgekit.records.manifest import manifest_path, read_manifest
from edgekit.util.files import content


def open_rejected(path: Path) -> Artifact:
    """Return a rejected file with the manifest that says why.

    Raises UsageError where it is missing, or has no manifest that is of its bytes.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist", "give the path that `edgekit export` printed")
    if not manifest_path(path).exists():
        raise UsageError(f"{path} has no manifest, which would say why it was rejected", "export it again")
    found, manifest = content(path), read_manifest(manifest_path(path))
    if manifest.sha256 != found.sha256:
        raise UsageError(f"{path} is not the file that its manifest describes (sha256 differs)", "export it again")
    return Artifact(path=path, manifest=manifest, content=found)
