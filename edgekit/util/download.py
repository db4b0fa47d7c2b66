"""Getting one file over HTTP: resumed where it stopped, checked by its hash, and in its place whole or not at all.

What has arrived stands in `<file>.part` until its hash is right; the next call goes on from there. Needs `requests`,
which knows proxies and certificates from the environment.
"""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from edgekit.errors import BackendMissing, EnvironmentRefused
from edgekit.util.download_part import (
    append_to,
    continues,
    forget,
    keep_only_files,
    part_of,
    remember_tag,
    size_of,
    tag_of,
)
from edgekit.util.files import file_sha256, publish

if TYPE_CHECKING:
    from requests import Response, Session

Progress = Callable[[int, int | None], None]  # bytes here, bytes in all where the server tells
_BLOCK = 1 << 16
_MOST = 4 * 10**9  # bytes; what is published has 0.6 GB at most, and a server need not stop
_MOVES = 5
_WHOLE = 64  # hexadecimal digits; with fewer, somebody can have made another file that has them
_FREE_SPACE = "free some space, or set EDGEKIT_CACHE to another folder; what has arrived is kept"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, in seconds, and how often to try again after it lost the connection."""

    connect: float = 10.0
    stall: float = 30.0  # without a byte, or with fewer than `least_rate` bytes per second
    least_rate: float = 1000.0
    tries: int = 5
    pause: float = 1.0  # before the second try; doubled for each further one


class _Lost(Exception):
    """The transfer broke off; another try may go on with it."""


def download(
    url: str,
    target: Path,
    sha256: str | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
    hosts: Collection[str] = (),
) -> str:
    """Bring what is at `url` to `target` and return its sha256, which must begin with `sha256` where that is given.

    Without a whole hash the server must tell the length, and only what it calls the same version is continued. It may
    send us on to itself and to `hosts`, and from https to nothing less.

    Raises EnvironmentRefused where the server cannot be reached, has no such file, stays too slow or sends nothing or
    something else (that is removed), and where the disk is full; BackendMissing without `requests`.
    """
    patience = patience or Patience()
    part, hashed = part_of(target), sha256 is not None and len(sha256) == _WHOLE
    with disk(part):
        keep_only_files(part)
        if not hashed and not tag_of(part).exists():
            part.unlink(missing_ok=True)  # nothing would tell whether the rest is of the same file
    with _session() as session:
        for attempt in range(1, patience.tries + 1):
            try:
                with _answer(session, url, target, _headers(part), patience, hosts) as response:
                    _receive(response, url, target, hashed, progress or (lambda done, total: None), patience)
                break
            except _Lost as lost:
                if attempt == patience.tries:
                    raise EnvironmentRefused(
                        f"{target.name} did not arrive from {_host(url)} in {attempt} tries: {lost}",
                        f"run the same command again: it goes on where it stopped; or {by_hand(url, target)}",
                    ) from lost
                time.sleep(patience.pause * 2 ** (attempt - 1))
    _refuse_empty(part, url, target)
    digest = file_sha256(part)
    if sha256 is not None and not digest.startswith(sha256):
        forget(part)
        raise EnvironmentRefused(
            f"{_host(url)} sent another {target.name}: its sha256 begins with {digest[: len(sha256)]}, not {sha256}; "
            "it was removed",
            f"try again later or from another network; or {by_hand(url, target)}",
        )
    publish(part, target)
    forget(part)
    return digest


def _refuse_empty(part: Path, url: str, target: Path) -> None:
    if not part.exists() or not part.stat().st_size:
        forget(part)
        raise EnvironmentRefused(
            f"{_host(url)} sent an empty {target.name}", f"try again later; or {by_hand(url, target)}"
        )


def by_hand(url: str, target: Path) -> str:
    """Return what to do where the download cannot be had here."""
    return f"get {url} elsewhere and put it at {target}"


def _session() -> Session:
    try:
        import requests
    except ImportError as error:
        raise BackendMissing("requests is not installed", "pip install 'edgekit[export]'") from error
    return requests.Session()


def _receive(response: Response, url: str, target: Path, hashed: bool, progress: Progress, patience: Patience) -> None:
    """Append what an answer brings to the part. `hashed`: a whole hash will tell whether it is right."""
    part = part_of(target)
    offset = size_of(part)
    if response.status_code == 416:  # there is nothing after what is here: it is all, or it is too much
        if _complete_size(response) == offset and continues(part, response):
            return
        forget(part)
        raise _Lost("what had arrived was not the beginning of the file")
    offset = _accepted(response, offset, url, target)
    total = _total(response, offset)
    if not hashed:
        _refuse_unknowable(response, total, url, target)
    _room(target, total, offset)
    with disk(part), append_to(part, offset) as out:
        if not offset:
            remember_tag(part, response)
        done = offset
        progress(done, total)
        for block in _blocks(response, patience):
            out.write(block)
            done += len(block)
            progress(done, total)
            _refuse_endless(done, url, target)
    if total is not None and done != total:
        raise _Lost(f"{done} of {total} bytes came")


def _headers(part: Path) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "edgekit"}
    if size_of(part):
        headers["Range"] = f"bytes={size_of(part)}-"
        with suppress(OSError, ValueError):  # ValueError: it is damaged, which the answer will be held against
            headers["If-Range"] = tag_of(part).read_text(encoding="utf-8")
    return headers


def _answer(
    session: Session, url: str, target: Path, headers: dict[str, str], patience: Patience, hosts: Collection[str]
) -> Response:
    """The answer to a question, from where the server sends us on to, as long as that is allowed."""
    at = url
    for _ in range(_MOVES + 1):
        response = _asked(session, at, target, headers, patience)
        if not response.is_redirect:
            return response
        response.close()
        at = urljoin(at, response.headers["Location"])
        _refuse_move(url, at, target, hosts)
    raise EnvironmentRefused(f"{_host(url)} sends us in circles for {target.name}", by_hand(url, target))


def _refuse_move(url: str, to: str, target: Path, hosts: Collection[str]) -> None:
    schemes = ("https",) if urlsplit(url).scheme == "https" else ("https", "http")
    if urlsplit(to).scheme not in schemes or _host(to) not in {_host(url), *hosts}:
        where = f"{urlsplit(to).scheme}://{_host(to)}"
        raise EnvironmentRefused(
            f"{_host(url)} sends us on to {where} for {target.name}, which is not known to have it",
            f"try again from another network; or {by_hand(url, target)}",
        )


def _asked(session: Session, url: str, target: Path, headers: dict[str, str], patience: Patience) -> Response:
    import requests

    try:
        seconds = (patience.connect, patience.stall)
        return session.get(url, headers=headers, stream=True, timeout=seconds, allow_redirects=False)
    except requests.Timeout as error:
        raise _Lost("no answer in time") from error
    except requests.ConnectionError as error:
        if headers.get("Range"):  # it answered before
            raise _Lost("the connection was lost") from error
        raise EnvironmentRefused(
            f"{_host(url)} cannot be reached, so {target.name} is missing", by_hand(url, target)
        ) from error
    except requests.RequestException as error:
        raise EnvironmentRefused(f"{url} cannot be asked for: {error}", by_hand(url, target)) from error


def _accepted(response: Response, offset: int, url: str, target: Path) -> int:
    """Where the body of an answer begins in the file; raises for an answer that brings no part of it."""
    status = response.status_code
    if status == 429 or status >= 500:
        raise _Lost(f"the server answered {status} {response.reason}")
    if status not in (200, 206):
        raise EnvironmentRefused(
            f"{_host(url)} answered {status} {response.reason} for {target.name}", by_hand(url, target)
        )
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise EnvironmentRefused(
            f"{_host(url)} sent a web page instead of {target.name}",
            f"log in to this network; or {by_hand(url, target)}",
        )
    if status == 200:
        return 0
    start = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
    if start is None or int(start[1]) != offset or not continues(part_of(target), response):
        forget(part_of(target))
        raise _Lost("the server sent another part than was asked for")
    return offset


def _refuse_unknowable(response: Response, total: int | None, url: str, target: Path) -> None:
    """Refuse a body of which nothing would tell whether it is whole and as it was published.

    Servers call an archive's own compression an encoding too; only a hash tells that from a compressed body.
    """
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise EnvironmentRefused(
            f"{_host(url)} sent {target.name} encoded as {encoding}, which nobody asked for",
            f"try again from another network; or {by_hand(url, target)}",
        )
    if total is None:
        raise EnvironmentRefused(
            f"{_host(url)} does not tell how long {target.name} is, and no whole hash of it is published",
            f"try again from another network; or {by_hand(url, target)}",
        )


def _refuse_endless(done: int, url: str, target: Path) -> None:
    if done > _MOST:
        forget(part_of(target))
        raise EnvironmentRefused(
            f"{_host(url)} sent more than {_MOST // 10**9} GB for {target.name}; it was removed", by_hand(url, target)
        )


def _blocks(response: Response, patience: Patience) -> Iterator[bytes]:
    """The body as it comes in, undecoded. Raises _Lost when it stops or trickles."""
    from urllib3.exceptions import HTTPError

    since, arrived = time.monotonic(), 0
    while True:
        try:
            block: bytes = response.raw.read1(_BLOCK, decode_content=False)
        except HTTPError as error:
            what = "stopped sending" if "timed out" in str(error) else "lost the connection"
            raise _Lost(f"the server {what}") from error
        if not block:
            return
        yield block
        arrived += len(block)
        seconds = time.monotonic() - since
        if seconds >= patience.stall:
            if arrived < patience.least_rate * seconds:
                raise _Lost(f"the server sent only {arrived / seconds:.0f} bytes per second")
            since, arrived = time.monotonic(), 0


def _total(response: Response, offset: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return offset + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def _complete_size(response: Response) -> int | None:
    found = re.fullmatch(r"bytes \*/(\d{1,18})", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _room(target: Path, total: int | None, offset: int) -> None:
    free, missing = shutil.disk_usage(target.parent).free, (total or offset) - offset
    if missing > free:
        raise EnvironmentRefused(
            f"{target.name} needs {missing / 1e6:.0f} MB more, and {target.parent} has {free / 1e6:.0f} MB free",
            _FREE_SPACE,
        )


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into an EdgekitError; what has arrived stays."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise EnvironmentRefused(f"no space to write {path}: {error.strerror}", _FREE_SPACE) from error
        raise EnvironmentRefused(
            f"cannot write {path}: {error.strerror or error}", "check the permissions, or set EDGEKIT_CACHE"
        ) from error


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
