"""A network of one's own beside the zoo."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.reproduction.own import own
from tests.reproduction.test_zoo import OWN


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("mine.py:tiny", "no fp32 accuracy"),
        ("mine.py:tiny=much", "--with mine.py:tiny cannot be 'much'"),
        ("mine.py:tiny=0", "no place"),
    ],
)
def test_an_accuracy_is_told_or_known(text: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(OWN)
    with pytest.raises(UsageError, match=cause) as caught:
        own(text, ())
    assert "--with mine.py:tiny=7" in caught.value.remedy


def test_a_fraction_is_no_percentage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(OWN)
    with pytest.raises(UsageError, match="less than one") as caught:
        own("mine.py:tiny=0.615", ())
    assert caught.value.remedy == "write --with mine.py:tiny=61.5%"
