"""Inspect: what a file is, read from itself and from its manifest; and a snippet that really runs."""

from __future__ import annotations

import contextlib
import html
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.cli.output import Outcome, write
from edgekit.cli.views import inspect as views
from edgekit.errors import UsageError
from edgekit.inspection import command
from edgekit.inspection.facts import facts_of, of_layer
from edgekit.records.artifact import Artifact, open_artifact
from edgekit.records.formats import FORMATS
from edgekit.util import apart
from tests.command_line import edgekit as run
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """LeNet-5, float and int8, in both formats."""
    result = edgekit.export(
        "lenet5", precision=["fp32", "int8"], synthetic_calibration=True, out=tmp_path_factory.mktemp("artifacts")
    )
    assert not result.failed
    return {f"{a.manifest.format} {a.manifest.precision}": a for a in result.artifacts if a.manifest}


@pytest.mark.parametrize("which", ["onnx fp32", "tflite fp32", "onnx int8", "tflite int8"])
def test_operators_are_those_of_the_file_and_of_the_manifest(which: str, exported: dict[str, Artifact]) -> None:
    artifact = exported[which]
    found = edgekit.inspect(artifact.path)
    assert artifact.manifest and found.operators == artifact.manifest.operators
    assert json.loads(json.dumps(found.to_json()))["intact"] is True


@pytest.mark.parametrize("which", ["onnx int8", "tflite fp32"])
def test_python_and_a_notebook_show_what_the_command_line_shows(which: str, exported: dict[str, Artifact]) -> None:
    found = edgekit.inspect(exported[which].path, layers="int8" in which)
    document, stream = found.to_json(), io.StringIO()
    write(Outcome(document, views.inspect), False, stream)
    words = "".join(stream.getvalue().split())
    for what, told in facts_of(document):
        assert f"{what}{told}".replace(" ", "") in words
        assert told in repr(found) and html.escape(told) in found._repr_html_()
    last = [] if document["layers"] is None else [of_layer(key, document["layers"][-1]) for key in ("layer", "snr_db")]
    assert repr(found).splitlines()[-1].split() == last or not last
    assert {"network", "weights", "MACs", "preprocessing", "parity"} <= {what for what, _ in facts_of(document)}


def test_a_printed_snippet_is_its_code(exported: dict[str, Artifact]) -> None:
    found = edgekit.inspect(exported["onnx fp32"].path, snippet="python")
    assert repr(found) == found.snippet and found._repr_html_() == f"<pre>{html.escape(repr(found))}</pre>"


def test_a_foreign_file_shows_its_operators(exported: dict[str, Artifact], tmp_path: Path) -> None:
    foreign = tmp_path / "theirs.tflite"
    foreign.write_bytes(exported["tflite fp32"].path.read_bytes())
    found = edgekit.inspect(foreign)
    assert found.artifact.foreign and found.operators and found.to_json()["manifest"] is None
    with pytest.raises(UsageError, match="has no manifest"):
        edgekit.inspect(foreign, snippet="python")


