"""What a job takes along: the files that it names, and the same job with their places on the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.network.names import OWN_FILES
from edgekit.records.manifest import manifest_path
from edgekit.records.onnx_parts import parts_of
from edgekit.sweeps.export import Job
from edgekit.sweeps.fleet.files import Parcel, parcel
from edgekit.sweeps.weights import NAMED

MODEL, WEIGHTS = "model", "weights"
SHARED = ("data", "preprocess", "labels")  # options of export that are paths
INSTALLED = ("site-packages", "dist-packages")


def of_export(job: Job) -> dict[str, Parcel]:
    """Return the parcels of an export, by what they are for. Raises UsageError for what cannot be sent."""
    found = {name: Path(path) for name in SHARED if isinstance(path := getattr(job.grid.export, name), str | Path)}
    if job.weights.weights.partition(":")[0] not in (*NAMED, ""):
        found[WEIGHTS] = Path(job.weights.weights)
    packed = {name: parcel(path) for name, path in found.items()}
    place = _place(job.point.model)
    if place is not None:
        packed[MODEL] = parcel(place, parts_of(place) if place.suffix in OWN_FILES else ())
    return packed


def of_artifact(path: Path) -> Parcel:
    """Return the parcel of a file that was exported, with its manifest and the files that have its weights."""
    beside = manifest_path(path)
    return parcel(path, [*parts_of(path), *([beside] if beside.is_file() else [])])


def unpacked(job: Job, places: Mapping[str, Path], out: Path) -> Job:
    """Return the job with the places that its parcels have here; its files go into `out`."""
    changed: dict[str, Any] = {name: places[name] for name in SHARED if name in places}
    export = replace(job.grid.export, **changed)
    changes: dict[str, Any] = {"grid": job.grid.model_copy(update={"export": export, "out": out})}
    if WEIGHTS in places:
        changes["weights"] = replace(job.weights, weights=str(places[WEIGHTS]))
    if MODEL in places and not is_package(job.point.model):
        function = job.point.model.removeprefix(_file(job.point.model))
        changes["point"] = job.point._replace(model=f"{places[MODEL]}{function}")
    return replace(job, **changes)


def is_package(model: str) -> bool:
    """Whether a network is named as PACKAGE.MODULE:function."""
    return ":" in model and not model.endswith(OWN_FILES) and not _file(model).endswith(OWN_FILES)


def _file(model: str) -> str:
    """The file in a network's name, without its function."""
    return model if model.endswith(OWN_FILES) else model.rpartition(":")[0]


def _place(model: str) -> Path | None:
    """What is sent of a network of one's own: its file, or the folder of its package where that is not installed."""
    if not is_package(model):
        file = _file(model)
        return Path(file) if file.endswith(OWN_FILES) else None
    outermost = _file(model).partition(".")[0]
    spec = PathFinder.find_spec(outermost, [str(Path.cwd())])
    if spec is None or any(one in Path(spec.origin or "").parts for one in INSTALLED):
        return None  # every worker has its own
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    if spec.origin is None:
        raise UsageError(f"{outermost} has no file that could be sent to a worker", "install it on every worker")
    return Path(spec.origin)
