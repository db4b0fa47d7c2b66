"""A PostgreSQL server of one's own, which is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


class NoServer(Exception):
    """Why none can run here."""


@dataclass(frozen=True)
class Cluster:
    """A server's URL, up to the name of the database, and how it is ended at once and started again."""

    url: str
    restart: Callable[[], None]


def programs() -> Path:
    """The folder of PostgreSQL's own programs; Debian keeps them off the path. Raises NoServer."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    if found is None:
        raise NoServer("no PostgreSQL server is installed here (Debian: apt-get install postgresql)")
    return Path(found).parent


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A server on a socket in a folder of its own. Raises NoServer."""
    if find_spec("psycopg") is None:
        raise NoServer("psycopg is not installed")
    tools = programs()
    folder = Path(tempfile.mkdtemp(prefix="edgekit-pg-"))
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if user is not None:
        try:
            shutil.chown(folder, user)
        except LookupError:
            raise NoServer("root cannot run a PostgreSQL server, and there is no user postgres") from None

    def run(*command: str) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, capture_output=True)

    data = str(folder / "data")
    run(str(tools / "initdb"), "--pgdata", data, "--username", "edgekit", "--auth", "trust", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    start = (
        str(tools / "pg_ctl"),
        "--pgdata",
        data,
        "-o",
        options,
        "-l",
        str(folder / "log"),
        "--wait",
        "--timeout",
        "600",
        "start",
    )
    stop = (str(tools / "pg_ctl"), "--pgdata", data, "--mode", "immediate", "--wait", "--timeout", "600", "stop")

    def restart() -> None:
        run(*stop)
        run(*start)

    run(*start)
    try:
        yield Cluster(f"postgresql+psycopg://edgekit@/{{}}?host={folder}", restart)
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            run(*stop)
        shutil.rmtree(folder, ignore_errors=True)


def execute(url: str, statement: str) -> None:
    """Run a statement outside of a transaction."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
