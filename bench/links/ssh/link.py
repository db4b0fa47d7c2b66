"""The ssh link: a machine that the user's own OpenSSH reaches, with their configuration, agent and jump hosts.

What runs there is bench/ondevice, with the device's own Python. Each link has a session there, which the device itself
ends when we are gone.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from edgekit.bench.links.archive import packed
from edgekit.bench.links.base import FOLDER, Answer, Done, arriving, parsed, placed, start, suffix_there
from edgekit.bench.links.owner import is_gone, owner
from edgekit.bench.links.ssh import errors as ssh_errors
from edgekit.bench.links.ssh.connection import Connection, environment
from edgekit.bench.links.ssh.talk import Talk, exactly
from edgekit.bench.ondevice.session import MARK
from edgekit.errors import BackendMissing, DeviceUnreachable, EdgekitError, EnvironmentRefused
from edgekit.util.files import known_sha256
from edgekit.util.numerals import whole

OLDEST_PYTHON = (3, 8)
ROOT = "~/.cache/edgekit"
ANSWER_SECONDS = 120.0  # of silence: for what takes seconds, such as killing, or hashing a gigabyte
# What begins a session there: it says which Python it is, in words that every one from 2.6 on understands, and then
# makes the modules of SESSION of what comes through stdin. One line, because some shells take no other.
LOADER = """import sys, types
sys.stdout.write('edgekit %d.%d.%d\\n' % tuple(sys.version_info[:3]))
sys.stdout.flush()
import json
sys.modules['ondevice'] = types.ModuleType('ondevice')
for name, text in json.loads(sys.stdin.buffer.read(int(sys.argv.pop(1)))).items():
    module = sys.modules['ondevice.' + name] = types.ModuleType('ondevice.' + name)
    module.__package__ = 'ondevice'
    exec(compile(text, name + '.py', 'exec'), module.__dict__)
