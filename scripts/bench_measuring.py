"""Sections of `make bench-self`: what the measuring part claims of itself. They need a quiet machine."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import edgekit
from scripts.bench_helpers import Line, paths
from tests.bench import ssh_server


def harness(data: Path, scratch: Path) -> Iterator[Line]:
    """What our own loop adds, and how we agree with others who time the same call."""
    files = paths(edgekit.export("mobilenet", alpha=0.5, res=160))
    row = edgekit.bench(files["onnx", "fp32"], runtime="null", preset="quick").to_json()["measurements"][0]
    yield Line("null, per inference", "< 5 us", f"{1000 * row['median_ms']:.3f} us", row["median_ms"] < 0.005)
    for name, path, theirs, limit in (
        ("litert-benchmark", files["tflite", "fp32"], by_litert_benchmark, 0.03),
        ("a bare loop around onnxruntime", files["onnx", "fp32"], by_bare_loop, 0.02),
    ):
        ratios = []
        for index in range(20):
            if index % 2:  # in turn, so that going first helps neither
                ours, other = by_edgekit(path), theirs(path, scratch)
            else:
                other, ours = theirs(path, scratch), by_edgekit(path)
            ratios.append(ours / other)
        ratio = statistics.median(ratios)
        yield Line(
            f"mobilenet 0.5/160 over {name}, 20 pairs", f"within {limit:.0%}", f"{ratio:.4f}", abs(ratio - 1) <= limit
        )


def by_edgekit(path: Path, device: str = "local") -> float:
    """Our median in milliseconds, one process."""
    found: float = edgekit.bench(path, device=device, preset="quick").to_json()["measurements"][0]["median_ms"]
    return found


def by_litert_benchmark(path: Path, scratch: Path) -> float:
    """The median of the tool that comes with LiteRT, in milliseconds."""
    out = scratch / "litert.json"
    command = [str(Path(sys.executable).with_name("litert-benchmark")), "--model", str(path), "--num_threads", "1"]
    command += ["--warmup_runs", "300", "--num_runs", "600", "--result_json", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return float(json.loads(out.read_text())["latency"]["median_ms"])


def by_bare_loop(path: Path, scratch: Path) -> float:
    """The median of nothing but a loop, in milliseconds."""
    done = subprocess.run([sys.executable, "-c", BARE_LOOP, str(path)], check=True, capture_output=True, text=True)
    return float(done.stdout)


BARE_LOOP = """
import statistics, sys, time
import numpy as np
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
entry = session.get_inputs()[0]
feed = {entry.name: np.random.default_rng(0).standard_normal(entry.shape, dtype=np.float32)}
taken = []
for _ in range(900):
    start = time.perf_counter()
    session.run(None, feed)
    taken.append(time.perf_counter() - start)
