"""What all records have in common: they never change once they are made, and have no field that nobody knows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen record with known fields only.

    Its validator is built when it is first used: most commands import more kinds of records than they read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
