"""Real sweeps over small networks: what is redone, what is kept, and what a failure or a kill leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edgekit.comparison.command import compare
from edgekit.errors import UsageError
from edgekit.evaluation.command import eval
from edgekit.measure.command import bench
from edgekit.records.artifact import open_artifact
from edgekit.records.manifest import manifest_path
from edgekit.records.measurement import PRESETS
from edgekit.stats.proportions import is_at_chance
from edgekit.storage.store import Store
from edgekit.sweeps import taking
from edgekit.sweeps.command import sweep
from edgekit.sweeps.result import SweepResult
from edgekit.util.files import file_sha256
from tests.sweeps.conftest import ALPHAS

torch, onnx = pytest.importorskip("torch"), pytest.importorskip("onnx")
for package in ("onnx", "onnxruntime", "ai_edge_litert", "PIL"):
    pytest.importorskip(package)

CELL_KEYS = {"variant", "format", "precision", "device", "status", "reason", "measurement"}


class Nobody(Executor):
    """Takes no work: nothing was to be exported."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        raise AssertionError("something is exported again")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def run(tmp_path: Path, given: Path) -> Callable[..., SweepResult]:
    """A sweep of both widths to ONNX and TFLite in fp32, evaluated and not timed."""

    def begin(**changes: Any) -> SweepResult:
        asked: dict[str, Any] = {
            "alpha": ALPHAS,
            "res": (32,),
            "weights": str(given / "weights"),
            "eval": given / "test",
            "export_only": True,
            "out": tmp_path / "out",
            "store": f"sqlite:///{tmp_path}/store.db",
        }
        with ThreadPoolExecutor(1) as pool:
            return sweep("mobilenet", **{"executor": pool, **asked, **changes})

    return begin


def statuses(result: SweepResult) -> dict[tuple[str, str], str]:
    return {(cell.variant, cell.cell.format): cell.status for cell in result.cells}


