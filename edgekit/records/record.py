"""What all records have in common: they never change once they are made, and have no field that nobody knows."""

from __future__ import annotations

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