module.main(sys.argv[1:])
"""
BOOT = f"exec({LOADER!r})"
SESSION = ("kept", "session")  # each imports only those before it
GREETING_BYTES = 1 << 16  # of what a shell says before a command that runs; more of it is no greeting
# Of what runs there: texts in English, and no compiled files but those that kept.py sees to.
ALWAYS = ("LC_ALL=C", "PYTHONDONTWRITEBYTECODE=1")
# A shell stands between, so that ssh's own exit code 255 is not confused with a death by a signal.
SHELL = ("sh", "-c", '"$@"; exit $?', "sh")

Result = TypeVar("Result")


class SshLink:
    """A device on ssh. Connects when it is first used, and again when the connection was lost in between."""

    is_local = False

    def __init__(self, name: str, host: str, python: str = "python3", root: str = ROOT) -> None:
        self.name, self.host = name, host
        self.python = "./" + python[2:] if python.startswith("~/") else python  # ssh begins in the home folder
        self._root = root
        self._connection = Connection(name, host)
        self._talk: Talk | None = None  # with the process that tends the session there
        self.session = ""  # its name there; another one after the connection was lost
        self._former: set[str] = set()
        self.work = ""  # the session's folder there
        self._tools: str | None = None
        self._placed: dict[tuple[str, str], str] = {}
        self._lost: EdgekitError | None = None

    def begin(self) -> str:
        """See that there is a session, and say its name."""
        self._begun()
        return self.session

    def argv(self, command: Sequence[str]) -> list[str]:
        """ssh with the command quoted once, for the shell there."""
        self._begun()
        return self._marked(command)

    def tools(self) -> str:
        """Return the folder there with the device side, brought there once for each version of it."""
        if self._tools is None:
            self._begun()
            body = packed(FOLDER)
            digest = hashlib.sha256(body).hexdigest()[:16]
            found = self._repeat(lambda: self._verb("tools", self.session, digest))["path"]
            self._tools = found or self._repeat(lambda: self._verb("tools", self.session, digest, data=body))["path"]
        return str(self._tools)

    def place(self, path: Path) -> str:
        """Return where the same bytes lie there, found or brought by their sha256; several files beside one another."""
        return placed(self, path, self._place_file)

    def _place_file(self, path: Path) -> str:
        key = digest, suffix = known_sha256(path.resolve()), suffix_there(path)
        if key not in self._placed:
            self._begun()
            found = self._repeat(lambda: self._verb("have", digest, suffix))["path"]
            self._placed[key] = found or self._repeat(lambda: self._put(path, digest, suffix, path.stat().st_size))
        return self._placed[key]

    def pull(self, there: str, local: Path) -> None:
        """Bring a file from there; it appears under its name when all of it is here and checked."""
        self._begun()
        self._repeat(lambda: self._get(there, local))

    def look(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Files, packages and answers of commands there (bench/ondevice/session.py `look`)."""
        self._begun()
        return dict(self._repeat(lambda: self._verb("look", data=json.dumps(wish).encode())))

    def undo(self, commands: Sequence[Mapping[str, Any]]) -> None:
        """Have the device run these when the session ends, however it ends."""
        self._begun()
        self._verb("undo", self.session, data=json.dumps(list(commands)).encode())

    def undone(self) -> None:
        """Have them run now. Raises EnvironmentRefused where one failed."""
        if self._alive:
            self._trouble(self._verb("undone", self.session)["trouble"])

    def failure(self, code: int, stderr: str) -> EdgekitError | None:
        """Return the error where it was ssh that failed."""
        return ssh_errors.unreachable(self.name, self.host, stderr) if code == 255 else None

    def close(self) -> None:
        """End the session: the device removes what belongs to it."""
        talk, self._talk, self._tools = self._talk, None, None
        if talk is None:
            return
        process = talk.process
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        process.stderr.close()

    @property
    def _where(self) -> str:
        return f"{self.name} ({self.host})"

    @property
    def _alive(self) -> bool:
        return self._talk is not None and self._talk.process.poll() is None

    def _begun(self) -> None:
        """See that there is a connection and a session on it."""
        if self._alive:
            return
        if self._lost is not None:  # one long wait is enough
            raise self._lost
        self.close()
        try:
            self._connection.open()
        except DeviceUnreachable as error:
            self._lost = error
            raise
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _marked(self, command: Sequence[str]) -> list[str]:
        return self._connection.argv(("env", *ALWAYS, f"{MARK}={self.session}", *SHELL, *command))

    def _begin(self) -> None:
        self._former.add(self.session)
        self.session = uuid.uuid4().hex
        text = _session_text()
        words = [self.python, "-c", BOOT, str(len(text)), self._root, "tend", self.session, json.dumps(owner())]
        process = start(self._marked(words), subprocess.PIPE, environment())
        self._talk = talk = Talk(process, self._where, ANSWER_SECONDS)
        talk.say([text])
        self._check_python(talk)
        answer = self._answer("tend", talk)
        self.work = str(answer["work"])
        self._trouble(answer["trouble"])
        # Of a connection that was cut the device may not know yet: what was begun over it is ours to end.
        lost = [session for session, other in answer["others"].items() if session in self._former or is_gone(other)]
        if lost:
            self._trouble(self._verb("sweep", *lost)["trouble"])

    def _check_python(self, talk: Talk) -> None:
        """Hear which Python it is, and what its shell said before."""
        said = b""
        while (line := talk.line()) is not None and len(said) < GREETING_BYTES:
            said += line
            if found := re.search(rb"edgekit (\d+)\.(\d+)\.(\d+)$", line):
                break
            said += b" "
        else:
            if line is None:
                raise self._no_python(talk.end())
            talk.process.kill()  # it goes on and on
            raise self._prints(said)
        if before := said[: -len(found.group())].strip():
            raise self._prints(before)
        numbers = [whole(part.decode()) or 0 for part in found.groups()]
        if (numbers[0], numbers[1]) < OLDEST_PYTHON:
            raise BackendMissing(
                f"`{self.python}` on {self.name} is Python {'.'.join(map(str, numbers))}, and the runner needs 3.8",
                "install a newer one there, and name it with `python:` in devices.yaml",
            )

    def _prints(self, said: bytes) -> EnvironmentRefused:
        return EnvironmentRefused(
            f"the shell of {self.name} prints before a command runs: {said[:80].decode(errors='replace')!r}",
            "have its ~/.bashrc print to a terminal only: put `[[ $- == *i* ]] || return` at its top",
        )

    def _no_python(self, done: Done) -> EdgekitError:
        return self.failure(done.code, done.stderr) or BackendMissing(
            f"{self.name} has no Python: `{self.python}` ended with exit code {done.code}{_last(done.stderr)}",
            "install python3 there, or name another one with `python:` in devices.yaml",
        )

    def _trouble(self, problems: Sequence[str]) -> None:
        if problems:
            raise EnvironmentRefused(
                f"{self.name} could not be put back as it was: {'; '.join(problems)}",
                "put it back by hand, and remove the folder that is named there",
            )

    def _repeat(self, step: Callable[[], Result]) -> Result:
        """What may be done twice is tried once more over a new connection."""
        try:
            return step()
        except DeviceUnreachable:
            self.close()
            self._begun()
            return step()

    def _verb(self, verb: str, *arguments: str | int, data: bytes = b"") -> Any:
        return self._asked(verb, arguments, [data], len(data))

    def _asked(self, verb: str, arguments: Sequence[str | int], blocks: Iterable[bytes], size: int) -> Any:
        """What the process that tends the session answers to a verb with `size` bytes of data."""
        assert self._talk is not None
        self._talk.say(chain([json.dumps([verb, arguments, size]).encode() + b"\n"], blocks))
        return self._answer(verb, self._talk)

    def _put(self, path: Path, digest: str, suffix: str, size: int) -> str:
        with path.open("rb") as stream:
            answer = self._asked("put", (self.session, digest, suffix, size), exactly(stream, size), size)
        return str(answer["path"])

    def _get(self, there: str, local: Path) -> None:
        with arriving(local) as draft:
            size = self._verb("get", there)["size"]
            assert self._talk is not None
            if not self._talk.take(draft, size):
                raise DeviceUnreachable(f"{there} of {self.name} did not arrive whole", "try again")

    def _answer(self, verb: str, talk: Talk) -> Any:
        line = talk.line()
        answer = None if line is None else parsed(line, self.name)
        if answer is None:
            raise self._death(verb, talk.end())
        if "error" not in answer:
            return answer["ok"] or Answer(self.name)
        kind, message = answer["error"]["kind"], answer["error"]["message"]
        if kind == "full":
            raise EnvironmentRefused(
                f"no space on {self.name} in {self._root}: {message}",
                "free some there, or name a larger place with `folder:` in devices.yaml",
            )
        if kind == "broken":
            raise DeviceUnreachable(f"a file did not reach {self.name} whole: {message}", "try again")
        raise EnvironmentRefused(
            f"{self.name} refuses {self._root}: {message}", "name another place with `folder:` in devices.yaml"
        )

    def _death(self, verb: str, done: Done) -> EdgekitError:
        broken = self.failure(done.code, done.stderr)
        return broken or EnvironmentRefused(
            f"`{verb}` failed on {self.name} with exit code {done.code}{_last(done.stderr)}",
            f"see whether {self.python} works there",
        )


def _session_text() -> bytes:
    return json.dumps({name: (FOLDER / f"{name}.py").read_text() for name in SESSION}).encode()


def _last(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return f": {lines[-1]}" if lines else ""
