"""The two commands that only look: `models` lists the zoo, `summary` prints one network's layer table.

Networks are built on the meta device, so neither costs memory for weights.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import torch
from torch import nn

from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from edgekit.ir.layer_summary import where
from edgekit.ir.layer_table import LayerTable, table
from edgekit.network.inputs import Input
from edgekit.network.spec import MODELS, ModelSpec, Published, Variant, variant
from edgekit.network.user_model import USER_FAMILY, find, is_own, refuse_point


@dataclass(frozen=True)
class ModelRow:
    """A network of the zoo at its own resolution, exact counts beside what was published."""

    name: str
    family: str
    paper: str
    input_shape: tuple[int, ...]
    alphas: tuple[float, ...]
    resolutions: tuple[int, ...]
    options: Mapping[str, tuple[str, ...]]
    params: int
    macs: int
    activation_elements: int
    published: tuple[Published, ...]

    def to_json(self) -> dict[str, Any]:
        """The row under its documented keys."""
        return asdict(self) | {"published": [self._published_json(row) for row in self.published]}

    def _published_json(self, row: Published) -> dict[str, Any]:
        """A published row; `macs_agrees` and `params_agrees` are None for what it lacks, or of another point."""
        own = row.alpha == 1.0 and row.resolution in (None, self.input_shape[-1]) and not row.options
        return asdict(row) | {
            f"{what}_agrees": agrees(printed, getattr(self, what), unit) if own and printed is not None else None
            for what, printed, unit in (("macs", row.macs, row.macs_unit), ("params", row.params, row.params_unit))
        }


@dataclass(frozen=True)
class ModelsResult:
    """The zoo."""

    rows: tuple[ModelRow, ...]

    def to_json(self) -> dict[str, Any]:
        """{"models": [...]}"""
        return {"models": [row.to_json() for row in self.rows]}


@dataclass(frozen=True)
class SummaryResult:
    """One variant's layer table."""

    variant: str
    input_shape: tuple[int, ...]
    table: LayerTable

    def to_json(self) -> dict[str, Any]:
        """The table under its documented keys."""
        return {
            "variant": self.variant,
            "input_shape": list(self.input_shape),
            "params": self.table.params,
            "macs": self.table.macs,
            "activation_elements": self.table.activation_elements,
            "layers": [row.to_json() for row in self.table.rows],
            "uncounted": list(self.table.uncounted),
            "where": list(where(self.table)),
        }


def agrees(printed: float, exact: int, unit: float | None = None) -> bool:
    """Whether a figure is the exact one rounded to the digits that it was printed with: 569e6 is for 568,740,352.

    `unit` is what its last digit counts; None: the last that is no zero is taken for it, so 60e6 may be for 60,965,224.
    """
    last_digit = Decimal(round(printed)).normalize().as_tuple().exponent
    step = Decimal(10) ** int(last_digit) if unit is None else Decimal(round(unit))
    return abs(Decimal(round(printed)) - exact) <= step / 2


def models() -> ModelsResult:
    """Every registered network with its exact counts and published facts."""
    importlib.import_module("edgekit.models")  # registers the zoo
    with _all_before_stays():
        return ModelsResult(tuple(_model_row(spec) for _, spec in MODELS.items()))


@contextmanager
def _all_before_stays() -> Iterator[None]:
    """Spares the garbage collector torch's half a million objects, which a zoo of networks sends it through often."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def summary(
    model: str | nn.Module,
    *,
    alpha: float | None = None,
    res: int | None = None,
    classes: int | None = None,
    options: Mapping[str, str] | None = None,
    input: Input = None,
) -> SummaryResult:
    """The layer table of one variant, or of a user's own network: an `nn.Module`, `FILE.py:function` or
    `PACKAGE.MODULE:function` with `input`, `FILE.pt2` or `FILE.onnx`. Raises UsageError."""
    point = chosen(model, alpha, res, classes, options, input)
    return SummaryResult(str(point), point.input_shape, counted(point))


def chosen(
    model: str | nn.Module,
    alpha: float | None,
    res: int | None,
    classes: int | None,
    options: Mapping[str, str] | None,
    input: Input,
) -> Variant:
    """The variant that the arguments of a command name, without looking at any weights."""
    if is_own(model):
        refuse_point(alpha, res, classes)
    return variant(find(model, input), alpha, res, classes, options)


def counted(point: Variant) -> LayerTable:
    """The layer table of a variant, built without memory for its weights where it can be."""
    try:
        with torch.device("meta"):
            return table(trace(point.build(), *point.input_shapes))
    except UsageError:
        if point.spec.family != USER_FAMILY:
            raise
    return table(trace(point.build(), *point.input_shapes))  # it asks for values of its own


def _model_row(spec: ModelSpec) -> ModelRow:
    point = variant(spec)
    counts = counted(point)
    return ModelRow(
        name=spec.name,
        family=spec.family,
        paper=spec.paper,
        input_shape=point.input_shape,
        alphas=spec.alphas,
        resolutions=spec.resolutions,
        options=spec.options,
        params=counts.params,
        macs=counts.macs,
        activation_elements=counts.activation_elements,
        published=spec.published,
    )
