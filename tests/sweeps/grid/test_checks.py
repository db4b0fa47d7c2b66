"""What is looked for in a grid is found in the time that its length takes."""

from __future__ import annotations

import pytest

from edgekit.errors import UsageError
from edgekit.sweeps.grid.checks import _refuse_twice
from edgekit.sweeps.grid.file import Origin


def test_a_long_axis_is_looked_through_once() -> None:
    values = (Counted(n) for n in [*range(100_000), 7])
    with pytest.raises(UsageError, match="'res' holds 7 twice"):
        _refuse_twice("res", tuple(values), Origin())
    assert Counted.compared < 1000


class Counted(int):
    """An integer that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return int(self) == other

    def __hash__(self) -> int:
        return int(self)
