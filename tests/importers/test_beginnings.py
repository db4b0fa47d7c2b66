"""What a file is that was taken for a network."""

from __future__ import annotations

import gzip

import pytest

from edgekit.importers.beginnings import told_by


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (gzip.compress(b"net", mtime=0), "gzip"),
        (b"PK\x03\x04\x14\0\0\0", "zip"),
        (b"version https://git-lfs", "git-lfs"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"<!DOCTYPE html>", "web page"),
    ],
)
def test_a_beginning_that_is_known(start: bytes, said: str) -> None:
    assert said in str(told_by(start[:8]))


@pytest.mark.parametrize("start", [b"", b"P", b"\x1c\0\0\0TFL3", b"\x08\x08\x12\x07edge"])
def test_a_beginning_that_tells_nothing(start: bytes) -> None:
    assert told_by(start) is None
