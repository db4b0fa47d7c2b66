"""One connection to a machine, by the user's own OpenSSH: a control master that everything else goes through.

It ends by itself a minute after its last use. Host keys are checked and nothing is ever asked for: what needs a
password or a question fails and says so.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from edgekit.bench.links.ssh import errors as ssh_errors
from edgekit.errors import BackendMissing, EnvironmentRefused, UsageError
from edgekit.util.numerals import whole

CONNECT_SECONDS, ATTEMPTS, PAUSE_SECONDS = 10, 3, 1.0
TELL_SECONDS = 3 * CONNECT_SECONDS  # a command of the user's configuration may stand before the connection
ALIVE_SECONDS, ALIVE_COUNT = 15, 4  # a device that says nothing for their product is gone
PERSIST_SECONDS = 60
# BatchMode: no password, no question. A host's key must be known.
FIXED = ("BatchMode=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR", "RemoteCommand=none", "RequestTTY=no",
         "ClearAllForwardings=yes", "ForwardAgent=no", "ForwardX11=no", "PermitLocalCommand=no")  # fmt: skip
ALIVE = (f"ServerAliveInterval={ALIVE_SECONDS}", f"ServerAliveCountMax={ALIVE_COUNT}")
MASTER = ("ControlMaster=yes", f"ControlPersist={PERSIST_SECONDS}", f"ConnectTimeout={CONNECT_SECONDS}")
# Only over the shared connection: where it is gone, no second one is opened silently.
CLIENT = ("ControlMaster=no", "ProxyCommand=false")


class Connection:
    """The way to one host; `name` is what errors call it."""

    def __init__(self, name: str, host: str) -> None:
        self.name, self.host = name, host
        self._control: Path | None = None

    def open(self) -> None:
        """Open the shared connection, or use the one that is open. Trying again is safe here."""
        if shutil.which("ssh") is None:
            raise BackendMissing("there is no ssh here", "install the OpenSSH client")
        self._control = self._control_path()
        with _only_one(self._control) as begun:
            if self._is_open():
                return
            _end(begun, self._control)
            for attempt in range(ATTEMPTS):
                with suppress(FileNotFoundError):
                    self._control.unlink()
                code, _, stderr = _told(self._ssh("-N", "-f", options=(*MASTER, *ALIVE)), begun)
                if code == 0 and self._is_open():
                    return
                error = ssh_errors.unreachable(self.name, self.host, stderr)
                if not ssh_errors.may_pass(stderr):
                    break
                if attempt + 1 < ATTEMPTS:
                    time.sleep(PAUSE_SECONDS * (attempt + 1))
            raise error

    def _is_open(self) -> bool:
        return _told(self._ssh("-O", "check"))[0] == 0

    def _ssh(self, *flags: str, options: Sequence[str] = ()) -> list[str]:
        """The options come first: for ssh the first value counts, also before the user's own configuration."""
        every = (*FIXED, *options, f"ControlPath={self._control}")
        return ["ssh", *_config(), *(part for one in every for part in ("-o", one)), *flags, "--", self.host]

    def argv(self, command: Sequence[str]) -> list[str]:
        """Return what to start here so that `command` runs there, quoted once, for the shell there."""
        return [*self._ssh(options=CLIENT), shlex.join(command)]

    def _control_path(self) -> Path:
        """A socket's path for where ssh would really connect to, as the user's configuration has it now."""
        code, stdout, stderr = _told(["ssh", *_config(), "-G", "--", self.host])
        if code != 0:
            raise ssh_errors.unreachable(self.name, self.host, stderr)
        return _socket_folder() / hashlib.sha256(stdout).hexdigest()[:24]


def _told(argv: Sequence[str], begun: IO[str] | None = None) -> tuple[int, bytes, str]:
    """How ssh ended, and what it said; as for a lost connection where it does not end in time.

    Its process is noted in `begun`.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:  # a pipe would be open as long as the master
        # A session of its own has no terminal: nothing can be asked.
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, env=environment()
        )
        try:
            if begun is not None:
                begun.truncate(0)
                begun.write(str(process.pid))
                begun.flush()
            code = process.wait(TELL_SECONDS)
        except subprocess.TimeoutExpired:
            return 255, b"", "no answer in time"
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read().decode(errors="replace")


def _end(begun: IO[str], control: Path) -> None:
    """End what connects for a command that was killed meanwhile: without the socket it would never end by itself."""
    begun.seek(0)
    pid = whole(begun.read())
    with suppress(OSError):  # it has ended
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if pid else []
        if pid and {b"-N", f"ControlPath={control}".encode()} <= set(words):
            os.kill(pid, signal.SIGKILL)


def _config() -> tuple[str, ...]:
    """$EDGEKIT_SSH_CONFIG stands in for ~/.ssh/config."""
    path = os.environ.get("EDGEKIT_SSH_CONFIG")
    if path and not Path(path).is_file():
        raise UsageError(f"$EDGEKIT_SSH_CONFIG names {path}, which is no file", "correct it, or leave it unset")
    return ("-F", path) if path else ()


def environment() -> dict[str, str]:
    """ssh speaks English, and opens no window to ask."""
    return {**os.environ, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}


def _socket_folder() -> Path:
    """A folder of ours alone, its path short enough for a socket."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")
    folder = (base if len(str(base)) < 40 and base.is_dir() else Path("/tmp")) / f"edgekit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    info = folder.lstat()
    if info.st_uid != os.getuid() or stat.S_IMODE(info.st_mode) & 0o077 or not stat.S_ISDIR(info.st_mode):
        raise EnvironmentRefused(f"{folder} must be a folder of yours alone (mode 700)", f"remove {folder}")
    return folder


@contextmanager
def _only_one(control: Path) -> Iterator[IO[str]]:
    """Two commands that connect at once would each open a connection. The file is where each notes what connects."""
    with control.with_suffix(".lock").open("a+") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield gate
