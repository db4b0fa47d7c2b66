"""The report's files: formats, names, errors, escaping, size, pictures apart; and that it needs no torch."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import edgekit
from edgekit.errors import BackendMissing, EnvironmentRefused, UsageError
from edgekit.reporting import charts, drawing
from edgekit.reporting import page as report_page
from edgekit.reporting.command import _file_name as report_name
from edgekit.reporting.command import report
from edgekit.reporting.rows import rows
from tests.paths import ROOT

if TYPE_CHECKING:
    from tests.reporting.conftest import Records

EVIL = "<script>alert(1)</script>|`*_=1+1"


def test_the_headline_is_told_as_it_is_computed() -> None:
    paths = (ROOT / "README.md", report_page.ASSETS / "report.html")
    texts = [path.read_text(encoding="utf-8") for path in paths]
    assert not [text for text in texts if "median of all samples" in text or "median over every sample" in text]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "1 measurement is invalid: do not use its latency."),
        (2, "2 measurements are invalid: do not use their latency."),
    ],
)
def test_one_measurement_is_one(make: Records, number: int, said: str) -> None:
    known = [make.manifest(f"net{index}_1.0_160") for index in range(number)]
    assert said in report_page.cautions(rows([make.measurement(one, verdict="invalid") for one in known], []))


def test_a_page_says_why_measurements_are_suspect_each_reason_once(make: Records) -> None:
    known = [make.manifest(f"net{index}_1.0_160") for index in range(3)]
    told = [
        make.measurement(one, verdict="suspect", reasons=(f"suspect: {n}.5 busy; stop",)) for n, one in enumerate(known)
    ]
    shown = report_page.page(rows(told, []), "now", "")
    assert shown.count("3 measurements are suspect: 0.5 to 2.5 busy; stop.") == 1


def test_every_format_has_its_suffix(make: Records, tmp_path: Path) -> None:
    store = make.store([make.measurement(make.manifest())], [make.accuracy(make.manifest())])
    result = report(store, tmp_path / "new" / "r.html", "md,csv,json")
    assert [path.name for path in result.paths] == ["r.md", "r.csv", "r.json"] and len(result.rows) == 1
    assert result.to_json().items() >= {"paths": [str(path) for path in result.paths], "rows": 1}.items()
    assert report(store, tmp_path / "v1.2", ["markdown"]).paths[0].name == "v1.2.md"
    assert report(store, tmp_path / "table.csv", "csv").paths[0].name == "table.csv"


def test_json_and_csv_hold_the_numbers(make: Records, tmp_path: Path) -> None:
    foreign = make.measurement(None, artifact="-f.onnx")
    store = make.store([make.measurement(make.manifest()), foreign], [make.accuracy(make.manifest(), 0.6)])
    result = report(store, tmp_path / "r", "json,csv")
    document = json.loads(result.paths[0].read_text())
    first, second = document["rows"]
    assert document["edgekit"] == edgekit.__version__ and first["top1"] == 0.6 and first["macs"] == 76_520_000
    assert second["top1"] is None and second["missing"]["macs"].startswith("a foreign file")
    lines = list(csv.DictReader(result.paths[1].read_text().splitlines()))
    assert float(lines[0]["top1_ci95_low"]) == first["top1_ci95"][0] and lines[1]["macs"] == "", "unknown is not 0"
    assert lines[1]["artifact"] == "'-f.onnx", "no spreadsheet takes it for a formula"


def test_markdown_is_one_table_with_a_dash_for_the_unknown(make: Records, tmp_path: Path) -> None:
    store = make.store([make.measurement(None, verdict="suspect", reasons=("load | heat",))])
    text = report(store, tmp_path / "r", "md").paths[0].read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("| foreign")]
    assert "| - |" in line and "| suspect |" in line and line.count(" | ") == 15
    assert "- suspect: load \\| heat (foreign.onnx" in text
    assert "> 1 measurement is suspect" in text


@pytest.mark.parametrize("format", ["html", "md,csv,json"])
def test_an_empty_store_is_told(make: Records, tmp_path: Path, format: str) -> None:
    (tmp_path / "records.db").touch()
    with pytest.raises(UsageError, match="nothing to report") as caught:
        report(make.store(), tmp_path / "r.html", format)
    assert "edgekit bench" in caught.value.remedy and not (tmp_path / "r.html").exists()
    with pytest.raises(UsageError, match="there is no store"):
        report(str(tmp_path / "gone.db"), tmp_path / "r.html", format)


def test_an_unknown_format_suggests_the_nearest(make: Records, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'html'"):
        report(make.store(), tmp_path / "r", "htlm")
    with pytest.raises(UsageError, match="no format of a report was named"):
        report(make.store(), tmp_path / "r", " ,")


@pytest.mark.parametrize("out", [".", "/", ".."])
def test_a_folder_without_a_name_is_no_report(out: str, make: Records) -> None:
    with pytest.raises(UsageError, match="is a folder") as caught:
        report(make.store([make.measurement(make.manifest())]), out=out, format="csv")
    assert "report.html" in caught.value.remedy


def test_what_is_in_the_way_is_told(make: Records, tmp_path: Path) -> None:
    store = make.store([make.measurement(make.manifest())])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match="in the way"):
        report(store, tmp_path / "folder.csv", "csv")
    with pytest.raises((UsageError, EnvironmentRefused)):
        report(store, tmp_path / "records.db" / "r.csv", "csv")


def test_a_script_that_is_never_bundled_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "converter", lambda: SimpleNamespace(__version__="9"))
    monkeypatch.setattr(drawing, "BUNDLE", "import time; time.sleep(60)")
    monkeypatch.setattr(drawing, "BUNDLE_SECONDS", 0.2)
    with pytest.raises(EnvironmentRefused, match="bundling the script") as caught:
        drawing.script()
    assert "--format md,csv,json" in caught.value.remedy


def test_the_script_is_bundled_once_for_a_release_of_vl_convert(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    releases = iter(("9", "9", "9", "10", "10"))
    monkeypatch.setattr(drawing, "converter", lambda: SimpleNamespace(__version__=next(releases)))
    monkeypatch.setattr(drawing, "BUNDLE", "print('first')")
    assert drawing.script() == "first\n"
    monkeypatch.setattr(drawing, "BUNDLE", "print('second')")
    assert drawing.script() == "first\n"
    kept = tmp_path / "cache" / "vega-9.js"
    kept.write_bytes(kept.read_bytes()[:-3])
    assert drawing.script() == "second\n", "a damaged one was believed"
    monkeypatch.setattr(drawing, "BUNDLE", "print('third')")
    assert drawing.script() == "third\n", "another release draws by the script of the first"
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "file"))
    assert drawing.script() == "third\n", "a page needs no cache"


def test_without_vl_convert_the_remedy_is_told_and_text_still_works(
    make: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    store = make.store([make.measurement(make.manifest())])
    with pytest.raises(BackendMissing) as caught:
        report(store, tmp_path / "r.html")
    assert "pip install 'edgekit[report]'" in caught.value.remedy
    assert len(report(store, tmp_path / "r", "md,csv,json").paths) == 3


def test_a_report_needs_neither_torch_nor_a_runtime() -> None:
    heavy = "{'torch', 'tensorflow', 'onnx', 'onnxruntime', 'ai_edge_litert', 'altair', 'pandas', 'vl_convert'}"
    code = f"import sys, edgekit.reporting.command as r; r.report; print(sorted({heavy} & set(sys.modules)))"
    root = Path(edgekit.errors.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def page(make: Records, library: str = "") -> str:
    known = make.manifest(EVIL)
    measured = make.measurement(known, device=EVIL, artifact=EVIL, verdict="suspect", reasons=(EVIL,))
    return report_page.page(rows([measured], [make.accuracy(known, dataset=EVIL)]), "now", library)


def test_the_page_shows_names_and_runs_none(make: Records) -> None:
    text = page(make)
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text and "\\u003cscript>alert(1)" in text


def test_markdown_shows_names_and_runs_none(make: Records, tmp_path: Path) -> None:
    store = make.store([make.measurement(make.manifest(EVIL))])
    text = report(store, tmp_path / "r", "md").paths[0].read_text()
    assert "<script" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;\\|\\`\\*\\_=1+1" in text


def test_the_page_tells_the_rank_correlation_with_published(make: Records) -> None:
    text = report_page.page(rows(*make.family()), "now", "")
    found = re.search(r"Rank correlation with ours: (0\.9\d\d) over 32 files", text)
    assert found and float(found[1]) > 0.98


def test_the_page_loads_nothing_from_anywhere(make: Records) -> None:
    text = page(make)
    assert "default-src 'none'" in text
    assert not re.search(r"(?:src|href)\s*=\s*[\"']|@import|url\(|fetch\(|https?://", text)


def test_ten_thousand_rows_stay_small(make: Records) -> None:
    def size(count: int) -> int:
        measured = [
            make.measurement(make.manifest(f"mobilenet_{1 / (i + 1):.5f}_160"), samples=20, processes=1, seed=i)
            for i in range(count)
        ]
        accuracies = [make.accuracy(record.manifest) for record in measured]
        return len(report_page.page(rows(measured, accuracies), "now", "").encode())

    one, many = size(1), size(301)
    assert one + (many - one) / 300 * 10_000 < 14e6, "with a megabyte for the script"


def test_assets_are_each_picture_twice_and_the_raw_samples(make: Records, tmp_path: Path) -> None:
    measured = make.measurement(make.manifest(), processes=2)
    store = make.store([measured], [make.accuracy(make.manifest())])
    result = report(store, tmp_path / "r", "md", assets=tmp_path / "assets")
    names = {path.name for path in result.paths}
    pictures = {
        f"{name}.{kind}"
        for name in ("accuracy-macs", "accuracy-params", "accuracy-latency", "latency-distributions")
        for kind in ("svg", "png")
    }
    assert names == {"r.md", "samples.csv", *pictures}
    lines = list(csv.DictReader((tmp_path / "assets" / "samples.csv").read_text().splitlines()))
    expected = [(str(p), str(value)) for p, run in enumerate(measured.runs) for value in run.samples_ns]
    assert [(line["process"], line["latency_ns"]) for line in lines] == expected
    assert (tmp_path / "assets" / "accuracy-macs.svg").read_text().startswith("<svg")


def test_names_of_any_length_are_names_of_pictures(tmp_path: Path, make: Records) -> None:
    assert report_name("a/b c", 3) == "a-b-c"
    names = {report_name("ü" * 300 + tail, row) for row, tail in enumerate(("a", "b"))}
    assert len(names) == 2 and all(len(f"layers-{name}.svg".encode()) < 200 for name in names)


def test_a_picture_with_nothing_in_it_is_not_written(make: Records, tmp_path: Path) -> None:
    result = report(make.store([make.measurement(None)]), tmp_path / "r", "csv", assets=tmp_path)
    assert {path.suffix for path in result.paths} == {".csv", ".svg", ".png"} and len(result.paths) == 4


def test_points_of_the_pictures(make: Records) -> None:
    found = rows(*make.family())
    by_macs, by_latency = charts.points(found, "macs"), charts.points(found, "latency")
    assert len(by_macs) == 64 and len(by_latency) == 60, "four rows are invalid"
    assert {point["label"] for point in by_latency if point["front"]} == {
        row.label for row in found if row.front_latency
    }
    published = charts.published_points(found)
    assert len(published) == 32 and published[0]["accuracy"] == pytest.approx(70.9), "for the float rows"
    assert len(charts.strips(found)) == charts.MAX_STRIPS
