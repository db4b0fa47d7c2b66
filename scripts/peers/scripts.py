"""What one writes without edgekit: a script for each peer of `make bench-peers`, started as `script FOLDER`.

The folder holds `state.pt`, the weights, and `calibration.npy`, the prepared images (N, H, W, C): reading and preparing
images is what edgekit does beside, and no peer.
"""

from __future__ import annotations

from scripts.bench_helpers import BARE_NETWORK, BARE_TFLITE

# Of the classes that the weights have. The two networks have the same tensors in the same order. The weights come from
# a file without normalization, and with this epsilon one is nothing.
WEIGHTS = """
state = list(torch.load(sys.argv[1] + "/state.pt", weights_only=True).values())
net[-1] = nn.Linear(cin, len(state[-1]))
net.load_state_dict(dict(zip(net.state_dict(), state)))
for module in net.modules():
    if isinstance(module, nn.BatchNorm2d):
        module.eps = 2**-10
"""
NETWORK = BARE_NETWORK + WEIGHTS
LITERT_TORCH = NETWORK + BARE_TFLITE
AI_EDGE_QUANTIZER = f"""{LITERT_TORCH}
import numpy as np
from ai_edge_quantizer import quantizer, recipe
images = np.load(sys.argv[1] + "/calibration.npy")
made = quantizer.Quantizer(sys.argv[1] + "/bare.tflite", recipe.static_wi8_ai8())
found = made.calibrate({{"serving_default": [{{"args_0": x[None]}} for x in images]}})
made.quantize(found).export_model(sys.argv[1] + "/quantizer.tflite", overwrite=True)
"""
TORCH_ONNX = f"""{NETWORK}
torch.onnx.export(net, (torch.zeros(1, 3, 160, 160),), sys.argv[1] + "/bare.onnx", input_names=["x"], dynamo=False)
"""
QUANTIZE_STATIC = f"""{TORCH_ONNX}
import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class Reader(CalibrationDataReader):
    def __init__(self):
        images = np.load(sys.argv[1] + "/calibration.npy")
        self.left = iter(np.ascontiguousarray(np.moveaxis(images, -1, 1)))

    def get_next(self):
        x = next(self.left, None)
        return None if x is None else {{"x": x[None]}}


quantize_static(
    sys.argv[1] + "/bare.onnx", sys.argv[1] + "/static.onnx", Reader(), quant_format=QuantFormat.QDQ,
    per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
"""
# Weights of 7 bits, which onnxruntime's documentation advises for x86 processors without VNNI.
QUANTIZE_STATIC_REDUCED = QUANTIZE_STATIC.replace("/static.onnx", "/reduced.onnx").replace(
    "per_channel=True", "per_channel=True, reduce_range=True"
)
# `script FOLDER eager|compile` stays: each line that it reads is answered by one of JSON. `ready` comes first, after an
# inference; `time` is timed as `edgekit bench --preset quick` times a file: warm for half a second, 64 runs and 1 s.
TORCH = f"""{NETWORK}
import json
import statistics
import time
import numpy as np

torch.set_num_threads(1)
net = torch.compile(net) if sys.argv[2] == "compile" else net
x = torch.zeros(1, 3, 160, 160)


def timed():
    began, runs = time.perf_counter(), 0
    while runs < 5 or time.perf_counter() - began < 0.5:
        net(x)
        runs += 1
    began, found = time.perf_counter(), []
    while len(found) < 64 or time.perf_counter() - began < 1:
        start = time.perf_counter()
        net(x)
        found.append(time.perf_counter() - start)
    return statistics.median(found) * 1000


def answers():
    images = np.load(sys.argv[1] + "/shown.npy", mmap_mode="r")
    np.save(sys.argv[1] + "/answers.npy", np.concatenate([net(torch.from_numpy(y[None].copy())) for y in images]))


def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))


with torch.inference_mode():
    net(x)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps({{"time": timed, "answers": answers, "peak": peak}}[line.strip()]()), flush=True)
"""
# `script TOLD COMMAND...`: run a script or `-m MODULE` as itself, and write its peak memory in bytes to the file TOLD.
# Not ru_maxrss, which begins with what the process that started this one had.
PEAK = """
import runpy
import sys
from pathlib import Path

told, first, *rest = sys.argv[1:]
sys.argv = rest if first == "-m" else [first, *rest]
try:
    (runpy.run_module if first == "-m" else runpy.run_path)(sys.argv[0], run_name="__main__", **(
        {"alter_sys": True} if first == "-m" else {}))
finally:
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    Path(told).write_text(str(peak))
"""
