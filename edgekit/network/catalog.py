"""The two commands that only look: `models` lists the zoo, `summary` prints one network's layer table.

What is published of the zoo is shipped as data. Torch is needed, and loaded, for any other variant and for a user's own
network; those are built on the meta device, so they cost no memory for weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, overload

from edgekit.errors import BackendMissing, UsageError
from edgekit.ir.layer_summary import where
from edgekit.ir.layer_table import LayerTable, table
from edgekit.network import shipped
from edgekit.network.facts import facts_of
from edgekit.network.inputs import Input
from edgekit.network.names import is_own_name
from edgekit.network.spec import ModelSpec, Published, Variant, variant
from edgekit.util.formatting import printable, shape_text
from edgekit.util.tabled import Several, Shown, Tabled

if TYPE_CHECKING:
    from torch import nn

Networks = list["str | nn.Module"] | list[str] | tuple["str | nn.Module", ...]


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
        """Return the row under its documented keys."""
        return asdict(self) | {"published": [self._published_json(row) for row in self.published]}

    def _published_json(self, row: Published) -> dict[str, Any]:
        """A published row; `macs_agrees` and `params_agrees` are None for what it lacks, or of another point."""
        own = row.alpha == 1.0 and row.resolution in (None, self.input_shape[-1]) and not row.options
        return asdict(row) | {
            f"{what}_agrees": agrees(printed, getattr(self, what), unit) if own and printed is not None else None
            for what, printed, unit in (("macs", row.macs, row.macs_unit), ("params", row.params, row.params_unit))
        }


@dataclass(frozen=True, repr=False)
class ModelsResult(Tabled):
    """The zoo."""

    rows: tuple[ModelRow, ...]

    def to_json(self) -> dict[str, Any]:
        """{"models": [...]}"""
        return {"models": [row.to_json() for row in self.rows]}


@dataclass(frozen=True, repr=False)
class SummaryResult(Tabled):
    """One variant's layer table."""

    variant: str
    input_shape: tuple[int, ...]
    table: LayerTable

    def to_json(self) -> dict[str, Any]:
        """Return the table under its documented keys."""
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

    def shown(self) -> list[Shown]:
        """Return the sums, where most of each is, and the layers."""
        document = printable(self.to_json())
        return [Shown(heads=("what", "value"), lines=facts_of(document), below=document["where"]), *super().shown()]


@dataclass(frozen=True, repr=False)
class Summaries(Several[SummaryResult]):
    """The layer tables of several networks, in the order given."""

    key = "summaries"
    of = "variant"

    def shown(self) -> list[Shown]:
        """Return a line for each network, and then the tables of one after the other."""
        numbers = ("params", "macs", "activation_elements")
        lines = [
            [row["variant"], shape_text(row["input_shape"]), *(f"{row[key]:,}" for key in numbers)]
            for row in printable(self.to_json())[self.key]
        ]
        return [Shown(heads=("variant", "input_shape", *numbers), lines=lines), *super().shown()]


def agrees(printed: float, exact: int, unit: float | None = None) -> bool:
    """Whether a figure is the exact one rounded to the digits that it was printed with: 569e6 is for 568,740,352.

    `unit` is what its last digit counts; None: the last that is no zero is taken for it, so 60e6 may be for 60,965,224.
    """
    last_digit = Decimal(round(printed)).normalize().as_tuple().exponent
    step = Decimal(10) ** int(last_digit) if unit is None else Decimal(round(unit))
    return abs(Decimal(round(printed)) - exact) <= step / 2


def models(*names: str | Sequence[str]) -> ModelsResult:
    """The named networks of the zoo, all of them by default, with exact counts and published facts. Needs no torch.

    Several may stand in a list, too.

    Raises UsageError for a name that the zoo does not have.
    """
    networks = shipped.networks()
    wanted = [name for one in names for name in ([one] if isinstance(one, str) else one)]
    return ModelsResult(tuple(_model_row(networks[name]) for name in wanted or networks))


