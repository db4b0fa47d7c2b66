"""Export end to end on small networks: what is made, what is refused, and that nothing is left half-made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import edgekit
from edgekit.errors import EdgekitError, GateFailed, UsageError
from edgekit.exporters import WriteJob, Written
from edgekit.exporters.onnx import writer as onnx_writer
from edgekit.exporting.result import ExportResult
from edgekit.records.manifest import manifest_path, open_artifact
from edgekit.records.runtime import open_session

SHAPE = (1, 3, 32, 32)
NETWORK = '''
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    """Not in the zoo: a residual, a branch, a normalisation before a convolution, a head over a flattened map."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.pre = nn.BatchNorm2d(8)
        self.point = nn.Conv2d(8, 8, 1)
        self.left, self.right = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 3, padding=1)
        self.head = nn.Linear(8 * 8 * 8, 10)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.2, 2)
                nn.init.uniform_(module.weight, -1.5, 1.5)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(self.norm(self.depthwise(x)) + x)
        x = self.point(self.pre(x))
        x = torch.cat([torch.sigmoid(self.left(x)), F.hardswish(self.right(x))], 1)
        x = F.max_pool2d(x, 3, 2, 1)
        return self.head(x.view(x.size(0), -1))


def build():
    return Net()


def not_a_module():
    return 3


def fails():
    raise RuntimeError("no such table")


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class TwoOutputs(nn.Module):
    def forward(self, x):
        return x * 2, x


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


class Sampled(nn.Module):
    """An operator that TFLite has no form for."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x)
        return torch.nn.functional.grid_sample(y, y[:, :2].permute(0, 2, 3, 1), align_corners=False).mean((2, 3))


class TokensFirst(nn.Module):
    """The batch is not in the first place everywhere."""

    def __init__(self):
        super().__init__()
        self.conv, self.linear, self.head = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, x):
        x = self.linear(self.conv(x).flatten(2).permute(2, 0, 1)).permute(1, 2, 0)
        return self.head(x.mean(2))


class Prefixed(nn.Module):
    """A token of its own in front, expanded to the batch of the trace."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 10)
        self.token = nn.Parameter(torch.randn(1, 1, 16))

    def forward(self, x):
        x = self.conv(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.head(x.mean(1))


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 10)

    def forward(self, x):
        x = self.head(x.mean((2, 3)))
        return x - x.mean(0, keepdim=True) * 0.5


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 32)
        nn.init.zeros_(self.conv.weight)

    def forward(self, x):
        return self.conv(x).flatten(1)
