"""`make zoo`: every network exported as ONNX and TFLite in float and int8, proved, and put into docs/zoo.md.

A cell is one file: network x format x precision. Each is one line of build/zoo.jsonl, written when it is known, so
that an interrupted run goes on where it stopped; what failed is tried again. Take a network's lines out to have it done
again, or the file to have all. The files stay in build/zoo (some 23 GB, until `make clean`) for `--time`, which
measures their latency and wants a machine that does nothing else. The weights are random and int8 is calibrated on
noise: what stands in the table is size, proof, operators and time, never accuracy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import edgekit
from edgekit.bench.links.base import ask
from edgekit.bench.links.local import LocalLink
from edgekit.errors import EdgekitError
from edgekit.measure.session import PARENT
from edgekit.measure.verdict import assess
from edgekit.records.manifest import Manifest
from edgekit.records.measurement import INVALID, ProcessRun, Protocol
from edgekit.records.runtime import choose, open_session
from edgekit.stats.medians import NS_PER_MS
from edgekit.util.files import write_atomically
from scripts import kept
from scripts.zoo.page import FORMATS, PRECISIONS, Cell, page

ROOT = Path(__file__).resolve().parents[2]
# Shorter than any preset: 240 files in a quarter of an hour. The three slowest networks take half a second each time.
PROTOCOL = Protocol(
    preset="zoo", processes=1, warmup_seconds=0.2, warmup_runs=2, warmup_max_seconds=1.0, min_seconds=0.4, min_runs=9
)
PATIENCE = 300.0  # seconds for one file
Key = tuple[str, str, str]


def main() -> int:
    """Fill in what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=ROOT / "build" / "zoo.jsonl", help="where cells are kept")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "zoo.md", help="what is written from them")
    parser.add_argument("--only", nargs="*", help="networks (default: all)")
    parser.add_argument("--time", action="store_true", help="measure the latency of the files that were made")
    parser.add_argument("--write", action="store_true", help="only write the page from the cells that are known")
    parser.add_argument("--network", help=argparse.SUPPRESS)  # in a process of its own: print this network's cells
    arguments = parser.parse_args()
    if arguments.network:
        with tempfile.TemporaryDirectory() as cache:
            os.environ["EDGEKIT_CACHE"] = cache  # ranges that an earlier run kept would hide what they cost
            for cell in cells(arguments.network, folder(arguments.file)):
                print(json.dumps(cell), flush=True)
        return 0
    if arguments.time:
        measure(arguments.file, arguments.only)
    elif not arguments.write:
        make(arguments.file, arguments.only or by_cost())
    write_atomically(arguments.page, page(list(known(arguments.file).values())).encode())
    return 0


def folder(file: Path) -> Path:
    """Where the files lie whose cells are kept in `file`."""
    return file.with_suffix("")


def by_cost() -> list[str]:
    """The networks, the cheapest first, so that what goes wrong shows early."""
    return [row.name for row in sorted(edgekit.models().rows, key=lambda row: row.macs)]


def known(file: Path) -> dict[tuple[str, ...], Cell]:
    """The cells that are known."""
    return kept.known(file, "network", "format", "precision")


# Making


