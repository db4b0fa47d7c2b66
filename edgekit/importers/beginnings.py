"""What a file really is that was taken for a network, as far as its first bytes tell."""

from __future__ import annotations

_STARTS = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"\x1f\x8b": "compressed with gzip: unpack it first",
    b"version ": "a pointer of git-lfs: fetch the file itself with git lfs pull",
    b"\x89HDF": "an HDF5 file",
    b"<!DO": "a web page",
    b"<htm": "a web page",
}


def told_by(start: bytes) -> str | None:
    """Return what the first eight bytes of a file tell that it is; None where they tell nothing."""
    return next((what for begin, what in _STARTS.items() if start.startswith(begin)), None)
