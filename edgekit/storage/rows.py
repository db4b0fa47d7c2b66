"""Records as the rows of a store's tables, and back: samples lie apart, so that nobody reads them who does not ask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from edgekit.errors import UsageError
from edgekit.records.measurement import RECORD_VERSION, Measurement
from edgekit.records.record import Whole
from edgekit.records.summary import summary
from edgekit.storage.schema import table

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

Record = TypeVar("Record", bound=BaseModel)
Samples = tuple[tuple[tuple[Whole, ...], tuple[Whole, ...]], ...]  # of each run: measured, warm-up
SERIES = ("samples_ns", "warmup_ns")


def insert(connection: Connection, name: str, records: Iterable[BaseModel]) -> None:
    """Append records to their table, measurements with what stands apart from them."""
    records = list(records)
    if not records:
        return
    bare = [_bare(record) if isinstance(record, Measurement) else record for record in records]
    connection.execute(table(name).insert(), [_row(name, record) for record in bare])
    measured = [record for record in records if isinstance(record, Measurement)]
    if measured:
        connection.execute(table("samples").insert(), [_samples(record) for record in measured])
        connection.execute(table("summaries").insert(), [asdict(summary(record)) for record in measured])


def _row(name: str, record: BaseModel) -> dict[str, Any]:
    columns = [column.name for column in table(name).c if column.name not in ("position", "payload")]
    return {column: getattr(record, column) for column in columns} | {"payload": record.model_dump_json()}


def _bare(record: Measurement) -> Measurement:
    runs = (run.model_copy(update=dict.fromkeys(SERIES, ())) for run in record.runs)
    return record.model_copy(update={"runs": tuple(runs)})


def _samples(record: Measurement) -> dict[str, str]:
    series = [[run.samples_ns, run.warmup_ns] for run in record.runs]
    return {"id": record.id, "payload": json.dumps(series, separators=(",", ":"))}


def selected(name: str, known: frozenset[str]) -> Select[Any]:
    """Position, id, version, payload and samples of a table's records, as far as the tables are `known`."""
    from sqlalchemy import null, select

    one, samples = table(name), table("samples")
    columns = (one.c.position, one.c.id, one.c.version, one.c.payload)
    if name != "measurements" or samples.name not in known:
        return select(*columns, null())
    return select(*columns, samples.c.payload).outerjoin_from(one, samples, one.c.id == samples.c.id)


def read(kind: type[Record], row: Sequence[Any], shown: str) -> Record:
    """Return a record from its id, version, payload and samples (None where the payload has them, as in older stores).

    Raises UsageError for a broken one and one of a newer edgekit.
    """
    identity, version, payload, samples = row
    if version > RECORD_VERSION:
        raise UsageError(
            f"record {identity} in {shown} has version {version}; this edgekit reads {RECORD_VERSION}",
            "use a newer edgekit, or another --store",
        )
    try:
        record = kind.model_validate_json(payload)
        return record if samples is None else _whole(record, samples)
    except ValueError as error:
        if not isinstance(error, ValidationError):
            raise UsageError(f"record {identity} in {shown} has lost samples", "use another --store") from error
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise UsageError(
                f"record {identity} in {shown} has '{where}', which this edgekit does not know",
                "use a newer edgekit, or another --store",
            ) from error
        said = first["msg"].removeprefix("Value error, ")
        at = f" at '{where}'" if where else ""
        raise UsageError(f"record {identity} in {shown} is broken{at}: {said}", "use another --store") from error


def _whole(record: Record, samples: str) -> Record:
    runs = getattr(record, "runs", ())
    series = _series().validate_json(samples)
    whole = (run.model_copy(update=dict(zip(SERIES, one, strict=True))) for run, one in zip(runs, series, strict=True))
    return record.model_copy(update={"runs": tuple(whole)})


@cache
def _series() -> TypeAdapter[Samples]:
    return TypeAdapter(Samples)
