"""Where a job writes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from edgekit.bench.ondevice import work_folder
from edgekit.bench.ondevice.session import MARK


def test_it_goes_with_the_session_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "root" / "tools" / "hash"
    (tmp_path / "root" / "work" / "s1").mkdir(parents=True)
    monkeypatch.setattr(work_folder, "__file__", str(package / "work_folder.py"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(MARK, "s1")
    assert work_folder.make_folder("job-").parent == tmp_path / "root" / "work" / "s1"
    monkeypatch.setenv(MARK, "gone")
    assert work_folder.make_folder("job-").parent == tmp_path
    monkeypatch.delenv(MARK)
    assert work_folder.make_folder("job-").parent == tmp_path
