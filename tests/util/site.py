"""A real server on loopback with one file, which cuts, stalls, redirects, lies and refuses."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgekit.util.download import Patience
from tests.waiting import PATIENCE

CONTENT = bytes(range(256)) * 1200
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HASTY = Patience(connect=PATIENCE, stall=PATIENCE, tries=3, pause=0.01)
STALLED = replace(HASTY, stall=0.5)  # seconds: for servers that stop sending


@dataclass
class Site:
    """What the server does with the one file that it has; `log` holds the headers of every request for it."""

    address: str = ""
    content: bytes = CONTENT
    mark: str | None = '"one"'  # ETag
    ranges: bool = True
    length: bool = True  # whether it tells the length
    statuses: list[int] = field(default_factory=list)  # of the next answers, before it serves the file
    cuts: list[int] = field(default_factory=list)  # after so many bytes the next answers end
    stalls: int = 0  # so many answers stop half-way and stay open
    trickle: bool = False
    location: str = "/file.bin"  # where /moved.bin has gone
    part_mark: str | None = None  # ETag of a part, where it is another than the file's
    headers: dict[str, str] = field(default_factory=dict)
    log: list[dict[str, str]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The address of the file."""
        return f"{self.address}/file.bin"


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path == "/moved.bin":
            self.send_response(302)
            self.send_header("Location", self.site.location)
            self.end_headers()
            return
        self.site.log.append(dict(self.headers))
        if self.site.statuses:
            self.send_error(self.site.statuses.pop(0))
        else:
            self.serve()

    def serve(self) -> None:
        site = self.site
        start = self.start()
        if start and start >= len(site.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(site.content)}")
            self.end_headers()
            return
        body = site.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
        if site.length:
            self.send_header("Content-Length", str(len(body)))
        if site.mark:
            self.send_header("ETag", site.part_mark if start and site.part_mark else site.mark)
        for name, value in site.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.write(body)

    def start(self) -> int:
        asked = self.headers.get("Range")
        unchanged = self.headers.get("If-Range") in (None, self.site.mark) or self.site.part_mark
        return int(asked[6:-1]) if asked and self.site.ranges and unchanged else 0

    def write(self, body: bytes) -> None:
        site = self.site
        if site.cuts:
            self.wfile.write(body[: site.cuts.pop(0)])
        elif site.stalls:
            site.stalls -= 1
            self.wfile.write(body[: len(body) // 2])
            site.closing.wait(20)
        elif site.trickle:
            for index in range(200):
                if site.closing.wait(0.03):
                    return
                self.wfile.write(body[index : index + 1])
        else:
            self.wfile.write(body)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server with one file, on a free port."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = Site()
    handler = type("Own", (Handler,), {"site": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that goes away is part of the play
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    served.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the file should go."""
    return tmp_path / "file.bin"


def part(target: Path) -> Path:
    """What has arrived of a file so far."""
    return target.with_name("file.bin.part")
