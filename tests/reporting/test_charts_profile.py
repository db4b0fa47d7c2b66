"""Profiles in the report: the pictures' data, the page, and how many of them it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit.records.measurement import Measurement
from edgekit.records.roofline import LayerTime, Peaks, Profile
from edgekit.reporting import charts_profile, page_data, page_profile, text
from edgekit.reporting.charts_profile import MAX_BARS, bars, roofs, spots
from edgekit.reporting.command import of_records
from edgekit.reporting.rows import rows

if TYPE_CHECKING:
    from tests.reporting.conftest import Records

EVIL = "<script>document.title='run'</script>"
PEAKS = Peaks(
    threads=1,
    gemm_float32_gmacs=50.0,
    gemm_float32_by="numpy matmul",
    gemm_int8_gmacs=200.0,
    gemm_int8_by="onnxruntime MatMulInteger",
    copy_gbytes=10.0,
    copy_by="numpy copy",
)


def profile(layers: int = 6, int8: bool = False, name: str = "conv") -> Profile:
    made = tuple(
        LayerTime(
            name=f"{name}{at}", layers=(f"{name}{at}",), kind="conv 3x3", operators="Conv", ms=0.1 * (at + 1),
            macs=2_000_000 * (at + 1) ** 2, bytes=1_000_000, int8=int8,
        )
        for at in range(layers)
    )  # fmt: skip
    own = LayerTime(name="ReorderOutput", layers=(), kind=None, operators="3 x ReorderOutput", ms=0.05)
    whole = sum(row.ms for row in made) + 0.25
    return Profile(
        rows=(*made, own), profiled_ms=whole, plain_ms=whole, runs=9, method="a profiler", peaks=PEAKS, reasons=("so",)
    )


def with_profile(record: Measurement, found: Profile) -> Measurement:
    return record.model_copy(update={"profile": found})


def test_bars_are_every_row_and_what_lies_between() -> None:
    found = bars(profile().to_json())
    assert [one["name"] for one in found] == [
        *(f"conv{at}" for at in range(6)),
        "ReorderOutput",
        "between the operators",
    ]
    assert [one["bound"] for one in found[-2:]] == ["none of ours", "none of ours"]
    assert sum(one["share"] for one in found) == pytest.approx(1.0, abs=1e-3)


def test_of_many_layers_the_slowest_and_the_rest_together() -> None:
    known = profile(300).to_json()
    found = bars(known)
    assert len(found) == MAX_BARS and found[-1]["name"] == "243 others" and found[-2]["name"] == "conv299"
    assert sum(one["ms"] for one in found) == pytest.approx(known["profiled_ms"], rel=1e-3)


def test_roofs_meet_at_the_ridge_and_only_those_in_use_are_drawn() -> None:
    found = roofs(profile().to_json())
    assert {one["roof"] for one in found} == {"float32"}
    assert [one["gmacs_per_s"] for one in found][1:] == [50.0, 50.0] and found[1]["intensity"] == 5.0
    assert found[0]["gmacs_per_s"] == pytest.approx(10 * found[0]["intensity"])
    assert {one["roof"] for one in roofs(profile(int8=True).to_json())} == {"int8"}
    assert roofs(profile().model_copy(update={"peaks": None}).to_json()) == []
    assert len(spots(profile().to_json())) == 6, "what multiplies nothing has no place under the roofs"


def test_the_row_has_it_and_only_json_tells_all(make: Records) -> None:
    found = rows([with_profile(make.measurement(make.manifest()), profile())], [])
    assert found[0].profile is not None and len(found[0].profile["layers"]) == 7
    (told,) = json.loads(text.as_json(found, "now"))["rows"]
    assert told["profile"]["layers"][0]["name"] == "conv0" and told["profile"]["peak_share"] > 0
    assert "ReorderOutput" not in text.as_csv(found)


def test_a_page_holds_the_latest_profiles_and_no_more(make: Records) -> None:
    taken = [
        with_profile(
            make.measurement(make.manifest(f"net{at}_1.0_96"), created=f"2026-11-20T10:{at:02}:00Z"), profile()
        )
        for at in range(50)
    ]
    found = rows(taken, [])
    held = page_profile.profiles(found)
    assert len(held) == page_profile.MAX_PROFILES and [one["id"] for one in held] == sorted(one["id"] for one in held)
    assert min(found[one["id"]].created for one in held) == "2026-11-20T10:10:00Z"
    failed = with_profile(make.measurement(make.manifest()), Profile(reasons=("it did not run",)))
    assert page_profile.profiles(rows([failed], [])) == []


def test_thousands_of_rows_with_profiles_stay_small(make: Records) -> None:
    record = with_profile(make.measurement(make.manifest()), profile(200))
    found = rows([record], []) * 3000
    size = len(page_data.data(found))
    assert size < 4_500_000, "10,000 rows must stay below 15 MB"


def test_pictures_apart(make: Records, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="vl-convert is not installed")
    record = with_profile(make.measurement(make.manifest()), profile())
    made = of_records([record], [], out=tmp_path / "r.csv", format="csv", assets=tmp_path / "assets")
    names = {path.name for path in made.paths}
    label = rows([record], [])[0].label.replace(" ", "-")
    assert {f"{kind}-{label}.{suffix}" for kind in ("layers", "roofline") for suffix in ("svg", "png")} <= names
    assert "conv5" in (tmp_path / "assets" / f"layers-{label}.svg").read_text()


def test_the_page_draws_and_changes_profiles(make: Records, tmp_path: Path) -> None:
    from edgekit.reporting import drawing
    from tests.reporting import test_browser

    if test_browser.CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    pytest.importorskip("vl_convert", reason="vl-convert is not installed")
    plain, named = make.manifest("a_1.0_96"), make.manifest("b_1.0_96")
    taken = [
        with_profile(make.measurement(plain, 1.0), profile(4)),
        with_profile(make.measurement(named, 2.0), profile(9, name=EVIL)),
        make.measurement(make.manifest("c_1.0_96"), 3.0),
    ]
    probe = """const settled = () => new Promise((done) => setTimeout(done, 600));
    const bars = () => document.querySelectorAll("#layers .mark-rect.role-mark path").length;
    const first = { bars: bars(), points: document.querySelectorAll("#roofline .mark-symbol.role-mark path").length,
      lines: document.querySelectorAll("#reached tbody tr").length };
    first.hidden = document.getElementById("profiles").hidden;
    const pick = document.getElementById("profile");
    pick.selectedIndex = 1;
    pick.dispatchEvent(new Event("change"));
    await settled();
    first.others = bars();
    first.title = document.title;
    first.told = document.getElementById("profile-note").textContent.slice(0, 22);
    const search = document.getElementById("query");
    search.value = "c_1.0";
    search.dispatchEvent(new Event("input"));
    await settled();
    first.gone = document.getElementById("profiles").hidden;
    return first;"""
    found = test_browser.browse(rows(taken, []), drawing.script(), tmp_path, probe)
    title, told = found.pop("title"), found.pop("told")
    assert found == {"bars": 6, "points": 4, "lines": 2, "hidden": False, "others": 11, "gone": True} and title != "run"
    assert told == "So. The operators sum "


def test_specifications_are_data() -> None:
    made: list[Any] = [charts_profile.layers(), charts_profile.roofline()]
    assert json.loads(json.dumps(made)) == made