print(1000 * statistics.median(taken[300:]))
"""


def telling_apart(data: Path, scratch: Path) -> Iterator[Line]:
    """The same file twice is the same; a tenth more work is found: interleaved, with the shortest protocol."""
    yield from _told_apart(scratch, "--versus", interleaved_words)


def telling_stored_apart(data: Path, scratch: Path) -> Iterator[Line]:
    """The same of measurements that were taken one after the other; a noisy machine cannot tell."""
    yield from _told_apart(scratch, "stored runs", stored_words)


def _told_apart(scratch: Path, how: str, words: Callable[[Path, Path], str]) -> Iterator[Line]:
    (scratch / "twice").mkdir(exist_ok=True)
    base = edgekit.export("mobilenet", alpha=0.5, res=160, format=["onnx"]).artifacts[0].path
    more = edgekit.export("mobilenet", alpha=0.5, res=168, format=["onnx"]).artifacts[0].path  # 10 % more MACs
    twice = scratch / "twice" / base.name
    twice.write_bytes(base.read_bytes())
    same = [words(base, twice) for _ in range(20)]
    yield Line(f"the same file twice, {how}, 20 times", ">= 19 same", told(same), same.count("same") >= 19)
    slower = [words(base, more) for _ in range(10)]
    found = slower.count("slower") >= 9 and slower.count("cannot tell") <= 2
    yield Line(f"168 over 160 pixels, {how}, 10 times", ">= 9 slower", told(slower), found)


def interleaved_words(base: Path, new: Path) -> str:
    """The verdict of one interleaved comparison."""
    found: str = edgekit.bench([base, new], versus=True, preset="quick").to_json()["versus"][0]["verdict"]
    return found


def stored_words(base: Path, new: Path) -> str:
    """The verdict on two measurements that were taken one after the other."""
    ids = [edgekit.bench(path).measurements[0].id for path in (base, new)]
    return edgekit.compare(*ids).verdict


def told(words: Sequence[str]) -> str:
    """How often each word was said."""
    return ", ".join(f"{word} {words.count(word)}" for word in dict.fromkeys(words))


def verdicts(data: Path, scratch: Path) -> Iterator[Line]:
    """A quiet machine is mostly valid; one with a busy processor never is."""
    path = edgekit.export("mobilenet", alpha=0.5, res=160, format=["tflite"]).artifacts[0].path
    quiet = [edgekit.bench(path).measurements[0] for _ in range(10)]
    words = [found.verdict for found in quiet]
    yield Line("default runs of an idle machine", ">= 8 of 10 valid", told(words), words.count("valid") >= 8)
    for found in quiet:
        if found.verdict != "valid":
            print(f"    {found.verdict}: {'; '.join(found.reasons)}")
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            words = [edgekit.bench(path).measurements[0].verdict for _ in range(10)]
        finally:
            busy.kill()
    yield Line("default runs with one processor kept busy", "none valid", told(words), "valid" not in words)


def ssh(data: Path, scratch: Path) -> Iterator[Line]:
    """What measuring through ssh adds, over a real OpenSSH server on loopback; and how often a large file goes over."""
    reason = ssh_server.missing()
    if reason:
        yield Line("measuring through ssh", "within 3 %", reason, None)
        return
    server = ssh_server.make(scratch / "ssh")
    os.environ["EDGEKIT_SSH_CONFIG"] = str(server.folder / "config")
    server.start()
    try:
        yield from through(server)
        yield from large_file(server, scratch)
    finally:
        for link in server.links:
            ssh_server.disconnect(link)
        server.stop()
        del os.environ["EDGEKIT_SSH_CONFIG"]


def through(server: ssh_server.Server) -> Iterator[Line]:
    """The same file measured here and through ssh on the same machine, in turn."""
    path = edgekit.export("mobilenet", alpha=0.5, res=160, format=["onnx"]).artifacts[0].path
    board = {"link": "ssh", "host": "board", "runtimes": ["onnxruntime"], "python": sys.executable}
    Path("devices.yaml").write_text(json.dumps({"devices": {"board": {**board, "folder": str(server.root)}}}))
    ratios = []
    for index in range(20):
        order = ("local", "board") if index % 2 else ("board", "local")  # going first helps neither
        medians = {name: by_edgekit(path, name) for name in order}
        ratios.append(medians["board"] / medians["local"])
    ratio = statistics.median(ratios)
    claim = f"mobilenet 0.5/160 through ssh over local, {len(ratios)} pairs"
    yield Line(claim, "within 3 %", f"{ratio:.4f}", abs(ratio - 1) <= 0.03)
    count = server.connections()
    yield Line(f"connections of {len(ratios)} commands in a row", "1", str(count), count == 1)


def large_file(server: ssh_server.Server, scratch: Path) -> Iterator[Line]:
    """500 MB are brought once; the next command, with a link of its own, finds them."""
    path = scratch / "large.onnx"
    with path.open("wb") as stream:
        for _ in range(500):
            stream.write(os.urandom(1_000_000))
    first = server.link()
    there = Path(first.place(path))
    inode, arrived = there.stat().st_ino, there.stat().st_size
    first.close()
    again = server.link()
    is_same = again.place(path) == str(there) and there.stat().st_ino == inode
    path.unlink()
    told = f"{arrived} bytes, {'found again' if is_same else 'brought again'}"
    yield Line("a file of 500 MB, asked for twice", "brought once", told, is_same and arrived == 500_000_000)
