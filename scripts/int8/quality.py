"""Sections of `make bench-self` about int8: what it loses on real images, and against other quantizers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import edgekit
from edgekit.exporting.stored_values import to_layout
from edgekit.records.artifact import Artifact
from edgekit.stats.accuracy import correct1, paired
from edgekit.stats.proportions import PairedDifference
from scripts.bench_helpers import ORACLE, Images, Line, for_other_converters, hits, images, latency
from tests.oracle.client import Array, Oracle, run_onnx, run_tflite

CALIBRATION_IMAGES = 100
FORMATS = ("onnx", "tflite")


def pooled(data: Path, scratch: Path) -> Iterator[Line]:
    """Every hosted MobileNet: int8 made by us against fp32 and against the hosted quantization-aware file."""
    rows = hosted_rows(data)
    if not rows:
        yield Line("int8 of the hosted networks", "-", f"{data}/mobilenet_v1_hosted is missing", None)
        return
    full, small, google = (dict.fromkeys(FORMATS, "") for _ in range(3))
    equal: dict[str, list[bool]] = {format: [] for format in FORMATS}
    worst = dict.fromkeys(FORMATS, 0.0)
    for weights in rows:
        made = exported("mobilenet", weights, data)
        shown = prepared(made["onnx", "fp32"], data)
        hosted = hits(run_pixels(weights, shown), shown.labels)
        for format in FORMATS:
            real, rounded = (answers(made[format, precision], shown) for precision in ("fp32", "int8"))
            one, other = hits(real, shown.labels), hits(rounded, shown.labels)
            equal[format] += (real.argmax(1) == rounded.argmax(1)).tolist()
            drop = points(one) - points(other)
            worst[format] = max(worst[format], drop)
            full[format] += one
            small[format] += other
            google[format] += hosted
            print(
                f"    {weights.stem} {format}: fp32 {points(one):.1f} %, int8 {points(other):.1f} %, "
                f"hosted uint8 {points(hosted):.1f} %, agreement {np.mean(real.argmax(1) == rounded.argmax(1)):.1%}",
                flush=True,
            )
    for format in FORMATS:
        under = paired(full[format], small[format])
        over, ceiling = (paired(google[format], found[format]) for found in (small, full))
        name = f"{format} int8, {len(rows)} networks x {len(full[format]) // len(rows)} images"
        yield Line(f"{name}, mean against fp32", ">= -0.5 points", interval(under), under.difference * 100 >= -0.5)
        yield Line(f"{name}, largest drop of one", "<= 2.0 points", f"{worst[format]:.1f}", worst[format] <= 2)
        share = float(np.mean(equal[format]))
        yield Line(f"{name}, top-1 agreement with fp32", ">= 95 %", f"{share:.1%}", share >= 0.95)
        low = over.ci95[0] * 100
        shown_points = f"{interval(over)}; of fp32 itself {interval(ceiling)}"
        yield Line(f"{name}, lower bound against the hosted files", ">= -0.5 points", shown_points, low >= -0.5)


def hosted_rows(data: Path) -> list[Path]:
    """The hosted quantization-aware files, in the order of their names."""
    return sorted((data / "mobilenet_v1_hosted").glob("*_quant.tflite"))


def keras(data: Path, scratch: Path) -> Iterator[Line]:
    """A network that was never trained for int8."""
    weights = data / "weights" / "mobilenet_0.25_128_keras.h5"
    if not weights.exists():
        yield Line("int8 of Keras' 0.25/128", "-", f"{weights} is missing", None)
        return
    made = exported("mobilenet", weights, data)
    shown = prepared(made["onnx", "fp32"], data)
    for format in FORMATS:
        real, rounded = (hits(answers(made[format, p], shown), shown.labels) for p in ("fp32", "int8"))
        found = paired(real, rounded)
        yield Line(
            f"Keras 0.25/128 {format} int8 under fp32, {len(real)} images",
            ">= -1.5 points",
            f"{points(real):.1f} % to {points(rounded):.1f} %, {interval(found)}",
            found.difference * 100 >= -1.5,
        )


def weights_alone(data: Path, scratch: Path) -> Iterator[Line]:
    """int8w without images: its size, answers and latency against fp32."""
    for weights in (data / "weights" / "mobilenet_0.25_128_keras.h5", *hosted_rows(data)[5:6]):
        if not weights.exists():
            yield Line(f"int8w of {weights.stem}", "-", f"{weights} is missing", None)
            continue
        files = exported("mobilenet", weights, None, ("fp32", "int8w"))
        shown = prepared(files["onnx", "fp32"], data)
        for format in FORMATS:
            full, small = (files[format, precision] for precision in ("fp32", "int8w"))
            real, rounded = (answers(one, shown) for one in (full, small))
            found = paired(hits(real, shown.labels), hits(rounded, shown.labels))
            name = f"{weights.stem} {format} int8w"
            size = small.path.stat().st_size / full.path.stat().st_size
            yield Line(f"{name}, size over fp32", "<= 0.3", f"{size:.3f}", size <= 0.3)
            agreement = np.mean(real.argmax(1) == rounded.argmax(1))
            told = f"{interval(found)}, agreement {agreement:.1%}"
            yield Line(f"{name} under fp32", ">= -2 points", told, found.difference * 100 >= -2)
            ratio, mine, other = latency(small.path, full.path, 5)
            told = f"{ratio:.3f} ({mine:.2f} ms, {other:.2f} ms)"
            yield Line(f"{name} over fp32, latency, one thread, 5 pairs", "<= 1.05", told, ratio <= 1.05)


def peers(data: Path, scratch: Path) -> Iterator[Line]:
    """MobileNet 0.5/160 in int8 against ai-edge-quantizer's static recipe and onnxruntime's `quantize_static`."""
    weights = data / "mobilenet_v1_hosted" / "mobilenet_v1_0_5_160_quant.tflite"
    if not weights.exists() or not ORACLE.exists():
        missing = weights if ORACLE.exists() else "the environment of `make oracle`"
        yield Line("int8 against other quantizers", "-", f"{missing} is missing", None)
        return
    made = exported("mobilenet", weights, data)
    manifest = made["onnx", "fp32"].manifest
    assert manifest is not None
    shown = prepared(made["onnx", "fp32"], data)
    chosen = images(data / "imagenet_calibration", manifest.preprocessing, shown.inputs[:1].shape, CALIBRATION_IMAGES)
    others = other_files(weights, chosen, scratch)
    timed = {"onnx": made["onnx", "int8"].path, "tflite": integers_throughout(weights, data, scratch)}
    real = answers(made["onnx", "fp32"], shown)
    for name, path in others.items():
        format = path.suffix[1:]
        theirs = (run_tflite if format == "tflite" else run_onnx)(path, laid_out(shown, format))
        ours = answers(made[format, "int8"], shown)
        print(f"    {name}: {quality(theirs, real, shown)}; ours: {quality(ours, real, shown)}", flush=True)
        if name.endswith("(its own ranges)"):
            continue
        found = paired(hits(theirs, shown.labels), hits(ours, shown.labels))
        yield Line(f"{format} int8 against {name}, top-1", ">= 0 less noise", interval(found), found.ci95[1] >= 0)
        ratio, mine, other = latency(timed[format], path, 20)
        shown_ms = f"{ratio:.3f} ({mine:.2f} ms, {other:.2f} ms)"
        yield Line(f"{format} int8 over {name}, latency, one thread, 20 pairs", "<= 1.0", shown_ms, ratio <= 1.0)
    yield _gain(timed["tflite"], made["tflite", "fp32"].path, scratch)


def _gain(int8: Path, fp32: Path, scratch: Path) -> Line:
    """What int8 saves in TFLite, by us and by the others: what the runtime's kernels give bounds both."""
    ours, _, _ = latency(int8, fp32, 20)
    theirs, _, _ = latency(scratch / "quantizer_False.tflite", scratch / "litert.tflite", 20)
    name = "tflite int8 over fp32, ours against the same ratio of ai-edge-quantizer's file over litert-torch's"
    return Line(name, "<= 1.03", f"{ours / theirs:.3f} ({ours:.3f}, {theirs:.3f})", ours / theirs <= 1.03)


