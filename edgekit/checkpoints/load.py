"""The front door for weights: random, published or a file's own, into a network; what a file tells of the variant.

Preprocessing belongs to the weights and is returned with them. READERS has the module for each kind of file.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from edgekit.checkpoints import fit, pretrained
from edgekit.checkpoints.file import Checkpoint, file_format
from edgekit.checkpoints.pretrained_table import SOURCES, Source
from edgekit.errors import UsageError
from edgekit.network.spec import MODELS, ModelSpec, Variant, variant
from edgekit.records.manifest import WeightsRecord
from edgekit.records.preprocessing import Preprocessing
from edgekit.util.files import known_sha256

if TYPE_CHECKING:
    from torch import nn

READERS = {  # format -> module with read(path, spec) -> Checkpoint
    "torch": "edgekit.checkpoints.torch",
    "safetensors": "edgekit.checkpoints.torch",
    "npz": "edgekit.checkpoints.npz",
    "tflite": "edgekit.checkpoints.tflite",
    "hdf5": "edgekit.checkpoints.keras.reader",
    "keras": "edgekit.checkpoints.keras.reader",
}


@dataclass(frozen=True)
class Loaded:
    """What was put into a network.

    `ranges` are the activation ranges that the file carries, (low, high) by operator name of the traced network, or
    None. `assumed` is true where nothing says how the weights' images were prepared, so that `preprocessing` is the
    usual one; `resolution_assumed`, where nothing says at which resolution they were trained. `notes` are for the
    person who asked.
    """

    record: WeightsRecord
    preprocessing: Preprocessing
    ranges: Mapping[str, tuple[float, float]] | None = None
    assumed: bool = False
    resolution_assumed: bool = False
    notes: tuple[str, ...] = ()


def variant_of(
    source: str,
    model: str | ModelSpec,
    alpha: float | None = None,
    resolution: int | None = None,
    classes: int | None = None,
    options: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
) -> Variant:
    """Return the variant that the weights are of; what they do not tell is as typed, else 1.0 and the network's own.

    "pretrained" and "pretrained:NAME" mean published files, which are downloaded where they are not in the cache;
    `say` hears of it.

    Raises UsageError where something typed contradicts the file, and where the file fits no variant of the network.
    """
    spec = MODELS[model] if isinstance(model, str) else model
    typed = variant(spec, alpha, resolution, classes, options)  # what was typed must be valid by itself
    if _seed(source) is not None:
        return typed
    published = _published(source, spec, alpha, resolution, typed.options)
    if published is not None:
        _agree(Path(published.file), "--classes", classes, published.classes)  # before it is downloaded
    path = _path(source, published, say)
    checkpoint = _read(path, spec, published)
    published = published or _recognized(path, spec)
    _agree_on_options(path, typed.options, published)
    told_resolution = checkpoint.resolution or (published.resolution if published else None)
    told_classes = fit.classes_of(typed, checkpoint.shapes)
    _agree(path, "--classes", classes, told_classes)
    _agree(path, "--res", resolution, told_resolution)
    point = variant(
        spec,
        alpha,
        told_resolution if resolution is None else resolution,
        told_classes if classes is None else classes,
        options,
    )
    told_alpha = fit.alpha_of(point, checkpoint.shapes)
    _agree(path, "--alpha", alpha, told_alpha)
    if told_alpha is not None:
        point = variant(spec, told_alpha, point.resolution, point.classes, options)
    _check(path, fit.shapes_of(point), checkpoint, point)
    return point


def load(network: nn.Module, variant: Variant, source: str) -> Loaded:
    """Fill the built network of `variant` in place from "random", "random:SEED", "pretrained[:NAME]" or a file.

    Raises UsageError for a file that is missing, broken, of something else or does not fit; then the network's tensors
    are as they were.
    """
    spec, seed = variant.spec, _seed(source)
    if seed is not None:
        from edgekit.checkpoints.random import fill

        fill(network, variant.input_shape, seed)
        record = WeightsRecord(origin="random", id=f"random{seed}", sha256=None, trained=False)
        return Loaded(record, spec.preprocessing)
    published = _published(source, spec, variant.alpha, variant.resolution, variant.options)
    path = _path(source, published)
    checkpoint = _read(path, spec, published)
    _check(path, fit.named_shapes(network, spec), checkpoint, variant)
    fit.fill(path.name, network, checkpoint)
    published = published or _recognized(path, spec)
    digest = known_sha256(path)
    return Loaded(
        WeightsRecord(origin=path.name, id=digest[:8], sha256=digest, trained=True),
        checkpoint.preprocessing or (published or spec).preprocessing,
        checkpoint.ranges,
        assumed=not published and (checkpoint.assumed or checkpoint.preprocessing is None),
        resolution_assumed=not (published or checkpoint.resolution or spec.fixed_resolution),
        notes=() if published else (*checkpoint.notes, *_not_told(path, variant)),
    )


def _check(path: Path, wanted: fit.Shapes, checkpoint: Checkpoint, point: Variant) -> None:
    """Raise UsageError where the file is of another network than `point`, whose tensors have the shapes `wanted`."""
    fit.check(path.name, wanted, checkpoint.shapes, point)
    if checkpoint.check is not None:
        checkpoint.check(point)


def _seed(source: str) -> int | None:
    """The seed of "random" or "random:SEED"; None for anything else."""
    name, _, seed = source.partition(":")
    if name != "random":
        return None
    if source == "random":
        return 0
    if not (seed.isascii() and seed.isdigit() and int(seed) < 2**63):
        raise UsageError(f"'{source}' names no seed", "say random, or random:1 for another draw")
    return int(seed)


def _published(
    source: str, spec: ModelSpec, alpha: float | None, resolution: int | None, options: Mapping[str, str]
) -> Source | None:
    """The published file that `source` means; None where it is a path."""
    if not pretrained.is_pretrained(source):
        return None
    return pretrained.choose(source, spec.name, alpha, resolution or spec.resolution, options, resolution is not None)


def _recognized(path: Path, spec: ModelSpec) -> Source | None:
    """The published file of this network that a file is, whatever its name; None where it is none."""
    known = [source for source in SOURCES if source.model == spec.name and source.sha256 and not source.member]
    digest = known_sha256(path) if known else ""
    return next((source for source in known if digest.startswith(source.sha256 or "-")), None)


def _agree_on_options(path: Path, typed: Mapping[str, str], published: Source | None) -> None:
    for key, value in (published.options if published else {}).items():
        if typed[key] != value:
            raise UsageError(
                f"--option {key}={typed[key]} contradicts the weights {path.name}, "
                f"which were trained with {key} {value}",
                f"leave the option out, or say --option {key}={value}",
            )


def _not_told(path: Path, point: Variant) -> Iterator[str]:
    """What the names and shapes in a file leave open: options that change neither, such as where a block strides."""
    wanted = fit.shapes_of(point)
    for key, values in point.spec.options.items():
        taken = point.options[key]
        for other in values:
            changed = variant(point.spec, point.alpha, point.resolution, point.classes, {**point.options, key: other})
            if other != taken and fit.shapes_of(changed) == wanted:
                yield (
                    f"{path.name} does not tell its {key}: {key} {taken} is taken, and if it was trained with {other}, "
                    f"answers are wrong without --option {key}={other}"
                )


def _path(source: str, published: Source | None, say: Callable[[str], None] | None = None) -> Path:
    if published is None:
        return Path(source).expanduser()
    return pretrained.fetch(published, pretrained.in_steps(published, say) if say else None).path


def _read(path: Path, spec: ModelSpec, published: Source | None) -> Checkpoint:
    try:
        reader: Callable[[Path, ModelSpec], Checkpoint] = importlib.import_module(READERS[file_format(path)]).read
        with torch.no_grad():
            checkpoint = reader(path, spec)
    except UsageError as error:
        if published is None:
            raise
        raise UsageError(error.message, pretrained.replaced(path)) from error  # a kept file is not brought again
    return replace(checkpoint, tensors=fit.for_inference(checkpoint.tensors, spec))


def _agree(path: Path, option: str, typed: float | None, told: float | None) -> None:
    if typed is not None and told is not None and typed != told:
        raise UsageError(
            f"{option} {typed:g} contradicts the weights {path.name}, which are of {told:g}",
            f"leave {option} out, or say {option} {told:g}",
        )
