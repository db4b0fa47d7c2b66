"""`make bench-self`: what this project claims of itself, measured in one run on this machine.

Real weights and images are read from a folder beside the checkout (or `--data DIR`); the bare script that the export
is compared with needs the environment of `make oracle`. What is missing is said, and never counted as reached.
Times are compared by ratio, interleaved, medians; accuracies are top-1 on named images, with paired intervals.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import edgekit
from edgekit.checkpoints.load import load
from edgekit.frontend.tracer import trace
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.network.spec import variant
from edgekit.network.user_model import find
from scripts import (
    bench_cost,
    bench_measuring,
    bench_sweep,
    bench_zoo,
)
from scripts.bench_helpers import (
    BARE_NETWORK,
    BARE_TFLITE,
    ORACLE,
    ROOT,
    Line,
    as_installed,
    count,
    evaluated,
    interleaved,
    paired_points,
    paths,
    points,
)
from scripts.fleet import bench_fleet
from scripts.int8 import causes, kernels, quality, tried

HEAVY = ("torch", "onnx", "onnxruntime", "tensorflow", "ai_edge_litert", "sqlalchemy")


def main() -> int:
    """Run the sections that were asked for, print their lines, and fail when a claim is not reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="real weights and images")
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), help="sections to run (default: all)")
    arguments = parser.parse_args()
    found: list[Line] = []
    as_installed()
    with tempfile.TemporaryDirectory(prefix="edgekit-bench-self-") as scratch:
        os.chdir(scratch)
        for name in arguments.only or SECTIONS:
            print(f"\n{name}", flush=True)
            for line in SECTIONS[name](arguments.data, Path(scratch)):
                mark = {True: "reached", False: "MISSED", None: "not measured"}[line.reached]
                print(f"  {mark:12} {line.claim}: {line.measured} (target: {line.target})", flush=True)
                found.append(line)
    missed = [line for line in found if line.reached is False]
    print(
        f"\n{sum(line.reached is True for line in found)} reached, {len(missed)} missed, "
        f"{sum(line.reached is None for line in found)} not measured"
    )
    return 1 if missed else 0


# The command's own start


def start(data: Path, scratch: Path) -> Iterator[Line]:
    """`edgekit --help` against the import of what draws it."""
    help_command = [sys.executable, "-m", "edgekit", "--help"]
    bare = [sys.executable, "-c", "import typer, rich"]
    ratio, ours, theirs = interleaved(help_command, bare, 15)
    yield Line(
        "edgekit --help over `import typer, rich`", "<= 3", f"{ratio:.2f} ({ours:.2f} s, {theirs:.2f} s)", ratio <= 3
    )
    done = subprocess.run([sys.executable, "-c", IMPORTS_OF_HELP], capture_output=True, text=True, check=True)
    yield Line("heavy packages that --help imports", "none", done.stderr.strip(), done.stderr.strip() == "[]")


IMPORTS_OF_HELP = f"""
import sys
from edgekit.cli.main import main
sys.argv = ['edgekit', '--help']
try:
    main()
finally:
    print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
"""


def export_time(data: Path, scratch: Path) -> Iterator[Line]:
    """The export command against a script that calls the other converter and torch's faster ONNX exporter."""
    if not ORACLE.exists():
        yield Line("export over a bare script", "<= 1.15", "needs `make oracle`", None)
        return
    script = scratch / "bare.py"
    script.write_text(BARE_SCRIPT)
    ours = [
        sys.executable,
        "-m",
        "edgekit",
        "export",
        "mobilenet",
        "--alpha",
        "0.5",
        "--res",
        "160",
        "--out",
        str(scratch / "a"),
    ]
    ratio, mine, theirs = interleaved(ours, [str(ORACLE), str(script), str(scratch)], 5)
    yield Line(
        "export mobilenet 0.5/160, onnx + tflite, over a bare script",
        "<= 1.15",
        f"{ratio:.2f} ({mine:.1f} s, {theirs:.1f} s)",
        ratio <= 1.15,
    )


BARE_SCRIPT = f"""{BARE_NETWORK}
x = (torch.zeros(1, 3, 160, 160),)
torch.onnx.export(net, x, sys.argv[1] + "/bare.onnx", dynamo=False)
{BARE_TFLITE}"""


# Accuracy of what ships


