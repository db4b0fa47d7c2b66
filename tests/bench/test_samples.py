"""No sample is forgotten: each has its values written down by hand, or is of a tool that edgekit does not drive."""

from __future__ import annotations

from tests.paths import SAMPLES, TESTS

# Of tools that edgekit neither runs nor reads.
NOT_DRIVEN = ("benchncnn_", "mlperf_loadgen_", "onnxruntime_perf_test_", "trex_", "INDEX.md")
# Read by tests that take all of their kind.
BY_KIND = ("tensorrt_api_", "tensorrt_rtx_api_")


def test_every_sample_is_held_to_what_a_person_reads() -> None:
    texts = [
        path.read_text(encoding="utf-8")
        for kind in ("*.py", "*.json")
        for path in TESTS.rglob(kind)
        if SAMPLES not in path.parents
    ]
    names = [path.name for path in SAMPLES.iterdir() if not path.name.startswith((*NOT_DRIVEN, *BY_KIND))]
    assert len(names) > 60
    assert [name for name in sorted(names) if not any(name in text for text in texts)] == []
