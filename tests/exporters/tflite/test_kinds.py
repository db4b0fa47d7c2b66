"""Each kind of operator alone in LiteRT, by its reference kernels and by those that it takes itself, against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from torch.nn import functional as F

from edgekit.exporters import WriteJob
from edgekit.exporters.tflite.writer import write
from tests.exporters.case import VOLUME
from tests.exporters.kinds import BITS, CASES, SAMPLES, Case

PADDINGS = ("zeros", "reflection")
RESOLVERS = {"reference": OpResolverType.BUILTIN_REF, "default": OpResolverType.AUTO}

WITHOUT_REFERENCE = ("ceil", "round")  # the table of reference kernels has none for these
VOLUMES = {
    f"grid_sample of a volume, {attrs['padding_mode']}": Case(
        "grid_sample",
        lambda x, g, a=attrs: F.grid_sample(x, g, **a),
        (VOLUME, (1, 2, 3, 4, 3)),
        attrs,
        close=1e-5,
    )
    for attrs in ({"mode": "bilinear", "padding_mode": padding, "align_corners": False} for padding in PADDINGS)
}
KINDS = CASES | SAMPLES | BITS | VOLUMES


def answer(path: Path, values: list[torch.Tensor], resolver: OpResolverType) -> list[Any]:
    """What LiteRT answers to torch's inputs, in torch's axes."""
    interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    for details, value in zip(interpreter.get_input_details(), values, strict=True):
        x = value.numpy().astype(details["dtype"])
        x = np.moveaxis(x, 1, -1) if x.ndim in (4, 5) else x
        interpreter.set_tensor(details["index"], np.ascontiguousarray(x).reshape(details["shape"]))
    interpreter.invoke()
    given = [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]
    return [np.moveaxis(y, -1, 1) if y.ndim in (4, 5) else y for y in given]


def is_rounded(case: Case) -> bool:
    """Whether places between elements are rounded, by ROUND."""
    return case.kind == "grid_sample" and case.attrs["mode"] == "nearest"


@pytest.mark.parametrize("name", KINDS)
def test_litert_computes_what_torch_computes(name: str, tmp_path: Path) -> None:
    case: Case = KINDS[name]
    path = tmp_path / "operator.tflite"
    write(WriteJob(case.graph(), "fp32"), path)
    values = case.values()
    want = case.function(*values).numpy()
    for kind, resolver in RESOLVERS.items():
        if kind == "reference" and (case.kind in WITHOUT_REFERENCE or is_rounded(case)):
            continue
        (got,) = answer(path, values, resolver)
        assert got.shape == want.shape
        if want.dtype.kind == "f":
            assert np.abs(got - want).max() <= case.close * np.abs(want).max()
        else:
            assert (got == want).all()
