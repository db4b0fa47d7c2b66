"""Every kind of operator in an archive that torch opens again, in fp32 and fp16, against torch: all in one network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from edgekit.bench.ondevice.runtimes.torch import open_session
from edgekit.exporters import WriteJob
from edgekit.exporters.pt2.writer import write
from edgekit.ir.graph import Graph, Op
from tests.exporters.kinds import BITS, CASES, SAMPLES, Case

KINDS = {case.kind: case for case in (CASES | SAMPLES | BITS).values()}


def beside_each_other(cases: Mapping[str, Case]) -> Graph:
    """One network of all operators, whose inputs and outputs bear their names."""
    ops: list[Op] = []
    params: dict[str, Tensor] = {}
    for name, case in cases.items():
        one = case.graph()
        for op in one:
            inputs, own = (f"{name}.{other}" for other in op.inputs), {r: f"{name}.{t}" for r, t in op.params.items()}
            ops.append(op.with_(name=f"{name}.{op.name}", inputs=tuple(inputs), params=own))
        params |= {f"{name}.{tensor}": value for tensor, value in one.params.items()}
    ops.sort(key=lambda op: op.kind != "input")
    return Graph(tuple(ops), {name: f"{name}.y" for name in cases}, params)


def wrong(got: Any, want: Any, close: float, share: float) -> bool:
    """`share`: how many values must be close; one that lies on an edge may be rounded to either side."""
    if (got.shape, got.dtype) != (want.shape, want.dtype):
        return True
    if want.dtype.kind != "f":
        return not (got == want).all()
    return bool((np.abs(got - want) <= close * np.abs(want).max()).mean() < share)


@pytest.mark.parametrize(("precision", "close", "share"), [("fp32", None, 1.0), ("fp16", 1e-2, 0.99)])
def test_an_archive_computes_what_torch_computes(
    precision: str, close: float | None, share: float, tmp_path: Path
) -> None:
    written = write(WriteJob(beside_each_other(KINDS), precision), tmp_path / "operators.pt2")
    session = open_session(str(tmp_path / "operators.pt2"), {})
    assert [tuple(one) for one in (*session.inputs, *session.outputs)] == [
        (one.name, one.dtype, one.shape) for one in (*written.inputs, *written.outputs)
    ]
    got = session.run([value.numpy() for case in KINDS.values() for value in case.values()])
    wanted = [case.function(*case.values()).numpy() for case in KINDS.values()]
    pairs = zip(KINDS.items(), got, wanted, strict=True)
    assert not [name for (name, case), y, want in pairs if wrong(y, want, close or case.close, share)]
