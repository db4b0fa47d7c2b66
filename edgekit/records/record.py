"""What all records have in common: they never change once they are made, and have no field that nobody knows."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from edgekit.util.numerals import LARGEST_64

# A whole number of a record: what computes with it, and every database, can hold 64 bits.
Whole = Annotated[int, Field(ge=-LARGEST_64, le=LARGEST_64)]


class Record(BaseModel):
    """A frozen record with known fields only.

    Its validator is built when it is first used: most commands import more kinds of records than they read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def new_id() -> str:
    """Return a name for a record, 12 hex digits."""
    return uuid.uuid4().hex[:12]


def now() -> str:
    """Return the time, UTC, as ISO 8601 with milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
