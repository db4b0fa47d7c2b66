"""Which tests `make quick` leaves out, which begin first, and which may be skipped; tests/conftest.py has the hooks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.paths import DATA, NO_DATA, TESTS

# Files that `make quick` leaves out: 2.5 seconds and more of a processor, with the processes that they start.
SLOW = frozenset(
    [
        "test_packaging",
        "test_redact",
        "bench/android/test_benchmark_model",
        "bench/links/ssh/test_link",
        "bench/links/ssh/test_link_cut",
        "bench/links/ssh/test_link_lost",
        "bench/links/ssh/test_link_refused",
        "bench/links/ssh/test_process",
        "bench/links/test_adb",
        "bench/links/test_adbd",
        "bench/links/test_remote_session",
        "bench/ondevice/runtimes/test_tensorrt",
        "bench/ondevice/test_profiler",
        "bench/ondevice/test_runner",
        "bench/ondevice/test_standalone",
        "bench/test_killed",
        "checkpoints/keras/test_reader",
        "checkpoints/test_hosted",
        "checkpoints/test_hostile_files",
        "checkpoints/test_load",
        "checkpoints/test_random",
        "cli/test_border",
        "cli/test_main",
        "cli/test_output",
        "demonstration/test_command",
        "demonstration/test_digits",
        "device/test_android",
        "device/test_android_adbd",
        "device/test_android_download",
        "device/test_android_session",
        "device/test_jetson",
        "device/test_linux_sessions",
        "device/test_over_ssh",
        "device/test_runtimes_over_ssh",
        "docs/test_ci",
        "docs/test_docs",
        "docs/test_errata",
        "docs/test_extending",
        "docs/test_notebook",
        "docs/test_ways",
        "evaluation/test_command",
        "evaluation/test_command_refused",
        "exporters/int8/test_quantize",
        "exporters/int8/test_quantize_file",
        "exporters/onnx/test_kinds",
        "exporters/onnx/test_writer",
        "exporters/pt2/test_kinds",
        "exporters/pt2/test_writer",
        "exporters/tensorrt/test_writer",
        "exporters/test_golden_bytes",
        "exporters/test_head",
        "exporters/tflite/test_flatbuffer",
        "exporters/tflite/test_kinds",
        "exporters/tflite/test_operators",
        "exporters/tflite/test_writer",
        "exporting/test_command",
        "exporting/test_computed_rows",
        "exporting/test_export_file_written",
        "exporting/test_first_fault",
        "exporting/test_int8_bad_input",
        "exporting/test_int8w",
        "exporting/test_latency_gate",
        "exporting/test_mixed_precision",
        "exporting/test_several",
        "exporting/test_source_answers",
        "exporting/test_whole_inputs",
        "importers/onnx/test_node_tests",
        "importers/tflite/test_own_files",
        "importers/tflite/test_reader",
        "inspection/test_command",
        "inspection/test_pairs",
        "inspection/test_snippets",
        "inspection/test_snippets_arrays",
        "inspection/test_snippets_call",
        "ir/passes/test_fold_batch_norm",
        "measure/test_bench_profile",
        "measure/test_clock",
        "measure/test_command",
        "measure/test_input_shapes",
        "measure/test_versus",
        "models/test_classics",
        "models/test_every_network",
        "models/test_searched",
        "network/test_catalog",
        "network/test_program",
        "network/test_shipped",
        "network/test_user_model",
        "records/test_onnx_parts",
        "reporting/test_browser",
        "reporting/test_charts_profile",
        "reporting/test_command",
        "reproduction/test_command",
        "reproduction/test_zoo_page",
        "scripts/test_fleet_kills",
        "scripts/test_fuzz",
        "scripts/test_gpu_check",
        "scripts/zoo/test_table",
        "storage/test_keeping",
        "storage/test_store",
        "storage/test_store_postgresql",
        "sweeps/test_command",
        "sweeps/test_devices",
        "sweeps/fleet/test_engine",
        "sweeps/fleet/test_tls",
        "sweeps/fleet/test_work",
        "tensorrt/test_builder_over_ssh",
        "tensorrt/test_every_release",
        "tensorrt/test_rtx",
        "tensorrt/test_trtexec_over_ssh",
    ]
)
# Minutes in one process each.
LONGEST = ("docs/test_docs.py", "docs/test_ci.py", "demonstration/test_command.py", "sweeps/test_command.py")
# What may be skipped where everything that can be installed is there, by the beginning of the reason.
EXPECTED_SKIPS = (
    "root writes everywhere",
    "no Python 3.",  # an old interpreter, for the device side
    "no Kotlin compiler here",
    "the package tflite is not installed",  # in the environment of `make oracle`
    "could not import 'torchvision",
    "it has no BatchNorm",
    "this machine has a CUDA GPU",
    "this Python does not read its clock",
    "the driver is here",
    "TensorRT for RTX is not installed",  # wheels for Linux on x86-64 alone
    "no benchmark_model was built here",  # of a Debian release that moves
    # What the kernel lets nobody make in a container.
    "no namespaces for a phone here",
    "no network namespace can be made here",
    "no namespace of processes can be made here",
    "no small file system can be mounted here",
)
_skipped: dict[str, str] = {}


def is_slow(path: Path) -> bool:
    """Whether `make quick` leaves a file of tests out."""
    return path.is_relative_to(TESTS) and path.relative_to(TESTS).with_suffix("").as_posix() in SLOW


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what `make quick` leaves out; None lets pytest decide."""
    return True if "not slow" in config.option.markexpr and is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first, beside all the others: at the end one would keep the rest of the processors waiting."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))
    for item in items:
        if is_slow(item.path):
            item.add_marker(pytest.mark.slow)
    if not DATA.is_dir():
        for item in items:
            if item.get_closest_marker("data"):
                item.add_marker(pytest.mark.skip(reason=NO_DATA))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped without being expected to be."""
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if not reason.startswith(EXPECTED_SKIPS):
            _skipped[report.nodeid] = reason


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With EDGEKIT_NO_SKIPS, as in continuous integration, an unexpected skip fails the run: it hides a feature."""
    if _skipped and "EDGEKIT_NO_SKIPS" in os.environ and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which skips failed the run."""
    if _skipped and "EDGEKIT_NO_SKIPS" in os.environ:
        terminalreporter.section("skipped, and nobody expected it")
        for test, reason in sorted(_skipped.items()):
            terminalreporter.line(f"{test}: {reason}")