def with_hosted(weights: Path, data: Path, scratch: Path) -> tuple[dict[tuple[str, str], Path], Path]:
    """Our files of hosted weights, by format and precision, and the hosted file where no manifest is beside it."""
    made = edgekit.export(
        "mobilenet", weights=str(weights), precision=["fp32", "int8"], data=data / "imagenet_calibration"
    )
    return paths(made), Path(shutil.copy(weights, scratch))


def hosted(data: Path, scratch: Path) -> Iterator[Line]:
    """MobileNet with the hosted weights: float equals the hosted file, int8 loses little."""
    for alpha, resolution in (("0_5", 160), ("0_25", 128)):
        weights = data / "mobilenet_v1_hosted" / f"mobilenet_v1_{alpha}_{resolution}_quant.tflite"
        if not weights.exists():
            yield Line(f"hosted {alpha}/{resolution}", "-", f"{weights} is missing", None)
            continue
        files, reference = with_hosted(weights, data, scratch)
        result = evaluated([*files.values(), reference], data / "imagenet_val", scratch, foreign=True)
        name = f"mobilenet {alpha.replace('_', '.')}/{resolution}"
        for format in ("onnx", "tflite"):
            full, small = files[format, "fp32"], files[format, "int8"]
            gap = points(result, full) - points(result, reference)
            yield Line(
                f"{name} {format} fp32 against the hosted uint8 file, {count(result)} images",
                "within 0.7 points",
                f"{points(result, full):.1f} % against {points(result, reference):.1f} %",
                abs(gap) <= 0.7,
            )
            drop, low, high = paired_points(result, small, full)
            yield Line(
                f"{name} {format} int8 under fp32",
                "at most 1.5 points",
                f"{drop:+.1f} points (95 % paired {low:+.1f} .. {high:+.1f})",
                drop >= -1.5,
            )


def latency(data: Path, scratch: Path) -> Iterator[Line]:
    """int8 against the hosted uint8 file and against float, one thread."""
    weights = data / "mobilenet_v1_hosted" / "mobilenet_v1_0_5_160_quant.tflite"
    if not weights.exists():
        yield Line("latency of int8", "<= 0.55", f"{weights} is missing", None)
        return
    files, reference = with_hosted(weights, data, scratch)
    names = {
        "hosted": reference,
        "tflite int8": files["tflite", "int8"],
        "tflite fp32": files["tflite", "fp32"],
        "onnx int8": files["onnx", "int8"],
        "onnx fp32": files["onnx", "fp32"],
    }
    medians = {name: [] for name in names}  # type: dict[str, list[float]]
    for _ in range(10):
        for name, path in names.items():
            row = edgekit.bench([path], threads=1, preset="quick").to_json()["measurements"][0]
            medians[name].append(row["median_ms"])
    ms = {name: statistics.median(values) for name, values in medians.items()}
    for claim, over, limit in (
        ("tflite int8", "hosted", 0.50),
        ("tflite int8", "tflite fp32", 0.50),
        ("onnx int8", "onnx fp32", 0.58),
    ):
        ratio = statistics.median(a / b for a, b in zip(medians[claim], medians[over], strict=True))
        yield Line(
            f"{claim} over {over}, one thread",
            f"<= {limit}",
            f"{ratio:.2f} ({ms[claim]:.2f} ms, {ms[over]:.2f} ms)",
            ratio <= limit,
        )
    operators = edgekit.inspect(files["tflite", "int8"]).operators or {}
    extra = {name: operators[name] for name in ("TRANSPOSE", "PAD", "PADV2") if name in operators}
    yield Line("TRANSPOSE and PAD in tflite int8", "none", str(extra or "none"), not extra)


def loaders(data: Path, scratch: Path) -> Iterator[Line]:
    """Networks whose BatchNorm is not folded yet: Keras' MobileNet and a CIFAR ResNet."""
    keras = data / "weights" / "mobilenet_0.25_128_keras.h5"
    if keras.exists():
        made = edgekit.export("mobilenet", weights=str(keras), format=["tflite"])
        path = made.artifacts[0].path
        result = evaluated([path], data / "imagenet_calibration", scratch)
        yield Line(
            f"Keras .h5 0.25/128 on the {count(result)} calibration images (a check of the loader)",
            ">= 44 %",
            f"{points(result, path):.1f} %",
            points(result, path) >= 44,
        )
    checkpoint = data / "weights" / "resnet20_cifar10.th"
    if checkpoint.exists():
        test, train = (data / "cifar10" / f"{part}_1000.png" for part in ("test", "train"))
        made = edgekit.export("resnet20_cifar", weights=str(checkpoint), precision=["fp32", "int8"], data=train)
        files = paths(made)
        result = evaluated(list(files.values()), test, scratch)
        for (format, precision), path in files.items():
            if precision == "fp32":
                yield Line(
                    f"CIFAR ResNet-20 {format} fp32 on {count(result)} test images",
                    ">= 91 %",
                    f"{points(result, path):.1f} %",
                    points(result, path) >= 91,
                )
            else:
                drop, low, high = paired_points(result, path, files[format, "fp32"])
                yield Line(
                    f"CIFAR ResNet-20 {format} int8 under fp32",
                    "at most 1 point",
                    f"{drop:+.1f} points (95 % paired {low:+.1f} .. {high:+.1f})",
                    drop >= -1,
                )


