"""Each module of the product has tests of its own in the mirror of its place, or stands here with those that run it."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.test_layering import MODULES

# Modules without a file of their own -> the tests that run them. A module that is here has nothing to say alone: it is
# one of many alike that one table of cases covers, or a step of something that is tested as a whole.
TESTED_BY = {
    # Many alike, each a case of one parametrised test.
    "models/*": "models/test_every_network",
    "edgekit/cli/commands/*": "docs/test_docs",
    "edgekit/cli/views/*": "cli/test_tables",
    "edgekit/frontend/operators/*": "frontend/test_operators",
    "edgekit/frontend/table": "frontend/test_operators",
    "exporters/onnx/ops*": "exporters/onnx/test_kinds",
    "exporters/tflite/ops_*": "exporters/tflite/test_kinds",
    "exporters/tflite/lowering_table": "exporters/tflite/test_kinds",
    "bench/ondevice/runtimes/*": "bench/ondevice/runtimes/test_runtimes",
    "bench/ondevice/profilers/*": "bench/ondevice/test_profiler",
    "edgekit/inspection/snippets_*": "inspection/test_snippets",
    "edgekit/inspection/calls_*": "inspection/test_snippets",
    # Doors: nothing but a call.
    "edgekit/__main__": "cli/test_main",
    "edgekit/callable_module": "test_exported_members",
    "edgekit/cli/app": "cli/test_main",
    "edgekit/cli/artifact_options": "docs/test_docs",
    "edgekit/cli/export_options": "exporting/test_options",
    "bench/ondevice/__main__": "bench/ondevice/test_standalone",
    "bench/ondevice/tensor": "bench/ondevice/test_runner",
    "edgekit/device/target": "docs/test_extending",
}


def own(module: str) -> list[Path]:
    """The test files that mirror a module: test_NAME.py and test_NAME_*.py in the folder of its place."""
    place = Path(module.removeprefix("edgekit/"))
    folder = ROOT / "tests" / place.parent
    return [
        path
        for path in folder.glob(f"test_{place.name}*.py")
        if path.stem.startswith((f"test_{place.name}_",)) or path.stem == f"test_{place.name}"
    ]


BARE = [
    name
    for name in (path.relative_to(ROOT).with_suffix("").as_posix() for path in MODULES.values())
    if not name.endswith("__init__") and not own(name)
]


def test_every_module_has_its_tests() -> None:
    missing = [name for name in BARE if not any(fnmatch(name, pattern) for pattern in TESTED_BY)]
    assert not missing, "give it a test file of its own, or name its tests in TESTED_BY:\n" + "\n".join(missing)


@pytest.mark.parametrize(("pattern", "tests"), TESTED_BY.items())
def test_no_exception_outlives_its_reason(pattern: str, tests: str) -> None:
    assert (ROOT / "tests" / f"{tests}.py").is_file()
    assert any(fnmatch(name, pattern) for name in BARE), "every module that it means has tests of its own"