def integers_throughout(weights: Path, data: Path, scratch: Path) -> Path:
    """Our TFLite file with int8 input and output, as ai-edge-quantizer writes it."""
    made = edgekit.export(
        "mobilenet",
        weights=str(weights),
        format=["tflite"],
        precision=["int8"],
        data=data / "imagenet_calibration",
        io="int8",
        out=scratch / "io",
    )
    return made.artifacts[0].path


def other_files(weights: Path, chosen: Images, scratch: Path) -> dict[str, Path]:
    """The int8 files that the others make of the same weights and the same calibration images."""
    _, described = for_other_converters("mobilenet", str(weights), scratch)
    calibration = scratch / "calibration.npy"
    np.save(calibration, laid_out(chosen, "tflite"))
    names = {"ai-edge-quantizer (its own ranges)": True, "ai-edge-quantizer (true ranges)": False}
    found = {name: scratch / f"quantizer_{stock}.tflite" for name, stock in names.items()}
    with Oracle(scratch / "oracle.log") as oracle:
        oracle.ask("litert", **described, to=scratch / "litert.tflite")
        for name, stock in names.items():
            oracle.ask("quantize", file=scratch / "litert.tflite", inputs=calibration, stock=stock, to=found[name])
        oracle.ask("onnx", **described, dynamo=False, to=scratch / "torch.onnx")

    found["quantize_static (U8S8 per channel)"] = scratch / "static.onnx"
    quantized_by_onnxruntime(scratch / "torch.onnx", chosen, scratch / "static.onnx")
    return found


