"""Measurements and accuracies as an engine takes them where it runs: records, which whoever asked for them stores."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.errors import Refusal
from edgekit.evaluation.command import eval
from edgekit.measure.command import bench
from edgekit.records.measurement import Accuracy, Measurement
from edgekit.storage.keeping import Unkept
from edgekit.sweeps.engine import Judging, Say, Timing
from edgekit.sweeps.export import refused
from edgekit.sweeps.journal import device


def measured(wanted: Timing, say: Say) -> Measurement:
    """Measure a file on a device of this machine's devices.yaml, which the caller has alone. Raises what bench does."""
    assert wanted.made.path is not None
    asked = wanted.how._replace(device=wanted.device)._asdict()
    result = bench(
        [wanted.made.path],
        **asked,
        preset=wanted.preset,
        store=Unkept(),
        devices=wanted.devices,
        progress=lambda message, *_: say(message),
        session=wanted.session,
    )
    return result.measurements[0]


def judged(wanted: Judging) -> Mapping[str, Accuracy | Refusal]:
    """Evaluate files on this machine while nothing is measured on it: each one's accuracy or refusal, by its sha256."""
    paths = list(wanted.files)
    try:
        with device("local", measuring=False):
            result = eval(paths, data=wanted.data, runtime=wanted.runtime, threads=wanted.threads, store=Unkept())
    except Exception as error:  # it must not end the other cells
        return dict.fromkeys(wanted.files.values(), refused(error))
    by_name = {str(path): sha256 for path, sha256 in wanted.files.items()}
    found: dict[str, Accuracy | Refusal] = {
        by_name[str(one.part["artifact"])]: refused(one.error) for one in result.failed
    }
    return found | {by_name[str(one.artifact)]: one.accuracy for one in result.results}
