"""`choose` from a store: which records count, what the command prints, and its exit codes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.choosing.command import choose
from edgekit.cli.app import command
from edgekit.cli.output import write
from edgekit.errors import UsageError
from tests.reporting.conftest import Records, accuracy, manifest, measurement

BIG, SMALL = manifest("mobilenet_1.0_224"), manifest("mobilenet_0.25_128", format="tflite", macs=13_570_000)


@pytest.fixture
def make(tmp_path: Path) -> Records:
    return Records(tmp_path)


def shelf(make: Records, **other: Any) -> str:
    """A store with an accurate file of 8 ms and a quick one of 1 ms."""
    other = {"processes": 8, **other}
    measured = [measurement(BIG, 8.0, **other), measurement(SMALL, 1.0, **other)]
    return make.store(measured, [accuracy(BIG, 0.8), accuracy(SMALL, 0.5)]).url


def printed(*arguments: str) -> tuple[str, int]:
    outcome = command(["choose", *arguments])
    assert outcome is not None
    write(outcome, "--json" in arguments, stream := io.StringIO())
    return stream.getvalue(), outcome.exit_code


def test_the_command_names_the_file_and_why(make: Records) -> None:
    url = shelf(make)
    text, code = printed("--store", url, "--device", "local", "--max-latency", "5ms")
    assert code == 0 and SMALL.sha256 in text and "is above 5 ms" in " ".join(text.split())  # wrapped by its width
    assert text.splitlines()[0].split() == ["ship", SMALL.file]
    shown, _ = printed("--store", url, "--max-latency", "5ms", "--json")
    document = json.loads(shown)
    assert document == json.loads(json.dumps(choose("local", max_latency=5, store=url).to_json()))
    assert (document["verdict"], document["chosen"]["sha256"]) == ("chosen", SMALL.sha256)
    (other,) = document["others"]
    assert (other["sha256"], other["status"]) == (BIG.sha256, "fails") and other["reasons"]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (("--min-top1", "70"), 0),
        (("--min-top1", "99"), 3),
        (("--max-latency", "10us"), 3),
        (("--min-top1", "80"), 3),  # inside the interval of the one, above that of the other
        (("--max-bytes", "5MB", "--max-memory", "1KB"), 3),
    ],
)
def test_exit_codes(limits: tuple[str, ...], code: int, make: Records) -> None:
    assert printed("--store", shelf(make), *limits)[1] == code


def test_invalid_latencies_end_with_6_and_their_cause(make: Records) -> None:
    url = shelf(make, verdict="invalid", reasons=("throttled",))
    text, code = printed("--store", url, "--max-latency", "10ms", "--json")
    assert code == 6 and json.loads(text)["reason"] == "every latency is invalid: throttled"
    likely = json.loads(text)["provisional"]
    assert likely["sha256"] == BIG.sha256 and likely["condition"] == "its latency holds when it is measured again"
    shown = " ".join(printed("--store", url, "--max-latency", "10ms")[0].split())
    assert (
        f"likely {BIG.file} sha256 {BIG.sha256} if its latency holds" in shown and "fix: run `edgekit bench`" in shown
    )


def test_a_person_reads_each_reason_once_with_its_files(make: Records) -> None:
    known = [manifest(f"net_1.0_{size}") for size in (160, 192, 224)]
    busy = [f"invalid: {share} processors were busy; stop them" for share in (0.5, 1.25)]
    measured = [measurement(one, verdict="invalid", reasons=(why,)) for one, why in zip(known[:2], busy, strict=True)]
    store = make.store([*measured, measurement(known[2], processes=8)], [accuracy(one, 0.7) for one in known])
    text = " ".join(printed("--store", store.url, "--max-latency", "5ms")[0].split())
    assert (
        text.startswith(f"ship {known[2].file}") and text.count("latency is unknown: the measurement is invalid") == 1
    )
    assert text.count("processors were busy") == 1 and "invalid: 0.5 to 1.25 processors were busy; stop them (" in text
    text = " ".join(
        printed("--store", store.url, "--model", "net_1.0_160,net_1.0_192", "--max-latency", "5ms")[0].split()
    )
    assert text.startswith("cannot decide: every latency is invalid: 0.5 to 1.25 processors were busy; stop them fix:")
    assert text.count("processors were busy") == 1 and "invalid: invalid" not in text


def test_nothing_evaluated_is_told(make: Records) -> None:
    store = make.store([measurement(BIG, processes=8)])
    text, code = printed("--store", store.url)
    assert code == 3 and "edgekit eval" in text and text.startswith("cannot decide: ")


def test_the_latest_record_counts(make: Records) -> None:
    url = shelf(make)
    make.store([measurement(BIG, 2.0, processes=8, created="2026-11-21T10:00:00Z")])
    found = choose(max_latency="5ms", store=url)
    assert found.chosen and found.chosen.row.artifact == BIG.file and len(found.others) == 1


def test_only_what_was_measured_on_the_device_is_ranked(make: Records) -> None:
    url = shelf(make)
    make.store([measurement(SMALL, 3.0, device="pi", processes=8)])
    found = choose("pi", store=url)
    assert found.chosen and found.chosen.row.artifact == SMALL.file
    assert [(one.row.artifact, one.status) for one in found.others] == [(BIG.file, "cannot tell")]
    with pytest.raises(UsageError, match="measurements of several: local, pi"):
        choose(store=url)
    with pytest.raises(UsageError, match="nothing was measured on 'pie'; did you mean 'pi'"):
        choose("pie", store=url)


def test_two_machines_of_one_name_are_two_devices(make: Records) -> None:
    url = shelf(make)
    make.store([measurement(SMALL, 3.0, host="aaaaaaaa", processes=8)])
    with pytest.raises(UsageError, match="'local' means several: local 3fc95c0b, local aaaaaaaa"):
        choose("local", store=url)
    found = choose("local aaaaaaaa", store=url)
    assert found.device == "local aaaaaaaa" and found.chosen and found.chosen.row.median_ms == pytest.approx(3, rel=0.1)


def test_threads_and_batches_are_not_ranked_together(make: Records) -> None:
    url = shelf(make)
    make.store([measurement(BIG, 3.0, threads=4, processes=8), measurement(BIG, 50.0, batch=8, processes=8)])
    with pytest.raises(UsageError, match="several --threads: 1, 4"):
        choose(store=url)
    with pytest.raises(UsageError, match="several --batch: 1, 8"):
        choose(threads=1, store=url)
    found = choose(threads=1, batch=1, store=url)
    assert found.chosen and found.chosen.row.median_ms == pytest.approx(8, rel=0.1)
    with pytest.raises(UsageError, match="nothing was measured there with --threads 3"):
        choose(threads=3, store=url)


def test_networks_are_chosen_by_name(make: Records) -> None:
    url = shelf(make)
    found = edgekit.choose(model=["mobilenet_0.25_128"], store=url)
    assert found.chosen and found.chosen.row.artifact == SMALL.file and not found.others
    assert len(edgekit.choose(model="mobilenet", store=url).others) == 1
    with pytest.raises(UsageError, match="the store has no 'mobilnet'; did you mean 'mobilenet'"):
        edgekit.choose(model="mobilnet", store=url)


def test_files_are_chosen_of_a_format_and_a_precision(make: Records) -> None:
    url = shelf(make)
    found = edgekit.choose(store=url)
    every = [one.row for one in (*([found.chosen] if found.chosen else []), *found.others)]
    for field in ("format", "precision", "runtime"):
        value = getattr(every[0], field)
        asked: dict[str, Any] = {field: [value]}
        some = edgekit.choose(store=url, **asked)
        left = [one.row for one in (*([some.chosen] if some.chosen else []), *some.others)]
        assert {row.sha256 for row in left} == {row.sha256 for row in every if getattr(row, field) == value}
        with pytest.raises(UsageError, match=f"unknown {field} 'none'"):
            edgekit.choose(store=url, **asked | {field: "none"})
    by_other_names = edgekit.choose(store=url, format="litert", precision=["full"], runtime="tflite_runtime")
    assert by_other_names.chosen and by_other_names.chosen.row.artifact == SMALL.file
    with pytest.raises(UsageError, match="no such file here has --precision int8") as caught:
        edgekit.choose(store=url, precision="int8")
    assert caught.value.remedy == "choose of: fp32"


def test_a_store_that_is_empty_and_one_that_is_gone_are_refused(make: Records, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no store"):
        choose(store=str(tmp_path / "no.db"))
    with pytest.raises(UsageError, match="holds no measurement"):
        choose(store=make.store([], [accuracy(BIG)]).url)


def test_what_a_choice_must_be_read_with_is_said(make: Records) -> None:
    notes = choose(store=shelf(make, verdict="suspect", reasons=("background load",), processes=3)).notes
    assert any("suspect: background load" in note for note in notes)
    assert any("fewer than 6 processes" in note for note in notes)


def test_a_person_sees_the_nearest_of_many_and_a_program_all(make: Records) -> None:
    measured, evaluated = make.family()
    url = make.store(measured, evaluated).url
    text, code = printed("--store", url, "--max-latency", "4ms")
    document = choose(max_latency="4ms", store=url).to_json()
    assert code == 0 and "(51 more candidates: " in text and len(document["others"]) == 63
    assert all(row["reasons"] for row in document["others"])
