"""The images or examples of an export, and what it says of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.checkpoints import load as weights
from edgekit.data import arrays, calibration
from edgekit.data.calibration import CalibrationSet
from edgekit.errors import UsageError
from edgekit.exporting.options import ExportOptions
from edgekit.ir.graph import Graph
from edgekit.ir.whole_inputs import WholeNumbers
from edgekit.network.spec import Variant
from edgekit.records.preprocessing import CHANNELS, TENSORFLOW, TORCHVISION, Preprocessing, channels_for
from edgekit.records.preprocessing_file import Described, Reader, as_yaml, name_of
from edgekit.util import image_axes


def images_of(
    asked: ExportOptions,
    preprocessing: Preprocessing,
    point: Variant,
    graph: Graph,
    whole: Mapping[str, WholeNumbers],
) -> CalibrationSet | None:
    """Return what --data holds: images for the only input, or examples of all inputs as arrays; None without it.

    `whole` are the inputs that take whole numbers, by name. Raises UsageError where images cannot be the input.
    """
    if asked.data is None:
        return None
    folder, shapes = Path(asked.data), {op.name: op.shape for op in graph.inputs}
    examples = calibration.from_arrays(folder, shapes, preprocessing, whole=whole)
    if examples is not None and asked.max_drop is not None:
        raise UsageError(f"--max-drop needs labeled images, and {folder} holds arrays", "leave --max-drop out")
    if examples is None and len(shapes) > 1:
        raise UsageError(
            f"images fill one input, and the network has {len(shapes)}: {', '.join(shapes)}",
            f"{arrays.how_to_save(shapes)}, or use --synthetic-calibration, which is good for latency",
        )
    if examples is not None:
        return examples
    kind = whole.get(graph.input.name)
    if kind is not None and kind.dtype in ("bool", "int8"):
        raise UsageError(
            f"images have pixels of 0 to 255, and {graph.input.name} takes {kind.dtype}", arrays.how_to_save(shapes)
        )
    return calibration.from_folder(
        folder, preprocessing, point.input_shape, whole={0: kind} if kind is not None else None
    )


def said_for(said: Reader, point: Variant) -> Preprocessing:
    """Return what a user says of images for a network, whose input decides on the channels that are not written."""
    return said(_channels(point)).preprocessing


def _channels(point: Variant) -> int | None:
    """The channels of a network's input; None where it is no image."""
    return point.input_shape[1] if len(point.input_shape) >= 3 else None


def about_images(asked: ExportOptions, preprocessing: Preprocessing, point: Variant) -> list[str]:
    """Return a note where no image can be the network's input.

    Raises UsageError as `check_fits` does.
    """
    check_fits(asked.preprocess, preprocessing, point)
    own = _channels(point)
    if own is None:
        return ["the input is no image: the preprocessing in the manifest means nothing, and eval takes arrays"]
    if own == len(preprocessing.mean):
        return []
    meant = image_axes.said([point.input_shape])
    why = "the preprocessing in the manifest means nothing, and eval takes arrays"
    return ["; ".join(filter(None, (f"no image has {own} channels: {why}", meant)))]


def assumed(
    asked: ExportOptions, loaded: weights.Loaded, preprocessing: Preprocessing, point: Variant
) -> tuple[str, ...]:
    """Return what was assumed of trained weights because nobody said it, a note each: preprocessing and resolution."""
    notes = []
    if _channels(point) == len(preprocessing.mean) and loaded.assumed and asked.preprocess is None:
        notes.append(_preprocessing_assumed(preprocessing))
    if loaded.resolution_assumed and asked.res is None and asked.input is None:
        notes.append(f"the resolution {point.resolution} is assumed; say another with --res")
    return tuple(notes)


def check_fits(said: Described | None, preprocessing: Preprocessing, point: Variant) -> None:
    """Raise UsageError where a network cannot take what its preprocessing gives; `said` is None for an assumed one.

    That is one for other channels than the network's, where somebody said it, and one that scales the pixels of a
    network that takes whole numbers.
    """
    source = point.spec.source
    is_whole = source is not None and next(iter(source.shapes)) in source.whole
    if is_whole and (any(preprocessing.mean) or set(preprocessing.std) != {1.0}):
        name = "what is assumed" if said is None else name_of(said)
        raise UsageError(
            f"{point.spec.paper} takes whole numbers, and {name} scales the pixels",
            "write mean 0 and std 1 in it: such a network has its own scale",
        )
    own, given = _channels(point), len(preprocessing.mean)
    if said is not None and own is not None and own != given:
        raise UsageError(
            f"{name_of(said)} prepares images of {given} channels, and {point} takes {own}", _remedy_of_channels(own)
        )


def _remedy_of_channels(own: int) -> str:
    if own not in CHANNELS.values():
        return f"leave --preprocess out: no image has {own} channels, and eval takes arrays"
    return f"write `channels: {channels_for(own)}` in it, or leave `channels` out"


def _preprocessing_assumed(preprocessing: Preprocessing) -> str:
    mean, std = (as_yaml(values) for values in (preprocessing.mean, preprocessing.std))
    of = {TORCHVISION: " (torchvision's)", TENSORFLOW: " (TensorFlow's)"}.get(preprocessing, "")
    crop = f"crop {preprocessing.crop_fraction:g}"
    return f"the preprocessing is assumed: mean {mean}, std {std}, {crop}{of}; say another with --preprocess FILE"
