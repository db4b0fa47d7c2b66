"""Which combinations of a grid are cells: what heeds which value, what is left out, what is added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.device.config import LOCAL
from edgekit.device.registry import DeviceList, parse
from edgekit.errors import UsageError
from edgekit.sweeps.grid.axes import SweepCell
from edgekit.sweeps.grid.cells import cells
from edgekit.sweeps.grid.reading import grid

DEVICES = """
devices:
  pi-1: {link: ssh, host: pi-1, runtimes: [litert, onnxruntime]}
  pi-2: {link: ssh, host: pi-2, runtimes: [litert, onnxruntime]}
  other-name: {link: ssh, host: pi-1, runtimes: [litert, onnxruntime]}
  server: {link: ssh, host: server, runtimes: [onnxruntime]}
  orin: {link: ssh, host: orin, runtimes: [onnxruntime], sensors: jetson, power_modes: [15W, 25W]}
"""
KNOWN = DeviceList({"local": LOCAL, **parse(DEVICES)}, None)


def of(folder: Path, text: str) -> tuple[SweepCell, ...]:
    """The cells of a YAML file."""
    (folder / "grid.yaml").write_text(text)
    return cells(grid(str(folder / "grid.yaml")), KNOWN)


def told(found: tuple[SweepCell, ...], *names: str) -> list[Any]:
    """Of each cell the values of some axes; a network's file by its name."""
    rows = [
        tuple(Path(v).name if name == "model" else v for name in names for v in [cell.to_json()[name]])
        for cell in found
    ]
    return [row[0] for row in rows] if len(names) == 1 else rows


