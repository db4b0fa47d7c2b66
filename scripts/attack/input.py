"""The part of `make attack` that brings input: files that were damaged, and names and files that mean harm.

Each case is a command in a process of its own. Whatever it is given, it must end in time with a documented exit code
other than 1, say nothing that a terminal obeys, run nothing, read no file that it was not given, and leave no draft.
`python -m scripts.attack.input SECONDS [KIND...]`; what broke a promise is kept in build/attack, to be looked at.
"""

from __future__ import annotations

import importlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: a process that is forked keeps no threads of another

from scripts.attack import files as damaged
from scripts.attack import names as poison
from scripts.attack.case import MARK, SECRET, Attack, Case, prepare

SECONDS = 1800.0
LIMIT_SECONDS = 120.0  # for one command; the slowest that ends takes ten
MEMORY = 6 << 30  # bytes that one command may take
# What takes long to import, here once rather than in each process.
IMPORTED = (
    *(
        "torch",
        "onnx",
        "onnxruntime",
        "h5py",
        "sqlalchemy",
        "PIL.Image",
        "edgekit.cli.app",
        "edgekit.exporting.command",
    ),
    *("edgekit.inspection.command", "edgekit.measure.command", "edgekit.evaluation.command"),
    *("edgekit.comparison.command", "edgekit.reporting.command"),
)
KEPT = Path("build/attack")
CODES = (0, 2, 3, 4, 5, 6, 7)
STYLES = ("\x1b[1m", "\x1b[2m", "\x1b[0m", "\r\x1b[2K")
OBEYED = {*map(chr, (*range(0x20), *range(0x7F, 0xA0)))} - {"\n", "\t"}
OBEYED |= {"\u061c", "\u200e", "\u200f", "\u2028", "\u2029"}
OBEYED |= {*map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))}
KINDS: Mapping[str, Attack] = {**damaged.ATTACKS, **poison.ATTACKS}


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    status: int | None  # None: it was ended, because it did not end
    out: str
    err: str

    @property
    def code(self) -> int | None:
        """The exit code; None where a signal ended it."""
        return os.WEXITSTATUS(self.status) if self.status is not None and os.WIFEXITED(self.status) else None


def run(case: Case, folder: Path) -> Ended:
    """The command in a fork of this process, which has imported what takes long."""
    said = [folder / ".out", folder / ".err"]
    child = os.fork()
    if child == 0:
        _command(case, folder, said)
    status, until = None, time.monotonic() + LIMIT_SECONDS
    while status is None and time.monotonic() < until:
        ended, found = os.waitpid(child, os.WNOHANG)
        status = found if ended else None
        time.sleep(0.01)
    if status is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    texts = [path.read_text("utf-8", "backslashreplace") for path in said]
    for path in said:
        path.unlink()
    return Ended(status, *texts)


def _command(case: Case, folder: Path, said: Sequence[Path]) -> None:
    """In the fork: be the command, and nothing else."""
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        for number, path in enumerate(said, start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        from edgekit.cli.main import main

        code = main(case.argv)
        sys.stdout.flush()
    finally:
        os._exit(code)


def broken(folder: Path, ended: Ended) -> str | None:
    """Which promise a command broke; None where it kept all."""
    told = ended.out + ended.err
    for style in STYLES:
        told = told.replace(style, "")
    if ended.status is None:
        return f"did not end in {LIMIT_SECONDS:.0f} s"
    if ended.code is None:
        return f"ended by signal {os.WTERMSIG(ended.status)}"
    if ended.code not in CODES or "a bug of edgekit" in told or "Traceback (most" in told:
        return f"exit code {ended.code}: {ended.err[-300:]!r}"
    if obeyed := set(told) & OBEYED:
        return f"said {sorted(map(ascii, obeyed))}"
    if list(folder.rglob(MARK)):
        return "ran a command"
    if SECRET in told or any(SECRET.encode() in data for data in _written(folder)):
        return "read a file that it was not given"
    left = [str(path.relative_to(folder)) for path in folder.rglob(".edgekit-*")]
    return f"left {left[:3]}" if left else None


def _written(folder: Path) -> list[bytes]:
    files = [
        path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and "secret" not in path.name
    ]
    return [path.read_bytes() for path in files if path.stat().st_size < 1 << 26]


def trial(kind: str, seeds: Path, seed: str) -> str | None:
    """Run one case of a kind; what it broke, and where it is kept."""
    folder = Path(tempfile.mkdtemp(prefix="attack-"))
    try:
        case = KINDS[kind](folder, random.Random(seed), seeds)
        finding = broken(folder, run(case, folder))
        if finding is not None:
            kept = KEPT / f"{kind} {seed}".replace(" ", "-")
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, symlinks=True, ignore=_no_files)
            (kept / "argv.txt").write_text(repr(case.argv), "utf-8", "backslashreplace")
        return finding
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _no_files(folder: str, names: Sequence[str]) -> list[str]:
    return [
        name for name in names if not ((path := Path(folder, name)).is_file() or path.is_dir() or path.is_symlink())
    ]


def attack(seconds: float, seed: int, kinds: Sequence[str], say: Callable[[str], None]) -> int:
    """Cases of each kind in turn until the time is over; how many broke a promise."""
    for module in IMPORTED:
        importlib.import_module(module)
    seeds = Path(tempfile.mkdtemp(prefix="attack-seeds-"))
    done, found, until, turn = Counter[str](), Counter[str](), time.monotonic() + seconds, 0
    try:
        prepare(seeds)
        while time.monotonic() < until:
            kind = kinds[turn % len(kinds)]
            finding = trial(kind, seeds, f"{seed}.{turn}")
            done[kind] += 1
            if finding is not None:
                found[kind] += 1
                say(f"{kind} {seed}.{turn}: {finding}")
            turn += 1
    finally:
        shutil.rmtree(seeds, ignore_errors=True)
    for kind in kinds:
        say(f"{kind:32} {done[kind]:6} cases  {found[kind]:4} broke a promise")
    return sum(found.values())


def main(arguments: Sequence[str]) -> int:
    """Attack for so many seconds, with the kinds whose names begin so; 1 where a promise was broken."""
    seconds = float(arguments[0]) if arguments else SECONDS
    kinds = [kind for kind in KINDS if kind.startswith(tuple(arguments[1:]) or "")]
    return int(attack(seconds, random.randrange(10**6), kinds, lambda text: print(text, flush=True)) > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
