"""Build the classic benchmark_model, for this machine's processor, from Debian's source of TensorFlow.

    make phone-tool

For the tests whose phone is real but for its hardware: adbd, shell and benchmark_model. It has no XNNPACK and no
delegate. Two minutes and 150 MB to fetch; what stays in the cache is 10 MB. It takes its libraries from there, too, so
that it runs wherever this machine's files are seen below /host, as on the phones of tests/bench/adbd.py.
"""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.debian import CACHE, Release, cached, inside, run

NAME = "benchmark-model-2.14"
TOOL = CACHE / NAME / "benchmark_model"
RELEASE, PACKAGE = "sid", "tensorflow"
NEEDED = (
    "g++",
    "libtensorflow-lite-dev",
    "libabsl-dev",
    "libeigen3-dev",
    "libruy-dev",
    "libgemmlowp-dev",
    "libpthreadpool-dev",
)
LITE = "tensorflow/lite"
FOLDERS = (LITE, "tensorflow/tsl/util", "tensorflow/tsl/platform", "tensorflow/core/util", "tensorflow/core/platform")
NOT_OURS = ("_test.cc", "_plus_flex_main.cc", "performance_options_main.cc")
SOURCES = (
    *("tensorflow/tsl/util/stats_calculator.cc", f"{LITE}/profiling/memory_info.cc", f"{LITE}/profiling/time.cc"),
    *(f"{LITE}/profiling/{name}.cc" for name in ("memory_usage_monitor", "profile_buffer", "profile_summarizer")),
    *(f"{LITE}/profiling/{name}.cc" for name in ("profile_summary_formatter", "root_profiler", "telemetry/profiler")),
    *(f"{LITE}/profiling/telemetry/telemetry.cc", f"{LITE}/tools/delegates/default_execution_provider.cc"),
    *(f"{LITE}/tools/{name}.cc" for name in ("command_line_flags", "delegates/delegate_provider", "evaluation/utils")),
    *(f"{LITE}/tools/{name}.cc" for name in ("model_loader", "tool_params", "utils")),
)
FLAGS = (
    *("-std=c++17", "-O1", "-w", "-include", "cstdint", "-DTFLITE_WITHOUT_XNNPACK", "-I/src"),
    *("-I/usr/include/eigen3", "-I/usr/include/gemmlowp"),
)


def main() -> None:
    """Build it, once; print where it lies."""
    try:
        cached(NAME, build)
    except LookupError as error:
        sys.exit(f"no benchmark_model could be built: {error}")
    print(TOOL)


def build(folder: Path) -> None:
    """Fetch compiler, libraries and source into a folder beside, compile there, and keep tool and libraries."""
    root = folder.parent / "build"
    release = Release(RELEASE, folder.parent / "apt")
    release.unpack(NEEDED, root)
    release.source(PACKAGE, root / "src", FOLDERS)
    (root / "objects").mkdir()
    found = sorted(path.relative_to(root / "src") for path in (root / f"src/{LITE}/tools/benchmark").glob("*.cc"))
    sources = [*(str(path) for path in found if not path.name.endswith(NOT_OURS)), *SOURCES]
    compiler = [*inside(root), "g++"]

    def compile_one(source: str) -> None:
        target = f"/objects/{source.replace('/', '_')}.o"
        run([*compiler, *FLAGS, "-c", f"/src/{source}", "-o", target])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, sources))
    libraries = root / "usr/lib" / run([*compiler, "-print-multiarch"]).strip()
    (loader,) = (path for place in ("lib64", "lib") for path in (root / place).glob("ld-linux*"))
    own = f"/host{CACHE / NAME}"
    linked = [
        *(f"/objects/{path.name}" for path in (root / "objects").iterdir()), "-Wl,--as-needed", "-ltensorflow-lite",
        *(f"-l{path.stem[3:]}" for path in libraries.glob("libabsl_*.so")),
        # Of the libraries, too: they need one another.
        f"-Wl,--disable-new-dtags,-rpath={own}", f"-Wl,--dynamic-linker={own}/{loader.name}",
    ]  # fmt: skip
    run([*compiler, "-o", "/benchmark_model", *linked])
    needed = run([*inside(root), f"/{loader.relative_to(root)}", "--list", "/benchmark_model"])
    folder.mkdir()
    for path in {Path(word) for word in needed.split() if word.startswith("/") and own not in word} | {
        Path("/benchmark_model")
    }:
        shutil.copy(root / path.relative_to("/"), folder / path.name)


if __name__ == "__main__":
    main()
