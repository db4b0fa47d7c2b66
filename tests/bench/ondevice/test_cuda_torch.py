"""What is timed on a GPU, with a stand-in of torch.cuda: no GPU is here."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

pytest.importorskip("torch")
from edgekit.bench.ondevice import cuda_torch  # noqa: E402


class Event:
    """Counts its records; two records apart are one millisecond."""

    clock = 0

    def __init__(self, enable_timing: bool) -> None:
        self.at = 0

    def record(self) -> None:
        Event.clock += 1
        self.at = Event.clock

    def synchronize(self) -> None:
        assert self.at

    def elapsed_time(self, stop: Event) -> float:
        return float(stop.at - self.at)


class Cuda:
    """The part of torch.cuda that a step uses. A graph replays nothing: what it was made from does not run again."""

    Event = Event
    replays = 0

    class Stream:
        def wait_stream(self, other: Any) -> None:
            pass

    class CUDAGraph:
        def replay(self) -> None:
            Cuda.replays += 1

    current_stream = Stream
    stream = graph = staticmethod(lambda other: nullcontext())
    max_memory_reserved = staticmethod(lambda: 4096)


@pytest.mark.parametrize(
    ("as_graph", "runs", "replays"), [(False, 5, 0), (True, 1 + cuda_torch.CAPTURE_WARMUPS + 1, 4)]
)
def test_a_graph_is_captured_at_the_second_inference(
    as_graph: bool, runs: int, replays: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_torch, "CUDA", Cuda)
    monkeypatch.setattr(Cuda, "replays", 0)
    ran: list[int] = []
    step = cuda_torch.Step(lambda: ran.append(1), as_graph)
    for _ in range(5):
        step()
    assert (len(ran), Cuda.replays) == (runs, replays)
    told = step.facts()
    assert told["device_ms"] == 1.0 and told["device_samples"] == 5 and told["cuda_graph"] is as_graph
    assert told["gpu_memory_bytes"] == 4096
