"""docs/measured/converting.md, whose sections are each written by a command of their own."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from edgekit.util.files import write_atomically
from scripts.bench_helpers import ROOT

PAGE = ROOT / "docs" / "measured" / "converting.md"


def measure(
    heading: str,
    about: str,
    needs: str,
    rows: Callable[[str, int], Iterator[str]],
    section: Callable[[str, str, int], str],
) -> None:
    """Measure beside another Python, which has what `needs` names, print each row as it is found, write the section."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("python", metavar="PYTHON", help=f"a Python that has {needs}")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    table = []
    for row in rows(asked.python, asked.rounds):
        print(row, flush=True)
        table.append(row)
    write_section(heading, section("\n".join(table), asked.python, asked.rounds))


def write_section(heading: str, body: str, page: Path = PAGE) -> None:
    """Write one section anew: all between its heading and the next. One that is not there yet goes to the end."""
    text = page.read_text(encoding="utf-8")
    before, found, rest = text.partition(f"\n## {heading}\n")
    _, more, after = rest.partition("\n## ")
    before = before if found else before.rstrip("\n") + "\n"
    made = f"{before}\n## {heading}\n\n{body.strip()}\n" + (f"\n## {after}" if more else "")
    write_atomically(page, made.encode())


def version(python: str, package: str) -> str:
    """Return the version of a package in another Python."""
    code = f"from importlib.metadata import version; print(version('{package}'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
