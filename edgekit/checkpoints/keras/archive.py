"""What a `.keras` archive holds: the model's configuration, and its arrays as an HDF5 file.

Nothing is unpacked to disk, so names in it lead nowhere. Keras stores both parts uncompressed; so no few bytes can
stand for many.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgekit.checkpoints.file import broken, check_bytes
from edgekit.errors import UsageError

CONFIG, ARRAYS, METADATA = "config.json", "model.weights.h5", "metadata.json"
LARGEST_CONFIG = 1 << 26  # bytes


@dataclass(frozen=True)
class Parts:
    """The configuration, the HDF5 file, and the version of the Keras that wrote them; empty where it is not told."""

    config: str
    arrays: io.BytesIO
    version: str


def read(path: Path, most: int) -> Parts:
    """Return the parts of an archive, of `most` numbers. Raises UsageError for an archive of something else."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [_part(path, archive, name) for name in (CONFIG, ARRAYS)]
            if parts[0].file_size > LARGEST_CONFIG:
                raise ValueError(f"its {CONFIG} has {parts[0].file_size:,} bytes")
            check_bytes(path, parts[1].file_size, most)
            config, arrays = (archive.read(part) for part in parts)
            version = _version(path, archive)
        return Parts(config.decode(), io.BytesIO(arrays), version)
    except UsageError:
        raise
    except Exception as error:  # zip raises many kinds
        raise broken(path, ".keras", error) from error


def _version(path: Path, archive: zipfile.ZipFile) -> str:
    if METADATA not in archive.namelist():
        return ""
    part = _part(path, archive, METADATA)
    found = json.loads(archive.read(part)) if part.file_size < LARGEST_CONFIG else {}
    return str(found.get("keras_version") or "")[:20] if isinstance(found, dict) else ""


def _part(path: Path, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    found = [member for member in archive.infolist() if member.filename == name]
    if len(found) != 1:
        raise UsageError(
            f"{path.name} holds {len(found) or 'no'} {name}", "save it with Keras: model.save('FILE.keras')"
        )
    (member,) = found
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > path.stat().st_size:
        raise UsageError(
            f"{path.name} was packed again by another program", "save it with Keras: model.save('FILE.keras')"
        )
    return member
