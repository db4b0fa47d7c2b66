"""A file that failed its verification is opened with the manifest that says so, or with no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.inspection.rejected import open_rejected
from edgekit.records.formats import REJECTED
from tests.evaluation.files import sealed


def _bare(path: Path) -> None:
    path.write_bytes(b"a file")


def _other(path: Path) -> None:
    _bare(path)
    sealed(path)
    path.write_bytes(b"another file")


@pytest.mark.parametrize(
    ("put", "cause"),
    [(lambda path: None, "does not exist"), (_bare, "has no manifest"), (_other, "is not the file that its manifest")],
)
def test_what_has_no_manifest_of_its_bytes_is_refused(put: Callable[[Path], None], cause: str, tmp_path: Path) -> None:
    path = tmp_path / f"net.onnx{REJECTED}"
    put(path)
    with pytest.raises(UsageError, match=cause):
        open_rejected(path)


def test_one_with_its_manifest_is_opened_and_marked(tmp_path: Path) -> None:
    path = tmp_path / f"net.onnx{REJECTED}"
    _bare(path)
    sealed(path)
    found = open_rejected(path)
    assert found.rejected and found.format == "onnx" and found.manifest is not None
