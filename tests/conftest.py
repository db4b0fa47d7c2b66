"""Files that really run, for every test that needs one."""

from __future__ import annotations

import importlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.links.ssh.link import SshLink
from edgekit.demonstration import command
from tests.bench.ssh_server import Server as Server
from tests.bench.ssh_server import disconnect, make, missing

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"
DOUBLES = Path(__file__).resolve().parent / "exporters"
# A shell ignores SIGINT in what it starts in the background, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
HOSTED = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "mobilenet_v1_hosted"
LONGEST = ("test_docs.py", "test_demo.py", "test_ci.py", "test_sweep.py")  # minutes in one process


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first, beside all the others: at the end one would keep the rest of the processors waiting."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@dataclass
class TensorRT:
    """A double of one TensorRT release, made from a dump of its real API, in this process and in those it starts."""

    dump: str
    folder: Path
    patch: pytest.MonkeyPatch

    @property
    def version(self) -> str:
        return self.dump

    @property
    def major(self) -> int:
        return int(self.dump.split(".")[0])

    def install(self, dump: str) -> None:
        """Be this release from now on."""
        self.dump = dump
        package = self.folder / "tensorrt"
        package.mkdir(parents=True, exist_ok=True)
        text = f"""import importlib.util
spec = importlib.util.spec_from_file_location("tensorrt_double", {str(DOUBLES / "tensorrt_double.py")!r})
double = importlib.util.module_from_spec(spec)
spec.loader.exec_module(double)
double.install(__name__, {str(SHARED / "samples" / f"tensorrt_api_{dump}.json")!r})
"""
        (package / "__init__.py").write_text(text)
        shutil.rmtree(package / "__pycache__", ignore_errors=True)
        importlib.invalidate_caches()
        self.patch.delitem(sys.modules, "tensorrt", raising=False)


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


@pytest.fixture(params=["8.6.1", "10.3.0", "11.4.0.106"])
def tensorrt(
    request: pytest.FixtureRequest, tmp_path: Path, libcuda: Path, monkeypatch: pytest.MonkeyPatch
) -> TensorRT:
    """Each TensorRT release whose real API is known, as a double, with a GPU to match."""
    if not (SHARED / "samples" / f"tensorrt_api_{request.param}.json").is_file():
        pytest.skip("../shared/samples has the dumps of TensorRT's API, and is not here")
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("EDGEKIT_LIBCUDA", str(libcuda))
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    release = TensorRT(request.param, tmp_path / "packages", monkeypatch)
    release.install(request.param)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # what is there afterwards is what was there before
    monkeypatch.delitem(sys.modules, "tensorrt")
    return release


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
    path = (HOSTED / "mobilenet_v1_0_25_128_quant.tflite").resolve()
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `edgekit demo` ran, with two networks that were trained for a moment only."""
    for name in ("torch", "onnx", "onnxruntime", "ai_edge_litert", "sklearn", "vl_convert"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("demo")
    courses = (command.Course("lenet5", None, 3), command.Course("mobilenet", 0.25, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "COURSES", courses)
        result = command.demo(out=folder / "demo")
    (folder / "result.json").write_text(json.dumps(result.to_json()), encoding="utf-8")
    return folder


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
