"""Each kind of operator alone in LiteRT, by its reference kernels and by those that it takes itself, against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgekit.errors import BackendMissing
from edgekit.exporters import WriteJob
from edgekit.exporters.tflite.writer import write
from tests.exporters.kinds import CASES, SAMPLES, Case

RESOLVERS = {"reference": OpResolverType.BUILTIN_REF, "default": OpResolverType.AUTO}

WITHOUT_REFERENCE = ("ceil", "round")  # the table of reference kernels has none for these


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


@pytest.mark.parametrize("name", CASES)
def test_litert_computes_what_torch_computes(name: str, tmp_path: Path) -> None:
    case: Case = CASES[name]
    path = tmp_path / "operator.tflite"
    write(WriteJob(case.graph(), "fp32"), path)
    values = case.values()
    want = case.function(*values).numpy()
    for kind, resolver in RESOLVERS.items():
        if kind == "reference" and case.kind in WITHOUT_REFERENCE:
            continue
        (got,) = answer(path, values, resolver)
        assert got.shape == want.shape
        if want.dtype.kind == "f":
            assert np.abs(got - want).max() <= case.close * np.abs(want).max()
        else:
            assert (got == want).all()


def test_sampling_at_computed_places_is_refused_by_its_cause(tmp_path: Path) -> None:
    with pytest.raises(BackendMissing, match="no operator that samples a map at computed places"):
        write(WriteJob(next(iter(SAMPLES.values())).graph(), "fp32"), tmp_path / "operator.tflite")
    assert not list(tmp_path.iterdir())
