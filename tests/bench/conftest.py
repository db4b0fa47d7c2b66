"""A running OpenSSH server for the tests of links."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.bench.link_ssh import SshLink
from tests.bench.ssh_server import Server as Server
from tests.bench.ssh_server import disconnect, make, missing


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server; the client's configuration has it as `board`."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    found = make(tmp_path / "ssh")
    monkeypatch.setenv("EDGEKIT_SSH_CONFIG", str(found.folder / "config"))
    found.start()
    yield found
    for link in found.links:
        disconnect(link)
    found.stop()


@pytest.fixture
def board(server: Server) -> SshLink:
    """A link to it."""
    return server.link()
