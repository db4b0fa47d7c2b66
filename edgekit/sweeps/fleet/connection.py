"""How a sweep and its workers reach Dask's scheduler: by TLS, or on this machine, unless a person says otherwise.

Whoever reaches a scheduler can run code on all of its workers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import warnings
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgekit.errors import BackendMissing, DeviceUnreachable, EdgekitError, UsageError

PACKAGE = "distributed"
CONNECT_SECONDS = 5.0  # in which the machine of a scheduler must take a connection
ANSWER_SECONDS = 30.0  # in which what takes it must answer as a scheduler; its machine may be busy
START = "start it with `dask scheduler`, and check the address"
START_TLS = "start it with `dask scheduler --protocol tls`, and check the address and the certificates of both sides"
FORM = "write, say, tcp://127.0.0.1:8786 or tls://room.example.org:8786"


@dataclass(frozen=True)
class Connection:
    """A scheduler's address, and the files of TLS (None: as Dask's own configuration has them)."""

    scheduler: str
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether nobody outside of this machine can reach the scheduler by its address."""
        return _is_loopback(urlsplit(self.scheduler).hostname or "")

    def security(self) -> Any:
        """Dask's own `Security`, which both sides use."""
        from distributed.security import Security

        if not self.scheduler.startswith("tls:"):
            return Security(require_encryption=False)
        given = {"tls_ca_file": self.tls_ca}
        for role in ("client", "worker"):
            given |= {f"tls_{role}_cert": self.tls_cert, f"tls_{role}_key": self.tls_key}
        return Security(require_encryption=True, **{name: str(path) for name, path in given.items() if path})


def connection(
    scheduler: str | None, tls_ca: Path | None, tls_cert: Path | None, tls_key: Path | None, insecure: bool
) -> Connection:
    """Check what was asked for, before anything is reached.

    Raises UsageError for an address or files that cannot be meant, and for one without TLS that leaves this machine
    unless `insecure`; BackendMissing without Dask.
    """
    if find_spec(PACKAGE) is None:
        raise BackendMissing("this needs Dask's distributed, which is not installed", "pip install 'edgekit[dask]'")
    if not scheduler:
        raise UsageError("no scheduler of Dask was named", f"add --scheduler; {FORM}")
    files = {"--tls-ca": tls_ca, "--tls-cert": tls_cert, "--tls-key": tls_key}
    found = Connection(_address(scheduler), tls_ca, tls_cert, tls_key)
    if scheduler.startswith("tls:"):
        _check_files(files)
        return found
    given = next((option for option, path in files.items() if path is not None), None)
    if given is not None:
        raise UsageError(f"{given} is for tls:// addresses, and {scheduler} is none", "write tls://")
    if not (found.is_local or insecure):
        raise UsageError(
            f"{scheduler} is not encrypted, and whoever reaches it can run code on all workers",
            "use tls:// with certificates; or add --insecure where nobody else is on the network",
        )
    return found


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{text} is no address of a scheduler: {error}", FORM) from error
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or port is None or parts.path not in ("", "/"):
        raise UsageError(f"{text} is no address of a scheduler", FORM)
    return text.rstrip("/")


def _check_files(files: dict[str, Path | None]) -> None:
    """Raise UsageError where a file of TLS is missing, or none is named here nor in Dask's configuration."""
    import dask

    configured = dask.config.get("distributed.comm.tls", {}) or {}
    known = (configured.get("ca-file"), *(configured.get("client", {}).get(name) for name in ("cert", "key")))
    for (option, path), there in zip(files.items(), known, strict=True):
        if path is None and not there:
            raise UsageError(f"tls:// needs {option}", "name the three files of TLS, or set them in Dask's own config")
        if path is not None and not path.is_file():
            raise UsageError(f"{path} does not exist", f"give a PEM file with {option}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def quiet() -> None:
    """Let Dask's own log and warnings say nothing: what matters is told as a message of ours."""
    from distributed.versions import VersionMismatchWarning

    warnings.filterwarnings("ignore", category=VersionMismatchWarning)  # versions that matter are compared by us
    logging.getLogger(PACKAGE).setLevel(logging.CRITICAL)
    logging.getLogger("tornado").setLevel(logging.CRITICAL)


async def look(where: Connection) -> dict[str, Any]:
    """What a scheduler says of itself and its workers, within seconds.

    Raises DeviceUnreachable where none answers, BackendMissing where it has another version of Dask, and UsageError
    where the files of TLS are none.
    """
    import dask
    from distributed.core import rpc

    quiet()
    try:
        arguments = where.security().get_connection_args("client")
    except OSError as error:  # those of ssl are of this kind
        pem = "give PEM files with --tls-ca, --tls-cert and --tls-key, the key that of the certificate"
        raise UsageError(f"the files of TLS cannot be used: {_cause(error)}", pem) from error
    _refuse_unreachable(where)
    try:
        with dask.config.set({"distributed.comm.timeouts.connect": ANSWER_SECONDS}):
            async with rpc(where.scheduler, connection_args=arguments) as asked:
                versions = await asyncio.wait_for(asked.versions(), ANSWER_SECONDS)
                theirs = versions["packages"][PACKAGE]
                _refuse_another(where, theirs)
                found: dict[str, Any] = await asyncio.wait_for(asked.identity(), ANSWER_SECONDS)
    except EdgekitError:
        raise
    except Exception as error:  # what is no scheduler answers in all ways
        raise _no_scheduler(where, error) from error
    if found.get("type") != "Scheduler":
        raise DeviceUnreachable(f"what answers at {where.scheduler} is a {found.get('type')}, no scheduler", START)
    return found


def _refuse_unreachable(where: Connection) -> None:
    """Raise DeviceUnreachable where nothing listens at the address of a scheduler.

    Dask itself tries again until its time is over, and tells then only that it is over.
    """
    parts = urlsplit(where.scheduler)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_SECONDS).close()
    except OSError as error:
        raise _no_scheduler(where, error) from error


def _no_scheduler(where: Connection, error: Exception) -> DeviceUnreachable:
    start = START_TLS if where.scheduler.startswith("tls:") else START
    return DeviceUnreachable(f"no scheduler answers at {where.scheduler}: {_cause(error)}", start)


def _version() -> str:
    return metadata.version(PACKAGE)


def _cause(error: BaseException) -> str:
    """The first cause of an error in one line, as the system tells it."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(told.rpartition("] ")[2].split()) or f"no answer within {ANSWER_SECONDS:g} s"


def _refuse_another(where: Connection, theirs: str) -> None:
    ours = _version()
    if theirs != ours:
        raise BackendMissing(
            f"the scheduler at {where.scheduler} has distributed {theirs}, and this machine {ours}",
            f"pip install distributed=={theirs}, here or there the other",
        )
