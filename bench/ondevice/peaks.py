"""What this machine can reach at best: multiply-accumulates of a large matrix product, bytes of a large copy.

Products by numpy, and by onnxruntime where it is installed. The two roofs of the roofline model (Williams, Waterman and
Patterson, 2009): what a layer reaches is held against them. Of products the best counts, because a peak is an upper
bound: of several runs, two sizes and two libraries, and its name goes back with it. Both are taken in pieces of about a
millisecond, so that another process that has a turn in between spoils few of them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from .protocol import answer_job, guarded

SIZES = (384, 1024)  # of the square matrices: one for a single thread, one that many threads can share
SECONDS = 0.25  # each
COPY_BYTES = 128 << 20  # to and fro: larger than the caches of what edgekit measures on
PIECE_BYTES = 4 << 20
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def measure(text: str) -> dict[str, Any]:
    """GMAC/s in float32 and int8 and GB/s of a copy, for the threads of the job; null with a reason where unknown."""
    threads = int(json.loads(text).get("threads") or 1)
    os.environ.update(dict.fromkeys(THREADS, str(threads)))  # read when numpy is imported: not before here
    found = [one for size in SIZES for one in (_numpy_gemm(size), *_runtime_gemms(size, threads))]
    best: dict[str, Any] = {"threads": threads, **_copy(threads)}
    for kind in ("float32", "int8"):
        known = [one for one in found if one["kind"] == kind and one["gmacs"] is not None]
        rate = max(known, key=lambda one: one["gmacs"]) if known else None
        best[f"gemm_{kind}_gmacs"] = rate["gmacs"] if rate else None
        best[f"gemm_{kind}_by"] = rate["by"] if rate else next(one["by"] for one in found if one["kind"] == kind)
    return best


def _best(step: Callable[[], object], work: float) -> float:
    """The most `work` per nanosecond of any run, in SECONDS after one that does not count."""
    step()
    end, fastest = time.perf_counter() + SECONDS, float("inf")
    while True:
        start = time.perf_counter_ns()
        step()
        stop = time.perf_counter_ns()
        fastest = min(fastest, max(1, stop - start))
        if stop / 1e9 >= end:
            return work / fastest


def _numpy_gemm(size: int) -> dict[str, Any]:
    import numpy as np

    random = np.random.default_rng(0)
    a, b = (random.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)
    rate = _best(lambda: np.matmul(a, b, out=out), size**3)
    return {"kind": "float32", "gmacs": round(rate, 3), "by": f"numpy {np.__version__} matmul, {size} x {size}"}


def _runtime_gemms(size: int, threads: int) -> list[dict[str, Any]]:
    """Both products through onnxruntime; numpy has none for int8 that deserves the name."""
    import numpy as np

    try:
        import onnxruntime
    except ImportError:
        return [{"kind": "int8", "gmacs": None, "by": "onnxruntime is not installed, and numpy has no int8 product"}]
    random, found = np.random.default_rng(0), []
    for kind, operator, left, right in (("float32", "MatMul", "f4", "f4"), ("int8", "MatMulInteger", "u1", "i1")):
        a, b = ((random.random((size, size)) * 100).astype(dtype) for dtype in (left, right))
        by = f"onnxruntime {onnxruntime.__version__} {operator}, {size} x {size}"
        try:
            settings = onnxruntime.SessionOptions()
            settings.intra_op_num_threads, settings.log_severity_level = threads, 4
            session = onnxruntime.InferenceSession(
                product_model(operator, b), settings, providers=["CPUExecutionProvider"]
            )
            rate = _best(partial(session.run, None, {"a": a}), size**3)
            found.append({"kind": kind, "gmacs": round(rate, 3), "by": by})
        except Exception as error:  # it raises what it likes
            found.append({"kind": kind, "gmacs": None, "by": f"{by}: {' '.join(str(error).split())[:200]}"})
    return found


def _copy(threads: int) -> dict[str, Any]:
    """Bytes read plus bytes written in a second, from main memory to main memory; each thread has its part."""
    import numpy as np

    part = COPY_BYTES // threads
    pairs = [(np.ones(part, np.uint8), np.ones(part, np.uint8)) for _ in range(threads)]  # written: the pages are there
    rates: list[list[float]] = [[] for _ in pairs]
    others = [threading.Thread(target=_copied, args=one) for one in zip(pairs[1:], rates[1:])]  # noqa: B905
    for other in others:
        other.start()
    _copied(pairs[0], rates[0])
    for other in others:
        other.join()
    rate = sum(sorted(found)[len(found) // 2] for found in rates)
    return {"copy_gbytes": round(rate, 3), "copy_by": f"numpy copy of {COPY_BYTES >> 20} MiB, read and written"}


def _copied(pair: tuple[Any, Any], rates: list[float]) -> None:
    """Copy piece after piece, round and round, and note each piece's bytes per nanosecond."""
    import numpy as np

    source, target = pair
    size = min(PIECE_BYTES, len(source))
    end = time.perf_counter() + SECONDS
    while not rates or time.perf_counter() < end:
        for at in range(0, len(source) - size + 1, size):
            start = time.perf_counter_ns()
            np.copyto(target[at : at + size], source[at : at + size])
            rates.append(2 * size / max(1, time.perf_counter_ns() - start))


# The one-node ONNX file y = a x b, written by hand (protobuf's wire format), so that no package is needed for it.
_ELEMENTS = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6}


def product_model(operator: str, b: Any) -> bytes:
    """Return an ONNX model of one product with the constant `b`, as weights are constant in a network."""
    size = b.shape[0]
    given, made = ("float32", "float32") if operator == "MatMul" else ("uint8", "int32")
    constant = b"".join(_number(1, n) for n in b.shape) + _number(2, _ELEMENTS[str(b.dtype)])
    constant += _bytes(8, b"b") + _bytes(9, b.tobytes())
    node = _bytes(1, b"a") + _bytes(1, b"b") + _bytes(2, b"y") + _bytes(4, operator.encode())
    values = _bytes(11, _value(b"a", given, size)) + _bytes(12, _value(b"y", made, size))
    graph = _bytes(1, node) + _bytes(2, b"product") + _bytes(5, constant) + values
    return _number(1, 7) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 13))


def _value(name: bytes, kind: str, size: int) -> bytes:
    shape = _bytes(1, _number(1, size)) * 2
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, _ELEMENTS[kind]) + _bytes(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def main(arguments: list[str]) -> None:
    """Answer a job."""
    answer_job(arguments, lambda text: guarded(measure, text))
