"""From what the user asked to a folded network with everything that its files have in common.

Built, traced, folded, counted and calibrated once, whatever the number of formats and precisions.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgekit.checkpoints import load as weights
from edgekit.data import calibration, labels
from edgekit.data.calibration import CalibrationSet
from edgekit.errors import UsageError
from edgekit.exporters import head
from edgekit.exporters.int8.quantize import quantize
from edgekit.exporters.int8.ranges import Ranges, from_file, record
from edgekit.exporters.int8.simulate import layer_snr, runner
from edgekit.exporters.int8.weights_only import WEIGHTS, weights_only
from edgekit.exporting.half_range import beyond_half
from edgekit.exporting.images import about_images, assumed, images_of, said_for
from edgekit.exporting.mixed_precision import Drop, Judged, check_output, held_out, within
from edgekit.exporting.module import Undrawn, in_float32, to_change
from edgekit.exporting.options import DEFAULTS, ExportOptions, check_calibration
from edgekit.exporting.reference import Array, Reference, answered, run_all
from edgekit.frontend.tracer import trace, unwrapped
from edgekit.frontend.verify import NoSuchRow
from edgekit.ir.graph import Graph
from edgekit.ir.layer_table import LayerTable, table
from edgekit.ir.passes.fold_batch_norm import fold
from edgekit.ir.quantized import OwnIntegers, QuantizedGraph
from edgekit.ir.whole_inputs import whole_numbers
from edgekit.network.spec import ModelSpec, Variant, variant
from edgekit.network.user_model import find, is_own, refuse_point
from edgekit.records.formats import FORMATS
from edgekit.records.manifest import CalibrationRecord, WeightsRecord
from edgekit.records.preprocessing import Preprocessing
from edgekit.records.preprocessing_file import reader
from edgekit.util.pace import counting

SYNTHETIC_INPUTS = 32
SIMULATED_INPUTS = 12  # of the reference, that an int8 file is held against its simulation on
NOISE_IMAGES, NOISE_INPUTS = 8, 2  # for the signal-to-noise per layer: of images, and of synthetic inputs
PARITY_GMACS = 8  # how much computing the real inputs of parity may cost


@dataclass
class Prepared:
    """A folded network, ready to be written. What only some files need is worked out when first asked for."""

    asked: ExportOptions
    point: Variant
    graph: Graph
    remaining: tuple[str, ...]
    table: LayerTable
    weights: WeightsRecord
    preprocessing: Preprocessing
    calibration: CalibrationSet | None
    images: CalibrationSet | None
    file_ranges: Mapping[str, tuple[float, float]] | None
    notes: tuple[str, ...]
    assumed: tuple[str, ...] = ()  # those of the notes that say what was assumed of the weights
    labels: tuple[str, ...] = ()
    _reference: Reference | None = None
    _ranges: Ranges | None = None
    _judged: Judged | None = None
    _quantized: dict[str, QuantizedGraph] = field(default_factory=dict)
    _simulated: dict[tuple[str, int], tuple[Array, ...]] = field(default_factory=dict)
    _all_int8: dict[str, QuantizedGraph] = field(default_factory=dict)
    _drops: dict[str, Drop] = field(default_factory=dict)

    def reference(self) -> Reference:
        """Return what the folded network answers on random and on real inputs."""
        assert self._reference is not None
        return self._reference

    @cached_property
    def beyond_half(self) -> str | None:
        """What to say where values are beyond float16 (edgekit.exporting.half_range)."""
        return beyond_half(self.graph, self.reference().inputs)

    def note(self, text: str) -> None:
        """Tell something once, whichever file shows it."""
        self.notes += (text,) if text not in self.notes else ()

    def integers(self, format: str, precision: str) -> QuantizedGraph | None:
        """Return the network with what a file has in integers; None: nothing."""
        if precision == "int8w":
            if WEIGHTS not in self._quantized:
                means = self._record(self.images) if self.images is not None else None
                self._quantized[WEIGHTS] = weights_only(self.graph, means)
            return self._quantized[WEIGHTS]
        return self.quantized(format) if precision == "int8" else None

    def quantized(self, format: str) -> QuantizedGraph:
        """Return the int8 network in the scheme of a format; all schemes come from the same recorded ranges."""
        scheme = self._scheme(format)
        if scheme not in self._quantized:
            self._quantized[scheme] = self._quantize(scheme)
            is_real = any(op.dtype.is_floating_point for op in self.graph.inputs)
            if self.asked.io != "float32" and is_real and self._quantized[scheme].input_offset is None:
                self.notes += (
                    "the input's integers are rounded normalized values, not pixels: the first layer cannot take up "
                    "this preprocessing",
                )
        return self._quantized[scheme]

    def simulated(self, format: str, precision: str, most: int = SIMULATED_INPUTS) -> tuple[Array, ...] | None:
        """What the simulation of a file with integers answers to the reference's first examples; None of others."""
        quantized, reference = self.integers(format, precision), self.reference()
        if quantized is None:
            return None
        key = quantized.scheme, min(most, reference.n)
        if key not in self._simulated:
            run = quantized.graph.run if quantized.scheme == WEIGHTS else runner(quantized)
            some = [run_all(self.graph, reference.example(index), run) for index in range(key[1])]
            self._simulated[key] = tuple(np.concatenate(ys) for ys in zip(*some, strict=True))
        return self._simulated[key]

    def _quantize(self, scheme: str) -> QuantizedGraph:
        ranges, asked = self._recorded(), self.asked
        pixels = self.preprocessing if asked.io != "float32" else None
        if asked.max_drop is None:
            return quantize(self.graph, ranges, scheme, asked.int8_effort, pixels=pixels)
        assert self.calibration is not None and asked.data is not None
        if self._judged is None:
            offset = self.preprocessing.class_offset
            self._judged = held_out(
                self.graph, self.table.macs, self.calibration, Path(asked.data), offset, self.labels
            )
        mixed = within(asked.max_drop, self.graph, ranges, scheme, asked.int8_effort, self._judged, pixels)
        self.notes += (mixed.note(scheme),)
        self._drops[scheme] = mixed.drop
        if mixed.kept_float:
            self._all_int8[scheme] = quantize(self.graph, ranges, scheme, asked.int8_effort, pixels=pixels)
        return mixed.quantized

    def all_int8(self, format: str) -> QuantizedGraph | None:
        """Return the network without the float layers that --max-drop asked for; None where it asked for none."""
        return self._all_int8.get(self._scheme(format))

    def drop(self, format: str) -> Drop | None:
        """Return what --max-drop measured for a format; None where it was not asked for."""
        return self._drops.get(self._scheme(format))

    def _scheme(self, format: str) -> str:
        scheme = FORMATS[format].scheme
        return "onnxruntime-vnni" if scheme == "onnxruntime" and self.asked.int8_range == "full" else scheme

    def drop_weights(self) -> None:
        """What the last file still needs of the network is shapes; the runtime that proves it takes the memory."""
        self.graph = self.graph.to("meta")
        gc.collect()  # what traced the network refers to itself

    def layer_noise(self, format: str) -> list[dict[str, float | str | None]]:
        """Signal-to-noise of every integer tensor on some of the calibration images, in dB, the worst first."""
        assert self.calibration is not None
        some = next(self.calibration.inputs(NOISE_INPUTS if self.calibration.synthetic else NOISE_IMAGES))
        each = [tuple(x[index : index + 1] for x in some) for index in range(len(some[0]))]
        batches = [some] if self.graph.takes_several else each
        return [
            {"layer": noise.name, "snr_db": noise.snr_db}
            for noise in layer_snr(self.graph, self.quantized(format), batches)
        ]

    def _record(self, images: CalibrationSet) -> Ranges:
        return record(self.graph, images, counting(self.asked.progress, "calibrate", "images"))

    def _recorded(self) -> Ranges:
        if self._ranges is None:
            assert self.calibration is not None
            self._ranges = self._record(self.calibration)
            self.notes += self._ranges.notes
            if not self.graph.takes_several and self.asked.int8_effort != "fast":
                self.notes += ("forward() takes one image at a time, so int8 biases are worked out, not measured",)
            if self.calibration.synthetic and self.asked.int8_effort == "default":
                self._ranges = replace(self._ranges, images=None)  # noise has no means that are worth measuring
            if self._ranges_of == "file":
                if self.file_ranges is None:
                    raise UsageError("the weights carry no ranges", "leave --ranges file out")
                self._ranges = from_file(self.graph, self.file_ranges, self._ranges, self._own)
        return self._ranges

    def calibration_record(self, precision: str) -> CalibrationRecord | None:
        """Return what the manifest of a file says about the images that went into it."""
        if precision == "int8w":
            return self.images.record("means", "data") if self.images else None
        if precision != "int8" or self.calibration is None:
            return None
        return self.calibration.record("minmax", self._ranges_of)

    @property
    def _own(self) -> OwnIntegers | None:
        """The scales of the quantized file that the network was read from."""
        source = self.point.spec.source
        return source.integers if source is not None else None

    @property
    def _ranges_of(self) -> str:
        """Where ranges come from: data or file."""
        if self.asked.ranges != "auto":
            return self.asked.ranges
        return "file" if self._own is not None else "data"


