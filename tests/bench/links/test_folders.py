"""A link that brings single files says so of a folder, before it reaches for the device."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bench.links.adb import AdbLink
from edgekit.bench.links.base import Link
from edgekit.bench.links.ssh.link import SshLink
from edgekit.errors import BackendMissing


@pytest.mark.parametrize("link", [SshLink("board", "nowhere.invalid"), AdbLink("board", None)], ids=["ssh", "adb"])
def test_a_folder_is_refused_in_words(link: Link, tmp_path: Path) -> None:
    (tmp_path / "a.twin").mkdir()
    with pytest.raises(BackendMissing, match="a.twin is a folder, and only single files are brought to board"):
        link.place(tmp_path / "a.twin")
