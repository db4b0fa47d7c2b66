"""TensorRT: an engine built from the ONNX file that exporters.onnx.writer writes, by TensorRT or TensorRT for RTX.

fp32 and int8 come from files of these types; int8 is explicit, QuantizeLinear and DequantizeLinear pairs with symmetric
scales, which every release takes. fp16 is a flag on a float32 file where TensorRT may choose types, and
a float16 file where it may not (tensorrt.capabilities). docs/tensorrt.md says what was run and what was not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from edgekit.errors import BackendMissing, UsageError
from edgekit.exporters import WriteJob, Written
from edgekit.exporters.onnx.writer import write as write_onnx
from edgekit.records.manifest import TensorRecord
from edgekit.tensorrt import engine_layers
from edgekit.tensorrt.builder import find, named
from edgekit.tensorrt.capabilities import capabilities, check_dla
from edgekit.tensorrt.orders import Order, Refused

MAX_BATCH = 8  # of an engine whose batch is free; it is tuned for 1


def write(job: WriteJob, path: Path) -> Written:
    """Build an engine at `path`, here or where the job's builder is.

    Its options: builder (of edgekit.tensorrt.builder; None: here), say, workspace_mib, dla (a core), max_batch, and
    keep_source: the ONNX file stays beside the engine.

    Raises BackendMissing where no TensorRT or GPU is, UsageError for a network or a wish that TensorRT does not take.
    """
    wishes = job.options
    dla = wishes.get("dla")
    if job.io != "float32":
        raise UsageError(f"TensorRT engines take and give float32 here, not {job.io}", "leave --io out")
    builder = wishes.get("builder") or find()
    if dla is not None:
        check_dla(job.precision, builder.product)
    row = capabilities(builder.version, builder.product)
    source = path.with_suffix(".onnx")
    precision = row.file_precision(job.precision, dla is not None)
    written = write_onnx(replace(job, precision=precision), source)
    order = Order(
        onnx=source,
        engine=path,
        precision=job.precision,
        workspace_mib=wishes.get("workspace_mib"),
        dla=dla,
        shapes=_shapes(written.inputs, int(wishes.get("max_batch") or MAX_BATCH)) if job.dynamic_batch else (),
    )
    source_facts = {"precision": precision, "operators": written.operators, **written.details}
    try:
        built = builder.build(order, wishes.get("say") or (lambda stage: None))
        layers = engine_layers.facts(built.layers, _node_names(source)) if built.layers else {}
    except Refused as error:
        raise _refusal(error, named(builder), source) from error
    finally:
        if not wishes.get("keep_source"):
            source.unlink(missing_ok=True)
    skipped = [
        line for line in built.warnings if "insufficient memory" in line.lower() or "skipping tactic" in line.lower()
    ]
    notes = tuple(f"TensorRT left kernels out for want of memory: {line}" for line in skipped[:1])
    notes += _in_float(job.precision, layers)
    return Written(
        inputs=written.inputs,
        outputs=written.outputs,
        operators=written.operators,
        details={**built.facts, **layers, "built_from": source_facts, "warnings": list(built.warnings)},
        notes=(*written.notes, *notes),
    )


def _in_float(precision: str, layers: Mapping[str, Any]) -> tuple[str, ...]:
    """What an int8 engine computes otherwise than asked, as a note."""
    left = layers.get("computed_in_float", ()) if precision == "int8" else ()
    if not left:
        return ()
    of = sum(layers["computed_in"].values())
    return (f"TensorRT computes {len(left)} of {of} convolutions and products of this int8 network in float32",)


def _shapes(inputs: tuple[TensorRecord, ...], most: int) -> tuple[Any, ...]:
    one = {record.name: record.shape[1:] for record in inputs}
    return tuple((name, (1, *rest), (1, *rest), (most, *rest)) for name, rest in one.items())


def _refusal(error: Refused, version: str, source: Path) -> UsageError | BackendMissing:
    if not error.nodes:
        return BackendMissing(
            f"{version} could not build this network: {error.message}",
            "choose another --precision, with --target-gpu other GPUs, or export to onnx for another runtime",
        )
    names = _node_names(source)
    said = [f"{_name(node, names)}: {node['why']}" for node in error.nodes]
    return BackendMissing(
        f"{version} does not take {'; '.join(dict.fromkeys(said))}",
        "replace the operator, or export to onnx for another runtime",
    )


def _name(node: Mapping[str, Any], names: list[tuple[str, str]]) -> str:
    """The node as its layer is called; older releases tell its index alone."""
    index = int(node["index"])
    known = names[index] if 0 <= index < len(names) else ("", "")
    name, operator = node.get("name") or known[0], node.get("operator") or known[1]
    return f"node '{name}' ({operator})" if name else "the file"


def _node_names(source: Path) -> list[tuple[str, str]]:
    model = onnx.load(str(source), load_external_data=False)
    return [(node.name, node.op_type) for node in model.graph.node]
