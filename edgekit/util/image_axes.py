"""The order of an image's axes: torch has the channels first, and other programs have them last."""

from __future__ import annotations

from collections.abc import Sequence

CHANNELS = (1, 3, 4)  # of an image
LEAST_SIDE = 5  # pixels: below it a size may be a number of channels


def channels_first(shape: Sequence[int]) -> tuple[int, ...] | None:
    """Return the shape (N, C, H, W) that may be meant by one of (N, H, W, C); None where it does not look like that."""
    if len(shape) != 4 or shape[3] not in CHANNELS or min(shape[1:3]) < LEAST_SIDE:
        return None
    batch, height, width, channels = shape
    return batch, channels, height, width


def said(shapes: Sequence[Sequence[int]]) -> str:
    """Return "channels come first, as in --input 1,1,28,28" where a shape looks like an image with channels last."""
    meant = next(filter(None, map(channels_first, shapes)), None)
    return f"channels come first, as in --input {','.join(map(str, meant))}" if meant else ""
