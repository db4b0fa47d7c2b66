"""The part of `make attack` that kills: every command ended at any moment, and on a disk that is full.

Each trial runs a command in a fork that is killed before its n-th change to the file system, or at a random moment, or
that may write no file beyond some size. Then nothing may be lost (artifacts, records, the report that was there),
nothing left (drafts, processes), and the same command must succeed. `python -m scripts.attack.kills 600 sweep merge`
takes ten minutes, and the commands that are named; without names it takes all of them.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgekit.cli.main import main as command
from edgekit.errors import EdgekitError
from edgekit.records.artifact import open_artifact
from edgekit.records.record import new_id
from edgekit.storage.store import Store
from tests.kills import arm

SECONDS = 1800.0
LEAVE = 20.0  # seconds in which what a killed command started must end
KNOWN = (0, 2, 3, 4, 5, 6, 7, 130)
MOST_STEPS = 100  # more than any command has
LIMITS = (0, 100, 3_000, 20_000, 100_000, 230_000, 2_000_000)  # bytes that no file may grow beyond


class Attack(Protocol):
    """What is done to a fork before its command begins."""

    def __call__(self) -> None: ...


@dataclass(frozen=True)
class Scene:
    """A command, what must hold after it was killed, and again after it has succeeded."""

    name: str
    argv: Callable[[], list[str]]
    holds: Callable[[], Iterator[str]]  # what does not hold, a line each
    seconds: float  # about as long as it takes
    fills: bool = True  # whether a full disk is tried, too


def at_step(step: int) -> Attack:
    """Killed before its n-th change to the file system."""
    return lambda: arm(step)


def after(seconds: float) -> Attack:
    """Killed then."""
    return lambda: _kill_after(seconds)


def _kill_after(seconds: float) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if os.fork() == 0:  # a process of its own: a busy command cannot put it off
        victim = os.getppid()
        time.sleep(seconds)
        with suppress(OSError):
            os.kill(victim, signal.SIGKILL)
        os._exit(0)


def full_at(size: int) -> Attack:
    """No file may be written beyond a size, as on a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run(argv: Sequence[str], log: Path, attack: Attack | None = None) -> int:
    """The exit code of a command in a fork; negative: the signal that ended it."""
    child = os.fork()
    if child == 0:
        with log.open("wb") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        if attack is not None:
            attack()
        try:
            code = command(list(argv))
        except BaseException:
            code = 1
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Field:
    """A folder in which commands are attacked, and what was found there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.found: list[str] = []
        self.done: dict[str, int] = {}  # trials of each command
        self.killed = 0  # of all trials: the others had ended before

    @property
    def trials(self) -> int:
        """All of them."""
        return sum(self.done.values())

    def attacked(self, scene: Scene, what: str, attack: Attack) -> int:
        """One trial; what went wrong is printed and kept."""
        self.done[scene.name] = self.done.get(scene.name, 0) + 1
        argv = scene.argv()
        code = run(argv, self.log, attack)
        self.killed += code == -signal.SIGKILL
        said = self.log.read_text(errors="replace")
        if code not in (*KNOWN, -signal.SIGKILL):
            self._tell(scene, what, f"exit code {code}: {said[-300:]!r}")
        if "Traceback" in said:
            self._tell(scene, what, f"a traceback: {said[-300:]!r}")
        self._look(scene, what, "after it")
        self._wait_for_the_left(scene, what)
        again = run(argv, self.log)
        if again not in (0, 6):  # on a busy machine a measurement may be invalid
            self._tell(scene, what, f"the next run ended with {again}: {self.log.read_text(errors='replace')[-300:]!r}")
        self._look(scene, what, "after the next run")
        for path in left(self.folder):
            self._tell(scene, what, f"left: {path.relative_to(self.folder)}")
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        return code

    def _look(self, scene: Scene, what: str, when: str) -> None:
        for fault in scene.holds():
            self._tell(scene, what, f"{when}: {fault}")

    def _wait_for_the_left(self, scene: Scene, what: str) -> None:
        deadline = time.monotonic() + LEAVE
        while (running := processes(self.folder)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in running:
            self._tell(scene, what, f"process {pid} still runs: {_command(pid)[:200]}")
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _tell(self, scene: Scene, what: str, fault: str) -> None:
        line = f"{scene.name}, {what}: {fault}"
        self.found.append(line)
        print("FAULT", line, flush=True)


def left(folder: Path) -> list[Path]:
    """What no command may leave behind when it has succeeded."""
    return [*folder.rglob(".edgekit-*"), *folder.rglob("*.next"), *folder.rglob("*.part"), *folder.rglob("*-journal")]


def processes(folder: Path) -> list[int]:
    """What runs with this folder in its environment, but us."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"EDGEKIT_ATTACK={folder}".encode() in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def artifacts(folder: Path) -> Iterator[str]:
    """Every file is whole, with a manifest that fits."""
    for path in [*folder.rglob("*.onnx"), *folder.rglob("*.tflite")]:
        if ".edgekit-" in str(path.relative_to(folder)):
            continue
        try:
            if open_artifact(path).foreign:
                yield f"{path.name} has lost its manifest"
        except EdgekitError as error:
            yield f"{path.name}: {error.message}"
    for path in folder.rglob("*.json"):
        file = path.with_suffix("")
        if file.suffix in (".onnx", ".tflite") and not file.exists():
            yield f"{path.name} has lost its file"