def make(file: Path, networks: list[str]) -> None:
    """Add the cells that are missing or failed, network by network."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for index, network in enumerate(networks):
        have = known(file)
        if all(key in have and not have[key]["reason"] for key in wanted(network)):
            continue
        started = time.monotonic()
        failed = [cell for cell in made(network, file) if cell["reason"]]
        said = "".join(f"; {cell['format']} {cell['precision']}: {cell['reason']}" for cell in failed)
        print(f"{index + 1}/{len(networks)} {network}: {time.monotonic() - started:.0f} s{said}", flush=True)


def wanted(network: str) -> list[Key]:
    """The cells of one network."""
    return [(network, format, precision) for format in FORMATS for precision in PRECISIONS]


def made(network: str, file: Path) -> list[Cell]:
    """The cells of one network, from a process of its own, each kept as soon as it is known."""
    command = [sys.executable, "-m", "scripts.zoo.table", "--network", network, "--file", str(file)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # processor seconds are of one thread
    found: dict[Key, Cell] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            cell = json.loads(line)
            kept.keep(file, cell)
            found[network, cell["format"], cell["precision"]] = cell
        code = process.wait()
    for key in wanted(network):
        if key not in found:
            found[key] = failure(key, f"the process ended with {code}")
            kept.keep(file, found[key])
    return list(found.values())


def failure(key: Key, reason: str) -> Cell:
    """A cell that could not be made."""
    return dict(zip(("network", "format", "precision"), key, strict=True)) | {"reason": reason}


def cells(network: str, out: Path) -> Iterator[Cell]:
    """Export one network into `out`, and tell what is known of each file."""
    marks: list[tuple[str, float]] = []
    try:
        made = edgekit.export(
            network,
            format=FORMATS,
            precision=PRECISIONS,
            synthetic_calibration=True,
            out=out,
            progress=lambda stage: marks.append((stage, time.process_time())),
        )
    except EdgekitError as error:
        yield from (failure(key, error.message) for key in wanted(network))
        return
    seconds = spent(marks, time.process_time())
    yield from (failure((network, *one.part.values()), one.error.message) for one in made.failed)
    for artifact in made.artifacts:
        manifest = artifact.manifest
        assert manifest is not None
        found = of_file((network, manifest.format, manifest.precision), artifact.path, manifest)
        cost = seconds[f"{manifest.format} {manifest.precision}"]
        yield found | {"path": str(artifact.path.relative_to(out)), "cpu_seconds": cost}


def spent(marks: list[tuple[str, float]], end: float) -> dict[str, float]:
    """Return the seconds from where each file begins to the next one: with what is told on the way, as calibrating."""
    files = {f"{format} {precision}" for format in FORMATS for precision in PRECISIONS}
    begins = [(stage, at) for stage, at in marks if stage in files]
    ends = [*(at for _, at in begins[1:]), end]
    return {stage: after - at for (stage, at), after in zip(begins, ends, strict=True)}


def of_file(key: Key, path: Path, manifest: Manifest) -> Cell:
    """What the file itself tells."""
    found = open_session(path).found
    return failure(key, "") | {
        "reason": None,
        "sha256": manifest.sha256,
        "bytes": manifest.bytes,
        "parity": manifest.parity.model_dump(mode="json", exclude={"reasons"}),
        "operators": manifest.operators,
        "float_islands": sorted(manifest.details.get("float_islands", ())),
        "undelegated": found.get("undelegated", []) if found.get("nodes") else None,
    }


# Timing


def measure(file: Path, networks: list[str] | None) -> None:
    """Add the latency of every file that is there and has none, or one that was disturbed."""
    rows = [row for row in known(file).values() if not row["reason"] and row.get("verdict") in (None, INVALID)]
    rows = [row for row in rows if not networks or row["network"] in networks]
    for index, row in enumerate(rows):
        name = f"{index + 1}/{len(rows)} {row['path']}"
        path = folder(file) / row["path"]
        if not path.is_file():
            print(f"{name}: not there; take its network's lines out of {file} and run `make zoo`", flush=True)
            continue
        try:
            timed = latency(path)
        except EdgekitError as error:
            print(f"{name}: {error.message}", flush=True)
            continue
        kept.keep(file, row | timed)
        print(f"{name}: {timed['median_ms']:.3g} ms, {timed['verdict']}", flush=True)


def latency(path: Path) -> dict[str, Any]:
    """The median of one image on one thread, in a fresh process, and what the measurement is worth."""
    fields = PROTOCOL.model_dump(exclude=PARENT)
    job = {"mode": "latency", "runtime": choose(path).name, "artifact": str(path), **fields}
    answer = ask(LocalLink(), job, PATIENCE)
    run = ProcessRun(**{name: value for name, value in answer.items() if name != "found"})
    judged = assess([run], virtual=answer["found"].get("virtual"))
    return {
        "median_ms": median(run.samples_ns) / NS_PER_MS,
        "n": len(run.samples_ns),
        "verdict": judged.word,
        "verdict_reasons": list(judged.reasons),
        "processor": answer["found"].get("processor"),
    }


if __name__ == "__main__":
    sys.exit(main())
