"""What a network is: its name, builder, input and published facts (`ModelSpec`), and one point of it (`Variant`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgekit.errors import UsageError
from edgekit.records.manifest import SourceRecord
from edgekit.records.preprocessing import TORCHVISION, Preprocessing
from edgekit.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from edgekit.importers.source import Source

MIN_RESOLUTION, MAX_RESOLUTION = 32, 2048
MOST_CLASSES = 100_000


@dataclass(frozen=True)
class Published:
    """One published row. Accuracies are fractions of 1 (single network, single crop unless the source says more)."""

    source: str
    top1: float | None = None
    top5: float | None = None
    macs: float | None = None  # as printed there, in operations
    params: float | None = None  # as printed there
    alpha: float = 1.0
    resolution: int | None = None  # None: the network's own
    macs_unit: float | None = None  # of the last printed digit; None: a figure's last zeros may not be digits
    params_unit: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)  # of the network, where they are not its own
    one_crop: bool = True  # else an answer takes several passes, so MACs do not tell what the accuracy costs


@dataclass(frozen=True)
class ModelSpec:
    """A network, defined once.

    `build(resolution=..., classes=..., [alpha=...,] **options)` returns the torch module in its paper's words;
    it takes `alpha` exactly when `alphas` is not empty. `input_shape` is (C, H, W) or (C, D, H, W) without the batch.
    `options` names each further argument of `build` with the values it takes, the default first.
    """

    name: str
    family: str
    paper: str  # authors, title, year
    build: Callable[..., nn.Module]
    input_shape: tuple[int, ...]
    classes: int = 1000
    alphas: tuple[float, ...] = ()  # the published grid; empty: no width multiplier
    resolutions: tuple[int, ...] = ()  # the published grid
    fixed_resolution: bool = False  # the classifier admits one resolution only
    classifier: bool = True  # else it ends in a feature map, and `classes` is the number of its channels
    min_resolution: int = MIN_RESOLUTION
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    preprocessing: Preprocessing = TORCHVISION
    published: tuple[Published, ...] = ()
    more_inputs: tuple[tuple[int, ...], ...] = ()  # whole shapes of further inputs, in forward()'s order
    source: Source | None = None  # a file of another program that it is read from, and held against
    file: SourceRecord | None = None  # any file that it is read from
    training_only: tuple[str, ...] = ()  # how the names of parameters begin that inference does not use

    @property
    def resolution(self) -> int:
        """The network's own input height in pixels; of an input with one axis its length."""
        return self.input_shape[max(len(self.input_shape) - 2, 0)] if self.input_shape else 1


MODELS: Registry[ModelSpec] = Registry("network")