def records(store: Store, least: Callable[[], int]) -> Iterator[str]:
    """Every record can be read, and none of those that were there is gone."""
    try:
        count = len(store.measurements())
    except EdgekitError as error:
        yield f"the store: {error.message}"
        return
    if count < least():
        yield f"the store had {least()} measurements and has {count}"


def scenes(folder: Path) -> Iterator[Scene]:
    """What is attacked; each prepares what it needs in its own folder."""
    yield _export(folder / "export")
    yield _sweep(folder / "sweep")
    yield from _stores(folder / "stores", folder / "log")


def _export(folder: Path) -> Scene:
    heads = [0]

    def argv() -> list[str]:
        heads[0] += 1  # other bytes under the same names each time
        head = ("logits", "softmax")[heads[0] % 2]
        return ["export", "lenet5", "--format", "onnx,tflite", "--output", head, "--out", str(folder), "--json"]

    return Scene("export", argv, lambda: artifacts(folder), 3.0)


def _sweep(folder: Path) -> Scene:
    argv = ["sweep", "lenet5", "--format", "onnx", "--precision", "fp32,fp16", "--preset", "quick", "--jobs", "1"]
    argv += ["--out", str(folder), "--store", f"sqlite:///{folder}.db", "--continue", "--json"]
    store = Store(f"{folder}.db")

    def fresh() -> list[str]:
        shutil.rmtree(folder / ".sweep", ignore_errors=True)  # everything is to be made and measured anew
        return argv

    def holds() -> Iterator[str]:
        yield from artifacts(folder)
        yield from records(store, lambda: 0)

    return Scene("sweep", fresh, holds, 20.0)


