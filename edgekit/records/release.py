"""Putting a finished file and its manifest in their place, so that a whole artifact is there at every moment."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.records.artifact import COMING, Artifact, coming_path
from edgekit.records.formats import REJECTED
from edgekit.records.manifest import Manifest, labels_path, manifest_path, read_manifest
from edgekit.util.files import content, environment, locked, publish, write_atomically
from edgekit.util.formatting import json_escaped


def release(draft: Path, target: Path, manifest: Manifest, labels: Sequence[str] = ()) -> Artifact:
    """Put a finished draft and its manifest in the place of what is there; a whole artifact is there at every moment.

    The names of the outputs, where there are any, stand beside them for the programs that call the file.

    No file system moves two files at once: the new manifest waits beside the old one while the file is replaced, and
    whoever opens the artifact takes the one that fits. One export at a time puts its files into a folder. What an
    earlier export of the same name was refused for goes: a reader would take it for a word about the new file.
    """
    coming = coming_path(target)
    with locked(target.parent / ".lock"):
        for left in target.parent.glob("*" + COMING):
            _settle(left)
        write_atomically(coming, json_escaped(manifest.model_dump_json(indent=2)).encode() + b"\n")
        publish(draft, target)
        with environment(target):
            coming.replace(manifest_path(target))
            _remove_rejected(target)
        if labels:
            write_atomically(labels_path(target), "".join(f"{name}\n" for name in labels).encode())
        else:
            labels_path(target).unlink(missing_ok=True)
    return Artifact(path=target, manifest=manifest)


def _remove_rejected(target: Path) -> None:
    """Remove the rejected file of this name and its manifest, if they are there."""
    rejected = target.with_name(target.name + REJECTED)
    if rejected.is_dir():
        shutil.rmtree(rejected)
    else:
        rejected.unlink(missing_ok=True)
    for beside in (manifest_path(rejected), labels_path(rejected)):
        beside.unlink(missing_ok=True)


def _settle(coming: Path) -> None:
    """Finish what a process that was killed in `release` began: its manifest takes its place, or goes."""
    path = coming.with_name(coming.name.removesuffix(COMING))
    with environment(coming):
        try:
            fits = read_manifest(coming).sha256 == content(path).sha256
        except (EdgekitError, FileNotFoundError):
            fits = False
        if fits:
            coming.replace(manifest_path(path))
        else:
            coming.unlink()
