"""Brings what a worker exported here: every file proved by its hash, and each artifact put in its place at once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edgekit.errors import EnvironmentRefused, Refusal
from edgekit.records.manifest import manifest_path, read_manifest
from edgekit.records.release import release
from edgekit.sweeps.fleet.cluster import Cluster, Lost
from edgekit.sweeps.fleet.files import PIECE, Entry
from edgekit.sweeps.fleet.work import AGAIN, Brought, forget, read
from edgekit.util.files import content, drafting, environment, file_sha256, make_folder


def bring(cluster: Cluster, address: str, found: Brought, out: Path) -> None:
    """Fetch what an export made. Raises EnvironmentRefused where something is not what was told, and Lost."""
    for one in found.artifacts:
        target = out / Path(one.path).relative_to(found.out)
        make_folder(target.parent)
        with drafting(target.parent, target.name) as draft:
            for entry in one.entries:
                _fetch(cluster, address, Path(one.path).parent / entry.name, entry, draft.parent / entry.name)
            manifest = read_manifest(manifest_path(draft))
            if content(draft).sha256 != manifest.sha256:
                raise EnvironmentRefused(f"{target.name} is not what its manifest says (sha256 differs)", AGAIN)
            release(draft, target, manifest)
    with suppress(Lost):
        cluster.call(address, {}, forget, found.out)


def _fetch(cluster: Cluster, address: str, source: Path, entry: Entry, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with environment(place), place.open("wb") as stream:
        for offset in range(0, max(entry.size, 1), PIECE):
            piece = cluster.call(address, {}, read, str(source), offset, PIECE)
            if isinstance(piece, Refusal):
                raise EnvironmentRefused(piece.message, piece.remedy)
            stream.write(piece)
    if file_sha256(place) != entry.sha256:
        worker = cluster.name(address)
        raise EnvironmentRefused(f"{entry.name} came from worker {worker} as other bytes (sha256 differs)", AGAIN)
