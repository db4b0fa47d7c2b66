"""Building a TensorRT engine where its GPU is: here, or on a device over its link.

With TensorRT's Python package (bench/build_tensorrt.py, in a process of its own), else with trtexec.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, cast

from edgekit.bench import jetson
from edgekit.bench.link import Done, Link, death, start
from edgekit.bench.link_local import LocalLink
from edgekit.errors import BackendMissing, EdgekitError, MeasurementInvalid
from edgekit.exporters import trtexec
from edgekit.exporters.tensorrt_capabilities import Capabilities, capabilities
from edgekit.files import cache_folder

SCRIPT, PROGRESS = "build_tensorrt.py", "PROGRESS "
PROGRAMS = ("trtexec", "/usr/src/tensorrt/bin/trtexec")
PROBE_SECONDS, BUILD_SECONDS = 120.0, 7200.0  # a build that measures every kernel on a small board takes an hour
CACHE_THERE = "~/.cache/edgekit/tensorrt"
REMEDY = (
    "pip install 'edgekit[tensorrt]' on a machine with an NVIDIA GPU, put trtexec on its PATH, "
    "or run the export on the device itself"
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What to build from an ONNX file. `shapes` are (name, least, usual, most) of inputs with a free batch."""

    onnx: Path
    engine: Path
    precision: str
    workspace_mib: int | None = None
    dla: int | None = None
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Built:
    """What an engine belongs to, for its manifest; `warnings` are TensorRT's own."""

    facts: Mapping[str, Any]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Refused(Exception):
    """TensorRT does not take the network; `nodes` are those that it names."""

    message: str
    nodes: tuple[Mapping[str, Any], ...] = field(default=())


class Builder(Protocol):
    """What builds engines in one place."""

    @property
    def version(self) -> str: ...
    def build(self, order: Order, say: Say) -> Built:
        """Raises Refused for a network that is not taken, else an EdgekitError."""


def find(link: Link | None = None) -> Builder:
    """What builds engines on a device (None: here). Raises BackendMissing where nothing does."""
    link = link or LocalLink()
    try:
        here = _ask(link, {"mode": "probe"}, PROBE_SECONDS, lambda stage: None)
        return WithPython(link, here)
    except _Missing as missing:
        program = _program(link)
        if program is None:
            raise BackendMissing(f"TensorRT is not installed{_on(link)}: {missing}, and no trtexec", REMEDY) from None
        return WithTrtexec(link, *program)
    except Refused as error:
        raise BackendMissing(f"no engine can be built{_on(link)}: {error.message}", REMEDY) from error


@dataclass(frozen=True)
class WithPython:
    """TensorRT's Python package; `here` is what it said of itself and the GPU."""

    link: Link
    here: Mapping[str, Any]

    @property
    def version(self) -> str:
        """TensorRT's version."""
        return str(self.here["tensorrt"])

    def build(self, order: Order, say: Say) -> Built:
        """Build in a process that does nothing else, and bring the engine here."""
        row, dla = capabilities(self.version), order.dla is not None
        is_here = isinstance(self.link, LocalLink)
        job = {
            "mode": "build",
            "artifact": self.link.place(order.onnx),
            "engine": str(order.engine) if is_here else "",
            "network_flags": row.network_flags(order.precision, dla),
            "builder_flags": row.builder_flags(order.precision, dla),
            "cleared_flags": row.cleared_flags(order.precision),
            "workspace_mib": order.workspace_mib,
            "timing_cache": str(cache_folder() / "tensorrt") if is_here else CACHE_THERE,
            "dla": order.dla,
            "progress": row.progress,
            "error_nodes": row.error_nodes,
            "shapes": order.shapes,
        }
        found = _ask(self.link, job, BUILD_SECONDS, say)
        if not is_here:
            _pull(self.link, str(found["engine"]), order.engine)
        names = ("network_flags", "builder_flags", "cleared_flags", "workspace_mib", "dla")
        made = {name: job[name] for name in names}
        kept = {key: value for key, value in found.items() if key not in ("engine", "warnings", "jetson_release")}
        facts = {"builder": "python", **kept, **_jetson(found.get("jetson_release")), "build_flags": made}
        return Built(facts, tuple(found["warnings"]))


