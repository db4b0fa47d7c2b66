"""What an export says of images: where their preprocessing was assumed, or no image can be the network's input."""

from __future__ import annotations

from edgekit.checkpoints import load as weights
from edgekit.errors import UsageError
from edgekit.exporting.options import ExportOptions
from edgekit.network.spec import Variant
from edgekit.records.preprocessing import TENSORFLOW, TORCHVISION, Preprocessing
from edgekit.records.preprocessing_file import as_yaml


def about_images(
    asked: ExportOptions, loaded: weights.Loaded, preprocessing: Preprocessing, point: Variant
) -> list[str]:
    """Return a note where the preprocessing was assumed, or where no image can be the network's input.

    Raises UsageError for a preprocessing file of other channels.
    """
    if len(point.input_shape) < 3:
        return ["the input is no image: the preprocessing in the manifest means nothing, and eval refuses the file"]
    own, given = point.input_shape[1], len(preprocessing.mean)
    if own == given:
        return [_assumed(preprocessing)] if loaded.assumed and asked.preprocess is None else []
    if asked.preprocess is not None:
        raise UsageError(
            f"{asked.preprocess} prepares images of {given} channels, and the network takes {own}",
            "correct `channels` in it, or leave --preprocess out",
        )
    return [f"no image has {own} channels: the preprocessing in the manifest means nothing, and eval refuses the file"]


def _assumed(preprocessing: Preprocessing) -> str:
    mean, std = (as_yaml(values) for values in (preprocessing.mean, preprocessing.std))
    of = {TORCHVISION: " (torchvision's)", TENSORFLOW: " (TensorFlow's)"}.get(preprocessing, "")
    return f"the preprocessing is assumed: mean {mean}, std {std}{of}; say another with --preprocess FILE"
