"""What is read of a file is written again, and what differs is told."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgekit.network.spec import ModelSpec, variant
from scripts.zoo import read_back
from scripts.zoo.read_back import FORMS, SAME, differences, form, page


class Parts(nn.Module):
    """A BatchNorm that folds into no layer, and a mean that drops its axes: operators that files have in parts."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.norm, self.last = nn.BatchNorm2d(8), nn.Linear(8, 5)
        self.norm.running_mean = torch.linspace(-1, 1, 8)

    def forward(self, x: Tensor) -> Tensor:
        joined = self.norm(torch.cat([self.left(x), self.right(x)], 1))
        scores: Tensor = self.last(joined.mean((2, 3)))
        return scores


def built(resolution: int, classes: int) -> nn.Module:
    torch.manual_seed(0)
    return Parts().eval()


def test_a_network_reads_back_as_it_was_in_every_form() -> None:
    spec = ModelSpec("parts", "Parts", "none", built, (3, 12, 12), classes=5, fixed_resolution=True)
    assert dict(differences(variant(spec), FORMS)) == dict.fromkeys(FORMS, SAME)


def test_the_page_counts_what_is_the_same_and_tells_what_is_not() -> None:
    forms = FORMS[:2]
    text = page({"lenet5": dict.fromkeys(forms, SAME), "vgg16": {forms[0]: SAME, forms[1]: "add +1"}}, forms, "today")
    assert "Of 2 networks the same: 2 in onnx fp32, 1 in onnx fp16." in text
    assert "| vgg16 | 3x224x224 | same | (1) |" in text and "1. add +1" in text
    assert "Not tried: " in text and "resnet50" in text


def test_what_was_found_before_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, made = tmp_path / "found.jsonl", list[str]()

    def found(point: Any, forms: Any) -> Any:
        made.append(point.spec.name)
        yield from dict.fromkeys(forms, SAME).items()

    monkeypatch.setattr(read_back, "differences", found)
    for networks in (["lenet5"], ["lenet5", "nin"]):
        asked = [*networks, "--file", str(file), "--page", str(tmp_path / "page.md"), "--only", "onnx:fp32"]
        monkeypatch.setattr("sys.argv", ["read_back", *asked])
        with pytest.raises(SystemExit) as ended:
            read_back.main()
        assert ended.value.code == 0
    assert made == ["lenet5", "nin"]
    assert "Of 2 networks the same: 2 in onnx fp32." in (tmp_path / "page.md").read_text()


def test_a_form_that_is_none_is_refused() -> None:
    assert form("tflite:int8") == ("tflite", "int8")
    with pytest.raises(argparse.ArgumentTypeError, match="'tflite:int9' is none of onnx:fp32, "):
        form("tflite:int9")