@dataclass(frozen=True)
class WithTrtexec:
    """The trtexec program of a device, by the version that its banner shows."""

    link: Link
    program: str
    version: str

    def build(self, order: Order, say: Say) -> Built:
        """Build, and believe it only with exit code 0, the verdict PASSED and an engine."""
        say("trtexec")
        row, is_here = capabilities(self.version), isinstance(self.link, LocalLink)
        onnx = self.link.place(order.onnx)
        engine = str(order.engine) if is_here else onnx + ".engine"
        cache = self._cache() if is_here else None
        flags = [*_build_flags(row, order, onnx, engine, str(cache) if cache else None), *_shape_flags(order.shapes)]
        wish = {"argv": [self.program, *flags], "seconds": BUILD_SECONDS}
        answer = self.link.look({"commands": [wish]})["commands"][0]
        text = answer["out"] + "\n" + answer["err"] if answer else ""
        log = trtexec.parse_log(text)
        failed = trtexec.failure(answer["code"] if answer else None, log, text)
        if failed is not None:
            raise failed
        if not is_here:
            _pull(self.link, engine, order.engine)
            self.link.look({"commands": [{"argv": ["rm", "-f", engine]}]})
        if not order.engine.is_file() or not order.engine.stat().st_size:
            raise BackendMissing("trtexec said PASSED and wrote no engine", "see its log")
        facts = {
            "builder": "trtexec",
            "tensorrt": self.version,
            "gpu": log.gpu,
            "compute_capability": log.compute_capability,
            "build_seconds": log.build_seconds,
            "timing_cache_sha256": _sha256(cache) if cache and cache.is_file() else None,
            "build_flags": [flag for flag in flags if "/" not in flag],
            **_jetson(self._release()),
        }
        return Built(facts, log.warnings)

    def _cache(self) -> Path:
        folder = cache_folder() / "tensorrt"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"trtexec-{self.version}.timing"

    def _release(self) -> str | None:
        files = self.link.look({"files": ["/etc/nv_tegra_release"]})["files"]
        return cast("str | None", files.get("/etc/nv_tegra_release"))


def _build_flags(row: Capabilities, order: Order, onnx: str, engine: str, cache: str | None) -> list[str]:
    return trtexec.build_flags(row, order.precision, onnx, engine, order.workspace_mib, cache, order.dla)


def _shape_flags(shapes: Sequence[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]]]) -> Iterator[str]:
    for index, flag in enumerate(("minShapes", "optShapes", "maxShapes"), start=1):
        sizes = [f"{shape[0]}:{'x'.join(map(str, cast(Sequence[int], shape[index])))}" for shape in shapes]
        if sizes:
            yield f"--{flag}={','.join(sizes)}"


def _program(link: Link) -> tuple[str, str] | None:
    """trtexec on a device and its version: it prints that in its banner, whatever it is asked."""
    names = [name for name in PROGRAMS if not isinstance(link, LocalLink) or shutil.which(name)]
    if not names:
        return None
    answers = link.look({"commands": [{"argv": [name, "--version"]} for name in names]})["commands"]
    for name, answer in zip(names, answers, strict=True):
        found = trtexec.version(answer["out"] + "\n" + answer["err"]) if answer else None
        if found is not None:
            return name, found
    return None


def _jetson(release: str | None) -> dict[str, Any]:
    found = jetson.release(release) if release else None
    return {"l4t": found["l4t"], "jetpack": found["jetpack"]} if found else {}


def _pull(link: Link, there: str, here: Path) -> None:
    pull = getattr(link, "pull", None)
    if pull is None:
        raise BackendMissing(f"no file can be brought here from {link.name}", "build over an ssh link")
    pull(there, here)


class _Missing(Exception):
    """The device has no Python package of TensorRT."""


def _ask(link: Link, job: Mapping[str, Any], seconds: float, say: Say) -> dict[str, Any]:
    """What the building script answers; its stages go to `say` as they come."""
    command = [link.python, f"{link.tools()}/{SCRIPT}"]
    stdin, alive = os.pipe()  # held open: when this process goes, the build goes too
    try:
        process = start(link.argv(command), stdin)
    except BaseException:
        os.close(alive)
        raise
    finally:
        os.close(stdin)
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    kept: list[str] = []
    with process:
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
            process.kill()
            os.close(alive)
    if late.is_set():
        raise MeasurementInvalid(f"no engine in {seconds:.0f} s{_on(link)}: the build was ended", "build it smaller")
    return _answered(link, Done(process.returncode, stdout, "\n".join(kept)))


def _answered(link: Link, done: Done) -> dict[str, Any]:
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise _crash(link, done) from None
    if "error" not in answer:
        return dict(answer["ok"])
    error = answer["error"]
    if error["kind"] == "missing":
        raise _Missing(error["message"])
    raise Refused(error["message"], tuple(error.get("nodes", ())))


def _crash(link: Link, done: Done) -> EdgekitError:
    found = death(link, "tensorrt", done)
    return type(found)(found.message.replace("process running", "process building with"), found.remedy)


def _listen(stream: IO[bytes], say: Say, kept: list[str]) -> None:
    for raw in stream:
        line = raw.decode(errors="replace").rstrip()
        if line.startswith(PROGRESS):
            say(line[len(PROGRESS) :])
        else:
            kept.append(line)
            del kept[:-100]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _on(link: Link) -> str:
    return " here" if isinstance(link, LocalLink) else f" on {link.name}"
