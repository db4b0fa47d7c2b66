"""When a layer that differs from the simulation or the network fails a file, and when it is no more than rounding."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.exporting import export_file
from edgekit.exporting.reference import Reference
from edgekit.records.manifest import ParityRecord

FAULT = "the first wrong layer is conv1: its bias"


def record(passed: bool, simulated_snr_db: float | None, simulation_snr_db: float | None) -> ParityRecord:
    return ParityRecord(
        passed=passed,
        n=4,
        n_real=0,
        max_abs_error=0.1,
        max_rel_error=0.1,
        cosine=0.99,
        top1_agreement=1.0,
        snr_db=20.0,
        simulated_snr_db=simulated_snr_db,
        simulation_snr_db=simulation_snr_db,
        reasons=() if passed else ("signal-to-noise",),
    )


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`_right` of a file in which a layer differs from the simulation."""
    monkeypatch.setattr(export_file, "file_fault", lambda *asked: FAULT)
    asked = SimpleNamespace(io="float32", layout="nhwc")
    prepared = SimpleNamespace(
        quantized=lambda format: None,
        reference=lambda: SimpleNamespace(inputs=(np.zeros((1, 3), np.float32),)),
        graph=SimpleNamespace(takes_several=True),
        preprocessing=None,
    )
    written = SimpleNamespace(inputs=(None,), outputs=(None,))

    def right(parity: ParityRecord, suffix: str = "onnx", together: int | None = None) -> ParityRecord:
        task: Any = SimpleNamespace(precision="int8", format="onnx", asked=asked, together=together)
        path = Path(f"n.{suffix}")
        return export_file._right(task, prepared, written, path, parity)  # type: ignore[arg-type]

    return right


@pytest.mark.parametrize(
    ("file_db", "simulation_db", "counts"),
    [
        (22.0, 20.0, True),  # as far from the simulation as rounding brings the network itself
        (25.9, 20.0, True),
        (26.0, 20.0, False),  # a quarter of that noise: the layer computes otherwise, and it does not matter
        (35.0, 20.0, False),
        (35.0, None, True),  # the simulation is the network, so nothing explains the difference
        (41.0, 39.0, False),  # near enough that no layer is looked at
        (None, 20.0, False),  # the same bits
    ],
)
def test_a_wrong_layer_fails_a_file_only_where_it_counts(
    file_db: float | None, simulation_db: float | None, counts: bool, judged: Any
) -> None:
    found = judged(record(True, file_db, simulation_db))
    assert found.passed is not counts
    assert found.reasons == ((FAULT,) if counts else ())


def test_a_file_that_fails_anyway_names_the_layer(judged: Any) -> None:
    found = judged(record(False, 35.0, 20.0))
    assert not found.passed
    assert found.reasons == ("signal-to-noise", FAULT)


BESIDE = "signal-to-noise 41.4 dB is under the 47.5 dB of its integer simulation"


@pytest.mark.parametrize(
    ("near", "reasons", "fault", "passes"),
    [
        (36.0, (BESIDE,), None, True),  # a step of 8 bits, of an output of five numbers
        (36.0, (f"output_0: {BESIDE}", f"output_1: {BESIDE}"), None, True),
        (29.0, (BESIDE,), None, False),
        (36.0, (BESIDE,), FAULT, False),
        (36.0, (BESIDE, "signal-to-noise 7.0 dB is under 8 dB"), None, False),
    ],
)
def test_a_file_a_step_beside_its_simulation_is_right_where_its_layers_are(
    near: float, reasons: tuple[str, ...], fault: Any, passes: bool, judged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_file, "file_fault", lambda *asked: fault)
    found = judged(record(False, near, 47.5).model_copy(update={"reasons": reasons}))
    assert (found.passed, found.by_layer) == (passes, passes)


@pytest.mark.parametrize(("suffix", "together"), [("engine", None), ("onnx", 3)])
def test_layers_that_were_not_seen_or_not_at_a_batch_prove_nothing(
    suffix: str, together: int | None, judged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_file, "file_fault", lambda *asked: None)
    beside = record(False, 36.0, 47.5).model_copy(update={"reasons": (BESIDE,)})
    assert judged(beside, suffix, together) == beside


@pytest.mark.parametrize(("n", "asked"), [(68, [12, 68]), (12, [12])])
def test_a_file_is_refused_only_after_every_example_was_simulated(n: int, asked: list[int]) -> None:
    prepared = SimpleNamespace(
        simulated=lambda format, precision, most=12: (np.zeros((most, 10), np.float32),),
        reference=lambda: SimpleNamespace(n=n),
    )
    seen: list[int] = []

    def against(simulated: Any) -> ParityRecord:
        seen.append(len(simulated[0]))
        return record(len(simulated[0]) > 12, 37.0, 42.0)

    task = SimpleNamespace(precision="int8", format="onnx")
    assert export_file._compared(task, prepared, against).passed is (n > 12)  # type: ignore[arg-type]
    assert seen == asked


class Chaos(nn.Module):
    """What a map gives after thirty steps of 3.9 x (1 - x): float32's rounding doubles in each, and decides the end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.sigmoid(self.conv(x))
        for _ in range(30):
            y = 3.9 * y * (1 - y)
        return y.flatten(1)


def test_what_rounding_decides_is_judged_layer_by_layer(tmp_path: Path) -> None:
    made = edgekit.export(Chaos(), input=(1, 3, 8, 8), format="onnx,tflite", precision="fp32", out=tmp_path)
    parities = [one.manifest.parity for one in made.artifacts if one.manifest is not None]
    assert [parity.passed for parity in parities] == [True, True] and not made.failed
    assert any(parity.by_layer for parity in parities)
    assert any("each layer was compared on what the file itself gives to it" in note for note in made.notes)
    told = [
        str(edgekit.inspect(one.path)) for one, parity in zip(made.artifacts, parities, strict=True) if parity.by_layer
    ]
    assert all("passed layer by layer on 4 inputs" in text for text in told)


@pytest.mark.parametrize(
    ("fault", "decided", "suffix", "passes"),
    [
        (None, True, "onnx", True),
        (FAULT, True, "onnx", False),
        (None, False, "onnx", False),
        (None, True, "pt2", False),
    ],
)
def test_only_a_file_whose_layers_are_right_passes_by_them(
    decided: bool, fault: str | None, suffix: str, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_file, "file_fault", lambda *asked: fault)
    monkeypatch.setattr(export_file, "in_float", lambda graph: graph)
    task = SimpleNamespace(together=None, asked=SimpleNamespace(io="float32", layout="nhwc"))
    zeros = np.zeros((2, 3), np.float32)
    graph: Any = SimpleNamespace()
    reference = Reference((zeros,), (zeros,), 0, False, open_graph=lambda: graph if decided else None)
    written = SimpleNamespace(inputs=(None,))
    found = export_file._by_layer(task, reference, written, Path(f"n.{suffix}"), record(False, None, None))  # type: ignore[arg-type]
    assert (found.passed, found.by_layer) == (passes, passes)
    assert found.reasons == (() if passes else ("signal-to-noise", *([fault] if fault else [])))
