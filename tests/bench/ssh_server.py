"""A real OpenSSH server on loopback, with its own keys, port and known hosts; a file tells the client of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.bench.links.ssh.link import SshLink
from tests.waiting import PATIENCE, free_port, until

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


@dataclass
class Server:
    """An sshd whose sessions find `bin` first on their PATH."""

    folder: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    links: list[SshLink] = field(default_factory=list)
    address: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()  # what starts it elsewhere, in another network say

    @property
    def root(self) -> Path:
        """Where edgekit may write on this device."""
        return self.folder / "far side" / "edgekit"

    @property
    def log(self) -> str:
        """What the server has said."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        variables = " ".join(f'"{key}={value}"' for key, value in {"PATH": path, **self.environment}.items())
        (self.folder / "sshd_config").write_text(
            f"ListenAddress {self.address}:{self.port}\nHostKey {self.folder / 'host_key'}\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder / 'authorized'}\nStrictModes no\nPasswordAuthentication no\n"
            f"KbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\nMaxStartups 100\n"
            f"SetEnv {variables}\n"
        )
        with (self.folder / "log").open("ab") as log:
            command = [*self.prefix, SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        until(self._listens)

    def _listens(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    def move(self, address: str, prefix: tuple[str, ...]) -> None:
        """Have it start at another address, by a command that brings it there."""
        self.address, self.prefix = address, prefix

    def stop(self) -> None:
        """End it and every connection to it, at once."""
        if self.process is None:
            return
        for pid in [*descendants(self.process.pid), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        self.process = None

    def connections(self) -> int:
        """How many were let in so far."""
        return self.log.count("Accepted publickey")

    def link(self, **options: str) -> SshLink:
        """A link to it, called `board`."""
        usual = {"host": "board", "python": sys.executable, "root": str(self.root)}
        found = SshLink("board", **{**usual, **options})
        self.links.append(found)
        return found

    def script(self, name: str, text: str) -> None:
        """A program that sessions find."""
        (self.folder / "bin" / name).write_text(text)
        (self.folder / "bin" / name).chmod(0o755)

    def work(self) -> list[str]:
        """The sessions that have a folder there."""
        folder = self.root / "work"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def hang_up(link: SshLink) -> None:
    """End the connection that all links share."""
    connection = link._connection
    if connection._control is not None:
        subprocess.run(connection._ssh("-O", "exit"), capture_output=True, check=False, timeout=PATIENCE)


def disconnect(link: SshLink) -> None:
    """Close a link, and the connection, which would stay for a minute."""
    link.close()
    hang_up(link)


def descendants(pid: int) -> list[int]:
    """Every process below one; a session's shell is a child of the server's own process for it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            # Only the server's own processes: what they started must end by itself.
            if parent == pid and (entry.parent / "comm").read_text().startswith("sshd"):
                found += [*descendants(int(entry.parent.name)), int(entry.parent.name)]
        except OSError:
            continue
    return found


def marked(server: Server) -> list[int]:
    """The processes of edgekit's sessions that have a folder there, or had one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        ours = any(variable.startswith(b"PATH=") and str(server.folder).encode() in variable for variable in variables)
        if ours and any(variable.startswith(b"EDGEKIT_WORK=") for variable in variables):
            found.append(int(entry.parent.name))
    return found


def missing() -> str | None:
    """Why there can be no server here."""
    if not Path(SSHD).exists() or not all(map(shutil.which, ("ssh", "ssh-keygen"))):
        return "no OpenSSH server and client here (Debian: openssh-server)"
    return None


def make(folder: Path) -> Server:
    """A server that is not yet running, and `config` beside it, which has it as `board`."""
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd as root drops its privileges
    (folder / "bin").mkdir(parents=True)
    for name in ("host_key", "own_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "own_key.pub", folder / "authorized")
    port = free_port()
    key = (folder / "host_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key[0]} {key[1]}\n")
    (folder / "config").write_text(
        f"Host board\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {folder / 'own_key'}\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder / 'known_hosts'}\n  GlobalKnownHostsFile /dev/null\n"
    )
    return Server(folder, port)
