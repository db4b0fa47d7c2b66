"""What a zip file of a stranger holds."""

from __future__ import annotations

import zipfile

# Of these Python unpacks as much as is asked for, of the other kinds all that some bytes stand for: gigabytes.
BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members of an archive. Raises ValueError for one that cannot be unpacked bit by bit."""
    found = archive.infolist()
    for member in found:
        if member.compress_type not in BOUNDED:
            raise ValueError(f"'{member.filename[:80]}' in it is packed with bzip2 or the like; pack it with deflate")
    return found
