"""Files that really run, for every test that needs one."""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from edgekit import keywords
from edgekit.bench.links.ssh.link import SshLink
from edgekit.demonstration import command
from edgekit.util.files import locked
from tests.bench.ssh_server import Server as Server
from tests.bench.ssh_server import disconnect, make, missing
from tests.paths import HOSTED, NO_DATA, SAMPLES, TESTS
from tests.selection import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.selection import pytest_ignore_collect as pytest_ignore_collect
from tests.selection import pytest_runtest_logreport as pytest_runtest_logreport
from tests.selection import pytest_sessionfinish as pytest_sessionfinish
from tests.selection import pytest_terminal_summary as pytest_terminal_summary
from tests.short import shorten

DOUBLES = TESTS / "exporters"
# A shell ignores SIGINT in what it starts in the background, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Texts are as wide as where there is no terminal, whatever terminal the tests are started from.
os.environ.pop("COLUMNS", None)
shorten()
# Hypothesis draws the same examples in every run, and none of them has a time to keep.
settings.register_profile(
    "steady", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("steady")
# Messages are tested as they are written: which verbs are loaded, and turn options into keywords, depends on the tests
# before. tests/test_keywords.py asks for Python's words.
PARAMETERS, keywords.parameters = keywords.parameters, dict


def pytest_collection_finish() -> None:
    """Ten thousand tests and torch are never garbage, so that no collection need look through them again."""
    gc.collect()
    gc.freeze()


def seed() -> None:
    """Let weights that a test draws be the same whichever tests are collected, or run before it.

    `torch.manual_seed` would also note a traceback for each kind of accelerator, before every test.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.manual_seed(0)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Networks in a list of cases are made while their file is imported."""
    if isinstance(collector, pytest.Module):
        seed()


@pytest.fixture
def in_words_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are told as a user of Python reads them."""
    monkeypatch.setattr(keywords, "parameters", PARAMETERS)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test begins with the same random numbers."""
    seed()


@dataclass
class TensorRT:
    """A double of one TensorRT release, made from a dump of its real API, in this process and in those it starts."""

    dump: str
    folder: Path
    patch: pytest.MonkeyPatch
    name: str = "tensorrt"  # of the package: TensorRT's, or that of TensorRT for RTX

    @property
    def version(self) -> str:
        return self.dump

    @property
    def major(self) -> int:
        return int(self.dump.split(".")[0])

    def install(self, dump: str) -> None:
        """Be this release from now on."""
        self.dump = dump
        package = self.folder / self.name
        package.mkdir(parents=True, exist_ok=True)
        text = f"""import importlib.util
spec = importlib.util.spec_from_file_location("tensorrt_double", {str(DOUBLES / "tensorrt_double.py")!r})
double = importlib.util.module_from_spec(spec)
spec.loader.exec_module(double)
double.install(__name__, {str(SAMPLES / f"{self.name}_api_{dump}.json")!r})
"""
        (package / "__init__.py").write_text(text)
        shutil.rmtree(package / "__pycache__", ignore_errors=True)
        importlib.invalidate_caches()
        self.patch.delitem(sys.modules, self.name, raising=False)


@pytest.fixture(scope="session")
def libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for NVIDIA's driver whose GPU memory is the host's."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make a stand-in for the NVIDIA driver")
    library = tmp_path_factory.mktemp("cuda") / "libcuda.so"
    source = str(DOUBLES / "libcuda_double.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), source], check=True)
    return library


@pytest.fixture
def double_of(tmp_path: Path, libcuda: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], TensorRT]:
    """Makes a double of a release, by its version and the name of its package, with a GPU to match."""
    pytest.importorskip("onnxruntime")

    def make(version: str, name: str = "tensorrt") -> TensorRT:
        monkeypatch.setenv("EDGEKIT_LIBCUDA", str(libcuda))
        monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
        monkeypatch.syspath_prepend(str(tmp_path / "packages"))
        release = TensorRT(version, tmp_path / "packages", monkeypatch, name)
        release.install(version)
        monkeypatch.setitem(sys.modules, name, None)  # what is there afterwards is what was there before
        monkeypatch.delitem(sys.modules, name)
        return release

    return make


