"""The runtimes' own profilers, on files that really run: every layer's time is found, and nothing is dropped."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.links.base import ask
from edgekit.bench.links.local import LocalLink
from edgekit.bench.links.ssh.link import SshLink
from edgekit.bench.ondevice.profilers import litert, onnxruntime
from edgekit.errors import BackendMissing, EdgekitError
from edgekit.measure.profile import CONVERSIONS, by_layer

SHORT = {"threads": 1, "batch": 1, "warmup_seconds": 0.0, "min_seconds": 0.0, "max_seconds": 20.0}
NETWORKS = {"resnet20_cifar": None, "googlenet": 64, "efficientnet_b0": 32}  # residual; inception and LRN; SE and SiLU
FILES = (
    *(("resnet20_cifar", format, precision) for format in ("onnx", "tflite") for precision in ("fp32", "int8")),
    *(("googlenet", "onnx", "fp32"), ("googlenet", "tflite", "int8")),
    *(("efficientnet_b0", "onnx", "fp32"), ("efficientnet_b0", "onnx", "int8"), ("efficientnet_b0", "tflite", "int8")),
)
RUNTIMES = {"onnx": "onnxruntime", "tflite": "litert"}
HEAVY = ("Conv", "Gemm", "MatMul", "Fully Connected", "conv")


def profiled(path: Path, **more: Any) -> dict[str, Any]:
    job = {"mode": "memory", "runtime": RUNTIMES[path.suffix[1:]], "artifact": str(path), **SHORT, **more}
    return ask(LocalLink(), job, 120, "profile")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, str], tuple[Path, list[dict[str, Any]]]]:
    """A network of the zoo, small, as a file with its layer table."""
    for package in ("torch", "onnx", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(package)
    from edgekit.data import calibration
    from edgekit.exporters import FORMATS, WriteJob
    from edgekit.exporters.int8.quantize import quantize
    from edgekit.exporters.int8.ranges import record
    from edgekit.frontend.tracer import trace
    from edgekit.ir.layer_costs import layer_costs
    from edgekit.ir.passes.fold_batch_norm import fold
    from edgekit.network.spec import variant
    from edgekit.network.user_model import find

    folder, graphs = tmp_path_factory.mktemp("profiled"), {}

    def write(name: str, format: str, precision: str) -> tuple[Path, list[dict[str, Any]]]:
        if name not in graphs:
            point = variant(find(name, None), resolution=NETWORKS[name])
            graph = fold(trace(point.build().eval(), point.input_shape)).graph
            noise = calibration.synthetic(point.input_shape, point.spec.preprocessing, 2, 0)
            graphs[name] = graph, record(graph, noise)
        graph, ranges = graphs[name]
        scheme = {"onnx": "onnxruntime", "tflite": "tflite"}[format]
        quantized = quantize(graph, ranges, scheme, "fast") if precision == "int8" else None
        job = WriteJob(quantized.graph if quantized else graph, precision, quantized)
        path = folder / f"{name}_{precision}.{format}"
        FORMATS[format].write(job, path)
        return path, layer_costs(job.graph, precision == "fp16" and FORMATS[format].keeps_half, quantized)

    return write


@pytest.mark.parametrize(("network", "format", "precision"), FILES)
def test_every_layer_is_found_once_and_no_time_is_lost(
    written: Callable[..., tuple[Path, list[dict[str, Any]]]], network: str, format: str, precision: str
) -> None:
    path, layers = written(network, format, precision)
    found = profiled(path)
    rows, absent = by_layer(found["operators"], layers)
    placed = [name for row in rows for name in row.layers]
    assert absent == () and sorted(placed) == sorted(one["name"] for one in layers if one["kind"] != "input")
    assert sum(row.ms for row in rows) == pytest.approx(sum(one["ns"] for one in found["operators"]) / 1e6)
    assert sum(row.macs or 0 for row in rows) == sum(one["macs"] for one in layers)
    own = [row for row in rows if not row.layers]
    assert all(CONVERSIONS.match(row.name) for row in own) and all(row.bytes is None for row in own)
    for row in rows:
        if row.macs:
            assert any(word in row.operators for word in HEAVY), row
            assert row.bytes and row.bytes > 0
            assert not row.int8 or any(word in row.operators for word in ("QLinear", "QGemm", "QC8"))
    assert (sum(row.int8 for row in rows) > len([row for row in rows if row.macs]) / 2) == (precision == "int8")
    assert found["plain_ns"] > 0 and found["total_ns"] > 0 and found["runs"] == 10
    assert found["waited"] is None or 0 <= found["waited"] <= 1


def test_a_fused_layer_moves_only_what_leaves_it(written: Callable[..., tuple[Path, list[dict[str, Any]]]]) -> None:
    """A convolution of ResNet-20 with its ReLU: 16 x 16 weights of 3 x 3, 16 biases, 16 maps of 32 x 32 in and out."""
    for precision, size in (("fp32", 4), ("int8", 1)):
        path, layers = written("resnet20_cifar", "onnx", precision)
        rows, _ = by_layer(profiled(path)["operators"], layers)
        row = next(row for row in rows if row.name == "layer1.1.conv1")
        assert row.layers == ("layer1.1.conv1", "layer1.1.relu_3") and row.kind == "conv 3x3"
        assert row.bytes == 2304 * size + 16 * 4 + 2 * 16 * 32 * 32 * size and row.macs == 2304 * 32 * 32


def test_a_file_without_a_table_shows_the_runtimes_operators(tiny_onnx: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime")
    found = profiled(tiny_onnx(batch="N"), batch=3)
    rows, absent = by_layer(found["operators"], [])
    assert absent == () and len(rows) == len(found["operators"]) > 0
    assert all(row.macs is None and row.layers == () for row in rows)


def test_what_cannot_be_profiled_says_so(written: Callable[..., tuple[Path, list[dict[str, Any]]]]) -> None:
    path, _ = written("resnet20_cifar", "tflite", "fp32")
    with pytest.raises(BackendMissing, match="with its own delegate, XNNPACK, and with no other"):
        profiled(path, delegate="none")
    with pytest.raises(EdgekitError, match="fixes its batch|the batch of the file"):
        profiled(path, batch=2)


def test_a_trace_of_an_older_release_is_read() -> None:
    """It has events before and after each node, and warm-up inferences that do not count."""

    def inference(node: int, whole: int) -> list[dict[str, Any]]:
        about = {"node_index": "7", "op_name": "Conv"}
        events = [("conv1_fence_before", 1), ("conv1_kernel_time", node), ("conv1_fence_after", 1)]
        nodes = [{"cat": "Node", "name": name, "dur": time, "args": about} for name, time in events]
        return [*nodes, {"cat": "Session", "name": "model_run", "dur": whole, "args": {}}]

    events = [{"cat": "Session", "name": "session_initialization", "dur": 99}, *inference(900, 1000)]
    for node, whole in ((10, 15), (12, 16), (30, 40)):
        events += inference(node, whole)
    found = onnxruntime.read(events, 3)
    assert found["operators"] == [{"name": "conv1", "op": "Conv", "ns": 12_000}] and found["total_ns"] == 16_000
    with pytest.raises(RuntimeError, match="kept 4 of 5"):
        onnxruntime.read(events, 5)


def test_xnnpacks_operators_are_laid_beside_the_files() -> None:
    convolution, dense = "Convolution (NHWC, F32) IGEMM", "Fully Connected (NC, F32) GEMM"
    # the padding goes into the convolution, the activation follows the addition, the mean is reshaped
    xnnpack = [convolution, "Add (ND)", "Clamp (NC)", dense, "Mean (ND) Reduce2", "Static Reshape (NC)", dense]
    file = ["PAD", "CONV_2D", "ADD", "PAD", "CONV_2D", "MEAN", "FULLY_CONNECTED"]
    assert litert.aligned(xnnpack, file) == [1, 2, 2, 4, 5, 5, 6]
    # sigmoid and product became one operator whose name says nothing
    assert litert.aligned([convolution, "Invalid Unary Op", dense], ["CONV_2D", "LOGISTIC", "MUL", "CONV_2D"])[1] in (
        1,
        2,
    )
    assert litert.aligned(["Convolution (NHWC, F32) DWConv"], ["CONV_2D"]) == [None]
    assert litert.aligned([dense], ["CONV_2D", "CONV_2D"]) == [None], "a weight cannot be joined away"
    assert litert.aligned([], []) == [] and litert.aligned(["Copy (NC, X8)"], []) == [None]


def test_order_is_kept_whatever_is_laid_beside() -> None:
    chance = random.Random(0)
    words = {"CONV_2D": "Convolution (NHWC, F32) IGEMM", "ADD": "Add (ND)", "MUL": "Multiply (ND)", "PAD": ""}
    for _ in range(200):
        file = chance.choices(list(words), k=chance.randrange(1, 15))
        ran = [(at, words[builtin]) for at, builtin in enumerate(file) if words[builtin]]
        assert litert.aligned([word for _, word in ran], file) == [at for at, _ in ran]


def test_a_device_over_ssh_is_asked_the_same_way(board: SshLink, tiny_onnx: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime")
    job = {"mode": "memory", "runtime": "onnxruntime", "artifact": str(tiny_onnx()), **SHORT}
    assert ask(board, job, 120, "profile")["operators"]
    assert ask(board, {"runtime": "onnxruntime", "threads": 1}, 120, "peaks")["gemm_float32_gmacs"] > 0.1
