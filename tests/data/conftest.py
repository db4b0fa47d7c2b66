from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.pictures import write


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """40 cats, 6 dogs, 3 owls."""
    for index, name in enumerate(["cat"] * 40 + ["dog"] * 6 + ["owl"] * 3):
        write(tmp_path / "animals" / name / f"{index}.png", index)
    return tmp_path / "animals"