@pytest.fixture(params=["8.6.1", "10.3.0", "11.4.0.106"])
def tensorrt(request: pytest.FixtureRequest, double_of: Callable[[str], TensorRT]) -> TensorRT:
    """A release of each major version, as a double."""
    return double_of(request.param)


@pytest.fixture
def tiny_onnx(tmp_path: Path) -> Callable[..., Path]:
    """Writes a convolution, ReLU6, pooling and linear layer as .onnx; `batch` may be a number or a name."""
    onnx = pytest.importorskip("onnx")

    def write(name: str = "tiny.onnx", batch: int | str = 1, channels: int = 4) -> Path:
        random = np.random.default_rng(0)
        make, real = onnx.helper, onnx.TensorProto.FLOAT
        weights = {
            "w": random.standard_normal((channels, 3, 3, 3), np.float32),
            "b": random.standard_normal(channels, np.float32),
            "low": np.float32(0),
            "high": np.float32(6),
            "fc": random.standard_normal((5, channels), np.float32),
        }
        nodes = [
            make.make_node("Conv", ["x", "w", "b"], ["c"], pads=[0, 0, 1, 1], strides=[2, 2]),
            make.make_node("Clip", ["c", "low", "high"], ["r"]),
            make.make_node("GlobalAveragePool", ["r"], ["p"]),
            make.make_node("Flatten", ["p"], ["f"]),
            make.make_node("Gemm", ["f", "fc"], ["y"], transB=1),
        ]
        graph = make.make_graph(
            nodes,
            "tiny",
            [make.make_tensor_value_info("x", real, [batch, 3, 16, 16])],
            [make.make_tensor_value_info("y", real, [batch, 5])],
            [onnx.numpy_helper.from_array(value, key) for key, value in weights.items()],
        )
        path = tmp_path / name
        onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8), path)
        return path

    return write


@pytest.fixture
def hosted_tflite() -> Path:
    """A real uint8 network from the folder beside the checkout."""
    path = HOSTED / "mobilenet_v1_0_25_128_quant.tflite"
    if not path.is_file():
        pytest.skip(NO_DATA)
    return path


def once(factory: pytest.TempPathFactory, name: str, prepare: Callable[[Path], None]) -> Path:
    """A folder that `prepare` fills once for all processes of a run."""
    folder = factory.getbasetemp().parent / f"{name}-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    with locked(folder.with_suffix(".lock")):
        if not folder.with_suffix(".done").exists():
            folder.mkdir(exist_ok=True)
            prepare(folder)
            folder.with_suffix(".done").touch()
    return folder


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `edgekit demo` ran, with two networks that were trained for a moment only, and fewer images."""
    for name in ("torch", "onnx", "onnxruntime", "ai_edge_litert", "sklearn", "vl_convert"):
        pytest.importorskip(name)

    def prepare(folder: Path) -> None:
        from edgekit.demonstration import digits

        courses = (command.Course("lenet5", None, 2), command.Course("mobilenet", 0.25, 2))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "COURSES", courses)
            patch.setattr(digits, "PARTS", {"test": 100, "calibration": 50})
            result = command.demo(out=folder / "demo")
        (folder / "result.json").write_text(json.dumps(result.to_json()), encoding="utf-8")

    return once(tmp_path_factory, "demo", prepare)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server; the client's configuration has it as `board`."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    found = make(tmp_path / "ssh")
    monkeypatch.setenv("EDGEKIT_SSH_CONFIG", str(found.folder / "config"))
    found.start()
    yield found
    for link in found.links:
        disconnect(link)
    found.stop()


@pytest.fixture
def board(server: Server) -> SshLink:
    """A link to it."""
    return server.link()
