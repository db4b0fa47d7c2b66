"""LiteRT's own profiler: the time of each operator, XNNPACK's among them, matched to the operators of the file.

Needs ai-edge-litert from 2.3 on. Python's Interpreter has no profiler; the package's library has one behind its C
interface (litert/c/litert_profiler.h), which also reports the operators inside XNNPACK. XNNPACK tells what each of its
operators is and in which order they run, not which operator of the file it stands for: it joins some and adds others,
but keeps their order, so the two lists are laid beside one another.
"""

from __future__ import annotations

import ctypes
import statistics
from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any

OLDEST = (2, 3)  # the release against whose C interface this was written
WARM_RUNS = 3
CPU = 1
WRITE = 1  # how a buffer is locked
# LiteRtProfilerEventType
GENERAL, OWN, DELEGATED = 1, 2, 8
EVENT_TYPES = {1 << bit for bit in range(9)}
# ProfiledEventData in words of 8 bytes: tag, type, start, elapsed, memory before and after, two numbers, source
WORDS, TAG, TYPE, MICROSECONDS, INDEX = 13, 0, 1, 3, 10
# What frees an option's text, which belongs to this process: nothing.
KEEP = ctypes.CFUNCTYPE(None, c_void_p)(lambda _: None)
HEAVY = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D", "BATCH_MATMUL"}
# How XNNPACK's name of an operator begins -> the operators of a file that become one; DWConv is told apart below.
XNNPACK = {
    "Convolution": {"CONV_2D", "DEPTHWISE_CONV_2D"},
    "Fully Connected": {"CONV_2D", "FULLY_CONNECTED"},
    "Deconvolution": {"TRANSPOSE_CONV"},
    "Batch Matrix Multiply": {"BATCH_MATMUL"},
    "Max Pooling": {"MAX_POOL_2D"},
    "Average Pooling": {"AVERAGE_POOL_2D"},
    "Global Average Pooling": {"MEAN", "AVERAGE_POOL_2D"},
    "Mean": {"MEAN", "AVERAGE_POOL_2D"},
    "Add": {"ADD"},
    "Subtract": {"SUB"},
    "Multiply": {"MUL"},
    "Divide": {"DIV"},
    "Square Root": {"SQRT"},
    "Square": {"MUL", "SQUARE"},
    "Sigmoid": {"LOGISTIC"},
    "Tanh": {"TANH"},
    "ELU": {"ELU"},
    "LeakyReLU": {"LEAKY_RELU"},
    "PReLU": {"PRELU"},
    "HardSwish": {"HARD_SWISH"},
    "Softmax": {"SOFTMAX"},
    "Clamp": {"RELU", "RELU6", "RELU_N1_TO_1", "MINIMUM", "MAXIMUM"},
    "Maximum": {"MAXIMUM"},
    "Minimum": {"MINIMUM"},
    "Convert": {"QUANTIZE", "DEQUANTIZE"},
    "Copy": {"CONCATENATION", "RESHAPE"},
    "Static Reshape": {"RESHAPE"},
    "Constant Pad": {"PAD", "PADV2"},
    "Transpose": {"TRANSPOSE"},
    "Slice": {"STRIDED_SLICE", "SLICE"},
    "Resize Bilinear": {"RESIZE_BILINEAR"},
}
# Laid behind the operator that made them, where nothing else fits: a fused activation, a shape put right.
FOLLOWS = ("Clamp", "Static Reshape", "Convert")


