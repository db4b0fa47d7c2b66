"""What a measurement is found by and shown as: everything that is needed to choose among many, without its samples."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, fields
from typing import Any

from edgekit.records.conditions import RunConditions, run_conditions
from edgekit.records.measurement import Accuracy, Measurement


@dataclass(frozen=True)
class Summary:
    """A measurement without its samples; the fields are the columns of a store's `summaries`."""

    id: str
    created: str
    session: str | None
    sha256: str
    artifact: str
    variant: str | None  # None, as precision and weights, of a foreign file
    precision: str | None
    weights: str | None  # their id
    format: str
    device: str
    host: str | None
    power_mode: str | None
    runtime: str
    threads: int
    batch: int
    provider: str | None
    delegate: str | None
    sizes: str | None
    sustained_seconds: int | None
    median_ns: float | None  # of the medians of its processes; None without samples
    verdict: str

    @property
    def command(self) -> str:
        """The command that took it, or itself where none is known."""
        return self.session or self.id

    @property
    def run_conditions(self) -> RunConditions:
        """How it was taken."""
        return RunConditions(**{field.name: getattr(self, field.name) for field in fields(RunConditions)})

    @property
    def subject(self) -> tuple[str, str | None, str]:
        """As `subject` of the measurement."""
        return self.variant or self.artifact, self.precision, self.format

    @property
    def name(self) -> tuple[str, str | None]:
        """As `name` of the measurement."""
        return self.artifact, self.weights


def subject(record: Measurement | Accuracy) -> tuple[str, str | None, str]:
    """Return what was measured: the variant (or a foreign file's name), its precision and format."""
    known = record.manifest
    return (known.variant.name if known else record.artifact, known.precision if known else None, record.format)


def name(record: Measurement | Accuracy) -> tuple[str, str | None]:
    """Return what tells the files of one subject apart in words: the file's name, and the id of its weights."""
    return record.artifact, record.manifest.weights.id if record.manifest else None


def summary(record: Measurement) -> Summary:
    """Return the summary of a measurement."""
    known, taken = record.manifest, [run.samples_ns for run in record.runs]
    return Summary(
        id=record.id,
        created=record.created,
        session=record.session,
        sha256=record.sha256,
        artifact=record.artifact,
        variant=known.variant.name if known else None,
        precision=known.precision if known else None,
        weights=known.weights.id if known else None,
        format=record.format,
        **asdict(run_conditions(record)),
        median_ns=statistics.median(map(statistics.median, taken)) if taken and all(taken) else None,
        verdict=record.verdict,
    )


def unreadable(id: str, created: str, sha256: str, device: str, runtime: str) -> Summary:
    """Return the summary of a record that is broken or of a newer edgekit: whoever asks for it hears so."""
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "session",
            "variant",
            "precision",
            "weights",
            "host",
            "power_mode",
            "provider",
            "delegate",
            "sizes",
            "sustained_seconds",
            "median_ns",
        )
    )
    known: dict[str, Any] = {"id": id, "created": created, "sha256": sha256, "device": device, "runtime": runtime}
    return Summary(**known, **nothing, artifact="", format="", threads=0, batch=0, verdict="unreadable")
