"""What is an artifact, and what a foreign file is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.records.artifact import open_artifact


def test_a_file_without_a_manifest_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / "theirs.onnx"
    path.write_bytes(b"anything")
    assert open_artifact(path).foreign


@pytest.mark.parametrize(
    ("name", "cause"),
    [("missing.onnx", "does not exist"), ("*_int8.onnx", "nothing matches "), ("notes.txt", "is no artifact")],
)
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
