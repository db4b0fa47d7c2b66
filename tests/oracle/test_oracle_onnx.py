"""Every network of the zoo: our ONNX file against those of torch's own two exporters."""

from __future__ import annotations

from edgekit.exporters import WriteJob
from edgekit.exporters.onnx.writer import write
from tests.oracle.client import Array, Oracle, Refused, run_onnx
from tests.oracle.conftest import Case

# What an exporter cannot do, with a part of what it says.
UNEVEN = ("alexnet_tv", *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")))
NOT_EXPORTED = {(name, "torchscript"): "output size that are not factor of input size" for name in UNEVEN}


def test_the_file_answers_like_those_of_torchs_own_exporters(case: Case, oracle: Oracle) -> None:
    path = case.folder / "ours.onnx"
    write(WriteJob(case.graph, "fp32"), path)
    got = run_onnx(path, case.inputs)
    others = [theirs(exporter, case, oracle) for exporter in ("torchscript", "dynamo")]
    known = [other for other in others if other is not None]
    errors = ", ".join(f"{case.error(y):.1e}" for y in known)
    print(f"{case.point}: ours {case.error(got):.1e}, torch {case.error(case.outputs):.1e}, theirs {errors}")
    assert case.error(got) <= case.limit(*known)


def theirs(exporter: str, case: Case, oracle: Oracle) -> Array | None:
    """What the file of an exporter of torch answers; None for what it is known not to do."""
    key, path = (case.point.spec.name, exporter), case.folder / f"{exporter}.onnx"
    try:
        oracle.ask("onnx", **case.described, dynamo=exporter == "dynamo", to=path)
    except Refused as refused:
        assert key in NOT_EXPORTED and NOT_EXPORTED[key] in str(refused), f"not known yet: {refused}"
        return None
    assert key not in NOT_EXPORTED
    return run_onnx(path, case.inputs)
