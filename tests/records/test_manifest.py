"""Artifacts: what a manifest must be, and what an altered or foreign file is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.records.manifest import manifest_path, open_artifact, read_manifest


def test_a_file_without_a_manifest_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / "theirs.onnx"
    path.write_bytes(b"anything")
    assert open_artifact(path).foreign


@pytest.mark.parametrize(("name", "cause"), [("missing.onnx", "does not exist"), ("notes.txt", "is no artifact")])
def test_what_is_no_artifact_is_refused(name: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=cause):
        open_artifact(tmp_path / name)


def test_a_name_that_no_record_can_hold_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"bad\xff.onnx")
    try:
        path.write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(UsageError, match=r"bad.*udcff.onnx' is not UTF-8") as caught:
        open_artifact(path)
    assert "rename" in caught.value.remedy and caught.value.message.isprintable()


def test_a_folder_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(UsageError, match="is not a file"):
        open_artifact(tmp_path / "folder.onnx")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "cannot be read"),
        ("[1]", "not a JSON object"),
        ('{"version": 2}', "has version 2"),
        ('{"version": 1, "file": "x"}', "is broken at"),
        ('{"version": 1', "cannot be read"),
        (f'{{"version": 1, "bytes": {10**400}}}', "a number of 401 digits"),
        (f'{{"version": 1, "bytes": {2**63}}}', "a number of 19 digits"),
    ],
)
def test_a_broken_manifest_is_an_error_and_never_ignored(text: str, cause: str, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"x")
    manifest_path(path).write_text(text)
    with pytest.raises(UsageError, match=cause) as caught:
        open_artifact(path)
    assert caught.value.remedy


def test_a_manifest_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_manifest(tmp_path)
