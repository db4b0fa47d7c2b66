"""How a device is reached (`Link`), and how its runner is asked.

A link turns an argument list for the device into one for this machine, and puts files there. Everything else is the
same for every link: the runner is started with its stdin held open, blocks nobody, and ends when we do.
To add a link: a class with these methods, a model in edgekit.device.config, and a line of TARGETS in
edgekit.device.registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from edgekit.bench.links import stopping
from edgekit.errors import BackendMissing, EdgekitError, EnvironmentRefused, MeasurementInvalid, no_process
from edgekit.records.onnx_parts import parts_of
from edgekit.records.runtime import RUNTIMES, refusal
from edgekit.redact import redacted
from edgekit.util.files import files_of

LOG_LINES, LOG_WIDTH = 20, 200  # of what a process that ended has said
FOLDER = Path(__file__).resolve().parents[1] / "ondevice"  # what runs on a device, and here in fresh processes


class Link(Protocol):
    """A way to a device. `name` is the device's, `python` what runs the runner there."""

    name: str
    python: str
    is_local: bool
    session: str  # the name of what was begun there; empty where nothing is

    @property
    def work(self) -> str:
        """The session's folder there; empty where it has none."""

    def begin(self) -> str:
        """Connect, and return the session's name there."""

    def argv(self, command: Sequence[str]) -> list[str]:
        """Return what to start here so that `command` runs there, with its stdin, stdout, stderr and exit code."""

    def tools(self) -> str:
        """Return what Python runs there with a command: the folder of bench/ondevice."""

    def place(self, path: Path) -> str:
        """Return where the same bytes lie there, all files of an artifact together; they are brought if missing."""

    def pull(self, there: str, local: Path) -> None:
        """Bring a file from there; it appears under its name when all of it is here and checked."""

    def failure(self, code: int, stderr: str) -> EdgekitError | None:
        """Return the error where an exit code means that the link itself failed."""

    def look(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Return files, packages and answers of commands there (bench/ondevice/session.py `look`)."""

    def close(self) -> None:
        """End what was begun there."""


def placed(link: Link, path: Path, one: Callable[[Path], str]) -> str:
    """Return where an artifact lies there, when `one` has brought each of its files.

    Raises UsageError where one of them is missing.
    """
    files = _files(path)
    if files == {path.name: path}:
        return one(path)
    return _beside(link, path.name, {name: one(file) for name, file in files.items()})


def suffix_there(path: Path) -> str:
    """Return the suffix that a file keeps on a device: letters and digits, or none."""
    return path.suffix if path.suffix.isascii() and path.suffix[1:].isalnum() else ""


@contextmanager
def arriving(local: Path) -> Iterator[Path]:
    """Yield a draft beside a file, which takes its name at the end of the block, or is gone where that fails."""
    draft = local.with_name(local.name + ".draft")
    try:
        yield draft
        draft.replace(local)
    finally:
        draft.unlink(missing_ok=True)


def _files(path: Path) -> dict[str, Path]:
    """What an artifact consists of: itself, all that is in a folder, or an .onnx file with those that have its weights.

    By the names under which they must lie beside one another.
    """
    if path.is_dir():
        return {f"{path.name}/{one.relative_to(path).as_posix()}": one for one in files_of(path)}
    return {path.name: path, **{one.relative_to(path.parent).as_posix(): one for one in parts_of(path)}}


def _beside(link: Link, name: str, there: Mapping[str, str]) -> str:
    """Let files that are there have names beside one another, in the session's folder; return where `name` is then.

    `there` has for each name where its bytes are. Raises EnvironmentRefused where the device refuses.
    """
    link.begin()
    folder = f"{link.work}/beside/{hashlib.sha256(json.dumps(there).encode()).hexdigest()[:16]}"
    places = {f"{folder}/{inside}": file for inside, file in there.items()}
    commands = [["mkdir", "-p", *sorted({place.rpartition("/")[0] for place in places})]]
    commands += [["ln", "-sf", file, place] for place, file in places.items()]
    for done in link.look({"commands": [{"argv": command} for command in commands]})["commands"]:
        if done is None or done["code"] != 0:
            said = " ".join(done["err"].split())[-200:] if done else "it has no mkdir or ln"
            raise EnvironmentRefused(f"{link.name} refuses {folder}: {said}", "see what may be written there")
    return f"{folder}/{name}"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: str


def ask(link: Link, job: Mapping[str, Any], timeout_seconds: float, command: str = "run") -> dict[str, Any]:
    """Return what a command of the device side answers to a job, in a process of its own there that is gone then.

    `artifact` in the job is a path here. Raises BackendMissing or UsageError for what the runner refuses or dies of,
    MeasurementInvalid when it takes longer than `timeout_seconds`, DeviceUnreachable where the link breaks.
    """
    argv = [link.python, link.tools(), command]
    done = call(link, argv, json.dumps(_placed(link, job)).encode() + b"\n", timeout_seconds, str(job["runtime"]))
    return _answer(link, str(job["runtime"]), done)


def _placed(link: Link, job: Mapping[str, Any]) -> dict[str, Any]:
    """The job with its artifact, or those of its jobs, as they are called there."""
    there = {**job, "artifact": link.place(Path(job["artifact"]))} if job.get("artifact") else dict(job)
    return {**there, "jobs": [_placed(link, one) for one in job["jobs"]]} if "jobs" in job else there


def call(link: Link, command: Sequence[str], line: bytes, timeout_seconds: float, what: str) -> Done:
    """Run a command on the device with a line on its stdin, which stays open until it has ended."""
    with held(link, command) as (process, alive):
        try:
            stopping.check()  # it may have been told just before this process began
            with suppress(BrokenPipeError):
                os.write(alive, line)
            stdout, stderr = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            link.close()  # what does not see its stdin end is killed there
            raise MeasurementInvalid(
                f"no answer from {what}{on(link)} in {timeout_seconds:.0f} s: the run was ended",
                "use --preset quick, or a smaller network",
            ) from error
    return Done(process.returncode, stdout, stderr.decode(errors="replace"))


@contextmanager
def held(link: Link, command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Yield a command on the device, and the end of its stdin that is written to; both end with the block.

    Its stdin stays open until then: when this process goes, however it goes, the command sees it and goes too.
    """
    stdin, alive = os.pipe()
    try:
        process = start(link.argv(command), stdin)
    except BaseException:
        os.close(alive)
        raise
    finally:
        os.close(stdin)
    with process:
        try:
            yield process, alive
        finally:
            process.kill()
            os.close(alive)


def start(
    argv: Sequence[str],
    stdin: int,
    environment: Mapping[str, str] | None = None,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a process with pipes for what it says. Raises EnvironmentRefused where there can be none."""
    try:
        # A session of its own: Ctrl-C comes here only, and the runner is ended from here.
        process = subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env=environment,
        )
    except OSError as error:
        raise no_process(argv[0], error) from error
    stopping.begun(process)
    return process


def _answer(link: Link, runtime: str, done: Done) -> dict[str, Any]:
    answer = parsed(done.stdout, link.name)
    if answer is None:
        raise death(link, runtime, done)
    if "error" in answer:
        raise refused(link, runtime, answer["error"])
    done_there: Answer = answer["ok"] or Answer(link.name)
    return done_there


class Answer(dict[str, Any]):
    """What `who` told by name. What it did not tell is no bug of ours: its shell may have said all of it."""

    def __init__(self, who: str, told: Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__(told)
        self.who = who

    def __missing__(self, key: str) -> Any:
        raise BackendMissing(
            f"{self.who} said what is no answer: it lacks '{key}'", "see what its shell prints before a command runs"
        )


def parsed(text: bytes, who: str = "the device") -> Answer | None:
    """Return an answer; None for anything else that a device may say, such as the greeting of its shell."""
    try:
        answer = json.loads(text, object_pairs_hook=lambda pairs: Answer(who, pairs))
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, Answer):
        return None
    error = answer.get("error")
    told = isinstance(error, dict) and all(isinstance(error.get(key), str) for key in ("kind", "message"))
    done = isinstance(answer.get("ok", 0), (Answer, type(None)))
    return answer if told or (done and "error" not in answer) else None


def refused(link: Link, runtime: str, error: Mapping[str, str]) -> EdgekitError:
    """Return the error for what the runner said that it cannot do."""
    found = refusal(error["kind"], error["message"], RUNTIMES[runtime])
    if not on(link):
        return found
    remedy = found.remedy
    if error["kind"] == "missing":
        remedy = f"see `edgekit devices check {link.name}` for what to install there, and how"
        remedy += f", or give --runtime {RUNTIMES[runtime].instead}" if RUNTIMES[runtime].instead else ""
    return type(found)(f"{link.name}: {found.message}", remedy)


def death(link: Link, runtime: str, done: Done) -> EdgekitError:
    """Return what is known of a runner that ended without an answer, with the last lines that it said."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    error = link.failure(done.code, done.stderr) or _cause(link, runtime, done.code, lines)
    error.log = tuple(redacted(line[-LOG_WIDTH:]) for line in lines[-LOG_LINES:])
    return error


def _cause(link: Link, runtime: str, code: int, lines: Sequence[str]) -> EdgekitError:
    killer = _signal(code)
    how = f"by {killer.name}" if killer else f"with exit code {code}"
    last = f": {lines[-1].strip()}" if lines else ""
    process = f"the process running {runtime}{on(link)}"
    if killer == signal.SIGKILL:
        return EnvironmentRefused(f"{process} was killed{last}", "see whether memory ran out")
    return BackendMissing(f"{process} ended {how}{last}", "try another runtime or version of it")


def _signal(code: int) -> signal.Signals | None:
    """The signal that ended a process: negative here, 128 and more where a shell stands between."""
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        return signal.Signals(number)
    return None


def on(link: Link) -> str:
    """Return where something ran, for a message; nothing for this machine."""
    return "" if link.name == "local" else f" on {link.name}"
