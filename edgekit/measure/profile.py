"""From what a runtime's profiler told to the layers of the network: whose time it was.

A runtime joins operators, renames them and adds its own. Names lead back, because edgekit writes files in which every
operator bears its layer's name: what the runtime puts around a name is taken off. A layer that has no operator of its
own was computed inside a neighbor's and is joined to it. What leads to no layer stays as the runtime's own work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgekit.errors import UsageError
from edgekit.records.manifest import Manifest
from edgekit.records.roofline import LayerTime, Peaks, Profile

# Those whose profiler is read (bench/ondevice/profilers), and what trtexec exports; of a GPU no peaks are known.
ON_GPU = ("tensorrt", "tensorrt_rtx", "trtexec")
RUNTIMES = ("onnxruntime", "litert", *ON_GPU)
NO_PEAKS = "the peaks of a GPU are not measured: shares of them are unknown"
NO_TABLE = "its manifest has no layer table: export it again to see layers instead of operators"
FOREIGN = "a foreign file has no layer table: these are the runtime's operators"
DISTURBED = 0.05  # as for a measurement (edgekit.measure.verdict)
# What a runtime inserts between layers. It is a layer's only where a layer bears exactly that name.
CONVERSIONS = re.compile(
    r"(Reorder(Input|Output)|Transpose|(De)?[Qq]uantizeLinear|Cast|Convert|QUANTIZE|DEQUANTIZE|TRANSPOSE|Memcpy)"
)
REFORMATTING = "Reformatting CopyNode"  # TensorRT's, which names the layers between which it stands
JOINED = re.compile(r";| \+ | \|\| |, ")  # what stands between the names of what ran together
# What onnxruntime's optimizer and TensorRT's builder put around a name.
AROUND = re.compile(r"^fused |^(PWN\()+|(_nchwc|_nhwc|_token_\d+)+$|\)+$")
OF_A_TENSOR = re.compile(r"\.(weight|bias|other)$")

Layer = Mapping[str, Any]  # a row of edgekit.ir.layer_costs


def refuse(runtime: str) -> None:
    """UsageError for a runtime whose profiler edgekit does not read."""
    if runtime not in RUNTIMES:
        raise UsageError(
            f"--profile reads the profilers of {', '.join(RUNTIMES[:-1])} and {RUNTIMES[-1]}, not of {runtime}",
            "leave --profile out, or choose another --runtime",
        )


def profile(found: Mapping[str, Any], manifest: Manifest | None, batch: int, peaks: Peaks | None) -> Profile:
    """Return a profile from what bench/ondevice/profiler.py told.

    Without a layer table its rows are the runtime's operators.

    Without `peaks`, as on a GPU, what each row reaches is known, and no share of a peak.
    """
    layers: Sequence[Layer] = manifest.details.get("layers", ()) if manifest else ()
    times = batch // manifest.variant.input_shape[0] if manifest else 1
    rows, absent = by_layer(found["operators"], layers, times)
    reasons = [] if layers else [NO_TABLE if manifest else FOREIGN]
    reasons += [] if peaks else [NO_PEAKS]
    if (found.get("waited") or 0) >= DISTURBED:
        reasons.append(f"other processes took {100 * found['waited']:.0f} % of this pass: stop them, and profile again")
    return Profile(
        rows=rows,
        absent=absent,
        profiled_ms=found["total_ns"] / 1e6,
        plain_ms=found["plain_ns"] / 1e6,
        runs=found["runs"],
        method=found["method"],
        peaks=peaks,
        reasons=tuple(reasons),
    )


def by_layer(
    operators: Sequence[Mapping[str, Any]], layers: Sequence[Layer], batch: int = 1
) -> tuple[tuple[LayerTime, ...], tuple[str, ...]]:
    """Return a row for each group of layers that run together and each kind of the runtime's own work.

    With them come the layers without a row.

    Every operator is in exactly one row, so that the rows sum to the operators. `batch` is how many times the traced
    batch was run.
    """
    known = {str(layer["name"]): layer for layer in layers}
    owners = [_layers_of(str(one["name"]), str(one["op"]), known) for one in operators]
    groups = Groups(name for names in owners for name in names)
    for names in owners:
        groups.join(names)
    absent = _place_unseen(groups, layers)
    ran: dict[Any, list[Mapping[str, Any]]] = {}
    for one, names in zip(operators, owners, strict=True):
        key = groups.root(names[0]) if names else ("own", one["op"] if layers else one["name"] or one["op"])
        ran.setdefault(key, []).append(one)
    rows = []
    for key, ones in ran.items():
        if isinstance(key, tuple):
            rows.append(_own(str(key[1]), ones))
        else:
            members = [layer for layer in layers if groups.root(layer["name"]) == key]
            rows.append(_row(members, ones, layers, batch))
    return tuple(rows), absent


def _layers_of(name: str, operator: str, known: Mapping[str, Layer]) -> list[str]:
    """The layers that an operator's name leads to."""
    if operator == REFORMATTING:
        return []
    found = []
    for part in JOINED.split(name):
        bare = AROUND.sub("", part)
        if bare not in known and CONVERSIONS.match(operator):
            continue
        while bare and OF_A_TENSOR.sub("", bare) not in known:
            bare = bare.rpartition("/")[0]
        bare = bare if bare in known else OF_A_TENSOR.sub("", bare)
        if bare and known[bare]["kind"] != "input":
            found.append(bare)
    return found