'''


@pytest.fixture
def network(tmp_path: Path) -> str:
    path = tmp_path / "mynet.py"
    path.write_text(NETWORK)
    return str(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(24):
        coarse = Image.fromarray(random.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        coarse.resize((48, 40), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def files(folder: Path) -> list[str]:
    """Every visible file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")


def test_a_users_own_network_goes_the_whole_way(network: str, images: Path, tmp_path: Path) -> None:
    result = edgekit.export(
        f"{network}:build", input=SHAPE, precision=["fp32", "fp16", "int8"], data=images, out=tmp_path / "out"
    )
    assert not result.failed and result.exit_code == 0
    assert {(a.manifest.format, a.manifest.precision) for a in result.artifacts if a.manifest} == {
        (name, precision) for name in ("onnx", "tflite") for precision in ("fp32", "fp16", "int8")
    }
    for artifact in result.artifacts:
        manifest = open_artifact(artifact.path).manifest  # checks the bytes
        assert manifest and manifest.parity.passed and manifest.parity.n_real > 0
        assert manifest.variant.name == "mynet_32" and manifest.variant.classes == 10
        assert manifest.remaining_batch_norms == ()
        assert (manifest.calibration is not None) == (manifest.precision == "int8")
    assert len({a.manifest.calibration.hash for a in result.artifacts if a.manifest and a.manifest.calibration}) == 1


def test_the_result_has_the_documented_keys(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:build", input=SHAPE, format=["tflite"], out=tmp_path / "out").to_json()
    (artifact,) = json.loads(json.dumps(result))["artifacts"]
    assert {"path", "manifest", "format", "precision", "bytes", "seconds", "parity"} <= set(artifact)
    assert {"passed", "max_abs_error", "cosine", "top1_agreement"} <= set(artifact["parity"])
    assert result["failed"] == []


def test_the_manifest_counts_what_the_delegate_takes(network: str, tmp_path: Path) -> None:
    (made,) = edgekit.export(f"{network}:build", input=SHAPE, format=["tflite"], out=tmp_path).artifacts
    assert made.manifest is not None
    proof = made.manifest.details["proof"]
    operators = made.manifest.operators  # of a padding with minus infinity XNNPACK has none
    assert (proof["delegate"], proof["undelegated"]) == ("xnnpack", ["PADV2"])
    assert (proof["nodes"], proof["nodes_delegated"]) == (sum(operators.values()), proof["nodes"] - operators["PADV2"])


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_free_batch_is_run_at_one_and_seven(precision: str, network: str, images: Path, tmp_path: Path) -> None:
    result = edgekit.export(
        f"{network}:build", input=SHAPE, precision=[precision], data=images, dynamic_batch=True, out=tmp_path / "out"
    )
    assert not result.failed and len(result.artifacts) == 2
    for artifact in result.artifacts:
        assert artifact.manifest and artifact.manifest.inputs[0].shape[0] == -1
        session = open_session(artifact.path)
        for batch in (1, 7):
            x = np.zeros((batch, *artifact.manifest.inputs[0].shape[1:]), np.float32)
            assert session.run([x])[0].shape == (batch, 10)


@pytest.mark.parametrize(("function", "layer"), [("Prefixed", "cat fixes"), ("Mixed", "mean_1 mixes")])
def test_a_batch_that_cannot_be_free_is_refused_with_its_layer(
    function: str, layer: str, network: str, tmp_path: Path
) -> None:
    result = edgekit.export(f"{network}:{function}", input=SHAPE, dynamic_batch=True, out=tmp_path / "out")
    assert result.exit_code == 2 and len(result.failed) == 2
    for failure in result.failed:
        assert f"layer {layer}" in failure.error.message and "--dynamic-batch" in failure.error.remedy
    assert files(tmp_path / "out") == []


def test_a_file_that_cannot_follow_the_batch_is_rejected(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:TokensFirst", input=SHAPE, dynamic_batch=True, out=tmp_path / "out")
    assert [a.manifest.format for a in result.artifacts if a.manifest] == ["onnx"]
    (failure,) = result.failed
    assert result.exit_code == 3 and "at batch 7: the runtime refuses it" in failure.error.message
    assert "layer permute moves the batch" in failure.error.message and "--dynamic-batch" in failure.error.remedy


def test_one_failing_format_does_not_hide_the_other(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:Sampled", input=SHAPE, out=tmp_path / "out")
    assert [a.manifest.format for a in result.artifacts if a.manifest] == ["onnx"]
    (failure,) = result.failed
    assert failure.part["format"] == "tflite" and "samples a map" in failure.error.message and failure.error.remedy
    assert not [name for name in files(tmp_path / "out") if "tflite" in name]


def test_a_bug_in_one_file_does_not_hide_the_others(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnx_writer.write

    def broken(job: WriteJob, path: Path) -> Written:
        if job.precision == "fp16":
            raise KeyError("no such key")
        return real(job, path)

    monkeypatch.setattr(onnx_writer, "write", broken)
    result = edgekit.export(f"{network}:build", input=SHAPE, precision=["fp32", "fp16"], out=tmp_path / "out")
    made = [(a.manifest.format, a.manifest.precision) for a in result.artifacts if a.manifest]
    assert made == [("onnx", "fp32"), ("tflite", "fp32"), ("tflite", "fp16")]
    (failure,) = result.failed
    assert (failure.error.code, result.exit_code) == ("internal", 1)
    assert "KeyError" in failure.error.message
    kept = Path(failure.error.remedy.rpartition(" ")[2])
    assert "no such key" in kept.read_text()
    kept.unlink()


@pytest.mark.parametrize(
    ("model", "arguments", "cause"),
    [
        ("mobilnet", {}, "did you mean 'mobilenet'"),
        ("mobilenet", {"alpha": 0.0}, "alpha must be in"),
        ("mobilenet", {"alpha": -1.0}, "alpha must be in"),
        ("mobilenet", {"alpha": 1.5}, "alpha must be in"),
        ("mobilenet", {"alpha": float("nan")}, "alpha must be in"),
        ("mobilenet", {"res": 0}, "resolution must be"),
        ("mobilenet", {"res": 31}, "resolution must be"),
        ("mobilenet", {"res": 5000}, "resolution must be"),
        ("mobilenet", {"classes": 0}, "number of classes"),
        ("lenet5", {"alpha": 0.5}, "no width multiplier"),
        ("lenet5", {"options": {"pool": "min"}}, "pool cannot be 'min'"),
        ("lenet5", {"options": {"size": "1"}}, "has no option"),
        ("lenet5", {"format": ["tflit"]}, "did you mean 'tflite'"),
        ("lenet5", {"precision": ["int7"]}, "did you mean 'int8'"),
        ("lenet5", {"precision": ["int8"]}, "int8 needs images"),
        ("lenet5", {"precision": ["int8"], "data": "."}, "random weights"),
        ("lenet5", {"precision": ["int8"], "data": ".", "synthetic_calibration": True}, "exclude each other"),
        ("lenet5", {"synthetic_calibration": True}, "--synthetic-calibration is for int8 files"),
        ("lenet5", {"ranges": "file"}, "--ranges file is for int8 files"),
        ("lenet5", {"int8_effort": "fast"}, "--int8-effort fast is for int8 files"),
        ("lenet5", {"max_drop": 1.0, "precision": ["fp32", "fp16"]}, "--max-drop is for int8 files"),
        ("lenet5", {"weights": "nowhere.pth"}, "nowhere.pth"),
        ("lenet5", {"io": "int16"}, "--io cannot be"),
        ("lenet5", {"max_bytes": -1}, "--max-bytes must be at least 1"),
        ("lenet5", {"max_bytes": 0}, "--max-bytes must be at least 1"),
        ("lenet5", {"classes": 999_999_999_999}, "at most 100,000"),
        ("lenet5", {"io": "uint8"}, "int8 TFLite"),
        ("lenet5", {"opset": 3}, "opset 3"),
        ("lenet5", {"input": SHAPE}, "--input is for networks from a file"),
        ("nowhere.py:build", {"input": SHAPE}, "nowhere.py does not exist"),
    ],
)
def test_what_cannot_work_is_said_and_leaves_nothing(
    model: str, arguments: dict[str, Any], cause: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=cause) as caught:
        raise_first(edgekit.export(model, out=out, **arguments))
    assert caught.value.remedy and "\n" not in caught.value.message
    assert not out.exists()


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        ("missing", "has no function 'missing'"),
        ("not_a_module", "returns int"),
        ("fails", "no such table"),
        ("Branches", r"mynet.py:\d+: forward\(\) asks for the values"),
        ("TwoOutputs", "is the input x"),
        ("TwoInputs", "more than one input"),
    ],
)
def test_a_users_network_that_cannot_work_says_why(network: str, function: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=cause):
        edgekit.export(f"{network}:{function}", input=SHAPE, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_whose_output_never_varies_is_not_called_equal(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:Constant", input=SHAPE, format=["onnx"], out=tmp_path / "out")
    (failure,) = result.failed
    assert result.exit_code == 3 and "does not vary" in failure.error.message
    assert [name for name in files(tmp_path / "out") if ".rejected" not in name] == []


def test_a_wrong_file_is_rejected_and_kept_for_study(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnx_writer.write

    def wrong_weights(job: WriteJob, path: Path) -> Written:
        """What a converter does that mixes up the weights of two layers."""
        params = dict(job.graph.params)
        name = next(name for name in params if params[name].dim() == 4)
        params[name] = params[name].flip(0).contiguous()
        graph = type(job.graph)(job.graph.ops, job.graph.outputs, params)
        return real(WriteJob(graph, job.precision), path)

    monkeypatch.setattr(onnx_writer, "write", wrong_weights)
    result = edgekit.export(f"{network}:build", input=SHAPE, format=["onnx"], out=tmp_path / "out")
    assert result.exit_code == 3 and not result.artifacts
    name, beside = sorted(files(tmp_path / "out"))
    assert name.endswith(".onnx.rejected")
    assert beside == f"{name}.json"
    (path,) = (tmp_path / "out").rglob(name)
    told = edgekit.inspect(path)
    assert told.to_json()["rejected"] == list(told.artifact.manifest.parity.reasons if told.artifact.manifest else ())
    assert any("relative error" in reason for reason in told.to_json()["rejected"])
    assert told.operators
    assert f"edgekit inspect {path}" in result.failed[0].error.remedy
    check_that_nothing_runs_it(path)


def check_that_nothing_runs_it(path: Path) -> None:
    """Every way to use a rejected file ends with the gate's code, also where somebody took the ending off."""
    store = f"sqlite:///{path.parent / 'none.db'}"
    for use in (
        lambda: open_artifact(path),
        lambda: edgekit.inspect(path, snippet="python"),
        lambda: edgekit.compare(path, path, store=store),
        lambda: edgekit.bench([path], preset="quick", store=store),
    ):
        with pytest.raises(GateFailed, match="kept for study alone"):
            use()
    plain = path.with_suffix("")
    path.rename(plain)
    path.with_name(path.name + ".json").rename(plain.with_name(plain.name + ".json"))
    with pytest.raises(GateFailed, match="failed its verification when it was exported: relative error"):
        open_artifact(plain)


def test_weights_that_are_not_contiguous_ship_as_they_are(tmp_path: Path) -> None:
    """Two equal-shaped weights that are views of a transposed tensor: a known way to ship one of them twice."""
    path = tmp_path / "views.py"
    path.write_text(
        "import torch\nfrom torch import nn\n\n\ndef build():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.Flatten(),"
        " nn.Linear(3 * 64, 5))\n"
        "    for i in (0, 2):\n"
        "        net[i].weight = nn.Parameter(torch.randn(3, 3, 3, 3).permute(3, 2, 0, 1))\n"
        "        assert not net[i].weight.is_contiguous()\n"
        "    return net\n"
    )
    result = edgekit.export(f"{path}:build", input=(1, 3, 8, 8), out=tmp_path / "out")
    assert len(result.artifacts) == 2 and not result.failed


def test_a_size_gate_fails_with_its_own_code(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:build", input=SHAPE, max_bytes=1000, out=tmp_path / "out")
    assert result.exit_code == 3 and len(result.failed) == 2 and not files(tmp_path / "out")


def test_a_file_where_the_folder_should_be(network: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is in the way"):
        edgekit.export(f"{network}:build", input=SHAPE, out=tmp_path / "out")


EXPORT = (
    "import sys, edgekit; r = edgekit.export(sys.argv[1], input=(1, 3, 32, 32), out=sys.argv[2]); sys.exit(r.exit_code)"
)


def test_a_full_disk_leaves_nothing_that_looks_finished(network: str, tmp_path: Path) -> None:
    code = (
        "import resource, sys, edgekit\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "from edgekit.errors import EdgekitError\n"
        "try:\n    r = edgekit.export(sys.argv[1], input=(1, 3, 32, 32), out=sys.argv[2])\n"
        "    print([f.error.message for f in r.failed]); sys.exit(r.exit_code)\n"
        "except EdgekitError as error:\n    sys.exit(error.exit_code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"{network}:build", str(tmp_path / "out")],
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert files(tmp_path / "out") == []


def test_two_exports_into_one_folder_end_with_artifacts_that_fit(network: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    both = [subprocess.Popen([sys.executable, "-c", EXPORT, f"{network}:build", str(out)]) for _ in range(2)]
    assert [process.wait(timeout=240) for process in both] == [0, 0]
    found = [path for path in out.rglob("*") if path.suffix in (".onnx", ".tflite")]
    assert len(found) == 2
    assert all(open_artifact(path).manifest for path in found)


def test_killed_at_any_moment_no_file_looks_finished(network: str, tmp_path: Path) -> None:
    for delay in (1.5, 3.0, 4.5):
        out = tmp_path / f"out{delay}"
        process = subprocess.Popen([sys.executable, "-c", EXPORT, f"{network}:build", str(out)])
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in out.rglob("*.json") if out.exists() else []:
            assert open_artifact(path.with_suffix("")).manifest  # what has a manifest is whole


def test_an_interrupt_leaves_no_drafts(network: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", EXPORT, f"{network}:build", str(out)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert not list(out.rglob(".edgekit-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder(network: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    with pytest.raises(EdgekitError) as caught:
        edgekit.export(f"{network}:build", input=SHAPE, out=out)
    assert caught.value.exit_code == 7


def test_an_altered_file_and_a_newer_manifest_are_refused(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:build", input=SHAPE, format=["onnx"], out=tmp_path / "out")
    path = result.artifacts[0].path
    manifest = manifest_path(path)
    text = manifest.read_text()
    manifest.write_text(text.replace('"version": 1', '"version": 99', 1))
    with pytest.raises(UsageError, match="version 99"):
        open_artifact(path)
    manifest.write_text(text)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UsageError, match="sha256 differs"):
        open_artifact(path)


def test_torch_is_left_as_it_was(network: str, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    edgekit.export(f"{network}:build", input=SHAPE, format=["onnx"], out=tmp_path / "out")
    assert torch.get_num_threads() == threads


def raise_first(result: ExportResult) -> None:
    """What fails for one file only is an error too."""
    if result.failed:
        raise result.failed[0].error


def test_a_wrong_int8_file_names_its_first_wrong_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = onnx_writer.write

    def spoilt(job: WriteJob, path: Path) -> Written:
        assert job.quantized is not None
        biases = {**job.quantized.biases, "f6": torch.full_like(job.quantized.biases["f6"], 3000)}
        return write(replace(job, quantized=replace(job.quantized, biases=biases)), path)

    monkeypatch.setattr(onnx_writer, "write", spoilt)
    result = edgekit.export(
        "lenet5", format=["onnx"], precision=["int8"], synthetic_calibration=True, out=tmp_path / "out"
    )
    (failed,) = result.failed
    assert "layer f6 (linear) is the first that differs" in str(failed.error) and "a bias" in str(failed.error)