@dataclass(frozen=True)
class Variant:
    """One point of a network: spec + alpha + resolution + classes + options."""

    spec: ModelSpec
    alpha: float
    resolution: int
    classes: int
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [self.spec.name]
        if self.spec.alphas:
            parts.append(f"{self.alpha:g}" if self.alpha != 1 else "1.0")
        parts.append(str(self.resolution))
        if self.classes not in (self.spec.classes, self.spec.classes + 1):  # one more: a background class
            parts.append(f"c{self.classes}")
        parts += [f"{key}-{value}" for key, value in sorted(self.options.items()) if value != self.spec.options[key][0]]
        return "_".join(parts)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(1, C, H, W) or (1, C, D, H, W) in the network's own layout."""
        if self.resolution == self.spec.resolution:
            return (1, *self.spec.input_shape)  # a user's own network need not be square
        return (1, *self.spec.input_shape[:-2], self.resolution, self.resolution)

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each input, batch first."""
        return (self.input_shape, *self.spec.more_inputs)

    def build(self) -> nn.Module:
        """Build the torch network, in eval mode, with its own initial weights (on torch's current default device)."""
        arguments: dict[str, Any] = {"resolution": self.resolution, "classes": self.classes, **self.options}
        if self.spec.alphas:
            arguments["alpha"] = self.alpha
        return self.spec.build(**arguments).eval()

    def published(self) -> tuple[Published, ...]:
        """Return the published rows of exactly this point."""
        if self.classes not in (self.spec.classes, self.spec.classes + 1):
            return ()
        return tuple(
            row
            for row in self.spec.published
            if math.isclose(row.alpha, self.alpha)
            and (row.resolution or self.spec.resolution) == self.resolution
            and _options(self.spec, row.options) == self.options
        )


def variant(
    model: str | ModelSpec,
    alpha: float | None = None,
    resolution: int | None = None,
    classes: int | None = None,
    options: Mapping[str, str] | None = None,
) -> Variant:
    """Return the checked variant of a registered network; None means the network's own value. Raises UsageError."""
    spec = MODELS[model] if isinstance(model, str) else model
    return Variant(
        spec, _alpha(spec, alpha), _resolution(spec, resolution), _classes(spec, classes), _options(spec, options or {})
    )


def published_at(spec: ModelSpec, row: Published) -> Variant:
    """Return the point that a published row is of."""
    return variant(spec, row.alpha, row.resolution, options=row.options)


def published_variants(spec: ModelSpec) -> Iterator[Variant]:
    """Yield the network's own point, each published alpha and row, and each value of its options; some come twice."""
    yield variant(spec)
    for alpha in spec.alphas:
        yield variant(spec, alpha)
    for row in spec.published:
        yield published_at(spec, row)
    for option, values in spec.options.items():
        for value in values[1:]:
            yield variant(spec, options={option: value})


def with_classes(point: Variant, classes: int) -> Variant:
    """Return the same point with another number of classes."""
    return replace(point, classes=classes)


def _alpha(spec: ModelSpec, alpha: float | None) -> float:
    if alpha is None:
        return 1.0
    if not spec.alphas and alpha != 1.0:
        raise UsageError(f"{spec.name} has no width multiplier", "leave --alpha out")
    if not 0.0 < alpha <= 1.0:  # nan fails too
        raise UsageError(f"alpha must be in (0, 1], not {alpha:g}", "choose, say, one of 1.0, 0.75, 0.5, 0.25")
    return alpha


def _resolution(spec: ModelSpec, resolution: int | None) -> int:
    if resolution is None or resolution == spec.resolution:
        return spec.resolution
    if spec.fixed_resolution:
        raise UsageError(
            f"the classifier of {spec.name} fixes its resolution at {spec.resolution}, not {resolution}",
            f"leave --res out, or say --res {spec.resolution}",
        )
    low = max(spec.min_resolution, MIN_RESOLUTION)
    if not low <= resolution <= MAX_RESOLUTION:
        ends = _where_it_ends(spec, resolution) if MIN_RESOLUTION <= resolution < low else ""
        raise UsageError(
            f"resolution must be {low} to {MAX_RESOLUTION} for {spec.name}, not {resolution}{ends}",
            f"the network's own is --res {spec.resolution}",
        )
    return resolution


def _where_it_ends(spec: ModelSpec, resolution: int) -> str:
    """Which layer runs out of pixels, as an addition to a message; empty where torch is not here to tell."""
    try:
        import torch

        from edgekit.frontend.tracer import trace
    except ImportError:
        return ""
    try:
        with torch.device("meta"):
            network = spec.build(resolution=resolution, classes=spec.classes, **_options(spec, {})).eval()
        trace(network, (1, *spec.input_shape[:-2], resolution, resolution))
    except UsageError as error:
        return f": {error.message.partition(':')[0]}"
    return ""


def _classes(spec: ModelSpec, classes: int | None) -> int:
    if classes is not None and classes < 1:
        raise UsageError(f"the number of classes must be at least 1, not {classes}", f"its own is {spec.classes}")
    if classes is not None and classes > MOST_CLASSES:
        raise UsageError(
            f"the number of classes must be at most {MOST_CLASSES:,}, not {classes}", f"its own is {spec.classes}"
        )
    if classes not in (None, spec.classes) and not spec.classifier:
        raise UsageError(
            f"{spec.name} ends in {spec.classes} channels and has no classifier", "leave the number of classes out"
        )
    return spec.classes if classes is None else classes


def _options(spec: ModelSpec, options: Mapping[str, str]) -> dict[str, str]:
    for key, value in options.items():
        if key not in spec.options:
            known = ", ".join(spec.options) or "none"
            raise UsageError(f"{spec.name} has no option '{key}'", f"its options: {known}")
        if value not in spec.options[key]:
            raise UsageError(f"{spec.name} {key} cannot be '{value}'", f"choose one of: {', '.join(spec.options[key])}")
    return {key: options.get(key, values[0]) for key, values in spec.options.items()}
