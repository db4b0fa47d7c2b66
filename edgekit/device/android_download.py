"""Google's own benchmark_model for phones with 64-bit ARM, kept in the cache under the hash of what came.

Both addresses mean the newest, and no hash is published for either: what came is named by its own, and another one
that comes later lies beside it. Nothing is replaced.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgekit.device.android_check import NAME, machine
from edgekit.errors import EnvironmentRefused, UsageError, nearest
from edgekit.records.record import now
from edgekit.util.download import Progress, download
from edgekit.util.files import cache_folder, make_folder, publish, write_atomically

BUILT_FOR = "arm64-v8a"
# The first stands in Google's page on benchmarks of CompiledModel (developers.google.com/edge/litert/next/benchmark),
# the second in that on measuring TensorFlow Lite (tensorflow.org/lite/performance/measurement).
STORAGE = "https://storage.googleapis.com"
NIGHTLY = "tensorflow-nightly-public/prod/tensorflow/release/lite/tools/nightly/latest"
ADDRESSES = {
    "litert": f"{STORAGE}/litert/binaries/latest/android_arm64/benchmark_model",
    "classic": f"{STORAGE}/{NIGHTLY}/android_aarch64_benchmark_model",
}


@dataclass(frozen=True)
class Fetched:
    """A program that was fetched, from where and when, and what it is."""

    tool: str
    path: Path
    url: str
    sha256: str
    bytes: int
    built_for: str
    fetched: str
    others: tuple[str, ...] = ()  # the paths of those of this name that came before and are not the same


def address(tool: str) -> str:
    """Return where one of the two is published. Raises UsageError for another name."""
    if tool not in ADDRESSES:
        raise UsageError(
            f"there is no {NAME} '{tool}'{nearest(tool, ADDRESSES)}", f"choose one of: {', '.join(ADDRESSES)}"
        )
    return ADDRESSES[tool]


def fetch(tool: str, progress: Progress | None = None) -> Fetched:
    """Get one of the two. Raises UsageError for another name, EnvironmentRefused where something else came."""
    url = address(tool)
    folder = make_folder(cache_folder() / "phone")
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        came = Path(draft) / NAME
        digest = download(url, came, progress=progress)
        built = machine(came)
        if built != BUILT_FOR:
            raise EnvironmentRefused(
                f"{url} is built for {built}, not for {BUILT_FOR}" if built else f"{url} is no program",
                f"build {NAME} yourself, and name it in devices.yaml",
            )
        came.chmod(0o755)
        target = folder / f"{NAME}-{tool}-{digest[:16]}"
        others = sorted(str(path) for path in folder.glob(f"{NAME}-{tool}-*") if path.suffix == "" and path != target)
        record = Fetched(tool, target, url, digest, came.stat().st_size, built, now())
        if not target.exists():
            publish(came, target)
            write_atomically(target.with_suffix(".json"), json.dumps(asdict(record), default=str).encode())
    return replace(record, others=tuple(others))
