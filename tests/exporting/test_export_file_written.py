"""One file of an export: proved, held against its gates, and nothing half-made left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.errors import EdgekitError, GateFailed
from edgekit.exporters import WriteJob, Written
from edgekit.exporters.onnx import writer as onnx_writer
from edgekit.records.artifact import open_artifact
from edgekit.records.runtime import open_session
from tests.exporting.conftest import SHAPE, files
from tests.paths import ROOT
from tests.waiting import PATIENCE


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


def test_a_file_that_cannot_follow_the_batch_is_rejected(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:TokensFirst", input=SHAPE, dynamic_batch=True, out=tmp_path / "out")
    assert [a.manifest.format for a in result.artifacts if a.manifest] == ["onnx"]
    (failure,) = result.failed
    assert result.exit_code == 3 and "at batch 7: the runtime refuses it" in failure.error.message
    assert "layer permute moves the batch" in failure.error.message and "--dynamic-batch" in failure.error.remedy


def test_a_wrong_file_is_rejected_and_kept_for_study(
    network: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    kept = shutil.copytree(path.parent, tmp_path / "kept") / path.name
    told = edgekit.inspect(path)
    assert told.to_json()["rejected"] == list(told.artifact.manifest.parity.reasons if told.artifact.manifest else ())
    assert any("relative error" in reason for reason in told.to_json()["rejected"])
    assert told.operators
    assert f"edgekit inspect {path}" in result.failed[0].error.remedy
    check_that_nothing_runs_it(kept, images)

    monkeypatch.undo()
    assert edgekit.export(f"{network}:build", input=SHAPE, format=["onnx"], out=tmp_path / "out").exit_code == 0
    passed = name.removesuffix(".rejected")
    assert files(tmp_path / "out") == [passed, f"{passed}.json"]  # the older refusal is gone


def check_that_nothing_runs_it(path: Path, images: Path) -> None:
    """Every way to use a rejected file ends with the gate's code, also where somebody took the ending off."""
    store = f"sqlite:///{path.parent / 'none.db'}"
    labeled = shutil.copytree(images, path.parent / "labeled")
    rows = [f"{image.name},0" for image in labeled.iterdir()]
    (labeled / "labels.csv").write_text("\n".join(["file,class", *rows]))
    for use in (
        lambda: open_artifact(path),
        lambda: edgekit.inspect(path, snippet="python"),
        lambda: edgekit.compare(path, path, store=store),
        lambda: edgekit.bench([path], preset="quick", store=store),
        lambda: edgekit.eval([path], data=labeled, store=store),
    ):
        with pytest.raises(GateFailed, match="kept for study alone"):
            use()
    plain = path.with_suffix("")
    path.rename(plain)
    path.with_name(path.name + ".json").rename(plain.with_name(plain.name + ".json"))
    with pytest.raises(GateFailed, match="failed its verification when it was exported: relative error"):
        open_artifact(plain)


def test_a_size_gate_fails_with_its_own_code(network: str, tmp_path: Path) -> None:
    result = edgekit.export(f"{network}:build", input=SHAPE, max_bytes=1000, out=tmp_path / "out")
    assert result.exit_code == 3 and len(result.failed) == 2 and not files(tmp_path / "out")


EXPORT = (
    "import sys, edgekit; r = edgekit.export(sys.argv[1], input=(1, 3, 32, 32), out=sys.argv[2], force=True)\n"
    "sys.exit(r.exit_code)"
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
        timeout=PATIENCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert files(tmp_path / "out") == []


def test_two_exports_into_one_folder_end_with_artifacts_that_fit(network: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    both = [subprocess.Popen([sys.executable, "-c", EXPORT, f"{network}:build", str(out)]) for _ in range(2)]
    assert [process.wait(timeout=PATIENCE) for process in both] == [0, 0]
    found = [path for path in out.rglob("*") if path.suffix in (".onnx", ".tflite")]
    assert len(found) == 2
    assert all(open_artifact(path).manifest for path in found)


# Before every change to the file system it looks whether what has a manifest is whole, as after a kill.
LOOKS = """
from edgekit.records.artifact import open_artifact
from pathlib import Path
from tests.kills import before_each_change
looked = set()
def look():
    for path in Path(sys.argv[2]).rglob("*.json"):
        assert open_artifact(path.with_suffix("")).manifest
        looked.add(path.name)
before_each_change(look)
r = edgekit.export(sys.argv[1], input=(1, 3, 32, 32), out=sys.argv[2], force=True)
print(len(looked), r.exit_code)
"""
# It is interrupted as soon as there is a draft.
INTERRUPTED = """
import os, signal
from pathlib import Path
from tests.kills import before_each_change
def interrupt():
    if list(Path(sys.argv[2]).rglob(".edgekit-*")) and not sent:
        sent.append(True)
        os.kill(os.getpid(), signal.SIGINT)
sent = []
before_each_change(interrupt)
try:
    edgekit.export(sys.argv[1], input=(1, 3, 32, 32), out=sys.argv[2])
except KeyboardInterrupt:
    print("interrupted", len(sent))
"""


def told(code: str, network: str, out: Path) -> list[str]:
    """What a process prints that exports."""
    command = [sys.executable, "-c", "import sys, edgekit" + code, f"{network}:build", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_killed_at_any_moment_no_file_looks_finished(network: str, tmp_path: Path) -> None:
    assert told(LOOKS, network, tmp_path / "out") == ["2", "0"], "both were there before the last change"


def test_an_interrupt_leaves_no_drafts(network: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert told(INTERRUPTED, network, out) == ["interrupted", "1"]
    assert not list(out.rglob(".edgekit-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder(network: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    with pytest.raises(EdgekitError) as caught:
        edgekit.export(f"{network}:build", input=SHAPE, out=out)
    assert caught.value.exit_code == 7
