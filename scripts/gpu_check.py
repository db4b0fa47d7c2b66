"""`make gpu-check`: the desktop-GPU part on a machine that has a CUDA GPU, whatever else that machine lacks.

Runs from a checkout that is not installed, with seeded weights, without network or data; torch and numpy are all it
needs. What else is missing (onnx, onnxruntime with CUDA or TensorRT, TensorRT, TensorRT for RTX, NVML, nvidia-smi) is
left out and said. Writes docs/measured/<gpu>.md with what was run and seen; ends with 1 when an answer on the GPU is
wrong, and with 2, writing nothing, when there is no CUDA GPU.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import importlib.util
import platform
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ("lenet5", "mobilenet", "resnet50", "googlenet", "squeezenet1_0", "vgg16")
WARM_SECONDS, SAMPLES = 1.0, 200
# Largest error over the largest answer: float32 sums in another order; float16 rounds each value at 5e-4.
# int8 is held against its own integers, where a value may round to the next step.
LIMITS = {"fp32": 1e-4, "fp16": 0.1, "int8": 0.1}
POWER_SECONDS, SETTLE_SECONDS = 5.0, 1.0


@dataclass
class Report:
    """What was seen: rows of the table, facts, what was left out, and what was wrong."""

    gpu: str
    facts: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def leave(self, line: str) -> None:
        """Say once what was left out."""
        if line not in self.left_out:
            self.left_out.append(line)

    def attempt(self, what: str, step: Callable[[], None]) -> None:
        """Do a step. Where it breaks, that is wrong and said, and the others are done all the same."""
        try:
            step()
        except Exception as error:  # of libraries and a GPU that were never run here, anything
            self.wrong.append(f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")


def main() -> int:
    """Check, write the page, and say whether all answers were right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "measured", help="folder for the page")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    arguments = parser.parse_args()
    refused = why_not()
    if refused:
        print(f"gpu-check: {refused}", file=sys.stderr)
        return 2
    stand_in_for_pydantic()
    report = Report(gpu=_torch().cuda.get_device_name())
    with tempfile.TemporaryDirectory() as scratch:
        installed_in(Path(scratch))
        for part in (driver, sensors, library):
            report.attempt(part.__name__, partial(part, report))
        for name in arguments.networks:
            print(name, flush=True)
            report.attempt(name, partial(network, report, name, Path(scratch)))
        report.attempt("power", partial(power, report))
    how = f"{SAMPLES} inferences after {WARM_SECONDS:g} s of warm-up"
    page = importlib.import_module("scripts.gpu_page").write(report, arguments.out, how)
    print(f"wrote {page}")
    for line in report.wrong:
        print(f"wrong: {line}", file=sys.stderr)
    return 1 if report.wrong else 0


def why_not() -> str | None:
    """Why nothing can be checked here; None where it can."""
    for package in ("numpy", "torch"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed for {sys.executable}; say make gpu-check PYTHON=... where it is"
    torch = _torch()
    if not torch.cuda.is_available():
        built = torch.version.cuda
        return f"torch {torch.__version__} " + (
            f"is built for CUDA {built} and sees no GPU: run this on a machine with an NVIDIA GPU and its driver"
            if built
            else "is built without CUDA: install a torch with CUDA, on a machine with an NVIDIA GPU"
        )
    return None


def _torch() -> Any:
    return importlib.import_module("torch")


def stand_in_for_pydantic() -> None:
    """Networks name their preprocessing with pydantic; where it is missing, values without validation do."""
    if importlib.util.find_spec("pydantic") is not None:
        return

    class BaseModel:
        def __init__(self, **values: Any) -> None:
            self.__dict__.update(values)

        def model_copy(self, update: dict[str, Any]) -> Any:
            return type(self)(**{**self.__dict__, **update})

    module: Any = types.ModuleType("pydantic")
    module.BaseModel, module.ConfigDict, module.ValidationError = BaseModel, dict, ValueError
    module.Field = lambda default=None, **more: more["default_factory"]() if "default_factory" in more else default
    module.model_validator = module.field_validator = lambda *names, **more: lambda function: function
    sys.modules["pydantic"] = module


def installed_in(scratch: Path) -> None:
    """Tell importlib that this checkout is edgekit, which files name their writer by."""
    folder = scratch / "edgekit-0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: edgekit\nVersion: 0+checkout\n")
    if importlib.util.find_spec("edgekit") is None or "edgekit" not in _distributions():
        sys.path.append(str(scratch))


