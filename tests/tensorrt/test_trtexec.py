"""trtexec's real outputs (tests/samples), read as a person reads them, and what happens to them on the way."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import BackendMissing, UsageError
from edgekit.tensorrt import trtexec, trtexec_exports
from edgekit.tensorrt.capabilities import TABLE, capabilities
from tests.paths import GOLDENS, SAMPLES, sample

GOLDEN: dict[str, dict[str, Any]] = json.loads((GOLDENS / "trtexec_samples.json").read_text(encoding="utf-8"))
LOGS = [name for name in GOLDEN if name]
PLAIN = (
    *("verdict", "gpu", "compute_capability", "host_walltime_s", "build_seconds"),
    *("coefficient_of_variance", "unstable", "bound_by_enqueue"),
)


def test_every_sample_is_in_the_golden_file() -> None:
    assert sorted(path.name for path in SAMPLES.glob("trtexec_v*.log")) == sorted(LOGS)


@pytest.mark.parametrize("name", LOGS)
def test_logs_read_as_a_person_reads_them(name: str) -> None:
    text, wanted = sample(name), GOLDEN[name]
    log = trtexec.parse_log(text)
    assert {key: getattr(log, key) for key in PLAIN if key in wanted} == {k: wanted[k] for k in PLAIN if k in wanted}
    assert trtexec.version(text) == wanted["version"]
    assert "error" not in wanted or any(wanted["error"] in line for line in log.errors)
    assert "warning" not in wanted or any(wanted["warning"] in line for line in log.warnings)


@pytest.mark.parametrize("name", LOGS)
def test_a_run_counts_with_its_exit_code_and_its_verdict_only(name: str) -> None:
    text, wanted = sample(name), GOLDEN[name]
    log = trtexec.parse_log(text)
    failed = trtexec.failure(wanted["code"], log, text)
    if "refused" not in wanted:
        assert failed is None
        assert isinstance(trtexec.failure(1, log, text), BackendMissing)
        assert isinstance(trtexec.failure(None, log, text), BackendMissing)
    else:
        assert failed is not None and wanted["refused"] in failed.message
        assert trtexec.failure(0, log, text) is not None


@pytest.mark.parametrize(
    ("packed", "version"),
    [("8601", "8.6.1"), ("8410", "8.4.10"), ("8510", "8.5.10"), ("100001", "10.0.1"), ("101601", "10.16.1")],
)  # fmt: skip
def test_versions_are_packed_in_two_ways(packed: str, version: str) -> None:
    assert trtexec.version(f"&&&& RUNNING TensorRT.trtexec [TensorRT v{packed}] [b11] # trtexec") == version
    assert trtexec.version("nothing of the kind") is None


# The JSON exports


def test_times_of_every_query() -> None:
    times = trtexec_exports.parse_times(sample("trtexec_exportTimes_resnet50_fp32_RTX3090_full.json"))
    assert len(times.compute_ns) == 263
    assert times.compute_ns[:2] == (13018100, 12785700) and times.compute_ns[-1] == 12163100
    assert times.latency_ns == times.compute_ns and times.enqueue_ns[0] == 267200
    short = trtexec_exports.parse_times(sample("trtexec_exportTimes_mobilenet_qat_head60.json"))
    assert len(short.compute_ns) == 60
    assert short.compute_ns[0] == 484512 and short.compute_ns[1] == 470400 and short.compute_ns[-1] == 474369


def test_profile_by_layer() -> None:
    count, layers = trtexec_exports.parse_profile(sample("trtexec_exportProfile_mobilenet_qat_trt8.json"))
    assert count == 6610 and layers[0]["name"] == "QuantizeLinear_2"
    assert (
        layers[0]["total_ms"] == 31.3879 and layers[0]["average_ms"] == 0.00474854 and layers[0]["percent"] == 1.00949
    )
    assert (
        layers[-1]["name"] == "copied_squeeze_after_(Unnamed Layer* 850) [ElementWise]" and layers[-1]["total_ms"] == 0
    )
    count, layers = trtexec_exports.parse_profile(sample("trtexec_exportProfile_resnet18_fp16_A100_trt8.json"))
    assert count == 1 and layers[1]["name"] == "Conv_0 + Relu_1"
    assert layers[1]["median_ms"] == 0.111616 and layers[1]["percent"] == 10.9768


def test_layers_by_kind() -> None:
    kinds = trtexec_exports.parse_layers(sample("trtexec_exportLayerInfo_v10.16.1_mnist_H100.json"))
    assert kinds["CaskConvolution"] >= 1 and sum(kinds.values()) > 3
    assert trtexec_exports.parse_layers('{"Layers": ["a + b", "c"], "Bindings": []}') == {"unnamed": 2}


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "{}", "[1]", '[{"computeMs": "fast"}]', "[" * 100_000, '[{"computeMs": NaN}]']
)
def test_a_broken_export_is_refused(text: str) -> None:
    for parse in (trtexec_exports.parse_times, trtexec_exports.parse_profile, trtexec_exports.parse_layers):
        if parse is trtexec_exports.parse_layers or text not in ("{}",):
            with pytest.raises(UsageError):
                parse(text)


# Whatever happens to a log on its way


def numbers(log: trtexec.Log) -> list[float]:
    plain = [getattr(log, key) for key in PLAIN if isinstance(getattr(log, key), (int, float))]
    return [value for value in plain if not isinstance(value, bool)]


def held(text: str) -> None:
    log = trtexec.parse_log(text)
    trtexec.failure(0, log, text)
    there = {float(token) for token in re.findall(r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+\.", text)}
    assert set(map(abs, numbers(log))) <= there


MAULED = ("trtexec_v8.6.1_H100_UNSTABLE_shared_gpu.log", "trtexec_v10.2.0_summary_bound_by_enqueue_issue4177.log",
          "trtexec_v7_v8.0_OLD_summary_issue2054.log", "trtexec_v8.5.10_Orin_mnist_dumpProfile.log",
          "trtexec_v10.3.0_FAIL_onnx_parse.log")  # fmt: skip


@pytest.mark.parametrize("name", MAULED)
def test_cut_doubled_mixed_and_littered_logs(name: str) -> None:
    text = sample(name)
    other = sample("trtexec_v10.16.1_dumpProfile_noSeparateRun_NO_SUMMARY_H100.log").splitlines()
    lines = text.splitlines()

    @settings(max_examples=25)
    @given(
        st.integers(0, len(text)), st.integers(0, len(text)), st.text(max_size=80), st.randoms(use_true_random=False)
    )
    def check(cut: int, again: int, litter: str, random: Any) -> None:
        held(text[:cut])
        held(text[cut:])
        held(text[:cut] + text[again:])
        held(text[:cut] + litter + text[cut:])
        held("\n".join(line for pair in zip(lines, other, strict=False) for line in pair))
        mixed = [*lines, *other]
        random.shuffle(mixed)
        held("\n".join(mixed))

    check()


def test_a_number_that_is_cut_is_no_number() -> None:
    text = sample("trtexec_v8.6.1_H100_UNSTABLE_shared_gpu.log")
    for line, key in (("Host Walltime: 3.00", "host_walltime_s"), ("Engine built in 1033.79", "build_seconds")):
        end = text.index(line) + len(line)
        for cut in range(end - 5, end + 1):
            assert getattr(trtexec.parse_log(text[:cut]), key) is None


@settings(max_examples=100)
@given(st.text())
def test_any_text_at_all(text: str) -> None:
    held(text)
    for parse in (trtexec_exports.parse_times, trtexec_exports.parse_profile, trtexec_exports.parse_layers):
        try:
            parse(text)
        except UsageError:
            continue


# Flags


@pytest.mark.parametrize("row", TABLE, ids=lambda row: ".".join(map(str, row.since)))
def test_no_release_is_asked_for_what_it_took_away(row: Any) -> None:
    flags = [
        flag for precision in ("fp32", "fp16", "int8") for flag in trtexec.build_flags(row, precision, "a", "b", 9)
    ]
    assert not {"--workspace=9", "--explicitBatch", "--best"} & set(flags)
    assert ("--buildOnly" in flags) == (row.since == (8, 5)) and ("--fp16" in flags) == (row.since[0] < 11)
    assert ("--int8" in flags) == (row.since[0] == 8) and ("--stronglyTyped" in flags) == (row.since[0] == 10)


def test_dla_flags() -> None:
    flags = trtexec.build_flags(capabilities("10.3.0"), "fp16", "a.onnx", "a.engine", dla=1)
    assert "--useDLACore=1" in flags and "--allowGPUFallback" in flags and "--fp16" in flags


@pytest.mark.parametrize("row", TABLE, ids=lambda row: ".".join(map(str, row.since)))
def test_every_release_measures_the_same_way(row: Any) -> None:
    flags = trtexec.measure_flags(row, "a.engine", "t.json", warmup_seconds=0.2, seconds=1.5, runs=7)
    assert {"--noDataTransfers", "--useSpinWait", "--useCudaGraph", "--separateProfileRun"} <= set(flags)
    assert {"--warmUp=200", "--duration=2", "--iterations=7", "--exportTimes=t.json"} <= set(flags)
    assert not any(flag.startswith(("--shapes", "--useDLACore", "--dumpProfile")) for flag in flags)
    more = trtexec.measure_flags(
        row, "a.engine", "t.json", shapes={"x": (2, 3, 8, 8)}, dla=0, copies=True, profile="p.json"
    )
    assert {"--shapes=x:2x3x8x8", "--useDLACore=0", "--dumpProfile", "--exportProfile=p.json"} <= set(more)
    assert "--noDataTransfers" not in more and ("--includeDataTransfers" in more) == (row.since[0] == 11)
