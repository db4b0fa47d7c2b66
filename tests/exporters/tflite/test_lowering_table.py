"""The table of operators: complete, and without a look at weights."""

from __future__ import annotations

import torch

from edgekit.exporters.tflite.lowering_table import LOWERINGS, lower
from edgekit.frontend.tracer import trace
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.reference import KERNELS
from edgekit.models import mobilenet_v1  # noqa: F401 - registers
from edgekit.network.spec import variant


def test_lowering_reads_no_weights() -> None:
    with torch.device("meta"):
        point = variant("mobilenet", alpha=0.5, resolution=160)
        graph = fold(trace(point.build(), point.input_shape)).graph
    assert lower(graph).nodes


def test_every_kind_but_these_is_known() -> None:
    assert set(KERNELS) - set(LOWERINGS) == {"batch_norm", "call"}
