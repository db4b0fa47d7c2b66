"""What a worker does for a sweep. Each function is called by `answer`, in a thread of the worker's process.

Exports and accuracies run in processes of their own (edgekit.sweeps.workers), so that one that dies takes nothing else
along. What a function gives back is plain values.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.bench.links.stopping import Stopped
from edgekit.device.registry import DeviceList, open_target
from edgekit.device.target import Identity
from edgekit.errors import BackendMissing, EnvironmentRefused, Refusal
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.sweeps.engine import Judging, Timing
from edgekit.sweeps.export import Job, Made, failed, make_here, refused
from edgekit.sweeps.fleet import luggage
from edgekit.sweeps.fleet.files import Files, Parcel, parcel
from edgekit.sweeps.fleet.wanted import still_wanted, telling, while_wanted
from edgekit.sweeps.journal import device
from edgekit.sweeps.keys import identity_of
from edgekit.sweeps.local import DIED
from edgekit.sweeps.taking import judged, measured
from edgekit.sweeps.workers import Workers
from edgekit.util.files import environment

SAID_LINES = 10
AGAIN = "sweep again with --continue and the same --preset"
STOPPED = Refusal("device", "the sweep that asked for it has ended", AGAIN, 4)


@dataclass(frozen=True)
class Hand:
    """What a worker works with: its folder and files, its devices, and its processes."""

    folder: Path
    files: Files
    known: DeviceList
    processes: Workers


@dataclass(frozen=True)
class Brought:
    """What an export gave: its files as they lie on the worker, and those among them that can be fetched."""

    made: tuple[Made, ...]
    out: str
    artifacts: tuple[Parcel, ...]


HAND: Hand | None = None  # of this process, while it is a worker


def hand() -> Hand:
    """Return what this process works with."""
    assert HAND is not None, "this process is no worker"
    return HAND


class Call:
    """A function and its arguments; to unpickle it is to call it.

    So Dask's scheduler, which looks into tasks, needs nothing of edgekit: it sees `pickle.loads` and bytes.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return answer, (self.function, *self.arguments)


def answer(function: Callable[..., Any], *arguments: Any) -> bytes:
    """(True, what a function gives) or (False, the refusal that stopped it), pickled."""
    try:
        found = (True, function(*arguments))
    except Exception as error:
        found = (False, refused(error))
    return pickle.dumps(found)


def lacking(parcels: list[Parcel]) -> list[str]:
    """Return the contents that must be sent before `parcels` can be used here."""
    return hand().files.lacking(parcels)


def put(sha256: str, sender: str, offset: int, piece: bytes, is_last: bool) -> None:
    """Take in a piece of a content."""
    hand().files.put(sha256, sender, offset, piece, is_last)


def export(job: Job, parcels: Mapping[str, Parcel]) -> Brought:
    """Make the files of a job in a folder of their own, which stays until `forget`, unless the sweep has gone.

    Where it goes meanwhile, the process that makes them is killed.
    """
    found = hand()
    with found.files.using(*parcels.values()) as held:
        places = dict(zip(parcels, held, strict=True))
        _refuse_another_package(job, parcels)
        with environment(found.folder):
            out = Path(tempfile.mkdtemp(dir=found.folder, prefix="out-"))
        own = luggage.unpacked(job, places, out)
        try:
            with while_wanted():
                made = _in_process(own, places)
        except BrokenExecutor:
            made = failed(own, DIED)
        except Stopped:
            made = failed(own, STOPPED)
    artifacts = tuple(_fetchable(out))
    if not still_wanted()():  # nobody will say that it may go
        forget(str(out))
    return Brought(made, str(out), artifacts)


def _in_process(job: Job, places: Mapping[str, Path]) -> tuple[Made, ...]:
    if not luggage.is_package(job.point.model):
        return hand().processes.submit(_made, job, None).result()
    home = places[luggage.MODEL].parent if luggage.MODEL in places else hand().folder
    with Workers(1) as alone:  # a package of that name may be imported in the others already
        return alone.submit(_made, job, home).result()


def _made(job: Job, home: Path | None) -> tuple[Made, ...]:
    """In a process: make the files, in the folder from which a package is imported."""
    if home is not None:
        os.chdir(home)
    try:
        return tuple(make_here(job))
    except Exception as error:
        return failed(job, refused(error))


def _refuse_another_package(job: Job, parcels: Mapping[str, Parcel]) -> None:
    """Raise BackendMissing where a network's package is installed here in another form than the sweep's."""
    model = job.point.model
    if not luggage.is_package(model) or luggage.MODEL in parcels:
        return
    if identity_of(model) != job.files[0].inputs.get("model"):
        name = model.partition(":")[0].partition(".")[0]
        raise BackendMissing(f"{name} is another on the worker than where the sweep runs", f"install the same {name}")


def _fetchable(out: Path) -> list[Parcel]:
    """The files of an export with their manifests, those that failed their verification, too."""
    found = []
    for beside in sorted(out.rglob("*.json")):
        path = beside.with_name(beside.name.removesuffix(".json"))
        if path.exists() and not any(part.startswith(".") for part in beside.relative_to(out).parts):
            found.append(parcel(path, [beside]))
    return found


def read(path: str, offset: int, length: int) -> bytes:
    """Return a piece of a file that an export made."""
    place = Path(path).resolve()
    if not place.is_relative_to(hand().folder.resolve()):
        raise EnvironmentRefused(f"{path} is no file of a sweep", "fetch what an export made")
    with place.open("rb") as stream:
        stream.seek(offset)
        return stream.read(length)


def forget(out: str) -> None:
    """Remove the folder of an export that was fetched."""
    if Path(out).resolve().parent == hand().folder.resolve():
        shutil.rmtree(out, ignore_errors=True)


def identity(name: str) -> Identity:
    """Who one of this worker's devices is."""
    with open_target(name, hand().known[name]) as target:
        found = target.identity()
    return Identity(tuple(found.facts), dict(found.versions))


def measure(wanted: Timing, file: Parcel, topic: str) -> Measurement | Refusal:
    """Measure on one of this worker's devices, as long as the sweep waits for it, and tell under a topic how far it is.

    A refusal has the last lines that were said.
    """
    known, said, tell = hand().known, deque[str](maxlen=SAID_LINES), telling(topic)

    def say(message: str) -> None:
        said.append(message)
        tell(message)

    try:
        with (
            hand().files.using(file) as (path,),
            while_wanted(),
            device(known[wanted.device].address, measuring=True),
        ):
            made = replace(wanted.made, path=path)
            return measured(replace(wanted, made=made, devices=known.file), say)
    except Stopped:
        return STOPPED
    except Exception as error:
        refusal = refused(error)
        return replace(refusal, log=(*said, *refusal.log))


def judge(wanted: Judging, files: Mapping[str, Parcel], data: Parcel) -> Mapping[str, Accuracy | Refusal]:
    """Evaluate files, by their sha256, on images."""
    with hand().files.using(*files.values(), data) as (*held, images):
        own = replace(wanted, files=dict(zip(held, files, strict=True)), data=images)
        try:
            with while_wanted():
                return hand().processes.submit(judged, own).result()
        except BrokenExecutor:
            return dict.fromkeys(files, replace(DIED, message="the process that evaluated it died"))
        except Stopped:
            return dict.fromkeys(files, STOPPED)