def _stores(folder: Path, log: Path) -> Iterator[Scene]:
    """bench, merge and report, on stores that are there."""
    folder.mkdir()
    file = exported(folder / "a", "onnx", log)
    ours, theirs, out = Store(str(folder / "ours.db")), Store(str(folder / "theirs.db")), folder / "report.html"
    bench = ["bench", str(file), "--preset", "quick", "--store", ours.url, "--json"]
    assert run(bench, log) in (0, 6)
    (one,) = ours.measurements()
    kept = [1]

    def more() -> list[str]:
        kept[0] = len(ours.measurements())
        return bench

    yield Scene("bench", more, lambda: records(ours, lambda: kept[0]), 8.0)

    def another() -> list[str]:
        Path(str(theirs.file)).unlink(missing_ok=True)
        theirs.__init__(theirs.url)  # type: ignore[misc]  # what it knew of the file is gone
        theirs.append(*(one.model_copy(update={"id": new_id()}) for _ in range(400)))
        kept[0] = len(ours.measurements())
        return ["store", "merge", str(theirs.file), "--store", ours.url, "--json"]

    def merged() -> Iterator[str]:
        yield from records(ours, lambda: kept[0])
        count = len(ours.measurements())
        if count not in (kept[0], kept[0] + 400):
            yield f"{count - kept[0]} of 400 records were merged"

    yield Scene("merge", another, merged, 0.6)

    def whole() -> Iterator[str]:
        for path in folder.glob("report.*"):
            text = path.read_text(encoding="utf-8")
            if not text.strip() or (path.suffix == ".html" and not text.rstrip().endswith("</html>")):
                yield f"{path.name} is cut short"

    argv = ["report", "--store", ours.url, "--out", str(out), "--format", "html,md,csv,json", "--last", "50"]
    yield Scene("report", lambda: [*argv, "--assets", str(folder / "assets")], whole, 6.0)


def exported(folder: Path, kind: str, log: Path) -> Path:
    """A small network as a file of this format."""
    assert run(["export", "lenet5", "--format", kind, "--out", str(folder), "--json"], log) == 0
    (file,) = folder.rglob(f"*.{kind}")
    return file


def attacks(scene: Scene, random: random.Random, field: Field) -> Iterator[None]:
    """Any step, size of a full disk and moment in turn, without end; one trial each time it is asked."""
    most = MOST_STEPS
    while True:
        step = random.randrange(most)
        if field.attacked(scene, f"killed at step {step}", at_step(step)) != -signal.SIGKILL:
            most = max(1, step)  # it has no more of them
        yield
        if scene.fills:
            size = random.choice(LIMITS)
            field.attacked(scene, f"no file beyond {size} bytes", full_at(size))
            yield
        moment = random.uniform(0, 1.2 * scene.seconds)
        field.attacked(scene, f"killed after {moment:.3f} s", after(moment))
        yield


def attack(seconds: float, scenes: Sequence[Scene], field: Field) -> list[str]:
    """Attack for so long, each command in turn. What was found, a line each."""
    os.environ["EDGEKIT_ATTACK"] = str(field.folder)
    os.chdir(field.folder)
    deadline, seed = time.monotonic() + seconds, random.randrange(10**6)
    print(f"seed {seed}", flush=True)
    waiting = {scene.name: attacks(scene, random.Random(seed), field) for scene in scenes}
    while waiting and time.monotonic() < deadline:
        for name, trials in waiting.items():
            if time.monotonic() < deadline:
                next(trials)
                print(f"\r{field.trials} trials, {len(field.found)} faults, {name} ", end="", file=sys.stderr)
    for name, count in field.done.items():
        print(f"{name:32} {count:6} trials")
    print(f"{field.trials} trials, {field.killed} of them killed, {len(field.found)} faults", flush=True)
    return field.found


def asked(arguments: Sequence[str]) -> tuple[float, list[str]]:
    """Seconds, and the names of what is attacked, from a command line."""
    words = list(arguments)
    seconds = float(words.pop(0)) if words and words[0].replace(".", "").isdigit() else SECONDS
    return seconds, words


def main(arguments: Sequence[str]) -> int:
    """Attack the commands that are named, or all of them; 1 where something was found."""
    seconds, names = asked(arguments)
    with tempfile.TemporaryDirectory(prefix="edgekit-attack-") as scratch:
        os.environ["EDGEKIT_CACHE"] = f"{scratch}/cache"
        found = [scene for scene in scenes(Path(scratch)) if not names or scene.name in names]
        return int(bool(attack(seconds, found, Field(Path(scratch)))))


if __name__ == "__main__":
    import torch  # noqa: F401  once, for every fork

    sys.exit(main(sys.argv[1:]))
