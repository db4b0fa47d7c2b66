"""Asking a command of the device side that takes long, and says on stderr how far it is."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, cast

from edgekit.bench.links.base import Done, Link, death, held, on, parsed
from edgekit.bench.ondevice.protocol import PROGRESS
from edgekit.errors import MeasurementInvalid

KEPT_LINES = 100  # of the others, to say what a process died of
Say = Callable[[str], None]


def ask_told(link: Link, command: str, job: Mapping[str, Any], seconds: float, say: Say, what: str) -> dict[str, Any]:
    """Return what a command of bench/ondevice answers: {"ok": ...} or {"error": ...}.

    Its stages go to `say` as they come.

    Raises MeasurementInvalid after `seconds`, and what `edgekit.bench.links.base.death` makes of a process that died.
    """
    late, kept = threading.Event(), list[str]()
    with held(link, [link.python, link.tools(), command]) as (process, alive):

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        reader = threading.Thread(target=_listen, args=(cast("IO[bytes]", process.stderr), say, kept), daemon=True)
        reader.start()
        try:
            with suppress(BrokenPipeError):
                os.write(alive, json.dumps(dict(job)).encode() + b"\n")
            stdout = cast("IO[bytes]", process.stdout).read()
            process.wait()
            reader.join()
        finally:
            timer.cancel()
    if late.is_set():
        link.close()  # what does not see its stdin end is killed there
        raise MeasurementInvalid(
            f"no answer from {what}{on(link)} in {seconds:.0f} s: it was ended", "try a smaller network"
        )
    answer = parsed(stdout, link.name)
    if answer is None:
        raise death(link, what, Done(process.returncode, stdout, "\n".join(kept)))
    return answer


def _listen(stream: IO[bytes], say: Say, kept: list[str]) -> None:
    for raw in stream:
        line = raw.decode(errors="replace").rstrip()
        if line.startswith(PROGRESS):
            say(line[len(PROGRESS) :])
        else:
            kept.append(line)
            del kept[:-KEPT_LINES]
