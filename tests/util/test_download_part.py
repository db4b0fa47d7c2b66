"""What has arrived of a file: continued where it is of the same version, and never followed where it is no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.util.download import download
from tests.util.site import CONTENT, HASTY, SHA256, Site, part
from tests.util.site import site as site
from tests.util.site import target as target


@pytest.mark.parametrize("sha256", [None, SHA256[:8]])
def test_a_part_of_another_version_is_not_continued(site: Site, target: Path, sha256: str | None) -> None:
    """The server minds no If-Range, and says of which version its part is."""
    site.cuts = [1000]
    site.part_mark = '"two"'
    assert download(site.url, target, sha256, patience=HASTY) == SHA256
    assert [asked.get("Range") for asked in site.log] == [None, "bytes=1000-", None]


def test_eight_digits_of_a_hash_do_not_join_two_versions(site: Site, target: Path) -> None:
    part(target).write_bytes(CONTENT[:1000])  # nobody knows of which version
    assert download(site.url, target, SHA256[:8]) == SHA256
    assert "Range" not in site.log[0]


def test_a_mark_that_is_damaged_is_none(site: Site, target: Path) -> None:
    part(target).write_bytes(CONTENT[:1000])
    target.with_name("file.bin.part.tag").write_bytes(b"\xff\xfe")
    assert download(site.url, target, SHA256[:8], patience=HASTY) == SHA256


@pytest.mark.parametrize("name", ["file.bin.part", "file.bin.part.tag"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_part_that_is_no_file_is_not_followed(site: Site, target: Path, name: str, kind: str) -> None:
    place, victim = target.with_name(name), target.with_name("victim")
    victim.write_bytes(b"precious")
    if kind == "link":
        place.symlink_to(victim)
    else:
        os.mkfifo(place)
    assert download(site.url, target, SHA256) == SHA256
    assert victim.read_bytes() == b"precious" and not place.is_symlink() and not target.is_symlink()