def odd_sizes(data: Path, scratch: Path) -> Iterator[Line]:
    """TensorFlow's SAME at odd resolutions: the last feature map of the hosted float network, resized in LiteRT."""
    weights = data / "mobilenet_v1_hosted" / "mobilenet_v1_0_25_224_float.tflite"
    if not weights.exists():
        yield Line("SAME at odd resolutions", "-", f"{weights} is missing", None)
        return
    for resolution in (97, 100, 161):
        x = torch.rand(1, 3, resolution, resolution, generator=torch.Generator().manual_seed(0)) * 2 - 1
        want, got = hosted_features(weights, x), our_features(weights, x)
        error = float(np.abs(got - want).max() / np.abs(want).max())
        yield Line(
            f"largest error of the last feature map at {resolution} pixels, over its largest value",
            "<= 1e-5",
            f"{error:.1e}, shape {want.shape}",
            error <= 1e-5,
        )


def hosted_features(weights: Path, x: torch.Tensor) -> NDArray[np.float32]:
    """What the hosted file hands to its average pooling (which is fixed at 7x7), (1, H, W, C)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(weights), experimental_preserve_all_tensors=True)
    entry = interpreter.get_input_details()[0]["index"]
    pooled = next(op["inputs"][0] for op in interpreter._get_ops_details() if op["op_name"] == "AVERAGE_POOL_2D")
    interpreter.resize_tensor_input(entry, [1, *x.shape[2:], 3])
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, x.permute(0, 2, 3, 1).contiguous().numpy())
    interpreter.invoke()
    found: NDArray[np.float32] = interpreter.get_tensor(pooled)
    return found


def our_features(weights: Path, x: torch.Tensor) -> NDArray[np.float32]:
    """What our network with the same weights hands to its mean, (1, H, W, C)."""
    point = variant(find("mobilenet", None), 0.25, x.shape[2], 1001)
    network = point.build()
    load(network, point, str(weights))
    graph = fold(trace(network, point.input_shape)).graph
    pooled = next(op.inputs[0] for op in graph if op.kind == "mean")
    kept: dict[str, torch.Tensor] = {}
    graph.run(x, observe=lambda op, y: kept.__setitem__(op.name, y) if op.name == pooled else None)
    return kept[pooled].permute(0, 2, 3, 1).numpy()


SECTIONS: dict[str, Callable[[Path, Path], Iterable[Line]]] = {
    "start": start,
    "export time": export_time,
    "hosted weights": hosted,
    "latency": latency,
    "loaders": loaders,
    "odd sizes": odd_sizes,
    "squeezenet": bench_zoo.squeezenet,
    "int8 pooled": quality.pooled,
    "int8 part by part": causes.causes,
    "int8 tried": tried.tried,
    "int8 equalized": tried.equalized,
    "int8 keras": quality.keras,
    "int8 kernels": kernels.kernels,
    "int8 safe range": kernels.safe_range,
    "int8 weights alone": quality.weights_alone,
    "int8 peers": quality.peers,
    "float latency": bench_cost.float_latency,
    "tflite time": bench_cost.tflite_time,
    "memory": bench_cost.memory,
    "reading": bench_cost.reading,
    "installation": bench_cost.installation,
    "harness": bench_measuring.harness,
    "telling apart": bench_measuring.telling_apart,
    "telling stored apart": bench_measuring.telling_stored_apart,
    "verdicts": bench_measuring.verdicts,
    "ssh": bench_measuring.ssh,
    "sweep": bench_sweep.sweep,
    "workers": bench_sweep.beside_xargs,
    "report": bench_sweep.report,
    "scheduling": bench_fleet.scheduling,
    "boards": bench_fleet.boards,
}


if __name__ == "__main__":
    sys.exit(main())