def _distributions() -> set[str]:
    from importlib import metadata

    return {str(item.metadata["Name"]) for item in metadata.distributions()}


# What is checked


def driver(report: Report) -> None:
    """bench/ondevice/cuda.py against torch, on the same GPU: names, memory there and back, events, an empty graph."""
    import numpy as np

    cuda, torch = _bench("cuda"), _torch()
    own = cuda.Driver()
    gpu = own.gpu()
    capability = "{}.{}".format(*torch.cuda.get_device_capability())
    if (gpu.name, gpu.compute_capability) != (report.gpu, capability):
        report.wrong.append(f"libcuda names {gpu.name} {gpu.compute_capability}, torch {report.gpu} {capability}")
    sent = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    got, address, stream = np.empty_like(sent), own.allocate(sent.nbytes), own.stream()
    own.upload(address, sent)
    own.download(got, address)
    if not np.array_equal(sent, got):
        report.wrong.append("libcuda: what came back from the GPU is not what was sent")
    start, stop = own.event(), own.event()
    own.record(start, stream)
    own.launch(own.capture(stream, lambda: None), stream)
    own.record(stop, stream)
    own.synchronize(stream)
    if own.elapsed_ms(start, stop) < 0:
        report.wrong.append("libcuda: time ran backwards between two events")
    report.facts |= {
        "compute capability": gpu.compute_capability,
        "GPU memory": f"{gpu.memory_bytes / 2**30:.1f} GiB",
        "CUDA of the driver": own.version(),
        "CUDA of torch": torch.version.cuda,
        "cuDNN": torch.backends.cudnn.version(),
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "system": platform.platform(),
        "processor": _bench("sensors.linux").processor(),
    }


def sensors(report: Report) -> None:
    """What nvidia-smi tells, as read by bench/ondevice/sensors/nvidia_smi.py."""
    nvml = _bench("sensors.nvidia_smi")
    found = nvml.state()
    if not found:
        report.left_out.append("nvidia-smi (clocks, throttle reasons, power, memory by process): not here, or silent")
        return
    now = next((row for row in found if row["used"]), found[0])
    report.facts |= {"nvidia-smi": ", ".join(f"{key} {value}" for key, value in now.items() if key != "uuid")}
    report.facts["clocks held down by"] = ", ".join(nvml.reasons(now.get("clocks_event_reasons.active")) or []) or "-"
    others = nvml.foreign_processes()
    report.facts["other processes on the GPU"] = "unknown" if others is None else len(others)


