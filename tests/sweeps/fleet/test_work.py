"""What a worker does, for real and without a cluster: files as this machine would make them, from what was sent."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.links.stopping import Processes
from edgekit.device.registry import DeviceList, load
from edgekit.errors import DeviceUnreachable, GateFailed, UsageError
from edgekit.records.artifact import open_artifact
from edgekit.storage.store import Store
from edgekit.sweeps.engine import Judging, Timing
from edgekit.sweeps.export import run_here
from edgekit.sweeps.fleet import luggage, work
from edgekit.sweeps.fleet.files import Files, parcel, pieces
from edgekit.sweeps.grid.axes import How
from edgekit.sweeps.grid.cells import cells
from edgekit.sweeps.grid.reading import grid
from edgekit.sweeps.local import Local
from edgekit.sweeps.plan import Plan
from edgekit.sweeps.workers import Workers

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
NETWORK = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
"""


@pytest.fixture
def hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[work.Hand]:
    """This process as a worker, whose processes are threads."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "worker"
    folder.mkdir()
    with ThreadPoolExecutor(1) as pool:
        found: Any = work.Hand(folder, Files(folder), load(), pool)  # type: ignore[arg-type]
        monkeypatch.setattr(work, "HAND", found)
        monkeypatch.setattr(work, "while_wanted", nullcontext)  # there is no task of Dask
        monkeypatch.setattr(work, "telling", lambda topic: lambda message: None)
        monkeypatch.setattr(work, "still_wanted", lambda: lambda: True)
        yield found


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Plan]:
    def made(model: str, **asked: Any) -> Plan:
        wanted = grid(model, format=("onnx",), export_only=True, out=tmp_path / "out", **asked)
        known = DeviceList({}, None)
        return Plan(wanted, cells(wanted, known), Store("sqlite://"), known, Local(known, 1), 0.0)

    return made


def away(parcels: dict[str, Any], hand: work.Hand) -> dict[str, Any]:
    """Send what parcels hold, and return them as of a machine whose paths lead to nothing here."""
    found = {}
    for name, one in parcels.items():
        for entry in one.entries:
            path = one.source(entry.sha256)
            for offset, piece in pieces(path):
                work.put(entry.sha256, "test", offset, piece, offset + len(piece) >= entry.size)
        found[name] = replace(one, path=str(Path("/nowhere") / Path(one.path).name))
    return found


def test_a_file_is_byte_for_byte_what_this_machine_makes(
    hand: work.Hand, plan: Callable[..., Plan], tmp_path: Path
) -> None:
    (job,) = plan("lenet5").jobs
    there = work.export(job, luggage.of_export(job))
    (here,) = run_here(job)
    (made,) = there.made
    assert here.path is not None and made.path is not None and made.sha256 == here.sha256
    assert made.path.is_relative_to(hand.folder) and made.path.name == here.path.name
    (artifact,) = there.artifacts
    assert artifact.names == {here.path.name, f"{here.path.name}.json"} and artifact.path == str(made.path)
    assert work.read(str(made.path), 4, 100) == here.path.read_bytes()[4:104]
    work.forget(there.out)
    assert not Path(there.out).exists()


def test_files_that_nobody_waits_for_are_not_kept(
    hand: work.Hand, plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_made", lambda job, home: ())
    (job,) = plan("lenet5").jobs
    parcels = luggage.of_export(job)
    for wanted in (True, False):
        monkeypatch.setattr(work, "still_wanted", lambda wanted=wanted: lambda: wanted)
        assert Path(work.export(job, parcels).out).exists() is wanted


def test_an_export_whose_sweep_goes_meanwhile_fails_and_leaves_nothing(
    hand: work.Hand, plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = Processes()
    over.end()
    monkeypatch.setattr(work, "while_wanted", over.scope)
    monkeypatch.setattr(work, "still_wanted", lambda: lambda: False)
    (job,) = plan("lenet5").jobs
    with Workers(1) as processes:
        monkeypatch.setattr(work, "HAND", replace(hand, processes=processes))
        brought = work.export(job, luggage.of_export(job))
    assert [one.refusal for one in brought.made] == [work.STOPPED] and not Path(brought.out).exists()


def test_a_network_of_ones_own_and_its_images_are_used_as_they_were_sent(
    hand: work.Hand, plan: Callable[..., Plan], tmp_path: Path, given: Path
) -> None:
    (tmp_path / "mynet.py").write_text(NETWORK)
    asked: dict[str, Any] = {"input": (1, 3, 8, 8), "data": given / "calibration"}
    (job,) = plan(f"{tmp_path}/mynet.py:build", **asked).jobs
    parcels = luggage.of_export(job)
    assert set(parcels) == {"data", "model"} and parcels["model"].names == {"mynet.py"}
    sent = away(parcels, hand)
    (tmp_path / "mynet.py").write_text("raise SystemExit('another file')")
    there = work.export(job, sent)
    (made,) = there.made
    assert made.refusal is None and made.variant is not None and made.variant.startswith("mynet")
    assert made.path is not None
    manifest = open_artifact(made.path).manifest
    assert manifest is not None and manifest.parity.n_real > 0, "its images are the proof's"


def test_a_package_is_sent_unless_it_is_installed(
    hand: work.Hand, plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours" / "nets").mkdir(parents=True)
    for name in ("ours/__init__.py", "ours/nets/__init__.py"):
        (tmp_path / name).touch()
    (tmp_path / "ours" / "nets" / "small.py").write_text(NETWORK)
    (tmp_path / "ours" / "__pycache__").mkdir()
    (tmp_path / "ours" / "__pycache__" / "__init__.cpython-311.pyc").touch()
    monkeypatch.chdir(tmp_path)
    (job,) = plan("ours.nets.small:build", input=(1, 3, 8, 8)).jobs
    parcels = luggage.of_export(job)
    assert parcels["model"].names == {"__init__.py", "nets/__init__.py", "nets/small.py"}
    sent = away(parcels, hand)
    shutil.rmtree(tmp_path / "ours")
    (made,) = work.export(job, sent).made
    assert made.refusal is None and made.sha256 is not None
    other = replace(job, point=job.point._replace(model="yaml.nodes:Node"))
    assert "model" not in luggage.of_export(other)
    found, refusal = pickle.loads(work.answer(work.export, other, {}))
    assert not found and refusal.message == "yaml is another on the worker than where the sweep runs"


def test_what_fails_is_told_and_what_was_rejected_can_be_fetched(
    hand: work.Hand, plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.exporting import thresholds

    monkeypatch.setitem(thresholds.THRESHOLDS, "fp32", thresholds.Threshold(0.0, None, None, "nothing is exact"))
    (job,) = plan("lenet5").jobs
    there = work.export(job, {})
    (made,) = there.made
    assert made.refusal is not None and made.refusal.code == GateFailed.code and there.out in made.refusal.remedy
    assert [Path(one.path).suffix for one in there.artifacts] == [".rejected"]


def test_a_measurement_comes_back_and_a_refusal_has_what_was_said(
    hand: work.Hand, plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = plan("lenet5").jobs
    (made,) = run_here(job)
    assert made.path is not None and made.sha256 is not None
    file = luggage.of_artifact(made.path)
    timing = Timing(made, How("local", "null"), "local", "quick", "session", None)
    taken = work.measure(timing, away({"file": file}, hand)["file"], "topic")
    assert taken.session == "session" and taken.sha256 == made.sha256 and taken.device == "local"  # type: ignore[union-attr]
    refused = work.measure(replace(timing, how=How("local", "tensorrt")), file, "topic")
    assert refused.exit_code == 2  # type: ignore[union-attr]
    assert work.identity("local").facts == Local(load(), 1).identity("local").facts
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    asked = Judging({made.path: made.sha256}, None, nothing, 1), {made.sha256: file}, parcel(nothing)
    judged = work.judge(*asked)
    assert set(judged) == {made.sha256} and judged[made.sha256].code == UsageError.code  # type: ignore[union-attr]
    over = Processes()
    over.end()
    monkeypatch.setattr(work, "while_wanted", over.scope)
    with Workers(1) as processes:
        monkeypatch.setattr(work, "HAND", replace(hand, processes=processes))
        assert work.judge(*asked) == {made.sha256: work.STOPPED}


def test_an_error_is_an_answer_and_no_file_of_others_is_read(hand: work.Hand, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    assert pickle.loads(work.answer(work.read, str(hand.folder / ".." / "secret"), 0, 10))[1].code == "environment"
    work.forget(str(tmp_path))
    assert tmp_path.exists()

    def away() -> None:
        raise DeviceUnreachable("pi cannot be reached", "switch it on")

    is_done, refusal = pickle.loads(work.answer(away))
    assert not is_done and (refusal.exit_code, refusal.message) == (4, "pi cannot be reached")
    assert pickle.loads(pickle.loads(pickle.dumps(work.Call(divmod, (7, 2))))) == (True, (3, 1))