@pytest.mark.parametrize(
    ("does", "cause"),
    [
        ("os.kill(os.getpid(), 11)", "cannot be read: what reads it ended with -11"),
        ("sys.exit('it fell over')", "ended with 1: it fell over"),
        ("time.sleep(10**6)", "gave no answer in 1 s"),
    ],
)
def test_a_reader_that_crashes_or_does_not_end_takes_nothing_of_ours_along(
    does: str, cause: str, exported: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = tmp_path / "theirs.tflite"
    foreign.write_bytes(exported["tflite fp32"].path.read_bytes())
    with_manifest = exported["tflite fp32"].path  # which anybody can write
    monkeypatch.setattr(apart, "CHILD", f"import os, sys, time\n{does}")
    if "sleep" in does:
        monkeypatch.setattr(command, "SECONDS", 1.0)
    for path in (foreign, with_manifest):
        with pytest.raises(UsageError, match=cause):
            edgekit.inspect(path)


def test_an_empty_file_is_no_engine(tmp_path: Path) -> None:
    (tmp_path / "net.engine").touch()
    with pytest.raises(UsageError, match="is no TensorRT engine: it is empty"):
        edgekit.inspect(tmp_path / "net.engine")


def test_what_lies_around_is_not_imported(
    exported: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    foreign = tmp_path / "theirs.tflite"
    foreign.write_bytes(exported["tflite fp32"].path.read_bytes())
    assert edgekit.inspect(foreign).operators


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_what_only_bears_the_suffix_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text("this is a text and no network")
    with pytest.raises(UsageError, match="is not a"):
        edgekit.inspect(path)


def test_layers_of_an_int8_file_come_worst_first(exported: dict[str, Artifact]) -> None:
    layers = edgekit.inspect(exported["tflite int8"].path, layers=True).layers
    assert layers
    known = [row["snr_db"] for row in layers if row["snr_db"] is not None]
    assert known == sorted(known) and len(known) > 5
    with pytest.raises(UsageError, match="is not int8"):
        edgekit.inspect(exported["tflite fp32"].path, layers=True)


@pytest.mark.parametrize("which", ["onnx fp32", "tflite fp32", "tflite int8"])
def test_the_python_snippet_runs_and_ranks_like_the_file(
    which: str, exported: dict[str, Artifact], tmp_path: Path
) -> None:
    artifact = exported[which]
    snippet = edgekit.inspect(artifact.path, snippet="python").snippet
    assert snippet
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (40, 48), dtype=np.uint8)).save(tmp_path / "picture.png")
    (tmp_path / "program.py").write_text(snippet)  # the file is elsewhere
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "picture.png")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 5
    assert all(0 <= int(index) < 10 for index, _ in lines)
    scores = [float(score) for _, score in lines]
    assert scores == sorted(scores, reverse=True)


def test_an_unknown_language_suggests_the_nearest(exported: dict[str, Artifact]) -> None:
    with pytest.raises(UsageError, match="did you mean 'python'"):
        edgekit.inspect(exported["onnx fp32"].path, snippet="pyton")


@pytest.mark.parametrize("which", ["tflite fp32", "tflite int8", "onnx fp32"])
def test_a_damaged_file_is_a_damaged_file(which: str, exported: dict[str, Artifact], tmp_path: Path) -> None:
    """Cut, and with bytes changed: what is said is an error of ours, or what the file still holds."""
    data = exported[which].path.read_bytes()
    path, random = tmp_path / f"w{exported[which].path.suffix}", np.random.default_rng(0)
    for trial in range(150):
        damaged = bytearray(data[: random.integers(len(data))] if trial % 3 == 0 else data)
        places = random.integers(4096 if trial % 2 else len(damaged) or 1, size=0 if trial % 3 == 0 else 12)
        for place in places:
            if not 4 <= place < 8:  # the file keeps its mark, so that it is read
                damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(UsageError):
            FORMATS[open_artifact(path).format].contents(path)  # in this process, where a bug of ours shows


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_an_empty_file_is_no_network(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"w{suffix}").write_bytes(b"")
    with pytest.raises(UsageError, match="is not a"):
        edgekit.inspect(tmp_path / f"w{suffix}")


def test_names_that_are_packed_small_are_not_unpacked(exported: dict[str, Artifact], tmp_path: Path) -> None:
    path = tmp_path / "w.tflite"
    path.write_bytes(exported["tflite fp32"].path.read_bytes())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "\n" * (1 << 26))
    with pytest.raises(UsageError, match="larger than 16 MiB"):
        edgekit.inspect(path)


def test_the_snippets_of_several_files_are_refused() -> None:
    done = run("inspect", "a.onnx", "b.onnx", "--snippet", "python")
    assert done.returncode == 2 and "--snippet prints one program, and 2 files were given" in done.stderr
    assert "edgekit inspect a.onnx --snippet python" in done.stderr