def profile(module: Any, path: str, options: dict[str, Any], inputs: list[Any], runs: int) -> dict[str, Any]:
    """Median time of each operator and of the whole inference over `runs`. RuntimeError where it cannot be had."""
    library = module.load_library()
    _check(library, module.version_of(library), options)
    nodes = Nodes(library, path)
    if nodes.batch not in (-1, inputs[0].shape[0]):
        raise RuntimeError(f"LiteRT's profiler runs the batch of the file, {nodes.batch}")
    model = Model(Path(library.__file__).with_name("libLiteRt.so"), path, options.get("threads") or 1, inputs)
    for _ in range(WARM_RUNS):
        model.run()
    found = [model.profiled() for _ in range(runs)]
    first = [(tag, kind, index) for tag, kind, _, index in found[0]]
    if any([(tag, kind, index) for tag, kind, _, index in one] != first for one in found):
        raise RuntimeError("LiteRT ran other operators from one inference to the next")
    times = [int(statistics.median(one[place][2] for one in found)) for place in range(len(first))]
    total = next((times[place] for place, one in enumerate(first) if one[:2] == ("Invoke", GENERAL)), None)
    if total is None or not any(kind in (OWN, DELEGATED) for _, kind, _ in first):
        raise RuntimeError("LiteRT's profiler told of no operators")
    return {
        "method": f"LiteRT's profiler (CompiledModel), whole microseconds, median of {runs} inferences",
        "total_ns": total,
        "operators": [{"name": name, "op": tag, "ns": times[place]} for name, tag, place in matched(first, nodes)],
    }


def _check(library: Any, version: str | None, options: dict[str, Any]) -> None:
    parts = tuple(int(part) for part in (version or "0").split(".")[:2] if part.isdigit())
    if not library.__name__.startswith("ai_edge_litert") or parts < OLDEST:
        raise RuntimeError("LiteRT's profiler is read from ai-edge-litert {}.{} on".format(*OLDEST))
    if options.get("delegate") not in (None, "xnnpack"):
        raise RuntimeError("LiteRT is profiled with its own delegate, XNNPACK, and with no other")