def quantized_by_onnxruntime(file: Path, chosen: Images, to: Path, reduce_range: bool = False) -> None:
    """What `quantize_static` makes of a float file: Q/DQ, unsigned activations, signed weights per channel."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    given = onnx.load(file).graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(chosen.inputs)

        def get_next(self) -> dict[str, Array] | None:
            x = next(self.left, None)
            return None if x is None else {given: x[None]}

    quantize_static(
        file,
        to,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=reduce_range,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


# Helpers


def exported(
    model: str, weights: Path, data: Path | None, precisions: tuple[str, ...] = ("fp32", "int8")
) -> dict[tuple[str, str], Artifact]:
    """Artifacts by (format, precision); `data` has the images to calibrate with."""
    images = data / "imagenet_calibration" if data is not None else None
    made = edgekit.export(model, weights=str(weights), precision=precisions, data=images)
    if made.failed:
        raise made.failed[0].error
    return {(a.manifest.format, a.manifest.precision): a for a in made.artifacts if a.manifest}


def prepared(artifact: Artifact, data: Path) -> Images:
    """The validation images as a network of ours wants them."""
    manifest = artifact.manifest
    assert manifest is not None
    return images(data / "imagenet_val", manifest.preprocessing, manifest.variant.input_shape)


def laid_out(shown: Images, format: str) -> Array:
    """The inputs as files of a format take them."""
    return to_layout(shown.inputs, "NHWC" if format == "tflite" else "NCHW")


def answers(artifact: Artifact, shown: Images) -> Array:
    """What one of our files answers."""
    format = artifact.path.suffix[1:]
    return (run_tflite if format == "tflite" else run_onnx)(artifact.path, laid_out(shown, format))


def run_pixels(path: Path, shown: Images) -> NDArray[np.uint8]:
    """What a hosted uint8 file answers to the pixels as they are."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    found = []
    for pixels in shown.pixels:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.concatenate(found)


def points(found: str) -> float:
    """Top-1 in per cent."""
    return correct1(found) / len(found) * 100


def quality(got: Array, want: Array, shown: Images) -> str:
    """Top-1, agreement with the float network, and signal-to-noise of the logits."""
    noise = np.square(got.astype(np.float64) - want).sum()
    decibel = 10 * np.log10(np.square(want.astype(np.float64)).sum() / noise)
    agreement = np.mean(got.argmax(1) == want.argmax(1))
    return f"top-1 {points(hits(got, shown.labels)):.1f} %, agreement {agreement:.1%}, {decibel:.1f} dB"


def interval(found: PairedDifference) -> str:
    """A paired difference in points."""
    low, high = (bound * 100 for bound in found.ci95)
    return f"{found.difference * 100:+.2f} points (95 % paired {low:+.2f} .. {high:+.2f})"