def library(report: Report) -> None:
    """What NVML itself tells of the first GPU, against what torch calls it: the library under nvidia-smi."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        report.leave("NVML: there is no libnvidia-ml.so.1")
        return
    name, driver, handle = ctypes.create_string_buffer(96), ctypes.create_string_buffer(96), ctypes.c_void_p()
    degrees, milliwatts = ctypes.c_uint(), ctypes.c_uint()
    calls: dict[str, tuple[Any, ...]] = {
        "nvmlInit_v2": (),
        "nvmlSystemGetDriverVersion": (driver, 96),
        "nvmlDeviceGetHandleByIndex_v2": (0, ctypes.byref(handle)),
        "nvmlDeviceGetName": (handle, name, 96),
        "nvmlDeviceGetTemperature": (handle, 0, ctypes.byref(degrees)),
        "nvmlDeviceGetPowerUsage": (handle, ctypes.byref(milliwatts)),
    }
    for function, arguments in calls.items():
        code = getattr(nvml, function)(*arguments)
        if code:
            report.leave(f"NVML: {function} answers {code}")
            return
    told = name.value.decode(errors="replace"), driver.value.decode(errors="replace")
    report.facts["NVML"] = f"{told[0]}, driver {told[1]}, {degrees.value} degrees, {milliwatts.value / 1000:.1f} W"
    if told[0] != report.gpu:
        report.wrong.append(f"NVML calls the first GPU {told[0]}, torch {report.gpu}")


def network(report: Report, name: str, scratch: Path) -> None:
    """One network: folded, written for each runtime, and run on the GPU."""
    graph, x = prepared(name)
    runtimes = importlib.import_module("scripts.gpu_runtimes")

    def judge_open(row: dict[str, Any], session: Any, want: Any) -> None:
        row = timed(session.prepare([x.numpy()])) | row
        row["device_ms"] = session.found.get("device_ms")
        if session.found.get("cuda_graph") is not None:
            row["note"] = f"CUDA graph {session.found['cuda_graph']} {row.get('note', '')}".strip()
        judge(report, row, session.run([x.numpy()])[0], want)

    case = runtimes.Case(name, graph, x.numpy(), graph.run(x).numpy(), scratch, judge_open)
    for part in (runtimes.with_torch, runtimes.with_onnxruntime, runtimes.with_engines):
        report.attempt(f"{name} {part.__name__.replace('_', ' ')}", partial(part, report, case))


def prepared(name: str) -> tuple[Any, Any]:
    """A network with seeded weights, folded; and one input."""
    torch = _torch()
    importlib.import_module("edgekit.models")
    specs = importlib.import_module("edgekit.network.spec")
    fill = importlib.import_module("edgekit.checkpoints.random").fill
    point = specs.variant(specs.MODELS[name])
    built = point.build()
    fill(built, point.input_shape, 0)
    graph = importlib.import_module("edgekit.frontend.tracer").trace(built.eval(), point.input_shape)
    folded = importlib.import_module("edgekit.ir.passes.fold_batch_norm").fold(graph).graph
    return folded, torch.randn(point.input_shape, generator=torch.Generator().manual_seed(1))


def timed(step: Callable[[], object]) -> dict[str, Any]:
    """Host milliseconds of an inference: the median and the quartiles of some, after a warm-up."""
    end = time.perf_counter() + WARM_SECONDS
    runs = 0
    while time.perf_counter() < end or runs < 20:
        step()
        runs += 1
    samples = []
    for _ in range(SAMPLES):
        begin = time.perf_counter_ns()
        step()
        samples.append((time.perf_counter_ns() - begin) / 1e6)
    low, middle, high = statistics.quantiles(samples, n=4)
    return {"host_ms": middle, "low_ms": low, "high_ms": high}


def judge(report: Report, row: dict[str, Any], got: Any, want: Any) -> None:
    """Keep a row with its error; an answer beyond its limit is wrong."""
    import numpy as np

    error = float(np.abs(got.astype(np.float64) - want).max() / np.abs(want).max())
    report.rows.append({**row, "error": error})
    if not error <= LIMITS[row["precision"]]:
        report.wrong.append(f"{row['network']} {row['precision']} {row['how']}: relative error {error:.2g}")


def power(report: Report) -> None:
    """Watts and millijoules of one network, in a pass of its own, and the memory that the driver counts for us."""
    nvml = _bench("sensors.nvidia_smi")
    if nvml.state() is None:
        return
    torch = _torch()
    graph, x = prepared("mobilenet")
    moved, given = graph.to("cuda"), x.to("cuda")
    with torch.inference_mode():
        drawn(report, _bench("cuda_torch").Step(lambda: moved.run(given), True))
    used = nvml.process_memory()
    if used is None:
        report.left_out.append("GPU memory by process: nvidia-smi does not list this process")
    else:
        report.facts["GPU memory of this process at the end"] = f"{used / 2**20:.0f} MiB"


def drawn(report: Report, step: Callable[[], object]) -> None:
    """Power while idle and while the step runs again and again; their first second does not count."""
    try:
        meter, count = _bench("energy").meter(Path("/sys")), 0
    except RuntimeError as error:
        report.leave(f"power: {error}")
        return
    with meter as source:
        time.sleep(POWER_SECONDS)
        begin = time.perf_counter_ns()
        while time.perf_counter_ns() < begin + POWER_SECONDS * 1e9:
            step()
            count += 1
        end = time.perf_counter_ns()
    told = [(when, sum(powers.values()) / 1000) for when, powers in source.readings if powers]
    idle = [watts for when, watts in told if begin - (POWER_SECONDS - SETTLE_SECONDS) * 1e9 <= when < begin]
    busy = [watts for when, watts in told if begin + SETTLE_SECONDS * 1e9 <= when < end]
    if min(len(idle), len(busy)) < 5:
        report.leave(f"power: only {len(idle)} readings of the idle and {len(busy)} of the busy GPU")
        return
    before, during = statistics.mean(idle), statistics.mean(busy)
    each = (end - begin) / 1e6 / count
    report.facts["power, mobilenet fp32 as a CUDA graph"] = (
        f"{during:.1f} W, {before:.1f} W before; {during * each:.2f} mJ an inference, "
        f"{(during - before) * each:.2f} mJ above idle ({len(busy)} readings, {count} inferences; {source.method})"
    )


def _bench(stem: str) -> Any:
    return importlib.import_module(f"edgekit.bench.ondevice.{stem}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