def prepare(asked: ExportOptions, say: Callable[[str], None]) -> Prepared:
    """Build, load, trace, fold, count and prove. Raises UsageError, and GateFailed for another network than given."""
    _check(asked)
    say("build")
    network, point, loaded = _network(asked, say)
    say("fold")
    graph = trace(network, *point.input_shapes).to(torch.float32)
    folded = fold(graph)
    _check_single(folded.graph, asked)
    head.check(folded.graph, asked.output)
    if asked.max_drop is not None:
        check_output(folded.graph)
    preprocessing = loaded.preprocessing if asked.preprocess is None else said_for(reader(asked.preprocess), point)
    names = _names(Path(asked.labels) if asked.labels else None, folded.graph, preprocessing)
    whole = whole_numbers(folded.graph)
    images = images_of(asked, preprocessing, point, folded.graph, whole)
    chosen = images if asked.has_int8 else None
    by_place = {place: whole[op.name] for place, op in enumerate(folded.graph.inputs) if op.name in whole}
    noise = partial(
        calibration.synthetic, point.input_shape, preprocessing, more_inputs=point.spec.more_inputs, whole=by_place
    )
    if asked.synthetic_calibration:
        chosen = noise(SYNTHETIC_INPUTS, 0)
    notes = [] if loaded.record.trained else ["weights are random: only latency means anything"]
    notes += [*loaded.notes, *(f"not folded: {line}" for line in folded.remaining)]
    unsaid = assumed(asked, loaded, preprocessing, point)
    notes += [*about_images(asked, preprocessing, point), *(f"{loaded.record.origin}: {one}" for one in unsaid)]
    notes += [*(chosen.notes if chosen else ())]
    made = Prepared(
        asked=asked,
        point=point,
        graph=folded.graph,
        remaining=folded.remaining,
        table=table(graph),
        weights=loaded.record,
        preprocessing=preprocessing,
        calibration=chosen,
        images=images,
        file_ranges=loaded.ranges,
        notes=tuple(notes),
        assumed=unsaid,
        labels=names,
    )
    sets = [(noise(4, 1), 4)]
    if images is not None:
        wanted = int(np.clip(PARITY_GMACS * 1e9 / max(made.table.macs, 1), 2, 64))
        sets.append((images, min(wanted, len(images))))
    telling = loaded.record.trained and not asked.synthetic_calibration  # noise says nothing about accuracy either
    prove = partial(answered, network, graph, folded.graph, trained=telling, source=point.spec.source)
    try:
        made._reference, said = prove(sets)
    except NoSuchRow:
        if images is None:
            raise
        made._reference, said = prove(sets[1:])
        made.notes += ("noise chooses rows that are not there: every file is proved on --data alone",)
    made.notes += said
    return made


