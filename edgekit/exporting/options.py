"""What was asked of an export, and whether it can be meant: an argument that would change nothing is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edgekit.errors import UsageError
from edgekit.network.user_model import is_own, refuse_point


@dataclass(frozen=True)
class Request:
    """What was asked, about the network rather than about one file."""

    model: str | nn.Module
    alpha: float | None
    resolution: int | None
    classes: int | None
    input: tuple[int, ...] | None
    options: Mapping[str, str]
    weights: str | None
    data: Path | None
    preprocess: Path | None
    synthetic: bool
    ranges: str
    effort: str
    max_drop: float | None
    int8: bool
    io: str = "float32"
    output: str = "logits"
    labels: Path | None = None


def check(request: Request) -> None:
    """What can be said before the network is built. Raises UsageError."""
    if is_own(request.model):
        refuse_point(request.alpha, request.resolution, request.classes)
    if request.int8:
        _check_int8(request)
    else:
        _refuse_int8(request)


def _refuse_int8(request: Request) -> None:
    """What only int8 files heed."""
    given = {
        "--synthetic-calibration": request.synthetic,
        f"--ranges {request.ranges}": request.ranges != "data",
        f"--int8-effort {request.effort}": request.effort != "default",
        "--max-drop": request.max_drop is not None,
    }
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} is for int8 files, and none is asked for", "add --precision int8")


def _check_int8(request: Request) -> None:
    source = request.weights or "random"
    if request.max_drop is not None and request.data is None:
        raise UsageError("--max-drop needs labelled images to measure on", "add --data FOLDER")
    if request.synthetic and request.data is not None:
        raise UsageError("--data and --synthetic-calibration exclude each other", "leave one of them out")
    if request.data is None and not request.synthetic:
        raise UsageError(
            "int8 needs images to calibrate with",
            "add --data FOLDER, or --synthetic-calibration where only latency matters",
        )
    if source.startswith("random") and not is_own(request.model) and not request.synthetic:
        raise UsageError(
            "int8 of random weights says nothing about accuracy",
            "give --weights FILE, or --synthetic-calibration where only latency matters",
        )
