"""The adb link: a phone that the user's own adb reaches. Nothing is asked for but the user `shell`; no root.

All of edgekit's files lie in a folder of its own, the only place that a phone lets the shell run programs from:

    ROOT/files/<sha256><suffix>   what was brought there, kept and thrown away when unused for a month
    ROOT/work/<session>/          what belongs to one session, and whose it is

A command that runs long ends when its stdin does, so that it ends when we do. A session whose owner was a process of
this machine that is gone has its processes killed and its folder removed by the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekit.bench.android import dumpsys
from edgekit.bench.links import adb_server
from edgekit.bench.links.adb_server import ANSWER_SECONDS, LISTED
from edgekit.bench.links.base import Done, arriving, placed, start, suffix_there
from edgekit.bench.links.owner import is_gone, owner
from edgekit.bench.ondevice.session import MARK
from edgekit.errors import BackendMissing, DeviceUnreachable, EdgekitError, EnvironmentRefused
from edgekit.util.files import file_sha256, known_sha256

ROOT = "/data/local/tmp/edgekit"
SLOWEST_BYTES_PER_SECOND = 200_000  # USB 1
KEEP_DAYS = 30
# The exit code of the script, on a line of its own; older phones always say 0.
TOLD = "\nrc=$?; echo; echo __edgekit_rc=$rc"
CODE = re.compile(rb"\r?\n__edgekit_rc=(\d{1,3})\r?\n\Z")


class AdbLink:
    """A device on adb. `serial` None: the one of $ANDROID_SERIAL, or the only one. Connects when it is first used."""

    python = ""
    is_local = False

    def __init__(self, name: str, serial: str | None = None, root: str = ROOT) -> None:
        self.name = name
        self._wished = serial or os.environ.get("ANDROID_SERIAL") or None
        self._root = root
        self._serial = ""
        self.session = ""
        self._raw = False
        self._placed: set[str] = set()

    @property
    def work(self) -> str:
        """This session's folder there."""
        return f"{self._root}/work/{self.begin()}"

    def begin(self) -> str:
        """Connect, and return the session's name there."""
        self._begun()
        return self.session

    def argv(self, command: Sequence[str]) -> list[str]:
        """adb with the command quoted once, for the shell there."""
        self._begun()
        return self._shell(shlex.join(command))

    def tools(self) -> str:
        """Raise BackendMissing: a phone has no Python that could run the runner."""
        raise BackendMissing(
            f"{self.name} is a phone: only benchmark_model runs there",
            "leave --runtime out for benchmark_model, or take this machine or a device that ssh reaches",
        )

    def run(self, script: str, seconds: float = ANSWER_SECONDS) -> Done:
        """Run a line of shell there; return its texts and its exit code. Raises DeviceUnreachable without an answer."""
        self._begun()
        return self._run(script, seconds, subprocess.DEVNULL)

    def tended(self, script: str, seconds: float) -> Done:
        """Run what takes long: it is killed there when this process ends or `seconds` have passed.

        What the script left running ends with it: it would hold stdout open.
        """
        self._begun()
        # Commands in the background have no stdin of their own; the third descriptor brings it to the watcher. The
        # watcher reads it by itself: a program that it had started would outlive it, and keep open what the phone's
        # adbd waits for, which is one socket for stdin and stdout. It kills again after a second, because what is being
        # started bears no mark yet.
        inner, kill = f"export {MARK}={self.session}; {script}", _kill(self.session)
        watched = (
            f"exec 3<&0; sh -c {shlex.quote(inner)} 3<&- & p=$!; "
            f"(while read -r x <&3; do :; done; kill -9 $p; {kill}; sleep 1; {kill}) >/dev/null 2>&1 & w=$!; "
            f"wait $p; rc=$?; kill -9 $w 2>/dev/null; {kill} >/dev/null 2>&1; (exit $rc)"
        )
        stdin, alive = os.pipe()
        try:
            return self._run(watched, seconds, stdin, closing=stdin)
        finally:
            os.close(alive)

    def place(self, path: Path) -> str:
        """Return where the same bytes lie there, found or brought by their sha256; they may be run."""
        return placed(self, path, self._place_file)

    def _place_file(self, path: Path) -> str:
        digest = known_sha256(path.resolve())
        there = f"{self._root}/files/{digest}{suffix_there(path)}"
        if there not in self._placed:
            if self._digest(there) != digest:
                self._push(path, there, digest)
            self.run(f"touch {shlex.quote(there)}")
            self._placed.add(there)
        return there

    def push_folder(self, folder: Path, there: str) -> None:
        """Bring a folder of this session's, which replaces what is there; not kept. Raises as `place` does."""
        self._begun()
        gone = self.run(f"rm -rf {shlex.quote(there)}")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        size = sum(path.stat().st_size for path in files)
        if gone.code:
            raise self._refused(gone)
        self._send(folder, there, size)
        both = hashlib.sha256()
        for path in files:
            both.update(path.read_bytes())
        done = self.run(f"cd {shlex.quote(there)} && cat */* | sha256sum", ANSWER_SECONDS * 5)
        if done.stdout.decode(errors="replace").split()[:1] != [both.hexdigest()]:
            raise DeviceUnreachable(f"{folder.name} did not reach {self.name} whole", "try again")

    def pull(self, there: str, local: Path) -> None:
        """Bring a file from there; it appears under its name when all of it is here and checked."""
        self._begun()
        with arriving(local) as draft:
            self._adb(["pull", there, str(draft)], ANSWER_SECONDS * 5)
            if file_sha256(draft) != self._digest(there):
                raise DeviceUnreachable(f"{there} of {self.name} did not arrive whole", "try again")

    def failure(self, code: int, stderr: str) -> EdgekitError | None:
        """Return the error where it was adb that failed; the shell there tells its exit code itself."""
        lost = re.search(r"^(?:adb: |error: )(.*)$", stderr, re.MULTILINE)
        return self._lost(lost.group(1)) if code and lost else None

    def look(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Answers of commands there. Raises BackendMissing where Python's packages are asked for, too."""
        if wish.get("packages"):
            self.tools()
        answers = [self.run(shlex.join(command["argv"])) for command in wish.get("commands", [])]
        said = [
            {"code": done.code, "out": done.stdout.decode(errors="replace"), "err": done.stderr} for done in answers
        ]
        return {"files": {}, "commands": said}

    def close(self) -> None:
        """End the session: kill what still runs and remove its folder."""
        session, self.session = self.session, ""
        if session:
            with suppress(EdgekitError):  # what is not reached now is cleaned up at the next contact
                self._run(f"{_kill(session)}; rm -rf {self._root}/work/{session}", ANSWER_SECONDS, subprocess.DEVNULL)

    def _begun(self) -> None:
        if self.session:
            return
        self._serial = adb_server.find(self.name, self._wished)
        features = self._adb(["features"]).stdout.decode(errors="replace").split()
        self._raw = "shell_v2" in features
        session = uuid.uuid4().hex
        mine = json.dumps(owner())
        folder = f"{self._root}/work/{session}"
        done = self._run(
            f"mkdir -p {self._root}/files {folder} && echo {shlex.quote(mine)} > {folder}/owner && "
            f"find {self._root}/files -type f -mtime +{KEEP_DAYS} -exec rm -f {{}} \\; ; "
            f'for f in {self._root}/work/*/owner; do echo "$f $(cat $f)"; done; [ -s {folder}/owner ]',
            ANSWER_SECONDS,
            subprocess.DEVNULL,
        )
        if done.code:
            raise self._refused(done)
        self.session = session
        self._sweep(done.stdout.decode(errors="replace"))

    def _sweep(self, text: str) -> None:
        """End the sessions of processes of this machine that are gone."""
        for line in dumpsys.lines(text):
            path, _, other = line.partition(" ")
            name = path.removesuffix("/owner").rpartition("/")[2]
            with suppress(ValueError, KeyError, TypeError):
                if re.fullmatch("[0-9a-f]{32}", name) and is_gone(json.loads(other)):
                    self.run(f"{_kill(name)}; rm -rf {self._root}/work/{name}")

    def _lost(self, said: str) -> DeviceUnreachable:
        """The error for a phone that stopped answering, from what adb still knows of it."""
        state: str | None = "device"
        with suppress(EdgekitError):
            state = adb_server.state_of(self.name, self._serial)
        if state != "device":
            error = adb_server.not_ready(self.name, self._serial, state)
            return DeviceUnreachable(f"the connection was lost: {error.message}", error.remedy)
        why = f": {said}" if said else ""
        return DeviceUnreachable(
            f"the connection to {self.name} ({self._serial}) was lost{why}",
            f"see its cable and whether it sleeps; {LISTED}",
        )

    def _refused(self, done: Done) -> EdgekitError:
        said = adb_server.last_words(done)
        if "No space left" in said:
            return EnvironmentRefused(f"no space on {self.name} in {self._root}: {said}", "free some there")
        return EnvironmentRefused(
            f"{self.name} refuses {self._root}: {said}", "see whether `adb shell` may write there"
        )

    def _digest(self, there: str) -> str | None:
        done = self.run(f"sha256sum {shlex.quote(there)}", ANSWER_SECONDS * 5)
        word = done.stdout.decode(errors="replace").split()
        return word[0] if done.code == 0 and word else None

    def _push(self, path: Path, there: str, digest: str) -> None:
        draft = f"{self.work}/draft"
        self._send(path, draft, path.stat().st_size)
        if self._digest(draft) != digest:
            raise DeviceUnreachable(f"{path.name} did not reach {self.name} whole", "try again")
        moved = self.run(f"chmod 755 {draft} && mv -f {draft} {shlex.quote(there)}")
        if moved.code:
            raise self._refused(moved)

    def _send(self, path: Path, there: str, size: int) -> None:
        seconds = ANSWER_SECONDS + size / SLOWEST_BYTES_PER_SECOND
        done = adb_server.ask(["-s", self._serial, "push", str(path.resolve()), there], self.name, seconds)
        if done.code:
            said = done.stderr + done.stdout.decode(errors="replace")
            why = re.search(r"': (remote [^\n]*)", said)  # the paths stand before it, the pace behind
            if why is None:
                raise self._lost(said.strip()[-200:])
            raise self._refused(Done(1, b"", why[1]))

    def _shell(self, script: str) -> list[str]:
        # Without a terminal: what is printed comes as it is, and stderr apart. Older phones know only the other form.
        return [adb_server.program(), "-s", self._serial, "shell", *(["-T"] if self._raw else []), script]

    def _run(self, script: str, seconds: float, stdin: int, closing: int | None = None) -> Done:
        """Its end is told in a line of its own: where that is missing, it was the connection that ended."""
        try:
            process = start(self._shell(f"(\n{script}\n)" + TOLD), stdin)
        finally:
            if closing is not None:
                os.close(closing)
        with process:
            try:
                stdout, stderr = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired as error:
                raise DeviceUnreachable(
                    f"{self.name} ({self._serial}) gave no answer in {seconds:.0f} s",
                    "see whether it sleeps or is overloaded",
                ) from error
            finally:
                process.kill()
        match = CODE.search(stdout)
        said = stderr.decode(errors="replace")
        if match is None:
            raise self._lost(" ".join(said.split())[-200:])
        return Done(int(match.group(1)), stdout[: match.start()].replace(b"\r\n", b"\n"), said)

    def _adb(self, arguments: Sequence[str], seconds: float = ANSWER_SECONDS) -> Done:
        """adb itself, on this phone. Raises BackendMissing without it, DeviceUnreachable where it fails."""
        done = adb_server.ask(["-s", self._serial, *arguments], self.name, seconds)
        if done.code:
            raise self._lost(adb_server.last_words(done))
        return done


def _kill(session: str) -> str:
    """Shell that kills every process that carries a session's mark, and then those that one of them just started."""
    marked = f"grep -l {MARK}={session} /proc/[0-9]*/environ 2>/dev/null"
    return f"for i in 1 2; do for e in $({marked}); do e=${{e#/proc/}}; kill -9 ${{e%/environ}}; done; done"