class Groups:
    """Names that belong together."""

    def __init__(self, names: Iterable[str]) -> None:
        self._roots = {name: name for name in names}

    def __contains__(self, name: str) -> bool:
        return name in self._roots

    def root(self, name: str) -> str | None:
        """Return one name for the whole group; None for a name that is in none."""
        while name in self._roots and self._roots[name] != name:
            name = self._roots[name]
        return name if name in self._roots else None

    def join(self, names: Sequence[str]) -> None:
        """Make one group of those that these names are in."""
        first = self.root(names[0]) if names else None
        for name in names:
            root = self.root(name)
            self._roots[name if root is None else root] = first or name


def _place_unseen(groups: Groups, layers: Sequence[Layer]) -> tuple[str, ...]:
    """Put each layer that has no operator into the group that computes it; those for which there is none.

    What multiplies was joined with what follows it (a fused activation gives its name); what does not, with what it
    reads.
    """
    readers: dict[str, list[str]] = {}
    for layer in layers:
        for name in layer["inputs"]:
            readers.setdefault(name, []).append(layer["name"])
    unseen = [layer for layer in layers if layer["kind"] != "input" and layer["name"] not in groups]
    known = {str(layer["name"]): layer for layer in layers}
    for layer in unseen:
        if layer["macs"] and layer["name"] not in groups:
            _join_downwards(groups, layer["name"], readers)
    for layer in unseen:
        if layer["name"] not in groups:
            makers = sorted((name for name in layer["inputs"] if name in groups), key=list(known).index)
            multiplying = [name for name in makers if len(readers[name]) == 1 and known[name]["macs"]]
            if makers:  # a sum goes into the last product before it, when its other side is there
                groups.join([(multiplying or makers)[-1], layer["name"]])
            else:
                _join_downwards(groups, layer["name"], readers)
    return tuple(str(layer["name"]) for layer in unseen if layer["name"] not in groups)


def _join_downwards(groups: Groups, name: str, readers: Mapping[str, list[str]]) -> None:
    path = [name]
    while len(readers.get(path[-1], ())) == 1:
        path.append(readers[path[-1]][0])
        if path[-1] in groups:
            groups.join(path[::-1])
            return


def _row(members: Sequence[Layer], ones: Sequence[Mapping[str, Any]], layers: Sequence[Layer], batch: int) -> LayerTime:
    names = {str(layer["name"]) for layer in members}
    given = {str(layer["name"]): int(layer["output_bytes"]) for layer in layers}
    read = {name for layer in members for name in layer["inputs"]} - names
    elsewhere = {name for layer in layers if layer["name"] not in names for name in layer["inputs"]}
    made = {name for name in names if name in elsewhere or name == layers[-1]["name"]}
    main = max(members, key=lambda layer: (layer["macs"], len(layer["inputs"])))
    return LayerTime(
        name=main["name"],
        layers=tuple(str(layer["name"]) for layer in members),
        kind=main["kind"],
        operators=_operators(ones),
        ms=_ms(ones),
        macs=batch * sum(layer["macs"] for layer in members),
        bytes=sum(layer["weight_bytes"] for layer in members) + batch * sum(given[name] for name in read | made),
        int8=bool(main["int8"]),
    )


def _own(name: str, ones: Sequence[Mapping[str, Any]]) -> LayerTime:
    return LayerTime(name=name, layers=(), kind=None, operators=_operators(ones), ms=_ms(ones))


def _ms(ones: Sequence[Mapping[str, Any]]) -> float:
    return sum(int(one["ns"]) for one in ones) / 1e6


def _operators(ones: Sequence[Mapping[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for one in ones:
        counts[one["op"]] = counts.get(one["op"], 0) + 1
    return " + ".join(op if count == 1 else f"{count} x {op}" for op, count in counts.items())