CASES: dict[str, tuple[str, tuple[str, ...], list[Any]]] = {
    "among several networks alpha and res are of those that have them": (
        "model: [mobilenet, resnet50, lenet5, own.py:build]\nalpha: [1.0, 0.5]\nres: [64]\nformat: onnx\n",
        ("model", "alpha", "res"),
        [("mobilenet", 1.0, 64), ("mobilenet", 0.5, 64), ("resnet50", None, 64), ("lenet5", None, None),
         ("own.py:build", None, None)],
    ),
    "one network is taken at its word": (
        "model: resnet50\nalpha: [0.5]\nformat: onnx\n", ("model", "alpha"), [("resnet50", 0.5)]
    ),
    "a runtime is for the formats that it runs": (
        "model: lenet5\nformat: [onnx, pt2, tflite]\nruntime: [ort, torch, litert]\n",
        ("format", "runtime"),
        [("onnx", "onnxruntime"), ("pt2", "torch"), ("tflite", "litert")],
    ),
    "a format that no runtime runs stays, to be refused": (
        "model: lenet5\nruntime: litert\n", ("format", "runtime"), [("onnx", "litert"), ("tflite", "litert")]
    ),
    "a device is for the formats that its runtimes run": (
        "model: lenet5\nformat: [onnx, tflite]\ndevice: [pi-1, server]\n",
        ("format", "device"),
        [("onnx", "pi-1"), ("onnx", "server"), ("tflite", "pi-1")],
    ),
    "a device that runs none of them stays, to refuse them": (
        "model: lenet5\nformat: tflite\ndevice: [pi-1, server]\n", ("device",), ["pi-1", "server"]
    ),
    "a format that no device runs stays, to be refused": (
        "model: lenet5\nformat: [onnx, tflite]\ndevice: server\n", ("format",), ["onnx", "tflite"]
    ),
    "a provider is onnxruntime's and a delegate LiteRT's": (
        "model: lenet5\nprovider: [cpu, cuda]\ndelegate: [null, gpu]\n",
        ("format", "provider", "delegate"),
        [("onnx", "cpu", None), ("onnx", "cuda", None), ("tflite", None, None), ("tflite", None, "gpu")],
    ),
    "a power mode is of devices that have it": (
        "model: lenet5\nformat: onnx\ndevice: [local, orin]\npower_mode: [15W, 25W]\n",
        ("device", "power_mode"),
        [("local", None), ("orin", "15W"), ("orin", "25W")],
    ),
    "threads and batches": (
        "model: lenet5\nformat: onnx\nthreads: [1, 2]\nbatch: [1, 8]\n",
        ("threads", "batch"),
        [(1, 1), (1, 8), (2, 1), (2, 8)],
    ),
    "a pool is one device": (
        "model: lenet5\nformat: onnx\ndevices: [local, {pi: [pi-1, pi-2]}]\n", ("device",), ["local", "pi"]
    ),
    "what is excluded": (
        "model: [mobilenet, lenet5]\nformat: onnx\nthreads: [1, 2]\nexclude: [{model: lenet5, threads: 2}, "
        "{model: mobilenet, threads: [1]}]\n",
        ("model", "threads"),
        [("mobilenet", 2), ("lenet5", 1)],
    ),
    "what is included comes last and once": (
        "model: mobilenet\nalpha: [1.0]\nres: [64]\nformat: onnx\nexclude: {alpha: 1.0}\ninclude: "
        "[{alpha: [0.25, 0.5], res: 32}, {alpha: 0.25, res: 32, format: onnx}, {model: lenet5}]\n",
        ("model", "alpha", "res"),
        [("mobilenet", 0.25, 32), ("mobilenet", 0.5, 32), ("lenet5", None, None)],
    ),
    "an option of export is for the files that heed it": (
        "model: lenet5\nprecision: [fp32, int8]\nsynthetic_calibration: true\nio: [float32, uint8]\nopset: [13, 17]\n"
        "int8_range: [full]\n",
        ("format", "precision", "io", "opset"),
        [("onnx", "fp32", None, 13), ("onnx", "fp32", None, 17), ("onnx", "int8", None, 13), ("onnx", "int8", None, 17),
         ("tflite", "fp32", None, None), ("tflite", "int8", "float32", None), ("tflite", "int8", "uint8", None)],
    ),
    "the number of classes is the zoo's": (
        "model: [lenet5, own.py:build]\nformat: onnx\nclasses: [10, 20]\n",
        ("model", "classes"),
        [("lenet5", 10), ("lenet5", 20), ("own.py:build", None)],
    ),
    "an option of export that is excluded and included": (
        "model: lenet5\nformat: onnx\nopset: [13, 17]\nexclude: {opset: 13}\n"
        "include: [{opset: [18, 13]}, {output: argmax}]\n",
        ("opset", "output"),
        [(17, None), (18, None), (13, None), (13, "argmax"), (17, "argmax")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_value_takes_effect_where_something_heeds_it(name: str, tmp_path: Path) -> None:
    text, axes, expected = CASES[name]
    found = of(tmp_path, text)
    assert told(found, *axes) == expected and len(set(found)) == len(found)


def test_a_pool_has_its_devices_and_any_other_itself(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("model: lenet5\ndevice: {pi: [pi-1, pi-2]}\ninclude: {device: local}\n")
    found = grid(str(tmp_path / "g.yaml"))
    assert found.pools == {"pi": ("pi-1", "pi-2"), "local": ("local",)}
    assert found.devices == ("pi-1", "pi-2", "local")


BAD: dict[str, tuple[str, str]] = {
    "an unknown axis": ("exclude: [{preset: quick}]", "'exclude.0.preset'.*extra"),
    "an entry without values": ("exclude: [{}]", "an entry of 'exclude' .* names no values"),
    "an empty list": ("include: [{alpha: []}]", "an entry of 'include' .* names no values"),
    "no such value": ("threads: [1, 2]\nexclude: [{threads: 4}]", "'exclude'.*'threads' has no 4"),
    "everything": ("exclude: [{format: [onnx, tflite]}]", "'exclude' leaves no cell"),
    "a word for an entry": ("exclude: onnx", "'exclude.0'"),
    "no such device": ("device: pixel", "no device 'pixel'"),
    "a pool of a stranger": ("device: {pi: [pi-1, pixel]}", "no device 'pixel'"),
    "a pool of unlike devices": ("device: {pi: [pi-1, server]}", "pi-1 and server differ in 'runtimes'"),
    "a pool of this machine and another": ("device: {pi: [local, pi-1]}", "differ in 'link'"),
    "a pool with one machine twice": ("device: {pi: [pi-1, other-name]}", "one machine under two names"),
    "a pool with one name twice": ("device: {pi: [pi-1, pi-1]}", "names a device twice"),
    "a pool called like a device": ("device: {pi-1: [pi-1, pi-2]}", "has the name of a device"),
    "an empty pool": ("device: {pi: []}", "a pool is a name with a list"),
    "a list in a list": ("device: [[pi-1, pi-2]]", "a device is a name, and a pool"),
    "two pools of one name": ("device: [{pi: [pi-1, pi-2]}, {pi: [pi-2, pi-1]}]", "pi is two things"),
    "a device twice": ("device: [pi-1, pi-1]", "'device' .* holds pi-1 twice"),
    "an unknown runtime": ("runtime: litter", "unknown runtime 'litter'.*litert"),
    "a runtime for nothing": ("format: onnx\nruntime: [onnxruntime, litert]", "litert runs none of the formats onnx"),
    "a provider for nothing": ("format: tflite\nprovider: cuda", "--provider is for onnx files"),
    "an option of export with one value": ("io: float32\nexclude: {io: float32}", "'exclude'.*'io' has no float32"),
    "an option of export for no file": ("format: tflite\nopset: [13, 17]", "line 3 is for ONNX files"),
    "an option of export for no format": ("format: onnx\nlayout: [nhwc, nchw]", "line 3 is for TFLite files"),
    "an unknown choice of export": ("format: onnx\noutput: [logits, logit]", "line 3 cannot be 'logit'"),
    "a word for an opset": ("format: onnx\nopset: [13, x]", "'opset' .* valid integer"),
    "an unknown choice that is included": ("include: {output: logit}", "--output cannot be 'logit'"),
    "a limit as an axis": ("max_bytes: [1000, 2000]", "'max_bytes' .* valid integer"),
    "an opset twice": ("format: onnx\nopset: [13, 13]", "'opset' .* holds 13 twice"),
    "a power mode of no device": ("device: orin\npower_mode: 15w", "no device .* '15w'; did you mean '15W'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_meant_is_refused(name: str, tmp_path: Path) -> None:
    text, cause = BAD[name]
    with pytest.raises(UsageError, match=cause) as caught:
        of(tmp_path, f"model: lenet5\n{text}\n")
    assert "\n" not in caught.value.message and caught.value.remedy


def test_a_device_needs_one_of_the_power_modes() -> None:
    more = parse(
        "devices: {agx: {link: ssh, host: agx, runtimes: [onnxruntime], sensors: jetson, power_modes: [MAXN]}}"
    )
    both = DeviceList({**KNOWN.devices, **more}, None)
    asked: dict[str, Any] = {"device": ("orin", "agx"), "format": ("onnx",)}
    with pytest.raises(UsageError, match="agx has none of the power modes 15W"):
        cells(grid("lenet5", **asked, power_mode=("15W",)), both)
    found = cells(grid("lenet5", **asked, power_mode=("15W", None)), both)
    assert told(found, "device", "power_mode") == [("orin", "15W"), ("orin", None), ("agx", None)]