class Nodes:
    """The file's operators: index -> (builtin, name of its output), and those that each delegate took, in order."""

    def __init__(self, library: Any, path: str) -> None:
        plain = library.Interpreter(
            path, experimental_op_resolver_type=library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        given = plain.get_input_details()[0]
        self.batch = int(given["shape"][0])
        names = {value["index"]: value["name"] for value in plain.get_tensor_details()}
        self.known = {
            node["index"]: (node["op_name"], str(names.get(int(node["outputs"][0]), node["op_name"])))
            for node in plain._get_ops_details()
        }
        delegating = library.Interpreter(path)
        delegating.allocate_tensors()
        nodes = delegating._get_ops_details()
        own = [node for node in nodes if node["index"] in self.known]
        self.taken = [_inside(node, own) for node in nodes if node["index"] not in self.known]


def _inside(delegate: dict[str, Any], nodes: list[dict[str, Any]]) -> list[int]:
    """The indices of the operators between what a delegate reads and what it gives."""
    makers = {int(tensor): node for node in nodes for tensor in node["outputs"]}
    outside = {int(tensor) for tensor in delegate["inputs"]}
    found, waiting = set(), [int(tensor) for tensor in delegate["outputs"]]
    while waiting:
        tensor = waiting.pop()
        if tensor in outside or tensor not in makers or makers[tensor]["index"] in found:
            continue
        found.add(makers[tensor]["index"])
        waiting += [int(source) for source in makers[tensor]["inputs"]]
    return sorted(found)


def matched(events: list[tuple[str, int, int]], nodes: Nodes) -> list[tuple[str, str, int]]:
    """(name of the file's tensor, what the runtime calls the operator, place of the event) for each operator.

    The name is empty where nobody can tell.
    """
    parts: list[list[int]] = []  # XNNPACK counts its operators from 0 in each part of the network that it took
    found = {}
    for place, (_, kind, index) in enumerate(events):
        if kind == OWN:
            found[place] = nodes.known[index][1] if index in nodes.known else ""
        elif kind == DELEGATED:
            if index == 0 or not parts:
                parts.append([])
            parts[-1].append(place)
    fits = len(parts) == len(nodes.taken)
    for part, taken in zip(parts, nodes.taken if fits else [[]] * len(parts)):  # noqa: B905 (Python 3.8)
        beside = aligned([events[place][0] for place in part], [nodes.known[index][0] for index in taken])
        for place, at in zip(part, beside):  # noqa: B905
            found[place] = "" if at is None else nodes.known[taken[at]][1]
    return [(name, events[place][0], place) for place, name in sorted(found.items())]


def aligned(operators: list[str], builtins: list[str]) -> list[int | None]:
    """For each of XNNPACK's operators the place of the file's operator that it stands for; both orders are kept.

    The cheapest way to lay one list beside the other: what carries weights must meet its like, what else the file has
    may have been joined with a neighbor, and what else XNNPACK has may follow the operator before it. Where no way is
    possible, all are None.
    """
    far = float("inf")
    # cost[i][j]: the first i of XNNPACK's beside the first j of the file's; step: how that was reached
    cost = [[far] * (len(builtins) + 1) for _ in range(len(operators) + 1)]
    step = [[""] * (len(builtins) + 1) for _ in range(len(operators) + 1)]
    cost[0][0] = 0.0
    for i in range(len(operators) + 1):
        for j in range(len(builtins) + 1):
            ways = []
            if j and builtins[j - 1] not in HEAVY:
                joined = builtins[j - 1] in ("PAD", "RESHAPE", "QUANTIZE", "DEQUANTIZE")
                ways.append((cost[i][j - 1] + (0.6 if joined else 1.5), "joined"))
            if i and j:
                ways.append((cost[i - 1][j] + _following(operators[i - 1]), "follows"))
                ways.append((cost[i - 1][j - 1] + _unlike(operators[i - 1], builtins[j - 1]), "beside"))
            if ways and min(ways)[0] < far:
                cost[i][j], step[i][j] = min(ways)
    if cost[-1][-1] == far:
        return [None] * len(operators)
    return _places(step)


def _places(step: list[list[str]]) -> list[int | None]:
    """The way that was found, walked backwards, as a place for each operator."""
    i, j = len(step) - 1, len(step[0]) - 1
    ways = []
    while i or j:
        ways.append((step[i][j], j - 1))
        i, j = i - (step[i][j] != "joined"), j - (step[i][j] != "follows")
    places: list[int | None] = []
    for way, place in reversed(ways):
        if way != "joined":  # what follows goes with the operator before it, past anything that was joined meanwhile
            places.append(places[-1] if way == "follows" and places else place)
    return places


def _kind(operator: str) -> str | None:
    return max((kind for kind in XNNPACK if operator.startswith(kind)), key=len, default=None)


def _following(operator: str) -> float:
    kind = _kind(operator)
    return 1.0 if kind in FOLLOWS else 3.0 if kind is None or not XNNPACK[kind] & HEAVY else float("inf")


def _unlike(operator: str, builtin: str) -> float:
    """What it costs to take one for the other: nothing where they fit, more than any gap where they cannot."""
    kind = _kind(operator)
    if kind is None:  # it has names for joined operators that say nothing ("Invalid Unary Op")
        return float("inf") if builtin in HEAVY else 1.0
    fitting = {"DEPTHWISE_CONV_2D"} if operator.endswith("DWConv") else XNNPACK[kind]
    return 0.0 if builtin in fitting else float("inf") if fitting & HEAVY or builtin in HEAVY else 4.0


class Model:
    """A file opened through the C interface, with XNNPACK and its profiler. It lives as long as the process."""

    def __init__(self, library: Path, path: str, threads: int, inputs: list[Any]) -> None:
        try:
            self._library = ctypes.CDLL(str(library))
        except OSError as error:
            raise RuntimeError(f"LiteRT's library does not load: {error}") from error
        self._model, self._compiled, self._profiler = c_void_p(), c_void_p(), c_void_p()
        self._environment, options, self._signature = c_void_p(), c_void_p(), c_void_p()
        self._call("CreateEnvironment", c_int(0), None, byref(self._environment))
        self._call("CreateModelFromFile", self._environment, path.encode(), byref(self._model))
        self._call("CreateOptions", byref(options))
        self._call("SetOptionsHardwareAccelerators", options, c_int(CPU))
        # Options travel as text under a name; the library keeps the place, not a copy.
        self._kept = [
            (b"runtime_options_string", b"enable_profiling = true\n"),
            (b"xnnpack", b"num_threads = %d\n" % threads),
        ]
        for name, text in self._kept:
            option = c_void_p()
            self._call("CreateOpaqueOptions", name, text, KEEP, byref(option))
            self._call("AddOpaqueOptions", options, option)
        self._call("CreateCompiledModel", self._environment, self._model, options, byref(self._compiled))
        self._call("CompiledModelGetProfiler", self._compiled, byref(self._profiler))
        self._call("GetModelSignature", self._model, c_size_t(0), byref(self._signature))
        self._inputs, self._outputs = self._buffers("Input"), self._buffers("Output")
        for buffer, array in zip(self._inputs, inputs):  # noqa: B905 (Python 3.8)
            self._fill(buffer, array)

    def run(self) -> None:
        """Run one inference."""
        sides = [argument for side in (self._inputs, self._outputs) for argument in (c_size_t(len(side)), side)]
        self._call("RunCompiledModel", self._compiled, c_size_t(0), *sides)

    def profiled(self) -> list[tuple[str, int, int, int]]:
        """Return one inference: (tag, type, nanoseconds, number) of each event."""
        self._call("StartProfiler", self._profiler)
        self.run()
        self._call("StopProfiler", self._profiler)
        count = c_int()
        self._call("GetNumProfilerEvents", self._profiler, byref(count))
        words = (ctypes.c_uint64 * (4 * WORDS * count.value + 1))()  # room to spare, should an event be longer
        self._call("GetProfilerEvents", self._profiler, count, words)
        events = [words[WORDS * at : WORDS * (at + 1)] for at in range(count.value)]
        if any(event[TYPE] & 0xFFFFFFFF not in EVENT_TYPES or not event[TAG] for event in events):
            raise RuntimeError("this LiteRT's profiler writes its events in another form")
        return [
            (
                (c_char_p(event[TAG]).value or b"").decode(),
                event[TYPE] & 0xFFFFFFFF,
                1000 * event[MICROSECONDS],
                event[INDEX],
            )
            for event in events
            if event[TYPE] & 0xFFFFFFFF in (GENERAL, OWN, DELEGATED)
        ]

    def _buffers(self, side: str) -> Any:
        count = c_size_t()
        self._call(f"GetNumSignature{side}s", self._signature, byref(count))
        buffers = (c_void_p * count.value)()
        for index in range(count.value):
            tensor, wanted, buffer = c_void_p(), c_void_p(), c_void_p()
            kind = ctypes.create_string_buffer(512)  # LiteRtRankedTensorType: only handed on
            self._call(f"GetSignature{side}TensorByIndex", self._signature, c_size_t(index), byref(tensor))
            self._call("GetRankedTensorType", tensor, kind)
            where = (self._compiled, c_size_t(0), c_size_t(index))
            self._call(f"GetCompiledModel{side}BufferRequirements", *where, byref(wanted))
            self._call("CreateManagedTensorBufferFromRequirements", self._environment, kind, wanted, byref(buffer))
            buffers[index] = buffer
        return buffers

    def _fill(self, buffer: Any, array: Any) -> None:
        place = c_void_p()
        self._call("LockTensorBuffer", c_void_p(buffer), byref(place), c_int(WRITE))
        ctypes.memmove(place, array.ctypes.data, array.nbytes)
        self._call("UnlockTensorBuffer", c_void_p(buffer))

    def _call(self, name: str, *arguments: Any) -> None:
        try:
            function = getattr(self._library, "LiteRt" + name)
        except AttributeError as error:
            raise RuntimeError(f"this LiteRT has no {name}, which its profiler needs") from error
        status = function(*arguments)
        if status:
            raise RuntimeError(f"LiteRT's {name} failed with status {status}")