def test_every_cell_is_done_once_and_then_kept(run: Callable[..., SweepResult], tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    first = run(progress=lambda *words: said.append(words))
    assert first.exit_code == 0 and set(statuses(first).values()) == {"done"}
    assert list(statuses(first)) == [
        ("mobilenet_0.25_32", "onnx"), ("mobilenet_0.25_32", "tflite"),
        ("mobilenet_0.5_32", "onnx"), ("mobilenet_0.5_32", "tflite"),
    ]  # fmt: skip
    for cell in first.to_json()["cells"]:
        assert set(cell) >= CELL_KEYS and cell["reason"] is None and cell["measurement"] is None
        assert cell["accuracy"]["n"] == 6 and Path(cell["artifact"]).is_file()
    for one in first.cells:
        assert one.accuracy is not None and one.accuracy.manifest is not None
        guessed = is_at_chance(one.accuracy.correct1, 6, one.accuracy.manifest.variant.classes)
        assert (one.to_json()["accuracy"]["remark"] is not None) is guessed is ("not above chance" in repr(first))
    assert "left" in said[0][0] and all(0 <= done <= total for _, done, total in said)
    assert json.loads((tmp_path / "out" / "sweep.json").read_text())["cells"] == first.to_json()["cells"]
    assert len(first.notes) == 1 and first.notes[0].startswith("mobilenet: the preprocessing is assumed: mean 127.5,")
    accuracies = Store(f"sqlite:///{tmp_path}/store.db").accuracies()
    assert len(accuracies) == 4

    again = run(continue_=True, executor=Nobody())
    assert set(statuses(again).values()) == {"cached"} and again.notes == first.notes
    assert [cell.accuracy for cell in again.cells] == [cell.accuracy for cell in first.cells]
    assert Store(f"sqlite:///{tmp_path}/store.db").accuracies() == accuracies, "nothing was evaluated again"

    # What is gone or changed is made again, and only that.
    gone = first.cells[0].artifact
    assert gone is not None
    Path(gone).unlink()
    assert list(statuses(run(continue_=True)).values()) == ["done", "cached", "cached", "cached"]
    Path(gone).write_bytes(b"something else")
    assert list(statuses(run(continue_=True)).values()) == ["done", "cached", "cached", "cached"]
    other = run(continue_=True, alpha=(0.5,), format=("onnx",), precision=("fp32", "fp16"))
    assert [(cell.cell.precision, cell.status) for cell in other.cells] == [("fp32", "cached"), ("fp16", "done")]

    # Without --continue everything is done anew.
    assert set(statuses(run(alpha=(0.5,))).values()) == {"done"}


def test_other_weights_and_labels_make_it_new(run: Callable[..., SweepResult], given: Path, tmp_path: Path) -> None:
    for name in ("weights", "test"):
        shutil.copytree(given / name, tmp_path / name)
    asked: dict[str, Any] = {
        "alpha": (0.25,),
        "format": ("onnx",),
        "weights": str(tmp_path / "weights"),
        "eval": None,
        "continue_": True,
    }
    labels = tmp_path / "test" / "labels.csv"
    evaluated = {**asked, "eval": tmp_path / "test"}
    run(**evaluated)
    assert run(**evaluated).cells[0].status == "cached"
    labels.write_text(labels.read_text().replace("5.png,5", "5.png,6"))
    assert run(**evaluated).cells[0].status == "done"

    weights = tmp_path / "weights" / "mobilenet_0.25.pth"
    state = torch.load(weights, weights_only=True)
    state["classifier.bias"] += 1
    torch.save(state, weights)
    assert run(**asked).cells[0].status == "done"


def test_a_cell_that_fails_is_a_row_with_its_reason_and_the_rest_goes_on(
    run: Callable[..., SweepResult], tmp_path: Path
) -> None:
    result = run(alpha=(0.75, 0.25), format=("onnx", "tensorrt"))
    rows = result.to_json()["cells"]
    assert [row["status"] for row in rows] == ["failed", "failed", "done", "failed"]
    assert "no weights of mobilenet_0.75_32" in rows[0]["reason"] and "tensorrt" in rows[3]["reason"]
    assert all(row["remedy"] for row in rows if row["status"] == "failed")
    assert result.exit_code == 2
    failures = Store(f"sqlite:///{tmp_path}/store.db").failures()
    assert [(one.variant, one.format, one.reason) for one in failures] == [
        (row["variant"], row["format"], row["reason"]) for row in rows if row["status"] == "failed"
    ]
    again = run(alpha=(0.75, 0.25), format=("onnx",), continue_=True)
    assert [cell.status for cell in again.cells] == ["failed", "cached"]


def test_variants_without_weights_show_latency_alone(run: Callable[..., SweepResult], given: Path) -> None:
    result = run(
        alpha=(0.75, 0.25), format=("onnx",), random_where_missing=True, data=given / "calibration"
    )  # fmt: skip
    bare, weighted = result.cells
    assert (bare.status, bare.accuracy) == ("done", None)
    assert bare.accuracy_reason == "random weights: only the latency means anything"
    assert weighted.accuracy is not None and weighted.accuracy_reason is None


def test_a_network_of_the_users_own_is_calibrated_on_the_images(given: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\n\ndef build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))\n"
    )
    asked: dict[str, Any] = {"input": (1, 3, 32, 32), "format": ("onnx",), "precision": ("int8",), "export_only": True}
    asked |= {"data": given / "calibration", "out": tmp_path / "out", "store": f"sqlite:///{tmp_path}/store.db"}
    with ThreadPoolExecutor(1) as pool:
        (cell,) = sweep(f"{tmp_path / 'own.py'}:build", executor=pool, **asked).cells
    assert cell.status == "done" and cell.artifact is not None
    manifest = open_artifact(Path(cell.artifact)).manifest
    assert manifest and manifest.calibration and manifest.calibration.n == 8 and not manifest.calibration.synthetic


