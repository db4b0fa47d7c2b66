"""Looking into a foreign file from a process of its own: it may crash what reads it, fill its memory, or not end."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from edgekit.bench.links.base import call
from edgekit.bench.links.local import LocalLink
from edgekit.errors import BackendMissing, EdgekitError, MeasurementInvalid, UsageError
from edgekit.records.formats import FORMATS, format_of

SECONDS = 60.0
# It imports from where this process does, and not from the folder that it is started in.
READER = """
import sys
path, sys.path[:] = sys.argv[1], sys.argv[2:]
from edgekit.inspection.apart import answer
answer(path)
"""


def contents(path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """The operators in a file with their counts, and its labels, as a process of its own reads them.

    Raises UsageError for a file that is broken or does not end, and BackendMissing as the reader does.
    """
    command = [sys.executable, "-c", READER, str(path), *sys.path]
    try:
        done = call(LocalLink(), command, b"", SECONDS, path.name)
    except MeasurementInvalid as error:
        raise UsageError(f"{path} could not be read in {SECONDS:.0f} s", "give a file that is whole") from error
    if done.code:
        said = "".join(f": {line}" for line in done.stderr.strip().splitlines()[-1:])
        raise UsageError(f"what reads {path} ended with {done.code}{said}", "give a file that is whole")
    found = json.loads(done.stdout)
    if "refused" in found:
        kind = BackendMissing if found["code"] == BackendMissing.code else UsageError
        raise kind(*found["refused"])
    return found["operators"], tuple(found["labels"])


def answer(path: str) -> None:
    """In the process: read the file, and print what is in it or why that cannot be read."""
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print stays out of the answer
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        operators, labels = FORMATS[format_of(Path(path)).name].contents(Path(path))
        found: dict[str, object] = {"operators": operators, "labels": labels}
    except EdgekitError as error:
        found = {"code": error.code, "refused": [error.message, error.remedy]}
    with stdout:
        json.dump(found, stdout)


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(3)
