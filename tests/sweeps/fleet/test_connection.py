"""How a scheduler may be reached, and what is said where none is there."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import BackendMissing, DeviceUnreachable, UsageError
from edgekit.sweeps.fleet import connection as module
from edgekit.sweeps.fleet.connection import Connection, connection, look

pytest.importorskip("distributed")


def asked(scheduler: str | None, **changes: Any) -> Connection:
    usual = {"tls_ca": None, "tls_cert": None, "tls_key": None, "insecure": False}
    return connection(scheduler=scheduler, **{**usual, **changes})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_this_machine_needs_no_encryption(host: str) -> None:
    assert asked(f"tcp://{host}:8786").is_local


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "example.org", "localhost.example.org", "[2001:db8::1]"])
def test_another_machine_needs_tls_or_a_word(host: str) -> None:
    with pytest.raises(UsageError, match="not encrypted") as refused:
        asked(f"tcp://{host}:8786")
    assert "--insecure" in refused.value.remedy and not asked(f"tcp://{host}:8786", insecure=True).is_local


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        "127.0.0.1:8786",
        "tcp://127.0.0.1",
        "tcp://:8786",
        "http://127.0.0.1:8786",
        "tcp://a:99999",
        "tcp://[:1",
    ],
)
def test_what_is_no_address_is_told(text: str | None) -> None:
    with pytest.raises(UsageError, match="scheduler") as refused:
        asked(text)
    assert "tcp://127.0.0.1:8786" in refused.value.remedy


def test_tls_needs_its_files(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("tls_ca", "tls_cert", "tls_key")}
    with pytest.raises(UsageError, match="needs --tls-ca"):
        asked("tls://room:8786")
    for path in files.values():
        with pytest.raises(UsageError, match="does not exist"):
            asked("tls://room:8786", **files)
        path.touch()
    asked("tls://room:8786", **files)
    with pytest.raises(UsageError, match="--tls-ca is for tls://"):
        asked("tcp://127.0.0.1:8786", **files)


def test_without_dask_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(BackendMissing) as missing:
        asked("tcp://127.0.0.1:8786")
    assert missing.value.remedy == "pip install 'edgekit[dask]'"


def test_no_scheduler_is_told_in_one_line() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound to the end, so that no other test listens there
        port = closed.getsockname()[1]
        with pytest.raises(DeviceUnreachable) as refused:
            asyncio.run(look(Connection(f"tcp://127.0.0.1:{port}")))
    assert refused.value.message == f"no scheduler answers at tcp://127.0.0.1:{port}: Connection refused"
    assert "dask scheduler" in refused.value.remedy


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\0" * 64])
def test_something_else_that_listens_is_no_scheduler(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    connected, _ = server.accept()
                    connected.sendall(said)
                    connected.close()
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(DeviceUnreachable, match="no scheduler answers"):
            asyncio.run(look(Connection(f"tcp://127.0.0.1:{server.getsockname()[1]}")))
        server.shutdown(socket.SHUT_RDWR)


def test_what_listens_and_never_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    message = r"no scheduler answers at .*: no answer within 0.05 s"
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DeviceUnreachable, match=message):
        asyncio.run(look(Connection(f"tcp://127.0.0.1:{silent.getsockname()[1]}")))
