"""An artifact: a file or folder that runs, opened with the manifest beside it. Opening it checks that the two fit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekit.errors import EdgekitError, GateFailed, UsageError
from edgekit.records.formats import REJECTED, format_of
from edgekit.records.manifest import Manifest, manifest_path, read_manifest
from edgekit.records.onnx_parts import parts_of
from edgekit.records.record import Record
from edgekit.util.files import Content, content, stamp

LEAVE_ALONE = "run the command again, and leave the file as it is until that ends"
REPLACED_MEANWHILE = 2  # an export may put another file there between two looks
COMING = ".json.next"


class Artifact(Record):
    """A file with its manifest; `manifest` is None for a foreign file.

    `content` is what it held when it was opened, with its `parts`: other files that have its weights. None for one that
    was only just written.
    """

    path: Path
    manifest: Manifest | None
    content: Content | None = None
    parts: tuple[Path, ...] = ()

    @property
    def foreign(self) -> bool:
        """Whether edgekit did not make it."""
        return self.manifest is None

    @property
    def format(self) -> str:
        """A name of FORMATS."""
        return format_of(self.path.with_suffix("") if self.rejected else self.path).name

    @property
    def rejected(self) -> bool:
        """Whether it failed its verification, so that nothing may run it."""
        return self.path.suffix == REJECTED

    def still(self) -> Content:
        """The content, asked for when the file was used: a number belongs to bytes that did not change meanwhile.

        Raises UsageError where the file is gone or holds other bytes.
        """
        try:
            if self.content is not None and self.content.stamp == stamp(self.path, self.parts):
                return self.content
            found = content(self.path, self.parts)
        except OSError as error:
            raise UsageError(
                f"{self.path} could not be read any more while it was used: {error.strerror}", LEAVE_ALONE
            ) from error
        known = self.content or self.manifest
        if known is not None and found.sha256 != known.sha256:
            raise UsageError(f"{self.path} was changed while it was used (sha256 differs)", LEAVE_ALONE)
        return found


@contextmanager
def in_use(*artifacts: Artifact) -> Iterator[None]:
    """Where something fails inside because a file is gone or another, that is the cause that is told."""
    try:
        yield
    except (EdgekitError, OSError):
        for artifact in artifacts:
            artifact.still()
        raise


def coming_path(path: Path) -> Path:
    """Return where the manifest of a file waits while that is put in its place."""
    return path.with_name(path.name + COMING)


def open_artifact(path: Path) -> Artifact:
    """Return the artifact at `path`, its bytes checked against its manifest; without a manifest it is foreign.

    Raises UsageError for a missing file, an unknown suffix, a manifest that is broken, newer or of other bytes, and
    GateFailed for a file that failed its verification, whatever it is called by now.
    """
    is_folder = format_of(path).is_folder
    if not (path.is_dir() if is_folder else path.is_file()):
        kind = "folder" if is_folder else "file"
        if not path.exists() and any(sign in str(path) for sign in "*?["):
            raise UsageError(f"nothing matches {path}", "give the path that `edgekit export` printed")
        raise UsageError(
            f"{path} does not exist" if not path.exists() else f"{path} is not a {kind}",
            "give the path that `edgekit export` printed",
        )
    if not _is_text(path.name):
        raise UsageError(f"the name of {ascii(path.name)} is not UTF-8, and no record could hold it", "rename the file")
    for _ in range(REPLACED_MEANWHILE):
        others = parts_of(path)
        found = _content(path, others)
        manifest = _fitting(path, found.sha256)
        if manifest is None or manifest.sha256 == found.sha256:
            if manifest is not None and manifest.parity.passed is False:
                why = "; ".join(manifest.parity.reasons)
                raise GateFailed(f"{path} failed its verification when it was exported: {why}", "export it again")
            return Artifact(path=path, manifest=manifest, content=found, parts=others)
    raise UsageError(
        f"{path} is not the file that its manifest describes (sha256 differs)",
        f"export it again, or remove {manifest_path(path).name} to use it as a foreign file",
    )


def content_of(path: Path) -> Content:
    """Return what identifies a file with its parts, whether its manifest fits or not."""
    return _content(path, parts_of(path))


def _content(path: Path, others: Sequence[Path]) -> Content:
    try:
        return content(path, others)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "check the path and its permissions") from error


def manifest_of(path: Path) -> Manifest | None:
    """Return the manifest of a file, whose bytes are only looked at where two are there; None for a foreign file."""
    return _fitting(path, content_of(path).sha256 if coming_path(path).exists() else None)


def _fitting(path: Path, sha256: str | None) -> Manifest | None:
    """The manifest beside a file: the coming one where its sha256 is the file's, else the one that is there."""
    coming, beside = coming_path(path), manifest_path(path)
    if sha256 is not None:
        with suppress(UsageError):
            waiting = read_manifest(coming)
            if waiting.sha256 == sha256:
                return waiting
    return read_manifest(beside) if os.path.lexists(beside) else None


def _is_text(name: str) -> bool:
    """Whether a file's name is more than bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