@overload
def summary(
    model: str | nn.Module,
    *,
    alpha: float | None = None,
    res: int | None = None,
    classes: int | None = None,
    options: Mapping[str, str] | None = None,
    input: Input = None,
) -> SummaryResult: ...
@overload
def summary(
    model: Networks,
    *,
    alpha: float | None = None,
    res: int | None = None,
    classes: int | None = None,
    options: Mapping[str, str] | None = None,
    input: Input = None,
) -> Summaries: ...
def summary(
    model: str | nn.Module | Networks,
    *,
    alpha: float | None = None,
    res: int | None = None,
    classes: int | None = None,
    options: Mapping[str, str] | None = None,
    input: Input = None,
) -> SummaryResult | Summaries:
    """Return the layer table of one variant, or of a user's own network: an `nn.Module`, `FILE.py:function` or
    `PACKAGE.MODULE:function` with `input`, `FILE.pt2`, `FILE.onnx`, `FILE.tflite` or `FILE.keras`; of a list of them
    one after the other, in its order. A published variant needs no torch.

    Raises UsageError, and BackendMissing where torch is needed and missing.
    """
    if isinstance(model, (list, tuple)):
        each = tuple(summary_of(one, alpha, res, classes, options, input) for one in model)
        return Summaries(each)
    return summary_of(model, alpha, res, classes, options, input)


def summary_of(
    model: str | nn.Module,
    alpha: float | None = None,
    res: int | None = None,
    classes: int | None = None,
    options: Mapping[str, str] | None = None,
    input: Input = None,
) -> SummaryResult:
    """As `summary`, of one network."""
    known = _shipped(model, alpha, res, classes, options, input)
    if known is not None:
        return known
    point = chosen(model, alpha, res, classes, options, input)
    return SummaryResult(str(point), point.input_shape, counted(point))


def _shipped(
    model: str | nn.Module,
    alpha: float | None,
    res: int | None,
    classes: int | None,
    options: Mapping[str, str] | None,
    input: Input,
) -> SummaryResult | None:
    """The summary of what needs no torch; None for what has to be counted. Raises BackendMissing where it cannot be."""
    here = find_spec("torch") is not None
    told = f"counting {model}"
    if isinstance(model, str) and not is_own_name(model) and input is None:
        networks = shipped.networks()
        if here and model not in networks:
            return None  # one of a zoo that was extended, or of none
        try:
            point = variant(networks[model], alpha, res, classes, options)
        except BackendMissing:  # what is wrong with the variant takes the network itself to say
            if here:
                return None
            raise
        counts = shipped.layer_table(point)
        if counts is not None:
            return SummaryResult(str(point), point.input_shape, counts)
        told = f"{point} is not a published variant: counting it"
    if not here:
        raise BackendMissing(f"{told} needs torch, which is not installed", shipped.REMEDY)
    return None


def chosen(
    model: str | nn.Module,
    alpha: float | None,
    res: int | None,
    classes: int | None,
    options: Mapping[str, str] | None,
    input: Input,
) -> Variant:
    """Return the variant that the arguments of a command name, without looking at any weights."""
    from edgekit.network.user_model import find, is_own, refuse_point

    if is_own(model):
        refuse_point(alpha, res, classes)
    return variant(find(model, input), alpha, res, classes, options)


def counted(point: Variant) -> LayerTable:
    """Return the layer table of a variant, built without memory for its weights where it can be."""
    import torch

    from edgekit.frontend.tracer import trace
    from edgekit.network.user_model import USER_FAMILY

    try:
        with torch.device("meta"):
            return table(trace(point.build(), *point.input_shapes))
    except UsageError:
        if point.spec.family != USER_FAMILY:
            raise
    return table(trace(point.build(), *point.input_shapes))  # it asks for values of its own


def _model_row(spec: ModelSpec) -> ModelRow:
    point = variant(spec)
    counts = shipped.layer_table(point)
    assert counts is not None, f"{spec.name} is not in {shipped.FILE}"
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
