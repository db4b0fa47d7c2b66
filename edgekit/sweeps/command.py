"""The verb `sweep`: every cell of a grid exported, measured and evaluated, as far as it is not done already.

Exports run side by side, and every device measures one file at a time, all devices at once (edgekit.sweeps.scheduler).
What fails is a row with its reason, and the rest goes on. Every step is written down when it is done
(edgekit.sweeps.journal), so that a sweep that ends at any moment, however it ends, goes on from there.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from edgekit.device.registry import DeviceList, load
from edgekit.errors import UsageError, nearest
from edgekit.exporting.options import flag
from edgekit.records.measurement import PRESETS
from edgekit.storage.store import open_store
from edgekit.sweeps.engine import Engine
from edgekit.sweeps.estimate import FILE, latency_seconds, told
from edgekit.sweeps.grid.cells import cells
from edgekit.sweeps.grid.fields import KEYS, Grid
from edgekit.sweeps.grid.reading import Models, grid
from edgekit.sweeps.local import Local
from edgekit.sweeps.plan import Plan
from edgekit.sweeps.preview import preview
from edgekit.sweeps.result import SweepResult
from edgekit.sweeps.run import Progress, Running, Watch
from edgekit.sweeps.workers import processors
from edgekit.util.quantity import count

MANY = 1000  # cells: beyond it, a slip of the hand is likelier than a wish
MOST = 100_000  # cells of one sweep, which are all held in memory
RETRIED = ("failed",)
ENGINES = ("local", "dask")
P = ParamSpec("P")
R = TypeVar("R")


def _takes_keys(function: Callable[P, R]) -> Callable[P, R]:
    """Show the keys of a grid, which the function takes by name, to whoever looks at its signature."""
    own = inspect.signature(function)
    known = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    keys = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None) for key in KEYS if key != "model"]
    function.__dict__["__signature__"] = own.replace(parameters=[*known, *keys])
    return function


@_takes_keys
def sweep(
    model: Models,
    *,
    continue_: bool = False,
    retry: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
    store: str | None = None,
    devices: Path | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    engine: str = "local",
    scheduler: str | None = None,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    insecure: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
    **asked: Any,
) -> SweepResult:
    """Export, measure and evaluate every cell of a grid.

    `model` is a network (or `FILE.py:build`), several of them, or a YAML file; `asked` are fields of
    `edgekit.sweeps.grid.fields.Grid` and the other options of `edgekit.export`, which replace those of the file.
    `continue_` keeps what was done before and is still what it was; `retry="failed"` does so, too, and of the rest only
    tries again what failed. `executor` takes the exports (default: `jobs` processes of our own).

    With `engine="dask"` the workers of a Dask cluster do the jobs (edgekit.sweeps.fleet): `scheduler` is its address,
    `tls_ca`, `tls_cert` and `tls_key` are the files of a tls:// one, and `insecure` allows a tcp:// one that is not on
    this machine. Then DeviceUnreachable is raised where the scheduler does not answer, or goes away for good, and
    BackendMissing where it has another version of Dask.

    `watch` is given the rows of edgekit.sweeps.board whenever what a device does changes.
    Raises UsageError for a grid that cannot be meant, before the first step; what fails later is in the result.
    """
    started, wanted = time.time(), grid(model, **asked)
    if retry not in (None, *RETRIED):
        raise UsageError(f"--retry cannot be '{retry}'", f"say --retry {' or '.join(RETRIED)}")
    if jobs is not None:
        count(jobs, "--jobs", "one for each processor")
    if wanted.bound > MOST:
        raise UsageError(
            f"this grid has {wanted.bound:,} cells, about {told(_rough_seconds(wanted, wanted.bound))} of work",
            f"name fewer values: one sweep takes {MOST:,} cells, also with --yes",
        )
    reach = {"scheduler": scheduler, "tls_ca": tls_ca, "tls_cert": tls_cert, "tls_key": tls_key, "insecure": insecure}
    with _engine(engine, reach, load(devices), wanted, jobs, executor) as (runs, known):
        with wanted.origin.told():
            plan = _planned(runs, known, wanted, yes, store, 0.0 if continue_ or retry else started, retry is not None)
        return preview(plan) if dry_run else Running(plan, progress, watch).run()


def _planned(
    engine: Engine, known: DeviceList, wanted: Grid, yes: bool, store: str | None, since: float, retry: bool
) -> Plan:
    found = cells(wanted, known)
    if len(found) > MANY and not yes:
        raise UsageError(
            f"this grid has {len(found):,} cells, about {told(_rough_seconds(wanted, len(found)))} of work",
            "name fewer values, or add --yes",
        )
    return Plan(wanted, found, open_store(store), known, engine, since, retry)


@contextmanager
def _engine(
    name: str,
    reach: Mapping[str, Any],
    known: DeviceList,
    wanted: Grid,
    jobs: int | None,
    executor: Executor | None,
) -> Iterator[tuple[Engine, DeviceList]]:
    """What runs the jobs, until the end of the block, and the devices that there are."""
    if name not in ENGINES:
        raise UsageError(f"--engine cannot be '{name}'{nearest(name, ENGINES)}", f"choose {' or '.join(ENGINES)}")
    if name == "local":
        given = next((option for option, value in reach.items() if value), None)
        if given is not None:
            raise UsageError(f"{flag(given)} is for --engine dask", "leave it out, or add --engine dask")
        with closing(Local(known, jobs or processors(), executor)) as local:
            yield local, known
        return
    from edgekit.sweeps.fleet.engine import opened

    if executor is not None:
        raise UsageError("an executor and the engine dask exclude each other", "leave one of them out")
    with closing(opened(reach, known, wanted, jobs)) as fleet:
        yield fleet, fleet.known(wanted.devices)


def _rough_seconds(wanted: Grid, count: int) -> float:
    """Of a grid that is too large to be looked at cell by cell."""
    return count * (FILE + (0.0 if wanted.export_only else latency_seconds(PRESETS[wanted.preset])))
