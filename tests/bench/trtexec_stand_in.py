"""A stand-in for trtexec: it prints the real program's log and exports, and answers on inputs with onnxruntime.

`trtexec.json` beside this says what goes wrong. An engine of it is the ONNX file behind a line of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SAMPLES = Path(os.environ["SAMPLES"])
LOGS = {
    "build": "trtexec_v10.16.1_skipInference_dumpLayerInfo_H100.log",
    "run": "trtexec_v10.16.1_loadEngine_noDataTransfers_spin_cudagraph_H100.log",
    "ask": "trtexec_v10.13.3_version_probe_FAILED.log",
}
MAGIC = b"an engine of trtexec\n"
KNOWN = (
    *("onnx", "saveEngine", "loadEngine", "skipInference", "noTF32", "stronglyTyped", "fp16", "profilingVerbosity"),
    *("memPoolSize", "timingCacheFile", "exportLayerInfo", "minShapes", "optShapes", "maxShapes", "useDLACore"),
    *("allowGPUFallback", "warmUp", "duration", "iterations", "percentile", "useSpinWait", "useCudaGraph", "shapes"),
    *("separateProfileRun", "exportTimes", "noDataTransfers", "loadInputs", "exportOutput"),
    *("dumpProfile", "exportProfile"),
)


def sample(name: str) -> str:
    """A real output, without the line that says where it is from."""
    return (SAMPLES / name).read_text().partition("\n")[2]


def main() -> int:
    """Run as the real one is run."""
    wish = json.loads((HERE / "trtexec.json").read_text())
    flags = {word[2:].partition("=")[0]: word.partition("=")[2] for word in sys.argv[1:]}
    with (HERE / "asked").open("a") as stream:
        stream.write(json.dumps(sys.argv[1:]) + "\n")
    if "version" in flags:
        print(sample(LOGS["ask"]).replace("v101303", wish.get("banner", "v101601")))
        return 1
    strange = [name for name in flags if name not in KNOWN]
    if strange:
        print(f"[E] Unknown option: --{strange[0]} ")
        return 1
    log = sample(LOGS["build" if "onnx" in flags else "run"])
    if wish.get("hangs"):
        print(log[:2000], flush=True)
        (HERE / "hanging").write_text(str(os.getpid()))
        time.sleep(1000)
    if "onnx" in flags:
        build(flags)
    else:
        log = run(flags, log)
    return ended(log, wish)


def ended(log: str, wish: dict[str, Any]) -> int:
    """Print the log; with the verdict and the exit code that are wished for."""
    if "verdict" in wish:
        log = log.replace("&&&& PASSED", f"&&&& {wish['verdict']}")
    print(log)
    return int(wish.get("code", 0))


def build(flags: dict[str, str]) -> None:
    """Write the engine and what else was asked for."""
    Path(flags["saveEngine"]).write_bytes(MAGIC + Path(flags["onnx"]).read_bytes())
    Path(flags["timingCacheFile"]).write_bytes(b"timings")
    Path(flags["exportLayerInfo"]).write_text(sample("trtexec_exportLayerInfo_v10.16.1_mnist_H100.json"))


def run(flags: dict[str, str], log: str) -> str:
    """Write what was asked for; the log has this engine's inputs and outputs."""
    import numpy as np
    import onnxruntime

    data = Path(flags["loadEngine"]).read_bytes()
    assert data.startswith(MAGIC)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # TensorRT's int8 does not saturate
    session = onnxruntime.InferenceSession(data[len(MAGIC) :], options, providers=["CPUExecutionProvider"])
    (given,), (taken,) = session.get_inputs(), session.get_outputs()
    asked = flags.get("shapes", "").partition(":")[2]
    shape = [int(size) for size in asked.split("x")] if asked else [s if isinstance(s, int) else 1 for s in given.shape]
    x = np.zeros(shape, np.float32)
    if "loadInputs" in flags:
        x = np.fromfile(flags["loadInputs"].partition(":")[2], np.float32).reshape(shape)
    (y,) = session.run(None, {given.name: x})
    if "exportOutput" in flags:
        values = ", ".join(f"{value:g}" for value in y.reshape(-1))
        sizes = "x".join(map(str, y.shape))
        text = f'[\n  {{ "name" : "{taken.name}"\n  , "dimensions" : "{sizes}"\n  , "values" : [ {values} ]\n  }}\n]\n'
        Path(flags["exportOutput"]).write_text(text)
    if "exportTimes" in flags and not (HERE / "no_times").exists():
        name = "trtexec_exportTimes_mobilenet_qat_head60.json"
        Path(flags["exportTimes"]).write_text(sample(name))
    if "exportProfile" in flags:
        name = "trtexec_exportProfile_mobilenet_qat_trt8.json"
        Path(flags["exportProfile"]).write_text(sample(name).replace("Conv_12", "c1"))
    log = re.sub(r"Input binding for x with dimensions [0-9x]+", binding("Input", given.name, x.shape), log)
    log = re.sub(r"Output binding for y with dimensions [0-9x]+", binding("Output", taken.name, y.shape), log)
    return "\n".join(line for line in log.splitlines() if "binding for z" not in line)


def binding(side: str, name: str, shape: Any) -> str:
    """How it tells of an input or output."""
    return f"{side} binding for {name} with dimensions {'x'.join(map(str, shape))}"


if __name__ == "__main__":
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != HERE]
    assert shutil.which("trtexec")
    sys.exit(main())
