"""What a manifest must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.records.artifact import open_artifact
from edgekit.records.manifest import manifest_path, read_manifest


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
