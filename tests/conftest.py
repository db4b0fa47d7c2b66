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

from edgekit import keywords
from edgekit.bench.links.ssh.link import SshLink
from edgekit.demonstration import command
from edgekit.util.files import locked
from tests.bench.ssh_server import Server as Server
from tests.bench.ssh_server import disconnect, make, missing
from tests.paths import DATA, HOSTED, NO_DATA, SAMPLES, TESTS
from tests.short import shorten

DOUBLES = TESTS / "exporters"
# A shell ignores SIGINT in what it starts in the background, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Texts are as wide as where there is no terminal, whatever terminal the tests are started from.
os.environ.pop("COLUMNS", None)
shorten()
# Messages are tested as they are written: which verbs are loaded, and turn options into keywords, depends on the tests
# before. tests/test_keywords.py asks for Python's words.
PARAMETERS, keywords.parameters = keywords.parameters, dict
# Files that `make quick` leaves out: 2.5 seconds and more of a processor, with the processes that they start.
SLOW = frozenset(
    [
        "test_packaging",
        "test_redact",
        "bench/android/test_benchmark_model",
        "bench/links/ssh/test_link",
        "bench/links/ssh/test_link_cut",
        "bench/links/ssh/test_link_lost",
        "bench/links/ssh/test_link_refused",
        "bench/links/ssh/test_process",
        "bench/links/test_adb",
        "bench/links/test_adbd",
        "bench/links/test_remote_session",
        "bench/ondevice/runtimes/test_tensorrt",
        "bench/ondevice/test_profiler",
        "bench/ondevice/test_runner",
        "bench/ondevice/test_standalone",
        "bench/test_killed",
        "checkpoints/keras/test_reader",
        "checkpoints/test_hosted",
        "checkpoints/test_hostile_files",
        "checkpoints/test_load",
        "checkpoints/test_random",
        "cli/test_border",
        "cli/test_main",
        "cli/test_output",
        "demonstration/test_command",
        "demonstration/test_digits",
        "device/test_android",
        "device/test_android_adbd",
        "device/test_android_download",
        "device/test_android_session",
        "device/test_jetson",
        "device/test_linux_sessions",
        "device/test_over_ssh",
        "device/test_runtimes_over_ssh",
        "docs/test_ci",
        "docs/test_docs",
        "docs/test_errata",
        "docs/test_extending",
        "docs/test_notebook",
        "docs/test_ways",
        "evaluation/test_command",
        "evaluation/test_command_refused",
        "exporters/int8/test_quantize",
        "exporters/int8/test_quantize_file",
        "exporters/onnx/test_kinds",
        "exporters/onnx/test_writer",
        "exporters/pt2/test_kinds",
        "exporters/pt2/test_writer",
        "exporters/tensorrt/test_writer",
        "exporters/test_golden_bytes",
        "exporters/test_head",
        "exporters/tflite/test_flatbuffer",
        "exporters/tflite/test_kinds",
        "exporters/tflite/test_operators",
        "exporters/tflite/test_writer",
        "exporting/test_command",
        "exporting/test_export_file_written",
        "exporting/test_first_fault",
        "exporting/test_int8_bad_input",
        "exporting/test_int8w",
        "exporting/test_latency_gate",
        "exporting/test_mixed_precision",
        "exporting/test_several",
        "exporting/test_source_answers",
        "exporting/test_whole_inputs",
        "importers/onnx/test_node_tests",
        "importers/tflite/test_own_files",
        "importers/tflite/test_reader",
        "inspection/test_command",
        "inspection/test_pairs",
        "inspection/test_snippets",
        "inspection/test_snippets_arrays",
        "inspection/test_snippets_call",
        "ir/passes/test_fold_batch_norm",
        "measure/test_bench_profile",
        "measure/test_clock",
        "measure/test_command",
        "measure/test_input_shapes",
        "measure/test_versus",
        "models/test_classics",
        "models/test_every_network",
        "models/test_searched",
        "network/test_catalog",
        "network/test_program",
        "network/test_shipped",
        "network/test_user_model",
        "records/test_onnx_parts",
        "reporting/test_browser",
        "reporting/test_charts_profile",
        "reporting/test_command",
        "reproduction/test_command",
        "reproduction/test_zoo_page",
        "scripts/test_fleet_kills",
        "scripts/test_fuzz",
        "scripts/test_gpu_check",
        "scripts/zoo/test_table",
        "storage/test_keeping",
        "storage/test_store",
        "storage/test_store_postgresql",
        "sweeps/test_command",
        "sweeps/test_devices",
        "sweeps/fleet/test_engine",
        "sweeps/fleet/test_tls",
        "sweeps/fleet/test_work",
        "tensorrt/test_builder_over_ssh",
        "tensorrt/test_every_release",
        "tensorrt/test_rtx",
        "tensorrt/test_trtexec_over_ssh",
    ]
)
# Minutes in one process each.
LONGEST = ("docs/test_docs.py", "docs/test_ci.py", "demonstration/test_command.py", "sweeps/test_command.py")
# What may be skipped where everything that can be installed is there, by the beginning of the reason.
EXPECTED_SKIPS = (
    "root writes everywhere",
    "no Python 3.",  # an old interpreter, for the device side
    "no Kotlin compiler here",
    "the package tflite is not installed",  # in the environment of `make oracle`
    "could not import 'torchvision",
    "it has no BatchNorm",
    "this machine has a CUDA GPU",
    "this Python does not read its clock",
    "the driver is here",
    "TensorRT for RTX is not installed",  # wheels for Linux on x86-64 alone
    "no benchmark_model was built here",  # of a Debian release that moves
    # What the kernel lets nobody make in a container.
    "no namespaces for a phone here",
    "no network namespace can be made here",
    "no namespace of processes can be made here",
    "no small file system can be mounted here",
)
_skipped: dict[str, str] = {}


def is_slow(path: Path) -> bool:
    """Whether `make quick` leaves a file of tests out."""
    return path.is_relative_to(TESTS) and path.relative_to(TESTS).with_suffix("").as_posix() in SLOW


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what `make quick` leaves out; None lets pytest decide."""
    return True if "not slow" in config.option.markexpr and is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first, beside all the others: at the end one would keep the rest of the processors waiting."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))
    for item in items:
        if is_slow(item.path):
            item.add_marker(pytest.mark.slow)
    if not DATA.is_dir():
        for item in items:
            if item.get_closest_marker("data"):
                item.add_marker(pytest.mark.skip(reason=NO_DATA))


def pytest_collection_finish() -> None:
    """Ten thousand tests and torch are never garbage, so that no collection need look through them again."""
    gc.collect()
    gc.freeze()


def seed() -> None:
    """Let weights that a test draws be the same whichever tests are collected, or run before it.

    `torch.manual_seed` would also note a traceback for each kind of accelerator, at 0.6 ms a call.
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


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped without being expected to be."""
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if not reason.startswith(EXPECTED_SKIPS):
            _skipped[report.nodeid] = reason


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With EDGEKIT_NO_SKIPS, as in continuous integration, an unexpected skip fails the run: it hides a feature."""
    if _skipped and "EDGEKIT_NO_SKIPS" in os.environ and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which skips failed the run."""
    if _skipped and "EDGEKIT_NO_SKIPS" in os.environ:
        terminalreporter.section("skipped, and nobody expected it")
        for test, reason in sorted(_skipped.items()):
            terminalreporter.line(f"{test}: {reason}")


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