def test_a_file_that_did_not_pass_parity_is_not_tried_again(
    run: Callable[..., SweepResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.exporting import thresholds

    asked: dict[str, Any] = {"alpha": (0.25,), "format": ("onnx",), "eval": None, "continue_": True}
    strict = thresholds.Threshold(0.0, None, None, "nothing is exact")
    with monkeypatch.context() as patch:
        patch.setitem(thresholds.THRESHOLDS, "fp32", strict)
        (first,) = run(**asked).cells
    assert first.status == "failed" and first.refusal is not None and "parity failed" in first.refusal.message
    (again,) = run(**asked, executor=Nobody()).cells
    assert again.status == "failed" and again.refusal is not None
    assert (again.refusal.message, again.refusal.exit_code) == (first.refusal.message, 3)
    assert run(**asked | {"continue_": False}).cells[0].status == "done", "without --continue it is"
    assert run(**asked, executor=Nobody()).cells[0].status == "cached"


def test_an_option_of_export_is_an_axis_whose_files_stand_apart(
    run: Callable[..., SweepResult], tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"alpha": (0.25,), "format": ("onnx",), "opset": [13, 17], "eval": None}
    cells = run(**asked).cells
    files = [Path(cell.artifact or "") for cell in cells]
    assert [path.relative_to(tmp_path / "out").parts[0] for path in files] == ["opset=13", "opset=17"]
    assert [onnx.load(path).opset_import[0].version for path in files] == [13, 17]
    assert [cell.to_json()["opset"] for cell in cells] == [13, 17]
    again = run(**asked | {"opset": [17, 18], "continue_": True}).cells
    assert [cell.status for cell in again] == ["cached", "done"]


def test_a_latency_is_measured_and_kept_unless_it_is_invalid(run: Callable[..., SweepResult], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    asked: dict[str, Any] = {"alpha": (0.25,), "format": ("tflite",), "eval": None, "export_only": None}
    asked |= {"preset": "quick", "continue_": True}
    (first,) = run(**asked).cells
    assert first.status == "done" and first.measurement is not None and first.measurement.device == "local"
    row = first.to_json()["measurement"]
    assert row["median_ms"] > 0 and row["id"] == first.measurement.id
    for verdict, status in (("valid", "cached"), ("suspect", "cached"), ("invalid", "done")):
        judge(tmp_path / "store.db", first.measurement.id, verdict)
        (again,) = run(**asked).cells
        assert again.status == status
        assert (again.measurement is not None and again.measurement.id == first.measurement.id) == (status == "cached")
    judge(tmp_path / "store.db", Store(url).measurements()[-1].id, "valid")
    told = [run(**asked | {"preset": preset}, dry_run=True).notes for preset in ("quick", "default")]
    assert "--preset" not in " ".join(told[0]) and "--preset quick, and this one measures with default" in told[1][0]
    assert run(**asked, threads=2).cells[0].status == "done", "another protocol"
    assert run(**asked, store=f"sqlite:///{tmp_path}/other.db").cells[0].status == "done", "another store"


def test_a_number_of_another_file_is_no_number_of_this_cell(
    run: Callable[..., SweepResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_another_export(paths: list[Path], **options: Any) -> Any:
        paths[0].write_bytes(paths[0].read_bytes() + bytes(16))
        beside = manifest_path(paths[0])
        beside.write_text(json.dumps(json.loads(beside.read_text()) | {"sha256": file_sha256(paths[0])}))
        return (bench if "preset" in options else eval)(paths, **options)

    asked: dict[str, Any] = {"alpha": (0.25,), "format": ("tflite",)}
    for name, changes in (("bench", {"export_only": None, "eval": None, "preset": "quick"}), ("eval", {})):
        with monkeypatch.context() as patch:
            patch.setattr(taking, name, after_another_export)
            (cell,) = run(**asked | changes).cells
        assert cell.refusal is not None and "exported again" in cell.refusal.message
        assert (cell.status, cell.measurement, cell.accuracy) == ("failed", None, None)


def test_a_sweep_is_one_command_however_often_it_is_continued(
    run: Callable[..., SweepResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        PRESETS, "quick", PRESETS["quick"].model_copy(update={"min_seconds": 0.01, "cooldown_seconds": 0})
    )
    url = f"sqlite:///{tmp_path}/store.db"
    asked: dict[str, Any] = {"format": ("tflite",), "eval": None, "export_only": None, "preset": "quick"}
    run(**asked, alpha=(0.25,))
    run(**asked, continue_=True)
    first = {one.session for one in Store(url).measurements()}
    run(**asked)
    sessions = [one.session for one in Store(url).measurements()]
    assert len(first) == 1 and len(set(sessions)) == 2 and sessions[-1] == sessions[-2]
    result = compare("latest~1", "latest", store=url)
    assert len(result.rows) == 2 and all(row.status != "missing" and row.base and row.new for row in result.rows)


def test_what_failed_and_was_done_later_is_no_failure_any_more(
    run: Callable[..., SweepResult], given: Path, tmp_path: Path
) -> None:
    """Of a network's own point, which the grid does not name."""
    weights = tmp_path / "weights"
    weights.mkdir()
    asked: dict[str, Any] = {"alpha": (), "format": ("onnx",), "weights": str(weights)}
    failed = run(**asked).cells[0]
    store = Store(f"sqlite:///{tmp_path}/store.db")
    assert failed.status == "failed" and [one.variant for one in store.failures()] == [failed.variant]
    done = run(**asked | {"weights": "random", "eval": None}).cells[0]
    assert done.status == "done" and failed.variant == done.variant == "mobilenet_1.0_32"


def judge(path: Path, identity: str, verdict: str) -> None:
    """Write a verdict into a store, for this machine may be busy with anything."""
    import sqlite3

    with sqlite3.connect(path) as connection:
        (payload,) = connection.execute("SELECT payload FROM measurements WHERE id = ?", (identity,)).fetchone()
        text = json.dumps(json.loads(payload) | {"verdict": verdict})
        connection.execute("UPDATE measurements SET payload = ? WHERE id = ?", (text, identity))
    connection.close()


def test_a_plan_says_what_is_there_and_makes_nothing(run: Callable[..., SweepResult], tmp_path: Path) -> None:
    plan = run(dry_run=True, export_only=None, executor=Nobody())
    assert {cell.status for cell in plan.cells} == {"planned"} and plan.seconds > 10 and plan.exit_code == 0
    assert [cell.variant for cell in plan.cells][::2] == ["mobilenet_0.25_32", "mobilenet_0.5_32"]
    assert list(tmp_path.iterdir()) == []
    run(alpha=(0.25,), format=("onnx",))
    later = run(dry_run=True, continue_=True, executor=Nobody())
    assert [cell.status for cell in later.cells] == ["cached", "planned", "planned", "planned"]
    fewer = run(dry_run=True, continue_=True, alpha=(0.25,), format=("onnx",))
    assert (fewer.seconds, fewer.cells[0].status) == (0, "cached")


def test_a_store_that_cannot_be_written_is_told_first(run: Callable[..., SweepResult], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        run(executor=Nobody(), store=f"sqlite:///{tmp_path}/nowhere/store.db")


def command(given: Path, folder: Path, networks: tuple[str, ...], *more: str) -> list[str]:
    return [
        sys.executable, "-m", "edgekit", "sweep", *networks, "--format", "onnx", "--export-only",
        "--eval", str(given / "test"), "--out", str(folder / "out"), "--store", f"sqlite:///{folder}/store.db",
        "--json", *more,
    ]  # fmt: skip


@pytest.fixture
def networks(tmp_path: Path) -> tuple[str, ...]:
    """Two of a user's own. The second says in `begun` which process builds it, and waits as long as `held` is there."""
    text = """
import os, time
from pathlib import Path
import torch
from torch import nn

def build():
    folder = Path(__file__).parent
    if __file__.endswith("second.py"):
        with (folder / "begun").open("a") as begun:
            begun.write(f"{os.getpid()} ")
        while (folder / "held").exists():
            time.sleep(0.01)
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "held").touch()
    return (f"{tmp_path}/first.py:build", f"{tmp_path}/second.py:build", "--input", "1,3,32,32")


def until_the_second_is_built(process: subprocess.Popen[str], folder: Path) -> None:
    while not (folder / "begun").exists():
        assert process.poll() is None
        time.sleep(0.01)


def test_a_sweep_that_is_killed_goes_on_from_there(given: Path, networks: tuple[str, ...], tmp_path: Path) -> None:
    arguments = command(given, tmp_path, networks, "--jobs", "1")
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as killed:
        until_the_second_is_built(killed, tmp_path)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()  # its worker has its stderr, too: both are gone
    (tmp_path / "held").unlink()
    assert not list(tmp_path.glob("out/*/.edgekit-*/*.tmp"))
    done = subprocess.run(command(given, tmp_path, networks, "--continue"), capture_output=True, text=True, check=True)
    cells = json.loads(done.stdout)["cells"]
    assert "exporting 1 variant," in done.stderr and all(cell["accuracy"]["n"] == 6 for cell in cells)
    assert all(cell["status"] in ("done", "cached") for cell in cells)
    code = """
import json, sys
from edgekit.cli.main import main
code = main()
assert not code, code
heavy = [name for name in ("torch", "onnx", "PIL", "onnxruntime") if name in sys.modules]
print(json.dumps(heavy), file=sys.stderr)
"""
    arguments = command(given, tmp_path, networks, "--continue")[3:]
    last = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert {cell["status"] for cell in json.loads(last.stdout)["cells"]} == {"cached"}
    assert last.stderr.splitlines()[-1] == "[]", "nothing heavy is imported where nothing is to be done"


def test_two_sweeps_at_once_into_one_store_share_the_work(
    given: Path, networks: tuple[str, ...], tmp_path: Path
) -> None:
    arguments = command(given, tmp_path, networks, "--jobs", "1")
    both = [subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        assert one.stderr is not None and "exporting 2 variants" in one.stderr.readline()
    (tmp_path / "held").unlink()
    answers = [one.communicate() for one in both]
    assert [one.returncode for one in both] == [0, 0], answers
    rows = [json.loads(stdout)["cells"] for stdout, _ in answers]
    assert [cell["sha256"] for cell in rows[0]] == [cell["sha256"] for cell in rows[1]]
    assert len(set((tmp_path / "begun").read_text().split())) == 1, "one of them has exported the second, for both"
    ids = {cell["accuracy"]["id"] for cells in rows for cell in cells}
    assert ids <= {record.id for record in Store(f"sqlite:///{tmp_path}/store.db").accuracies()}


def test_an_interrupt_ends_it_and_leaves_no_worker(given: Path, networks: tuple[str, ...], tmp_path: Path) -> None:
    environment = os.environ | {"EDGEKIT_MARK": str(tmp_path)}
    process = subprocess.Popen(
        command(given, tmp_path, networks), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    until_the_second_is_built(process, tmp_path)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate()
    told = json.loads(stdout)["error"]
    assert process.returncode == 130 and told["code"] == "interrupted" and "add --continue" in told["remedy"]
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if marked(path, str(tmp_path))]
    assert left == []


def marked(path: Path, mark: str) -> bool:
    try:
        return f"EDGEKIT_MARK={mark}\0" in path.read_text(errors="replace")
    except OSError:
        return False
