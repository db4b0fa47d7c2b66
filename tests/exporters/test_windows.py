"""Windows and places that no format has an operator for, against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from edgekit.exporters.windows import adaptive_windows, dilated_windows, means, nearest_places, resize_matrix
from edgekit.ir.graph import Op

X = torch.randn(1, 1, 7, 5, generator=torch.Generator().manual_seed(1))


def resize(mode: str, size: tuple[int, ...], **more: Any) -> Op:
    """A resize of X to a size."""
    shape = (1, 1, *size)
    return Op("y", "upsample", ("x",), shape, {}, {"mode": mode, "size": size, "align_corners": None, **more})


@pytest.mark.parametrize("wanted", [(1, 1), (3, 2), (7, 5), (9, 4)])
def test_means_are_those_of_adaptive_pooling(wanted: tuple[int, int]) -> None:
    got = (means((7, 5), wanted) @ X.reshape(-1)).reshape(wanted)
    assert torch.allclose(got, F.adaptive_avg_pool2d(X, wanted)[0, 0], atol=1e-6)


@pytest.mark.parametrize(("size", "count"), [(7, 3), (5, 5), (4, 6), (9, 1)])
def test_maxima_are_those_of_adaptive_pooling(size: int, count: int) -> None:
    x = torch.randn(1, 1, size)
    places, longest = adaptive_windows(size, count)
    got = x[..., places].reshape(count, longest).amax(1)
    assert torch.equal(got, F.adaptive_max_pool1d(x, count)[0, 0])


def test_windows_with_gaps_read_what_dilated_pooling_reads() -> None:
    x = torch.randn(1, 1, 11)
    places = dilated_windows(4, 3, 2, 2)
    assert torch.equal(x[..., places].reshape(4, 3).amax(1), F.max_pool1d(x, 3, 2, dilation=2)[0, 0])


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_the_nearest_places_are_those_that_torch_takes(mode: str) -> None:
    op = resize(mode, (10, 3))
    rows, columns = (nearest_places(op, X.shape, axis) for axis in (2, 3))
    assert torch.equal(X[0, 0][rows][:, columns], F.interpolate(X, (10, 3), mode=mode)[0, 0])
    scaled = resize(mode, (9, 6), scale=(1.3, 1.3))
    assert nearest_places(scaled, X.shape, 3) == nearest_places(resize(mode, (9, 6), scale=(9.0, 1.3)), X.shape, 3)


@pytest.mark.parametrize(("mode", "corners"), [("bilinear", False), ("bilinear", True), ("bicubic", False)])
def test_a_resize_is_a_matrix_for_each_axis(mode: str, corners: bool) -> None:
    op = resize(mode, (10, 3), align_corners=corners)
    got = resize_matrix(op, X.shape, 2) @ X[0, 0] @ resize_matrix(op, X.shape, 3).T
    want = F.interpolate(X, (10, 3), mode=mode, align_corners=corners)[0, 0]
    assert torch.allclose(got, want, atol=1e-5)
