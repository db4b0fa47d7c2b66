"""The device side (bench/ondevice) as one zip, which Python also runs as it is.

The same files make the same bytes everywhere: names are sorted, times left out, nothing compressed. So its sha256 names
what is in it, and a device is brought each version once.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell
READABLE = 0o644 << 16


def packed(folder: Path) -> bytes:
    """Return the Python files of a package as a zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py")):
            entry = zipfile.ZipInfo(name, TIME)
            entry.external_attr = READABLE
            entry.create_system = 3  # Unix, whose permissions these are, wherever it is made
            archive.writestr(entry, (folder / name).read_bytes())
    return stream.getvalue()