def _check(asked: ExportOptions) -> None:
    """What can be said before the network is built. Raises UsageError."""
    own, source = is_own(asked.model), asked.weights or "random"
    if own:
        refuse_point(asked.alpha, asked.res, asked.classes)
    check_calibration(asked)
    if asked.has_int8 and source.startswith("random") and not own and not asked.synthetic_calibration:
        raise UsageError(
            "int8 of random weights says nothing about accuracy",
            "give --weights FILE, or --synthetic-calibration where only latency matters",
        )


def _check_single(graph: Graph, asked: ExportOptions) -> None:
    """What is about one input or one output only. Raises UsageError."""
    of_output = {f"--output {asked.output}": asked.output != DEFAULTS["output"], "--labels": asked.labels is not None}
    of_output["--max-drop"] = asked.max_drop is not None
    for option, given in of_output.items():
        if given and len(graph.outputs) > 1:
            raise UsageError(
                f"{option} is about one output, and the network has {len(graph.outputs)}: {', '.join(graph.outputs)}",
                f"leave {option.split()[0]} out",
            )


def _names(path: Path | None, graph: Graph, preprocessing: Preprocessing) -> tuple[str, ...]:
    if path is None:
        return ()
    shape = graph[graph.output].shape
    if len(shape) != 2:
        raise UsageError("--labels are for one score per class, and the network gives none", "leave --labels out")
    return labels.read(path, shape[1], preprocessing.class_offset)


