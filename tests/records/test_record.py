from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgekit.records.record import Record


class Weighed(Record):
    grams: int
    name: str = "apple"


def test_a_record_is_read_and_written_and_never_changes() -> None:
    one = Weighed.model_validate_json('{"grams": 3}')
    assert Weighed.model_validate_json(one.model_dump_json()) == one == Weighed(grams=3)
    with pytest.raises(ValidationError, match="frozen"):
        one.grams = 4  # type: ignore[misc]


@pytest.mark.parametrize("text", ['{"grams": 3, "color": "red"}', '{"grams": "x"}', "{}"])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Weighed.model_validate_json(text)
