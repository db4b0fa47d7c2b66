"""A cluster that speaks TLS alone, and strangers to it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgekit.errors import DeviceUnreachable, UsageError
from edgekit.sweeps.fleet.connection import Connection, look
from edgekit.sweeps.result import SweepResult
from tests.command_line import edgekit
from tests.sweeps.fleet.peers import Peers

OPTIONS = ("--tls-ca", "--tls-cert", "--tls-key")


def files(folder: Path) -> dict[str, Path]:
    """An authority, and a certificate of it with its key."""
    ca, cert, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    new = ["-newkey", "rsa:2048", "-nodes", "-keyout"]
    made = ["openssl", "req", "-x509", "-days", "2", *new, f"{folder}/ca.key", "-out", str(ca), "-subj", "/CN=lab"]
    asked = ["openssl", "req", *new, str(key), "-out", f"{folder}/asked", "-subj", "/CN=room"]
    signed = ["openssl", "x509", "-req", "-days", "2", "-in", f"{folder}/asked", "-CA", str(ca)]
    for command in (made, asked, [*signed, "-CAkey", f"{folder}/ca.key", "-CAcreateserial", "-out", str(cert)]):
        subprocess.run(command, check=True, capture_output=True)
    return {"tls_ca": ca, "tls_cert": cert, "tls_key": key}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    return files(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def peers(own: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """The cluster of `begin`, with the devices on one worker."""
    pytest.importorskip("distributed")
    ca, cert, key = map(str, own.values())
    more = [word for option, path in zip(OPTIONS, own.values(), strict=True) for word in (option, str(path))]
    found = Peers(tmp_path_factory.mktemp("cluster"), 0.05, "tls", *more)
    try:
        found.start_scheduler("--protocol", "tls", "--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key)
        found.start_worker("one", "pi-1", "pi-2")
        yield found
    finally:
        found.stop()


def test_who_has_a_certificate_sweeps(begin: Callable[..., SweepResult], own: dict[str, Path]) -> None:
    assert begin(alpha=(0.25,), **own).exit_code == 0


def test_a_stranger_gets_nowhere(peers: Peers, own: dict[str, Path], tmp_path: Path) -> None:
    others = files(tmp_path)
    stranger = {**others, "tls_ca": own["tls_ca"]}
    for where in (Connection(peers.address, **stranger), Connection(peers.address.replace("tls", "tcp"))):
        with pytest.raises(DeviceUnreachable, match="no scheduler answers"):
            asyncio.run(look(where))
    more = [word for option, path in zip(OPTIONS, stranger.values(), strict=True) for word in (option, str(path))]
    done = edgekit("worker", "--scheduler", peers.address, *more)
    assert done.returncode == DeviceUnreachable.exit_code and len(done.stderr.splitlines()) == 2, done.stderr
    with pytest.raises(DeviceUnreachable, match="certificate verify failed\n") as told:
        asyncio.run(look(Connection(peers.address, **others)))
    assert "the certificates of both sides" in told.value.remedy


def test_files_that_do_not_fit_each_other_are_told(own: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    mixed = {**own, "tls_key": files(tmp_path)["tls_key"]}
    with pytest.raises(UsageError, match="the files of TLS cannot be used: key values mismatch\n"):
        asyncio.run(look(Connection("tls://127.0.0.1:1", **mixed)))
