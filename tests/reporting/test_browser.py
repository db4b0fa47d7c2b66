"""The page in a real browser: it draws without a complaint, filters, sorts, unfolds, and shows names as text.

Skipped where no Chromium is installed.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit.reporting import charts, drawing, page
from edgekit.reporting import text as report_text
from edgekit.reporting.answer import Answer, answers
from edgekit.reporting.rows import Row, rows
from edgekit.util.formatting import percent
from tests.stats.test_sustained import loaded
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.reporting.conftest import Records

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "<script>document.title='run'</script>"
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--enable-logging=stderr")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def library() -> str:
    pytest.importorskip("vl_convert", reason="vl-convert is not installed")
    return drawing.script()


def browse(
    found: tuple[Row, ...],
    library: str,
    folder: Path,
    probe: str,
    address: str = "",
    *flags: str,
    told: Sequence[Answer] = (),
) -> Any:
    """What the JavaScript expression `probe` is once the page is drawn; the browser must not have complained."""
    text = page.page(found, "now", library, answers=told)
    end = text.rindex("</body>")
    script = f"""<script>
    const wait = setInterval(async () => {{
      if (!document.body.dataset.drawn) return;
      clearInterval(wait);
      const value = await (async () => {{ {probe} }})();
      const textContent = JSON.stringify(value);
      document.body.append(Object.assign(document.createElement("pre"), {{ id: "probe", textContent }}));
    }}, 50);</script>"""
    path = folder / "page.html"
    path.write_text(text[:end] + script + text[end:], encoding="utf-8")
    command = [
        str(CHROMIUM),
        *ARGUMENTS,
        f"--user-data-dir={folder / 'profile'}",
        *flags,
        "--dump-dom",
        f"{path.as_uri()}{address}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    answer = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert answer, "the page was not drawn"
    return json.loads(html.unescape(answer[1]))


SETTLED = "const settled = () => new Promise((done) => setTimeout(done, 400));"
TABLE = "const lines = () => [...document.querySelectorAll('tr.row')].map((line) => line.innerText);"


def test_it_draws_filters_and_unfolds(make: Records, library: str, tmp_path: Path) -> None:
    found = rows(*make.family())
    value = browse(
        found,
        library,
        tmp_path,
        SETTLED
        + TABLE
        + """
        const marks = (name) => document.querySelectorAll(`#${name} .mark-symbol.role-mark path`).length;
        const before = Object.fromEntries(["latency", "macs", "params", "strips"].map((name) => [name, marks(name)]));
        before.lines = lines().length;
        const bold = [...document.querySelectorAll("tr.row")].filter(
          (line) => line.querySelector("[data-field=median_ms] b"),
        ).map((line) => line.cells[0].innerText.split("\\n")[0]);
        const choice = document.getElementById("only-precision");
        choice.value = "int8";
        choice.dispatchEvent(new Event("change"));
        await settled();
        const count = document.getElementById("count").textContent;
        const after = { lines: lines().length, count, address: location.hash };
        document.querySelector("tr.row button").click();
        await settled();
        return { before, after, bold, provenance: document.querySelector("tr.provenance").innerText };
        """,
    )
    assert value["before"]["lines"] == 64 and value["before"]["macs"] >= 64
    assert not value["before"]["params"], "all have the same number of parameters"
    assert value["before"]["latency"] >= 60
    assert value["before"]["strips"] == charts.MAX_STRIPS, "a dot for the greatest sample of each strip"
    assert value["after"] == {"lines": 32, "count": "32 of 64 rows", "address": "#precision=int8"}
    assert sorted(value["bold"]) == sorted(row.variant for row in found if row.front_latency), "the same front as ours"
    first = next(row for row in found if row.precision == "int8")
    assert first.sha256 in value["provenance"] and "onnxruntime" in value["provenance"]


def test_it_sorts_with_the_unknown_last(make: Records, library: str, tmp_path: Path) -> None:
    known = [make.manifest(f"net{i}_1.0_{160 + i}") for i in range(3)]
    measured = [make.measurement(one, 1.0 + i) for i, one in enumerate(known)]
    found = rows(measured, [make.accuracy(known[0], 0.5), make.accuracy(known[2], 0.7)])
    probe = TABLE + "return lines().map((line) => line.split(/\\s/)[0]);"
    assert browse(found, library, tmp_path, probe, "#sort=-top1") == [known[i].variant.name for i in (2, 0, 1)]
    assert browse(found, library, tmp_path, probe, "#sort=top1") == [known[i].variant.name for i in (0, 2, 1)]
    assert browse(found, library, tmp_path, probe, "#query=net1") == [known[1].variant.name]


def test_one_accuracy_is_one_number(make: Records, library: str, tmp_path: Path) -> None:
    """Halves are rounded in the page as they are in the terminal and in the other formats."""
    hits = (389, 57, 115, 229, 201, 1, 3, 399)
    known = [make.manifest(f"net{i}_1.0_{160 + i}") for i in range(len(hits))]
    found = rows(
        [make.measurement(one) for one in known],
        [make.accuracy(one, count / 400, n=400) for one, count in zip(known, hits, strict=True)],
    )
    probe = """const heads = [...document.querySelectorAll("#table thead th")];
    const place = heads.findIndex((head) => head.dataset.field === "top1");
    return [...document.querySelectorAll("tr.row")].map((line) => line.cells[place].innerText.split("\\n"));"""
    shown = browse(found, library, tmp_path, probe)
    pairs = [(row.top1, row.top1_ci95) for row in found]
    assert all(top1 is not None and interval is not None for top1, interval in pairs)
    assert shown == [[percent(top1), "–".join(map(percent, interval))] for top1, interval in pairs if top1 and interval]
    text = report_text.as_markdown(found, [], "now")
    assert all(f"| {percent(count / 400)} (" in text for count in hits) and "97.3" in text


def test_names_are_shown_and_not_run(make: Records, library: str, tmp_path: Path) -> None:
    known = make.manifest(EVIL)
    measured = make.measurement(known, device=EVIL, artifact=EVIL, verdict="suspect", reasons=(EVIL,))
    found = rows([measured, make.measurement(known, device="other")], [make.accuracy(known, dataset=EVIL)])
    probe = """document.querySelector("tr.row button").click();
    const shown = (name) => document.querySelector(name).innerText;
    return [document.title, shown("tr.row"), shown("tr.provenance")];"""
    title, line, provenance = browse(found, library, tmp_path, probe)
    assert title != "run" and EVIL in title and EVIL in line and EVIL in provenance


def test_a_report_of_one_foreign_file_draws(make: Records, library: str, tmp_path: Path) -> None:
    probe = """return [document.getElementById("undrawn").innerText, document.querySelector("tr.row").innerText,
      document.querySelector("tr.row abbr").title];"""
    picture, line, reason = browse(rows([make.measurement(None)], []), library, tmp_path, probe)
    assert (
        "Accuracy over arithmetic is not drawn: no row has both MACs and an accuracy." in picture
        and "–" in line
        and "foreign" in reason
    )


@pytest.mark.parametrize(("scheme", "paper"), [("0", "rgb(20, 24, 28)"), ("1", "rgb(255, 255, 255)")])
def test_it_follows_the_reader_into_the_dark(
    make: Records, library: str, tmp_path: Path, scheme: str, paper: str
) -> None:
    probe = """const label = document.querySelector("#strips .role-axis-label text");
    return [getComputedStyle(document.body).backgroundColor, getComputedStyle(label).fill];"""
    flag = f"--blink-settings=preferredColorScheme={scheme}"
    background, label = browse(rows([make.measurement(make.manifest())], []), library, tmp_path, probe, "", flag)
    assert background == paper and (label == "rgb(154, 165, 176)") == (scheme == "0")


def test_a_phone_scrolls_the_table_and_not_the_page(make: Records, library: str, tmp_path: Path) -> None:
    probe = "return [document.documentElement.scrollWidth, innerWidth];"
    wide, window = browse(rows(*make.family()), library, tmp_path, probe, "", "--window-size=500,900")
    assert wide <= window


BOXES = """const box = (one) => one.getBoundingClientRect();
const plot = (name) => box(document.querySelector(`#${name} .role-frame path.background`));"""


def test_a_phone_gives_the_picture_to_the_strips_and_not_to_names(make: Records, library: str, tmp_path: Path) -> None:
    probe = (
        BOXES
        + """const place = document.getElementById("strips");
    const texts = [...place.querySelectorAll(".role-axis-label text")].filter((one) => one.textContent);
    const ticks = texts.filter((one) => !isNaN(one.textContent)).filter((one) => getComputedStyle(one).opacity !== "0");
    const ends = ticks.map(box).sort((a, b) => a.left - b.left);
    return { share: plot("strips").width / place.clientWidth, beyond: place.scrollWidth - place.clientWidth,
      ticks: ticks.map((one) => Number(one.textContent)), names: texts.length - ticks.length,
      apart: ends.every((end, i) => !i || end.left > ends[i - 1].right + 2),
      breaks: document.querySelectorAll("tr.row th button wbr").length };"""
    )
    known = [make.manifest(f"mobilenet_0.5_32_c10_{i}_1.0_160") for i in range(8)]
    found = rows([make.measurement(one, 0.2 * 1.6**i) for i, one in enumerate(known)], [])
    value = browse(found, library, tmp_path, probe, "", "--window-size=500,900")
    assert value["share"] > 0.85 and value["beyond"] <= 0 and value["apart"] and value["names"] == 8
    assert len(value["ticks"]) > 2 and max(value["ticks"]) / min(value["ticks"]) < 200, "the data's range is 27"
    assert value["breaks"] >= 8 * 5


def test_no_name_of_the_front_lies_over_the_labels(make: Records, library: str, tmp_path: Path) -> None:
    probe = (
        BOXES
        + """const names = (name) => [...document.querySelectorAll(`#${name} .mark-text.role-mark text`)];
    const left = (name) => names(name).map((one) => box(one).left);
    return ["latency", "macs"].map((name) => [left(name).length, Math.min(...left(name)) - plot(name).left]);"""
    )
    for count, beyond in browse(rows(*make.family()), library, tmp_path, probe, "", "--window-size=1280,900"):
        assert count > 3 and beyond >= 0


def test_sustained_load_has_a_curve_and_others_have_none(make: Records, library: str, tmp_path: Path) -> None:
    lasting = loaded(lambda at: 10.0 if at < 60 else 15.0, seconds=120)
    probe = (
        SETTLED
        + """await settled();
    const points = document.querySelectorAll("#sustained .mark-symbol.role-mark path").length;
    return [points, document.getElementById("lasting").hidden, document.querySelector("#ends tbody").innerText];"""
    )
    points, hidden, told = browse(rows([lasting], []), library, tmp_path, probe)
    assert points == 20 and not hidden and "1.50" in told and "1.0 min" in told
    assert browse(rows([make.measurement(make.manifest())], []), library, tmp_path, probe) == [0, True, ""]


def on_two_devices(make: Records) -> tuple[Row, ...]:
    """A sweep of 64 files, each on two devices."""
    taken, evaluated = make.family()
    times = [statistics.median(one.runs[0].samples_ns) / 1e6 for one in taken]
    there = [make.measurement(one.manifest, 2.7 * ms, device="phone") for one, ms in zip(taken, times, strict=True)]
    return rows([*taken, *there], evaluated)


def test_a_wide_window_shows_every_column_and_no_mark_or_name_hides_another(
    make: Records, library: str, tmp_path: Path
) -> None:
    probe = (
        BOXES
        + """const table = document.querySelector(".scroll:has(#table)");
    const names = [...document.querySelectorAll("#latency .mark-text.role-mark text")]
      .filter((one) => one.style.visibility !== "hidden").map(box);
    const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const marks = [...document.querySelectorAll("#macs path[aria-roledescription=point]")];
    const middle = (one) => Math.round(box(one).left + box(one).width / 2);
    const same = marks.filter((one) => one.getAttribute("aria-label").includes("millions, log scale): 568.74"));
    return { beyond: table.scrollWidth - table.clientWidth, names: names.length,
      collisions: names.filter((one, i) => names.slice(0, i).some((other) => over(one, other))).length,
      places: new Set(same.map(middle)).size, marks: same.length,
      ticks: document.querySelectorAll("#latency .role-axis-tick line").length,
      columns: [...document.querySelectorAll("#devices thead th")].map((one) => one.innerText),
      lines: document.querySelectorAll("#devices tbody tr").length };"""
    )
    value = browse(on_two_devices(make), library, tmp_path, probe, "", "--window-size=1400,1000")
    assert value["beyond"] <= 0 and value["names"] > 3 and value["collisions"] == 0
    assert value["marks"] >= 4 and value["places"] >= 4, "two formats in two precisions have the same MACs"
    assert value["ticks"] > 8 and value["columns"] == ["File", "Top-1, %", "local", "phone"] and value["lines"] == 64


def test_a_phone_shows_rows_as_cards_with_latency_and_accuracy_first(
    make: Records, library: str, tmp_path: Path
) -> None:
    probe = """const cells = [...document.querySelector("tr.row").children];
    const top = (one) => one.getBoundingClientRect().top;
    const [file, ...numbers] = [...document.querySelector(".answer tbody tr").children];
    const isAbove = numbers.every((one) => top(one) >= file.getBoundingClientRect().bottom - 1);
    const highest = cells.sort((a, b) => top(a) - top(b)).slice(0, 3);
    return [highest.map((one) => one.dataset.field || "name").sort(), isAbove];
    """
    found = rows(*make.family())
    value, is_above = browse(found, library, tmp_path, probe, "", "--window-size=500,900", told=answers(found, {}))
    assert value == ["median_ms", "name", "top1"] and is_above, "a file's name has the width of the screen"


@pytest.mark.parametrize("window", ["1400,900", "500,800"])
def test_the_first_screen_names_a_file_for_each_device(
    make: Records, library: str, tmp_path: Path, window: str
) -> None:
    probe = (
        BOXES
        + """const shown = [...document.querySelectorAll(".inshort li, .answer h2")].filter((one) => one.offsetParent);
    const seen = shown.filter((one) => box(one).bottom <= innerHeight);
    return [seen.map((one) => (one.closest("article") || one).innerText),
      document.querySelector(".figures").scrollWidth <= document.querySelector(".figures").clientWidth];"""
    )
    found = on_two_devices(make)
    assert len(answers(found, {})) == 2
    seen, fits = browse(found, library, tmp_path, probe, "", f"--window-size={window}", told=answers(found, {}))
    assert fits and all(any(f"Ship to {name}" in text for text in seen) for name in ("local", "phone"))


def test_of_one_row_nothing_can_be_left_out(make: Records, library: str, tmp_path: Path) -> None:
    probe = """const same = document.getElementById("same");
    return [document.getElementById("filters").offsetHeight, same.innerText, same.querySelector("code").innerText,
      document.querySelector(".lead").innerText];"""
    height, same, command, lead = browse(rows([make.measurement(make.manifest())], []), library, tmp_path, probe)
    assert height == 0 and "`" not in same and command == "edgekit eval"
    assert lead == "What 1 exported file costs, and how accurate it still is: 1 latency."


def test_a_print_of_a_sweep_fills_its_pages(make: Records, library: str, tmp_path: Path) -> None:
    """64 rows of two lines are four pages of a table; the head, the pictures and the notes are three more."""
    (tmp_path / "page.html").write_text(page.page(rows(*make.family()), "now", library), encoding="utf-8")
    printed = tmp_path / "page.pdf"
    command = [str(CHROMIUM), *ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={printed}"]
    subprocess.run([*command, (tmp_path / "page.html").as_uri()], capture_output=True, timeout=PATIENCE, check=True)
    assert 4 <= len(re.findall(rb"/Type /Page\b", printed.read_bytes())) <= 7


def test_of_failures_alone_the_head_tells_everything(library: str, tmp_path: Path) -> None:
    probe = """return [document.querySelector("main").offsetHeight, document.querySelector("h1").innerText];"""
    assert browse((), library, tmp_path, probe) == [0, "Nothing was measured"]
