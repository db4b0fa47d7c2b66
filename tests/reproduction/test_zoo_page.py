"""The page of `reproduce zoo` with times of this machine in it, and in a real browser where one is installed."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit.reporting import drawing
from edgekit.reporting.rows import rows
from edgekit.reproduction.zoo import Point, latencies
from edgekit.reproduction.zoo_charts import accuracy_over_time
from edgekit.reproduction.zoo_page import page
from tests.reporting.conftest import make as make
from tests.reporting.test_browser import ARGUMENTS, CHROMIUM
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from edgekit.records.measurement import Measurement
    from tests.reporting.conftest import Records

POINTS = (
    Point("mobilenet_1.0_224", "mobilenet", "MobileNet", 0.706, "a paper", 569, 4_231_976, True, {"fp32": None}),
    Point("vgg16_224", "vgg16", "VGG", 0.715, "<b>another</b>", 15_470, 138_357_544, True, {"fp32": None}),
)


def sustained(one: Measurement) -> Measurement:
    return one.model_copy(update={"protocol": one.protocol.model_copy(update={"sustained_seconds": 120})})


def times(make: Records, monkeypatch: pytest.MonkeyPatch) -> dict[str, float | None]:
    monkeypatch.setattr("edgekit.bench.ondevice.sensors.linux.host", lambda: "3fc95c0b")
    manifest = make.manifest("mobilenet_1.0_224")
    measured = [
        make.measurement(manifest, 12.5),
        make.measurement(manifest, 20.0, runtime="torch"),
        make.measurement(manifest, 2.5, device="orin"),
        make.measurement(manifest, 1.5, host="00000000"),
        make.measurement(manifest, 1.0, runtime="other", verdict="invalid"),
        make.measurement(manifest, 0.001, runtime="null"),
        sustained(make.measurement(manifest, 3.0)),
    ]
    return latencies("mobilenet_1.0_224", rows(measured, []))


def page_of(ms: dict[str, float | None]) -> str:
    points = [replace(POINTS[0], ms=ms).to_json(), replace(POINTS[1], ms={"fp32": None, "int8": None}).to_json()]
    return page(points, [], ["a note"], "now", drawing.script())


def test_only_times_of_this_machine_are_drawn(make: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    found = times(make, monkeypatch)
    assert found["fp32"] == pytest.approx(12.5, rel=0.1) and found["int8"] is None
    points = [replace(POINTS[0], ms=found).to_json(), replace(POINTS[1], ms={"fp32": None, "int8": None}).to_json()]
    (value,) = accuracy_over_time(points)["data"]["values"]
    assert (value["precision"], value["ms"], value["label"]) == ("fp32", found["fp32"], "mobilenet")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("size", ["500,900", "1400,900"])
def test_a_browser_draws_it_without_a_complaint(size: str, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="vl-convert is not installed")
    fits = "document.title = `${document.documentElement.scrollWidth <= innerWidth}`"
    probe = f"<script>setTimeout(() => {fits}, 3000)</script>"
    path = tmp_path / "zoo.html"
    text = page_of({"fp32": 12.5, "int8": 6.0})
    end = text.rindex("</body>")
    path.write_text(text[:end] + probe + text[end:], encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [str(CHROMIUM), *ARGUMENTS, profile, f"--window-size={size}", "--dump-dom", path.as_uri()]
    done: Any = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    assert 'data-drawn="yes"' in done.stdout and "<title>true</title>" in done.stdout
    assert len(re.findall(r"<svg[^>]*marks", done.stdout)) == 3
    assert "&lt;b&gt;another" in done.stdout and "<b>another" not in done.stdout
