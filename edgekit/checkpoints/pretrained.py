"""Trained weights by name: `edgekit weights list`, `edgekit weights pull`, and `--weights pretrained`.

Files are kept in the folder `weights` of the cache (`edgekit doctor` names it), each with a `<file>.sha256` beside it
that records what was accepted, in the form that `sha256sum -c` reads. A file that was put there by hand is checked in
the same way. Nothing here opens weights; that is for `edgekit.weights`, which takes no pickled code.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from edgekit.checkpoints.pretrained_table import SOURCES, Source
from edgekit.errors import EdgekitError, Failure, UsageError, nearest, worst_exit_code
from edgekit.util.download import Progress, by_hand, disk, download
from edgekit.util.files import cache_folder, drafting, file_sha256, known_sha256, locked, publish, write_atomically
from edgekit.util.tabled import Tabled

PREFIX = "pretrained"
LARGEST_MEMBER = 100_000_000  # bytes; the largest hosted file has 17 MB
MB = 1_000_000
HOSTS = frozenset(str(urlsplit(source.url).hostname) for source in SOURCES)


@dataclass(frozen=True)
class Found:
    """A file of weights in the cache. `checked`: against a published hash, else against the one of its first day."""

    source: Source
    path: Path
    sha256: str
    checked: bool
    downloaded: bool

    @property
    def hash_bits(self) -> int:
        """How many bits of its hash are published, and were checked."""
        return 4 * len(self.source.sha256 or "")

    def to_json(self) -> dict[str, Any]:
        """Return the file under its documented keys."""
        return {
            "name": self.source.name,
            "path": str(self.path),
            "sha256": self.sha256,
            "checked": self.checked,
            "hash_bits": self.hash_bits,
            "downloaded": self.downloaded,
            "bytes": self.path.stat().st_size,
            "license": self.source.license,
            "note": self.source.note,
        }


@dataclass(frozen=True, repr=False)
class Listing(Tabled):
    """Every source, and where its file is kept."""

    folder: Path

    def to_json(self) -> dict[str, Any]:
        """{"folder": ..., "weights": [...]}; `path` and `sha256_found` are null for what is not there."""
        return {"folder": str(self.folder), "weights": [self._row(source) for source in SOURCES]}

    def _row(self, source: Source) -> dict[str, Any]:
        path = self.folder / source.file
        found = _recorded(path)
        return asdict(source) | {
            "options": dict(source.options),
            "preprocessing": source.preprocessing.model_dump(),
            "path": str(path) if found else None,
            "sha256_found": found,
        }

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0


@dataclass(frozen=True, repr=False)
class Pulled(Tabled):
    """What is here now, and what could not be had."""

    found: tuple[Found, ...]
    failed: tuple[Failure, ...]

    @property
    def exit_code(self) -> int:
        """0, or the first that applies in the documented order."""
        return worst_exit_code(failure.exit_code for failure in self.failed)

    def to_json(self) -> dict[str, Any]:
        """{"pulled": [...], "failed": [...]}"""
        failed = [failure.to_json("code", "reason", "remedy") for failure in self.failed]
        return {"pulled": [found.to_json() for found in self.found], "failed": failed}


def weights(
    action: str = "list", names: Sequence[str] = (), *, progress: Callable[..., None] | None = None
) -> Listing | Pulled:
    """`edgekit weights list` and `edgekit weights pull NAME...`. Raises UsageError for another action."""
    if action == "list" and not names:
        return list_weights()
    if action == "pull" and names:
        return pull(names, progress)
    if action == "pull":
        raise UsageError("`edgekit weights pull` needs a name", "`edgekit weights list` shows the names")
    raise UsageError(
        f"`edgekit weights` does not know '{' '.join([action, *names])}'",
        "write `edgekit weights list` or `edgekit weights pull NAME`",
    )


def list_weights() -> Listing:
    """Return every pretrained source. Downloads nothing."""
    return Listing(folder())


def pull(names: Sequence[str], progress: Callable[..., None] | None = None) -> Pulled:
    """Bring files into the cache, each checked; one that fails does not hide the others.

    `progress` takes (message, MB here, MB in all). Raises UsageError for an unknown name before the first download.
    """
    sources = [named(name) for name in dict.fromkeys(names)]
    found, failed = [], []
    for source in sources:
        try:
            found.append(fetch(source, _counting(source, progress)))
        except EdgekitError as error:
            failed.append(Failure({"name": source.name}, error))
    return Pulled(tuple(found), tuple(failed))


def _counting(source: Source, progress: Callable[..., None] | None) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(f"download {source.arrival}, MB", done // MB, total // MB if total else None)


def in_steps(source: Source, say: Callable[[str], None]) -> Progress:
    """Progress for what takes whole messages: one for each tenth of the file."""
    told: list[int] = []

    def show(done: int, total: int | None) -> None:
        tenth = 10 * done // total if total else 0
        if not told or tenth > told[-1]:
            told.append(tenth)
            size = f" of {total // MB} MB" if total else ""
            say(f"download {source.arrival}: {10 * tenth} %{size}")

    return show


def is_pretrained(text: str) -> bool:
    """Whether a `--weights` means a published file: "pretrained" or "pretrained:NAME"."""
    return text.partition(":")[0] == PREFIX


def named(name: str) -> Source:
    """Return the source of a name. Raises UsageError, naming the nearest."""
    found = {source.name: source for source in SOURCES}
    if name not in found:
        hint = nearest(name, found)
        raise UsageError(f"no pretrained weights are named '{name}'{hint}", "`edgekit weights list` shows the names")
    return found[name]


def choose(
    text: str, model: str, alpha: float | None, resolution: int, options: Mapping[str, str], typed_resolution: bool
) -> Source:
    """Return the source that "pretrained" or "pretrained:NAME" means for a network.

    `resolution` is the one that was typed, or else the network's own. Raises UsageError where there is none for this
    network, width, resolution and options.
    """
    _, colon, name = text.partition(":")
    sources = [source for source in SOURCES if source.model == model]
    if not sources:
        raise UsageError(
            f"no pretrained weights of {model} are known to this edgekit",
            "give a file of your own (--weights FILE), or --weights random where only latency matters",
        )
    if colon:
        sources = [named(name)]
        if sources[0].model != model:
            raise UsageError(
                f"the weights '{name}' are of {sources[0].model}, not of {model}", "say --weights pretrained"
            )
    for source in sources:
        wanted_alpha = alpha if alpha is not None else source.alpha if colon else 1.0
        free = source.resolution is None or (colon and not typed_resolution)
        if source.alpha == wanted_alpha and (free or source.resolution == resolution) and _agree(source, options):
            return source
    wanted = f"alpha {1.0 if alpha is None else alpha:g} and resolution {resolution}"
    wanted += "".join(f", {key} {value}" for key, value in options.items() if key in sources[0].options)
    raise UsageError(
        f"no pretrained weights of {model} are known for {wanted}", f"known: {', '.join(_points(sources))}"
    )


def _agree(source: Source, options: Mapping[str, str]) -> bool:
    return all(options.get(key, value) == value for key, value in source.options.items())


def _points(sources: Sequence[Source]) -> list[str]:
    parts = (
        (f"--alpha {s.alpha:g}", f"--res {s.resolution}" if s.resolution else "")
        + tuple(f"--option {key}={value}" for key, value in s.options.items())
        for s in sources
    )
    return list(dict.fromkeys(" ".join(part for part in point if part) for point in parts))


def folder() -> Path:
    """Return where pretrained files are kept."""
    return cache_folder() / "weights"


def fetch(source: Source, progress: Progress | None = None) -> Found:
    """Return the file of a source, downloaded where it is not here yet, and checked.

    Raises UsageError for a file here that is not the right one (it is left alone), and what `download` raises.
    """
    path = folder() / source.file
    found = _kept(source, path)
    if found:
        return found
    with disk(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with disk(lock), locked(lock):  # the others wait, and find it here
        return _kept(source, path) or _bring(source, path, progress)  # another process may have brought it meanwhile


def _kept(source: Source, path: Path) -> Found | None:
    """The file as it was accepted once; None where there is no record of it."""
    recorded = _recorded(path)
    if recorded is None:
        return None
    if not path.stat().st_size:
        raise UsageError(f"{path} is empty", replaced(path))
    if known_sha256(path) != recorded:
        raise UsageError(
            f"{path} has changed since it was put there (sha256 differs)",
            replaced(path),
        )
    return Found(source, path, recorded, source.sha256 is not None, downloaded=False)


def replaced(path: Path) -> str:
    """Return what to do about a kept file that is not right."""
    return f"remove {path} and {path.name}.sha256, then run the same command again"


def _recorded(path: Path) -> str | None:
    """The hash that was recorded for a file that is there."""
    record = path.with_name(path.name + ".sha256")
    if not path.is_file() or not record.is_file():
        return None
    return record.read_text(encoding="utf-8").partition(" ")[0]


def _bring(source: Source, path: Path, progress: Progress | None) -> Found:
    arrival = path.with_name(source.arrival)
    by_hand_here = arrival.is_file()
    if by_hand_here:
        _check_by_hand(source, arrival)
    else:
        download(source.url, arrival, source.sha256, progress, hosts=HOSTS)
    if source.member is not None:
        _extract(source, arrival, path)
        if not by_hand_here:
            arrival.unlink()
    digest = file_sha256(path)
    write_atomically(path.with_name(path.name + ".sha256"), f"{digest}  {path.name}\n".encode())
    return Found(source, path, digest, source.sha256 is not None, downloaded=not by_hand_here)


def _check_by_hand(source: Source, arrival: Path) -> None:
    if not arrival.stat().st_size:
        raise UsageError(f"{arrival} is empty", f"remove it, and {by_hand(source.url, arrival)}")
    digest = file_sha256(arrival)
    if source.sha256 is not None and not digest.startswith(source.sha256):
        raise UsageError(
            f"{arrival} is not the published file: its sha256 begins with {digest[: len(source.sha256)]}, "
            f"not {source.sha256}",
            f"remove it, and {by_hand(source.url, arrival)}",
        )


def _extract(source: Source, archive: Path, path: Path) -> None:
    """Copy the one file that is wanted out of an archive; nothing else of it touches the disk."""
    try:
        with tarfile.open(archive, "r|*") as members:
            for member in members:
                if member.isfile() and member.name.removeprefix("./") == source.member:
                    _copy(members.extractfile(member), member.size, archive, path)
                    return
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UsageError(
            f"{archive} is no readable archive: {error}", f"remove it, then pull {source.name} again"
        ) from error
    raise UsageError(f"{archive} has no {source.member} in it", f"remove it, and {by_hand(source.url, archive)}")


def _copy(stream: IO[bytes] | None, size: int, archive: Path, path: Path) -> None:
    if stream is None or size > LARGEST_MEMBER:
        raise UsageError(f"{path.name} in {archive} would have {size} bytes", f"remove {archive.name}")
    with drafting(path.parent, path.name) as draft, disk(path):
        with draft.open("wb") as out:
            shutil.copyfileobj(stream, out)
        publish(draft, path)
