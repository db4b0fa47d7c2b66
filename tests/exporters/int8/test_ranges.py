"""Ranges are the true extremes, kept by content, and never of what is not finite."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.data import calibration
from edgekit.data.calibration import CalibrationSet
from edgekit.errors import UsageError
from edgekit.exporters.int8 import ranges as ranges_module
from edgekit.exporters.int8.ranges import from_file, record
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph
from edgekit.records.preprocessing import Preprocessing
from edgekit.util.files import cache_folder

SHAPE = (1, 3, 20, 20)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1),
        nn.ReLU6(),
        nn.Conv2d(6, 6, 3, groups=3),
        nn.Flatten(),
        nn.Linear(384, 5),
    ).eval()


def graph_of(seed: int = 0) -> Graph:
    return trace(network(seed), SHAPE)


def noise(n: int = 20, seed: int = 0) -> CalibrationSet:
    return calibration.synthetic(SHAPE, Preprocessing(), n, seed)


def observed(graph: Graph, images: CalibrationSet) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    graph.run(torch.from_numpy(next(images.batches(images.n))), observe=lambda op, y: values.__setitem__(op.name, y))
    return values


def test_extremes_are_the_true_ones() -> None:
    graph = graph_of()
    seen: list[tuple[int, int]] = []
    found = record(graph, noise(), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (20, 20) and seen == sorted(set(seen)), "how many images of how many"
    values = observed(graph, noise())
    assert set(found.extremes) == {op.name for op in graph} - {"0"}  # the first convolution is one with its ReLU6
    for name, (low, high) in found.extremes.items():
        assert math.isclose(low, float(values[name].min()), abs_tol=1e-5)
        assert math.isclose(high, float(values[name].max()), abs_tol=1e-5)
    assert found.n == 20


def test_windows_are_the_inputs_that_weights_meet() -> None:
    graph = graph_of()
    found = record(graph, noise())
    values = observed(graph, noise())
    for op in graph:
        if op.kind in ("conv", "linear"):
            source = values[op.inputs[0]].mean(0, keepdim=True)
            if op.kind == "conv":
                kernel = op.attrs["padding"][0][0], op.attrs["stride"]
                expected = nn.functional.unfold(source, 3, padding=kernel[0], stride=kernel[1]).mean(-1)
            else:
                expected = source
            torch.testing.assert_close(found.windows[op.name].flatten(), expected.flatten(), atol=1e-5, rtol=1e-5)


def test_the_second_time_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of()
    first = record(graph, noise())
    assert len(list((cache_folder() / "ranges").iterdir())) == 1
    monkeypatch.setattr(ranges_module, "_measure", lambda *_: pytest.fail("measured again"))
    second = record(graph, noise())
    assert (second.extremes, second.n, second.spread) == (first.extremes, first.n, first.spread)
    assert second.images is not None
    for name, window in first.windows.items():
        assert torch.equal(window, second.windows[name])


@pytest.mark.parametrize("other", ["weights", "images", "count"])
def test_other_content_is_measured(other: str) -> None:
    record(graph_of(), noise())
    record(
        graph_of(1 if other == "weights" else 0), noise(21 if other == "count" else 20, 1 if other == "images" else 0)
    )
    assert len(list((cache_folder() / "ranges").iterdir())) == 2


def test_a_broken_cache_is_measured_again() -> None:
    graph = graph_of()
    first = record(graph, noise())
    (kept,) = (cache_folder() / "ranges").iterdir()
    for content in (b"", b"not a zip", kept.read_bytes()[:200]):
        kept.write_bytes(content)
        assert record(graph, noise()).extremes == first.extremes


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert record(graph_of(), noise()).n == 20


@pytest.mark.parametrize("value", [math.nan, math.inf, 3e38])
def test_values_that_are_not_finite(value: float) -> None:
    graph = graph_of()
    weight = graph.params["2.weight"].detach().clone()
    weight[:] = value
    with pytest.raises(UsageError, match="layer 2"):
        record(replace(graph, params={**graph.params, "2.weight": weight}), noise())


def test_images_with_nan() -> None:
    class Broken(CalibrationSet):
        def batches(self, size: int = 16):  # type: ignore[no-untyped-def]
            yield np.full((2, 3, 20, 20), np.nan, np.float32)

    images = Broken(2, SHAPE, Preprocessing(), 0, synthetic=True)
    with pytest.raises(UsageError, match="layer input"):
        record(graph_of(), images)


def test_too_few_images_are_told() -> None:
    class Growing(CalibrationSet):
        def batches(self, size: int = 16):  # type: ignore[no-untyped-def]
            for scale in (0.1, 1.0):
                yield np.full((1, 3, 20, 20), scale, np.float32) * np.linspace(-1, 1, 20, dtype=np.float32)

    found = record(graph_of(), Growing(2, SHAPE, Preprocessing(), 0, synthetic=True))
    assert found.spread is not None and found.spread > 0.5
    assert "more images" in found.notes[0]
    assert record(graph_of(), noise(200)).notes == ()


def test_ranges_of_a_file_replace_the_recorded_ones() -> None:
    graph = graph_of()
    recorded = record(graph, noise())
    told = from_file(graph, {"0": (0.0, 5.5), "elsewhere": (0.0, 1.0)}, recorded)
    assert told.extremes["1"] == (0.0, 5.5)  # of the convolution and its ReLU6
    assert told.extremes["2"] == recorded.extremes["2"]
    assert told.source == "file"
    with pytest.raises(UsageError, match="no activation ranges"):
        from_file(graph, {"elsewhere": (0.0, 1.0)}, recorded)
