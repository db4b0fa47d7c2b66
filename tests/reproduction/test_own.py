"""A network of one's own beside the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

import edgekit
from edgekit.errors import UsageError
from edgekit.reproduction.own import each, own, to_measure
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


def test_a_module_stands_beside_the_zoo_with_its_accuracy() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    found = own((network, 71.5), ())
    assert (found.label, found.top1, found.source) == ("sequential", 0.715, "given")
    assert found.macs == 3 * 3 * 3 * 8 * 112 * 112 + 80
    with pytest.raises(UsageError, match="no fp32 accuracy"):
        own(network, ())


@pytest.mark.parametrize(
    ("given", "count"),
    [("a.py:b", 1), (["a.py:b", "c.py:d"], 2), (nn.ReLU(), 1), ((nn.ReLU(), 61.5), 1), ((nn.ReLU(), nn.ReLU()), 2)],
    ids=["text", "texts", "module", "pair", "modules"],
)
def test_one_network_or_several(given: Any, count: int) -> None:
    assert len(each(given)) == count


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(UsageError, match="takes a network of your own, not a value of type int"):
        own(7, ())


def test_a_module_is_measured_by_a_file_of_it(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    found = to_measure(network, 32, tmp_path / "own")
    assert found.model == str(tmp_path / "own" / "sequential.pt2") and found.input is None
    assert edgekit.summary(found.model).table.macs == found.macs and network.training
    with pytest.raises(UsageError, match="reproduce mobilenet measures the accuracy itself"):
        to_measure((network, 71.5), 32, tmp_path)
