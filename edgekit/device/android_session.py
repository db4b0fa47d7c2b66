"""A file that answers on a phone: benchmark_model is given images from files and writes its answers into one.

It is a program that ends: one process there for each batch, many batches for each push. What takes long is the loading,
for a GPU its programs too, which it keeps for the next process where it can.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.android.benchmark_model import Log
from edgekit.bench.links.adb import AdbLink
from edgekit.device.android_answers import apart, input_flags, kernels, lacking, reference, told, unnamed
from edgekit.device.android_tool import PhoneTool
from edgekit.device.linux import LinuxTarget
from edgekit.errors import BackendMissing, MeasurementInvalid
from edgekit.util.files import file_sha256

MOST, MOST_BYTES = 64, 32 << 20  # batches of one push
LOAD_SECONDS, BATCH_SECONDS = 60.0, 30.0
HELD = 8  # batches whose answers are held against LiteRT's here
ONCE = {"num_runs": 1, "min_secs": 0, "warmup_runs": 0, "warmup_min_secs": 0}
SERIALIZE = ("delegate_serialize_dir", "delegate_serialize_token")


class PhoneSession:
    """The same calls as a session here. `found` is complete when the first batches have been answered.

    `verify` says what a log tells of the delegate, and raises where that is not what was asked for. `ahead` is how many
    batches are best asked about at once; `last_ns` is how long the inferences of the last run took there.
    """

    def __init__(
        self,
        tool: PhoneTool,
        link: AdbLink,
        job: Mapping[str, Any],
        verify: Callable[[Log], dict[str, Any]],
    ) -> None:
        known, _, digest = tool.prepared()
        reason = lacking(known)
        if reason is not None:
            raise BackendMissing(f"{link.name}: {reason}", "name the classic benchmark_model in devices.yaml")
        self._tool, self._link, self._job, self._verify = tool, link, job, verify
        self._flags = {**tool.flags(job), **ONCE, **_kept(known.flags, job, link.work)}
        self._here = LinuxTarget().open_session(
            Path(job["artifact"]), "litert", int(job["threads"]), kernels(known, job["delegate"])
        )
        self.inputs, self.outputs = self._here.session.inputs, self._here.session.outputs
        if unnamed(self.inputs):
            self.close()
            raise BackendMissing(f"{link.name}: the tool takes no tensor with a comma in its name", "rename its input")
        self.last_ns = 0
        self.ahead = max(1, min(MOST, MOST_BYTES // sum(_bytes(tensor) for tensor in self.inputs)))
        self._held, self._apart = 0, np.zeros(2)
        self.found: dict[str, Any] = {
            "threads": job["threads"],
            "runtime_version": f"benchmark_model {digest[:16]}",
            "tool_sha256": digest,
        }

    def run(self, arrays: list[Any]) -> list[Any]:
        """Return one array per output, for one array per input; their batches may be many of the file's own."""
        batches = [_split(array, tensor) for array, tensor in zip(arrays, self.inputs, strict=True)]
        logs, answers = self._asked(list(zip(*batches, strict=True)))
        self.last_ns = sum(round(log.statistics[-1].get("curr", 0.0) * 1000) for log in logs if log.statistics)
        if "answers" not in self.found:
            self.found.update(self._verify(logs[0]))
        found = self._outputs(answers, len(batches[0]))
        self._hold(batches, found)
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """Return the same as a function; a time taken around it holds the way there and the loading."""
        return lambda: self.run(arrays)

    def close(self) -> None:
        """End LiteRT's own session here."""
        self._here.close()

    def _asked(self, batches: list[tuple[NDArray[Any], ...]]) -> tuple[list[Log], bytes]:
        """One process for each batch; all their answers, one after the other."""
        work = self._link.work
        with tempfile.TemporaryDirectory(prefix="edgekit-") as name:
            folder = Path(name)
            for number, batch in enumerate(batches):
                (folder / "batches" / f"{number:05}").mkdir(parents=True)
                for index, array in enumerate(batch):
                    (folder / "batches" / f"{number:05}" / str(index)).write_bytes(array.tobytes())
            self._link.push_folder(folder / "batches", f"{work}/batches")
            inputs = input_flags(self.inputs, batches[0], [f"{work}/batch/{index}" for index in range(len(batches[0]))])
            flags = {**self._flags, **inputs, "output_filepath": f"{work}/answer"}
            logs = self._tool.each(flags, LOAD_SECONDS + BATCH_SECONDS * len(batches), self._job)
            self._link.pull(f"{work}/answers", folder / "answers")
            return logs, (folder / "answers").read_bytes()

    def _outputs(self, answers: bytes, count: int) -> list[list[NDArray[Any]]]:
        """For each batch one array per output. Raises MeasurementInvalid where the bytes are not so many."""
        wanted = count * sum(_bytes(tensor) for tensor in self.outputs)
        if len(answers) != wanted:
            raise MeasurementInvalid(
                f"benchmark_model on {self._link.name} answered {len(answers)} bytes, not {wanted}",
                "see whether its flags are those of this release",
            )
        found, at = [], 0
        for _ in range(count):
            row = []
            for tensor in self.outputs:
                size = _bytes(tensor)
                row.append(np.frombuffer(answers[at : at + size], tensor.dtype).reshape(_shape(tensor)))
                at += size
            found.append(row)
        return found

    def _hold(self, batches: list[list[NDArray[Any]]], found: list[list[NDArray[Any]]]) -> None:
        """Hold the first batches' answers against LiteRT's here."""
        for number in range(min(len(found), HELD - self._held)):
            here = self._here.session.run([array[number] for array in batches])
            self._apart = np.maximum(self._apart, apart(found[number], here))
            self._held += 1
        error, most = map(float, self._apart)
        self.found["answers"] = {**told(error, most, reference(self._here.found)), "batches": self._held}


def _shape(tensor: Any) -> tuple[int, ...]:
    """Its shape at the batch that the tool runs; a free one is 1."""
    return tuple(max(1, size) for size in tensor.shape)


def _bytes(tensor: Any) -> int:
    return math.prod(_shape(tensor)) * np.dtype(str(tensor.dtype)).itemsize


def _split(array: Any, tensor: Any) -> list[NDArray[Any]]:
    """The batches of an array, in the file's own type."""
    rows = np.ascontiguousarray(array, dtype=tensor.dtype)
    return list(rows.reshape(-1, *_shape(tensor)))


def _kept(flags: frozenset[str], job: Mapping[str, Any], work: str) -> dict[str, str]:
    """The flags with which a GPU's programs are kept from one process to the next."""
    if not (job["delegate"] or "").startswith("gpu") or not set(SERIALIZE) <= flags:
        return {}
    return dict(zip(SERIALIZE, (work, file_sha256(Path(job["artifact"]))[:16]), strict=True))
