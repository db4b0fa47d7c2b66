"""A file that is open on a device, or in a process of its own here: bench/ondevice/infer.py answers over the link."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bench.links import stopping
from edgekit.bench.links.base import Answer, Done, Link, death, on, parsed, refused, start
from edgekit.bench.links.silence import Silence, coming, first_line, written
from edgekit.bench.ondevice.tensor import Tensor
from edgekit.errors import BackendMissing, EdgekitError, MeasurementInvalid

ENDING_SECONDS = 5.0
ANSWER_SECONDS = 300.0  # of silence: for loading, and for one batch


class FarSession:
    """An artifact that is open on a device. `last_ns` is how long the last run took there, without the way."""

    def __init__(
        self,
        link: Link,
        path: Path,
        runtime: str,
        threads: int = 1,
        delegate: str | None = None,
        unoptimized: bool = False,
    ) -> None:
        job = {"mode": "latency", "runtime": runtime, "artifact": link.place(path), "threads": threads}
        job |= {"delegate": delegate, "unoptimized": unoptimized}
        stopping.check()
        self._link, self._runtime = link, runtime
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the session)
        read, write = os.pipe()
        try:
            self._process = start(link.argv([link.python, link.tools(), "infer"]), read, stderr=self._said)
        except BaseException:
            os.close(write)
            self._said.close()
            raise
        finally:
            os.close(read)
        self._questions = os.fdopen(write, "wb")
        self._rest = b""  # what came with the last line, and is not of it
        self.last_ns = 0
        try:
            begun = self._ask(json.dumps(job).encode() + b"\n")
        except BaseException:
            self.close()
            raise
        self.inputs = [Tensor(name, dtype, tuple(shape)) for name, dtype, shape in begun["inputs"]]
        self.outputs = [Tensor(name, dtype, tuple(shape)) for name, dtype, shape in begun["outputs"]]
        self.found: dict[str, Any] = begun["found"]

    def run(self, arrays: list[Any]) -> list[Any]:
        """Return one array per output, for one array per input."""
        files = [_bytes(array) for array in arrays]
        answer = self._ask(json.dumps([len(file) for file in files]).encode() + b"\n", *files)
        self.last_ns = int(answer["ns"])
        return [np.load(io.BytesIO(self._take(size)), allow_pickle=False) for size in answer["sizes"]]

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """Return the same as a function; a time taken around it holds the way there and back."""
        return lambda: self.run(arrays)

    def close(self) -> None:
        """End it there."""
        with suppress(OSError):
            self._questions.close()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdout, self._said):
            if stream is not None:
                stream.close()

    def _ask(self, *parts: bytes) -> dict[str, Any]:
        try:
            with suppress(BrokenPipeError):
                written(self._questions, parts, ANSWER_SECONDS)
        except Silence as error:
            raise self._silent() from error
        line, self._rest = first_line(self._coming())
        answer = parsed(line, self._link.name)
        if answer is None:
            raise self._no_answer(line or self._rest)
        if "error" in answer:
            raise refused(self._link, self._runtime, answer["error"])
        return answer["ok"] or Answer(self._link.name)

    def _take(self, size: int) -> bytes:
        """The next bytes of an answer, all of them."""
        found = bytearray()
        for block in self._coming():
            found += block
            if len(found) >= size:
                self._rest = bytes(found[size:])
                return bytes(found[:size])
        raise self._no_answer(b"")

    def _coming(self) -> Iterator[bytes]:
        assert self._process.stdout is not None
        yield self._rest
        try:
            yield from coming(self._process.stdout, ANSWER_SECONDS)
        except Silence as error:
            raise self._silent() from error

    def _silent(self) -> EdgekitError:
        return MeasurementInvalid(
            f"no answer from {self._runtime}{on(self._link)} in {ANSWER_SECONDS:.0f} s: the run was ended",
            "try another runtime, or a file that ends",
        )

    def _no_answer(self, line: bytes) -> EdgekitError:
        try:
            code = self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # one that says anything else may go on saying it
            return BackendMissing(
                f"{self._runtime}{on(self._link)} said what is no answer: {line[:80].decode(errors='replace')!r}",
                "see what the shell there prints before a command runs",
            )
        self._said.seek(0)
        return death(self._link, self._runtime, Done(code, b"", self._said.read().decode(errors="replace")))


def _bytes(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()
