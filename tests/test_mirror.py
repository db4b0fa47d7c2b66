"""Each module of the product has tests of its own in the mirror of its place, or stands here with those that run it."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from tests.paths import ROOT
from tests.test_layering import MODULES

# Test files -> the modules without one of their own that they run, under the reason why one would say nothing alone.
TESTED_BY = (
    # Many alike: each is a case, or several, of one parametrized test.
    ("models/test_every_network", "models/*"),
    ("docs/test_docs", "edgekit/cli/commands/*"),
    ("cli/test_tables", "edgekit/cli/views/*"),
    ("frontend/test_operators", "edgekit/frontend/operators/* edgekit/frontend/table"),
    ("importers/onnx/test_reader", "edgekit/importers/onnx/*"),
    ("importers/tflite/test_reader", "edgekit/importers/tflite/* edgekit/importers/held edgekit/importers/pooling"),
    ("inspection/test_snippets", "edgekit/inspection/snippets_* edgekit/inspection/calls_*"),
    ("exporters/onnx/test_kinds", "exporters/onnx/ops*"),
    ("exporters/tflite/test_kinds", "exporters/tflite/ops_*"),
    ("bench/ondevice/runtimes/test_runtimes", "bench/ondevice/runtimes/*"),
    ("bench/ondevice/test_profiler", "bench/ondevice/profilers/*"),
    ("importers/keras/test_reader", "edgekit/importers/keras/* edgekit/importers/transposed"),
    # A reader of weights is judged by the network that it fills, whatever the file is.
    ("checkpoints/test_hosted", "edgekit/checkpoints/by_layer edgekit/checkpoints/tflite edgekit/checkpoints/keras/*"),
    ("checkpoints/test_hostile_files", "edgekit/checkpoints/hdf5 edgekit/checkpoints/npz"),
    ("checkpoints/test_load", "edgekit/checkpoints/file edgekit/checkpoints/fit"),
    ("checkpoints/test_dictionaries", "edgekit/checkpoints/torch edgekit/checkpoints/pickled"),
    ("checkpoints/test_pretrained", "edgekit/checkpoints/pretrained_table"),
    ("comparison/test_checks", "edgekit/comparison/result"),
    ("choosing/test_decide", "edgekit/choosing/gaps edgekit/choosing/level"),
    # Steps of one walk, which only its end can judge: a graph that answers like the module, a file that answers like
    # the graph, a page.
    ("frontend/test_beneath", "edgekit/frontend/aten"),
    (
        "frontend/test_tracer",
        "edgekit/frontend/builder edgekit/frontend/calls edgekit/frontend/node edgekit/frontend/recorder",
    ),
    ("importers/onnx/test_reader", "edgekit/frontend/imported edgekit/importers/source edgekit/importers/tensors"),
    ("frontend/test_bad_input", "edgekit/frontend/refusals edgekit/frontend/scope"),
    ("frontend/test_operators", "edgekit/frontend/shapes edgekit/frontend/template"),
    ("ir/test_reference", "edgekit/ir/kernels"),
    ("bench/ondevice/test_profiler", "edgekit/ir/layer_costs"),
    (
        "exporters/int8/test_quantize",
        "edgekit/ir/quantized exporters/int8/activations exporters/int8/bias_correction "
        "exporters/int8/simulate exporters/int8/tflite_constraints",
    ),
    (
        "exporters/onnx/test_writer",
        "exporters/onnx/emitter exporters/onnx/fallback exporters/onnx/proof",
    ),
    ("exporters/pt2/test_writer", "exporters/pt2/network exporters/half"),
    ("exporters/tflite/test_writer", "exporters/tflite/ends exporters/tflite/metadata"),
    (
        "exporting/test_command",
        "edgekit/exporting/description edgekit/exporting/result edgekit/exporting/site edgekit/exporting/task",
    ),
    ("exporting/test_prepare", "edgekit/exporting/images"),
    ("exporters/test_head", "edgekit/exporting/head_proof"),
    ("evaluation/test_command", "edgekit/evaluation/decoding edgekit/evaluation/run"),
    ("inspection/test_command", "edgekit/inspection/contents edgekit/inspection/facts"),
    ("tensorrt/test_rtx", "edgekit/inspection/facts_engine"),
    ("choosing/test_command", "edgekit/choosing/result"),
    ("reporting/test_browser", "edgekit/reporting/page_data edgekit/reporting/page_profile"),
    ("reporting/test_by_device", "edgekit/reporting/page_devices"),
    ("reporting/test_command", "edgekit/reporting/drawing edgekit/reporting/records edgekit/reporting/text"),
    ("reporting/test_rows", "edgekit/reporting/row_accuracy"),
    ("reproduction/test_command", "edgekit/reproduction/tables"),
    ("sweeps/test_command", "edgekit/sweeps/export edgekit/sweeps/measure edgekit/sweeps/plan edgekit/sweeps/result"),
    (
        "sweeps/test_run",
        "edgekit/sweeps/engine edgekit/sweeps/local edgekit/sweeps/preview edgekit/sweeps/taking "
        "edgekit/sweeps/threads",
    ),
    (
        "sweeps/fleet/test_engine",
        "edgekit/sweeps/fleet/cluster edgekit/sweeps/fleet/[df]*",
    ),
    ("sweeps/fleet/test_work", "edgekit/sweeps/fleet/luggage"),
    ("sweeps/grid/test_reading", "edgekit/sweeps/grid/axes edgekit/sweeps/grid/fields edgekit/sweeps/grid/file"),
    # What is written is read again, by the store that is made of it.
    ("storage/test_store", "edgekit/records/failure edgekit/records/measurement edgekit/storage/rows"),
    # The far end of a link: its protocol, its programs, and what they find are tested through the link.
    ("device/test_android", "edgekit/device/android_*"),
    ("device/test_linux_check", "edgekit/device/check"),
    ("device/test_over_ssh", "bench/ondevice/session"),
    ("bench/links/ssh/test_link", "bench/ondevice/kept"),
    (
        "tensorrt/test_builder_over_ssh",
        "edgekit/tensorrt/compatibility edgekit/tensorrt/orders edgekit/tensorrt/python_builder "
        "bench/links/progress bench/ondevice/build_tensorrt",
    ),
    (
        "tensorrt/test_trtexec_over_ssh",
        "edgekit/tensorrt/trtexec_builder edgekit/tensorrt/trtexec_measure bench/ondevice/run_trtexec",
    ),
    ("bench/links/test_remote_session", "bench/ondevice/infer"),
    ("bench/ondevice/sensors/test_power_rails", "bench/ondevice/energy"),
    ("measure/test_session", "bench/ondevice/idle edgekit/measure/found"),
    # Doors: nothing but a call, a list or a type.
    ("cli/test_main", "edgekit/__main__ edgekit/cli/app"),
    ("test_exported_members", "edgekit/callable_module"),
    ("docs/test_docs", "edgekit/cli/artifact_options"),
    ("exporting/test_options", "edgekit/cli/export_options"),
    ("docs/test_extending", "edgekit/device/target"),
    ("bench/ondevice/test_standalone", "bench/ondevice/__main__"),
    ("bench/ondevice/test_runner", "bench/ondevice/tensor"),
)


def own(module: str) -> list[Path]:
    """The test files that mirror a module: test_NAME.py and test_NAME_*.py in the folder of its place."""
    place = Path(module.removeprefix("edgekit/"))
    folder = ROOT / "tests" / place.parent
    return [*folder.glob(f"test_{place.name}.py"), *folder.glob(f"test_{place.name}_*.py")]


BARE = [
    name
    for name in (path.relative_to(ROOT).with_suffix("").as_posix() for path in MODULES.values())
    if not name.endswith("__init__") and not own(name)
]


def test_every_module_has_its_tests() -> None:
    allowed = [pattern for _, patterns in TESTED_BY for pattern in patterns.split()]
    missing = [name for name in BARE if not any(fnmatch(name, pattern) for pattern in allowed)]
    assert not missing, "give it a test file of its own, or name its tests in TESTED_BY:\n" + "\n".join(missing)


def test_no_exception_outlives_its_reason() -> None:
    gone = [tests for tests, _ in TESTED_BY if not (ROOT / "tests" / f"{tests}.py").is_file()]
    patterns = [pattern for _, patterns in TESTED_BY for pattern in patterns.split()]
    idle = [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in BARE)]
    assert not gone + idle, "these tests are gone, or all these modules have tests of their own"