def _network(asked: ExportOptions, say: Callable[[str], None]) -> tuple[nn.Module, Variant, weights.Loaded]:
    spec = find(asked.model, asked.input)
    if is_own(asked.model):
        torch.manual_seed(0)  # a build function that draws its weights draws the same ones every time
        point = variant(spec, options=asked.options or {})
        network, notes = in_float32(to_change(unwrapped(point.build()), asked))
        own = _own_weights(network, asked, spec)
        loaded = own or weights.load(network, point, asked.weights or "random")
        return network, point, replace(loaded, notes=(*loaded.notes, *notes))
    source = asked.weights or "random"
    point = weights.variant_of(source, spec, asked.alpha, asked.res, asked.classes, asked.options or {}, say)
    with Undrawn():
        network = point.build()
    return network, point, weights.load(network, point, source)


def _own_weights(network: nn.Module, asked: ExportOptions, spec: ModelSpec) -> weights.Loaded | None:
    """The weights that the user's network brings; None where others were asked for."""
    if spec.source is None:
        return _as_built(network, asked, spec.preprocessing) if asked.weights is None else None
    if asked.weights is not None:
        raise UsageError(f"{spec.paper} has its own weights, so --weights says nothing", "leave --weights out")
    held, source = spec.source.record, spec.source
    record = WeightsRecord(origin=held.file, id=held.sha256[:8], sha256=held.sha256, trained=True)
    unsaid = source.preprocessing is None and next(iter(source.shapes)) not in source.whole
    return weights.Loaded(record, spec.preprocessing, source.ranges or None, unsaid, notes=source.notes)


def _as_built(network: nn.Module, asked: ExportOptions, preprocessing: Preprocessing) -> weights.Loaded:
    """The weights that the user's function made, identified by their bytes."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    own = asked.model
    origin = own.rpartition("/")[2] if isinstance(own, str) else type(own).__name__
    sha256 = digest.hexdigest()
    record = WeightsRecord(origin=origin, id=sha256[:8], sha256=sha256, trained=True)
    return weights.Loaded(record, preprocessing, assumed=True)
