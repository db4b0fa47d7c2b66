from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edgekit.util.zip_file import members


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_that_are_unpacked_bit_by_bit_are_listed(kind: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", kind) as archive:
        archive.writestr("one", b"1")
        archive.writestr("two", b"2")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert [member.filename for member in members(archive)] == ["one", "two"]


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_one_that_stands_for_gigabytes_is_refused_by_name(kind: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one", b"1")
        archive.writestr("x" * 100, b"2", kind)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, pytest.raises(ValueError, match=f"'{'x' * 80}' in it"):
        members(archive)
