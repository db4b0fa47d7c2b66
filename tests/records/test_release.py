"""A whole artifact is there at every moment, also where a process is killed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from edgekit.records.artifact import manifest_of, open_artifact
from edgekit.records.manifest import Manifest, manifest_path, read_manifest
from edgekit.records.release import release
from edgekit.util import files
from edgekit.util.files import file_sha256
from tests.evaluation.files import sealed
from tests.kills import killed_at


def _version(manifest: Manifest, text: bytes, folder: Path) -> tuple[Path, Manifest]:
    """A draft with other bytes, and the manifest for it."""
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as stream:
        stream.write(text)
    draft = Path(stream.name)
    return draft, manifest.model_copy(update={"sha256": file_sha256(draft), "bytes": len(text)})


@pytest.mark.parametrize("replaces", [True, False])
def test_a_kill_at_any_step_of_a_release_leaves_a_whole_artifact(replaces: bool, tmp_path: Path) -> None:
    drafts, out = tmp_path / "drafts", tmp_path / "out"
    drafts.mkdir()
    out.mkdir()
    example = drafts / "x.onnx"
    example.write_bytes(b"x")
    manifest = read_manifest(manifest_path(sealed(example)))
    target, step, seen = out / "net.onnx", 0, set()
    while True:
        for path in [*out.iterdir()] if not replaces else []:
            path.unlink()
        if replaces:
            release(*_placed(_version(manifest, b"old", drafts), target))
        if not killed_at(step, lambda: release(*_placed(_version(manifest, b"new", drafts), target))):
            break
        if replaces or target.exists():
            seen.add(target.read_bytes())
            assert not open_artifact(target).foreign and manifest_of(target) == open_artifact(target).manifest
        files._remove_left_drafts.cache_clear()
        release(*_placed(_version(manifest, b"third", drafts), target))
        assert {path.name for path in out.iterdir()} == {"net.onnx", "net.onnx.json", ".lock"}
        step += 1
    assert step > 5 and seen >= ({b"old", b"new"} if replaces else {b"new"})


def _placed(version: tuple[Path, Manifest], target: Path) -> tuple[Path, Path, Manifest]:
    return version[0], target, version[1]


def test_what_was_left_of_one_file_is_settled_by_the_export_of_another(tmp_path: Path) -> None:
    example = tmp_path / "x.onnx"
    example.write_bytes(b"x")
    text = manifest_path(sealed(example)).read_bytes()
    manifest_path(example).rename(tmp_path / "x.onnx.json.next")
    (tmp_path / "gone.onnx.json.next").write_bytes(text)
    (tmp_path / "broken.onnx.json.next").write_bytes(b"{")
    draft, manifest = _version(read_manifest(tmp_path / "x.onnx.json.next"), b"other", tmp_path)
    release(draft, tmp_path / "other.onnx", manifest)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"x.onnx", "x.onnx.json", "other.onnx", "other.onnx.json", ".lock"}
    assert manifest_path(example).read_bytes() == text
