"""Runs one artifact on inputs that come through stdin, and sends what it answers back through stdout.

The first line on stdin is a job as runner.py has it; the answer is
{"ok": {"inputs": [[name, dtype, shape]], "outputs": [...], "found": {...}}} or an error. Then each question is a line
with the sizes of .npy files that follow it, and each answer {"ok": {"sizes": [...], "ns": time of the inference}} with
the files after it. When stdin ends, so does this, in the middle of an answer too.
"""

from __future__ import annotations

import io
import json
import os
import queue
import threading
import time
from typing import Any

from . import runner
from .protocol import answer_stream, guarded

BLOCK = 1 << 20


class Questions:
    """What comes through stdin, taken in by a thread: a file that is run may never give its answer.

    When stdin ends, nobody is there any more to wait for one, and the thread ends this process.
    """

    def __init__(self) -> None:
        self._blocks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._rest = b""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            block = os.read(0, BLOCK)
            if not block:
                os._exit(3)
            self._blocks.put(block)

    def readline(self) -> bytes:
        """Return the next line, with its end."""
        while b"\n" not in self._rest:
            self._rest += self._blocks.get()
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"

    def read(self, size: int) -> bytes:
        """Return so many bytes."""
        found = bytearray(self._rest)
        while len(found) < size:
            found += self._blocks.get()
        self._rest = bytes(found[size:])
        return bytes(found[:size])


def serve(questions: Any, answers: Any) -> None:
    """Answer questions, for as long as there is somebody who asks."""
    state: dict[str, Any] = {}

    def begin(text: str) -> dict[str, Any]:
        job = runner.parse(text)
        module = runner.loaded(job.runtime)
        session = module.open_session(job.artifact, {**runner.options(job), "batch": None, "free": True})
        state["session"] = session
        tensors = [[[t.name, t.dtype, list(t.shape)] for t in side] for side in (session.inputs, session.outputs)]
        return {"inputs": tensors[0], "outputs": tensors[1], "found": {**session.found, **runner.environment()}}

    _send(answers, guarded(begin, questions.readline().decode()))
    while "session" in state:
        line = questions.readline()
        arrays = [_array(questions, size) for size in json.loads(line)]
        results: list[bytes] = []

        def run(text: str, arrays: Any = arrays, results: Any = results) -> dict[str, Any]:
            start = time.perf_counter_ns()
            outputs = state["session"].run(arrays)
            stop = time.perf_counter_ns()
            results += [_bytes(output) for output in outputs]
            return {"sizes": [len(result) for result in results], "ns": stop - start}

        _send(answers, guarded(run, ""), *results)


def _send(stream: Any, answer: dict[str, Any], *results: bytes) -> None:
    stream.write(json.dumps(answer).encode() + b"\n")
    for result in results:
        stream.write(result)
    stream.flush()


def _array(stream: Any, size: int) -> Any:
    import numpy as np

    return np.load(io.BytesIO(stream.read(size)), allow_pickle=False)


def _bytes(array: Any) -> bytes:
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()


def main(arguments: list[str]) -> None:
    """Open an artifact, and answer what it is asked."""
    with answer_stream() as stream:
        serve(Questions(), stream)
