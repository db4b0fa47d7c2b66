"""A double of TensorRT's Python package, made from a dump of a release's real API.

It has the classes, members and enumerations of that release and no others: reading or setting what a release lacks
raises AttributeError as it would there, and a call is held against the signature that the dump tells. What happens
behind that is small and real: an engine carries its ONNX file, and onnxruntime answers on the memory that the engine
was given the addresses of.
"""

from __future__ import annotations

import ctypes
import enum
import json
import os
import re
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = b"a double's engine\n"
SIGNATURE = re.compile(r"^(\w+)\(self: [\w.:]+(?:, )?(.*)\)(?: -> .*)?$")


class Module(types.ModuleType):
    """The package; `calls` lists what was called and set, in order."""

    calls: list[tuple[str, Any]]


def load(dump: Path) -> Module:
    """The package of a release, from its dump."""
    api = json.loads(dump.read_text())
    module = Module("tensorrt")
    module.calls = []
    module.__dict__["__version__"] = api["__version__"]
    for name, entry in api["names"].items():
        if entry["kind"] == "enum":
            setattr(module, name, enum.IntEnum(name, {value: index for index, value in enumerate(entry["values"])}))
    for name, entry in api["names"].items():
        if entry["kind"] == "class":
            setattr(module, name, _class(module, name, entry["members"]))
    if hasattr(module, "ILogger"):  # nested in the real one, where the dump does not look
        levels = ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"]
        setattr(module.ILogger, "Severity", enum.IntEnum("Severity", levels, start=0))  # noqa: B010
    return module


def _class(module: Module, name: str, members: dict[str, str]) -> type:
    """A class with these members alone; those of Python, derived from it, may have more."""
    methods = {member: match for member, doc in members.items() if (match := SIGNATURE.match(doc))}
    loose = {member for member, doc in members.items() if doc.startswith("(*args") or "(*args, **kwargs)" in doc}
    properties = set(members) - set(methods) - loose

    def init(self: Any, *args: Any) -> None:
        object.__setattr__(self, "state", {})
        object.__setattr__(self, "module", module)
        begin = BEGIN.get(name)
        if begin is not None:
            begin(self, *args)

    def read(self: Any, attribute: str) -> Any:
        if attribute.startswith("__") or attribute not in members:
            raise AttributeError(f"'tensorrt.{name}' object has no attribute '{attribute}'")
        if attribute in properties:
            compute = BEHAVIOR.get(f"{name}.{attribute}")
            return compute(self) if compute else self.state.get(attribute)
        return lambda *args, **kwargs: _called(self, name, attribute, methods.get(attribute), args, kwargs)

    def write(self: Any, attribute: str, value: Any) -> None:
        if type(self).__module__ != "tensorrt":  # a Python class derived from it has a dictionary of its own
            object.__setattr__(self, attribute, value)
            return
        if attribute not in properties:
            raise AttributeError(f"'tensorrt.{name}' object has no attribute '{attribute}'")
        module.calls.append((f"{name}.{attribute}", value))
        self.state[attribute] = value

    base = bytes if name == "IHostMemory" else object
    space = {"__module__": "tensorrt", "__getattr__": read, "__setattr__": write}
    return type(name, (base,), space if base is bytes else {**space, "__init__": init})


def _called(self: Any, owner: str, name: str, signature: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if signature is not None:
        _check(self.module, f"{owner}.{name}", signature.group(2), args, kwargs)
    self.module.calls.append((f"{owner}.{name}", args[0] if len(args) == 1 else args))
    act = BEHAVIOR.get(f"{owner}.{name}")
    if act is None:
        raise NotImplementedError(f"the double has no behavior for {owner}.{name}")
    return act(self, *args, **kwargs)


def _check(module: Module, where: str, text: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Hold a call against the signature in the dump: how many, their names, and the kinds that are ours."""
    wanted = [part.partition(": ") for part in _parts(text)]
    names = [name for name, _, _ in wanted]
    needed = [name for name, _, kind in wanted if " = " not in kind]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    wrong = len(args) > len(names) or set(given) - set(names) or set(needed) - set(given)
    if wrong:
        raise TypeError(f"{where}({text}) was called with {args} {kwargs}")
    for name, _, kind in wanted:
        plain = kind.partition(" = ")[0].rpartition(".")[2].rpartition("::")[2]
        known = getattr(module, plain, None)
        simple = {"str": str, "bool": bool, "int": int}.get(plain)
        value = given.get(name)
        if name in given and isinstance(known, type) and plain != "Dims" and not isinstance(value, known):
            raise TypeError(f"{where}: {name} must be {plain}, not {value!r}")
        if name in given and simple and not isinstance(value, simple):
            raise TypeError(f"{where}: {name} must be {plain}, not {value!r}")


def _parts(text: str) -> Iterator[str]:
    """The parameters of a signature; brackets and angle brackets hold commas of their own."""
    depth, part = 0, ""
    for character in text:
        depth += (character in "[(<") - (character in "])>")
        if character == "," and not depth:
            yield part.strip()
            part = ""
        else:
            part += character
    if part.strip():
        yield part.strip()


def _make(module: Module, name: str, **state: Any) -> Any:
    thing = object.__new__(getattr(module, name))
    object.__setattr__(thing, "state", state)
    object.__setattr__(thing, "module", module)
    return thing


# What happens behind the API


def _created_network(builder: Any, flags: int = 0) -> Any:
    named = builder.module.NetworkDefinitionCreationFlag
    asked = {flag.name for flag in named if flags >> int(flag) & 1}
    if flags >> len(named):
        raise ValueError(f"network flags {flags:#x} are not of this release")
    if "EXPLICIT_BATCH" not in asked and builder.module.__version__.startswith("8."):
        raise RuntimeError("the ONNX parser needs a network with an explicit batch")
    return _make(builder.module, "INetworkDefinition", flags=asked, onnx=None, num_layers=0)


def _parsed(parser: Any, path: str) -> bool:
    import onnx

    model = onnx.load(path)
    network = parser.state["network"]
    refused = os.environ.get("DOUBLE_REFUSES")  # an operator that this "release" does not take
    typed = "STRONGLY_TYPED" in network.state["flags"]
    parser.state["errors"] = [
        _make(parser.module, "ParserError", index=index, node=node)
        for index, node in enumerate(model.graph.node)
        if node.op_type == refused
    ]
    network.state.update(onnx=model.SerializeToString(), typed=typed, num_layers=len(model.graph.node))
    network.state["halves"] = any(tensor.data_type == 10 for tensor in model.graph.initializer)
    network.state["pairs"] = any(node.op_type == "DequantizeLinear" for node in model.graph.node)
    network.state["int8_constants"] = any(
        tensor.data_type == 3 and tensor.dims and "zero_point" not in tensor.name for tensor in model.graph.initializer
    )
    return not parser.state["errors"]


def _set_flag(config: Any, flag: Any) -> None:
    config.state.setdefault("set", set()).add(flag.name)


def _clear_flag(config: Any, flag: Any) -> None:
    config.state.setdefault("cleared", set()).add(flag.name)


def _built(builder: Any, network: Any, config: Any) -> Any:
    flags, state = config.state.get("set", set()), network.state
    log = builder.state["logger"]
    severity = builder.module.ILogger.Severity
    if state["typed"] and flags & {"FP16", "INT8", "BF16", "FP8"}:
        log.log(severity.ERROR, "precision flags cannot be set on a strongly typed network")
        return None
    weak = builder.module.__version__.startswith("8.")
    if weak and state["pairs"] and "INT8" not in flags:
        log.log(severity.ERROR, "Q/DQ layers need the INT8 flag")
        return None
    if weak and state["int8_constants"]:
        log.log(severity.ERROR, "invalid weights type of Int8")
        return None
    if os.environ.get("DOUBLE_CRASHES"):
        os.abort()
    if os.environ.get("DOUBLE_HANGS"):
        Path(os.environ["DOUBLE_HANGS"]).touch()
        time.sleep(1000)
    log.log(severity.WARNING, "Tactic Device request: 4229MB. Skipping tactic: insufficient memory")
    monitor = config.state.get("progress_monitor")
    if monitor is not None:
        monitor.phase_start("Building Engine", None, 2)
        monitor.step_complete("Building Engine", 0)
        monitor.phase_finish("Building Engine")
    cache = config.state.get("cache")
    if cache is not None:
        cache.state["data"] = b"timing of " + builder.module.__version__.encode()
    head = {"version": builder.module.__version__, "profiles": config.state.get("profiles", [])}
    return builder.module.IHostMemory(MAGIC + json.dumps(head).encode() + b"\n" + state["onnx"])


def _new_cache(config: Any, data: bytes) -> Any:
    return _make(config.module, "ITimingCache", data=bytes(data))


def _take_cache(config: Any, cache: Any, ignore_mismatch: bool) -> bool:
    data = cache.state["data"]
    if data and not data.endswith(config.module.__version__.encode()):
        return False
    config.state["cache"] = cache
    return True


def _deserialized(runtime: Any, data: bytes) -> Any:
    log, severity = runtime.state["logger"], runtime.module.ILogger.Severity
    if not data.startswith(MAGIC):
        log.log(severity.ERROR, "Serialization assertion plan->header.size == blobSize failed.")
        return None
    head, _, model = data[len(MAGIC) :].partition(b"\n")
    facts = json.loads(head)
    if facts["version"] != runtime.module.__version__:
        log.log(severity.ERROR, "Trying to load an engine created with incompatible serialization version.")
        return None
    import onnx
    import onnxruntime

    first, *others = [node.name for node in onnx.load_model_from_string(model).graph.node]
    layers = [f"Reformatting CopyNode for Input Tensor 0 to {first}", f"{first} + PWN({others[0]})", *others[1:]]
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # TensorRT's int8 does not saturate
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    tensors = [*((value, True) for value in session.get_inputs()), *((value, False) for value in session.get_outputs())]
    return _make(
        runtime.module, "ICudaEngine", session=session, tensors=tensors, num_io_tensors=len(tensors), num_layers=7,
        layers=layers, device_memory_size=64, device_memory_size_v2=64, profiles=facts["profiles"],
    )  # fmt: skip


def _of(engine: Any, name: str) -> Any:
    return next(value for value, _ in engine.state["tensors"] if value.name == name)


def _mode(engine: Any, name: str) -> Any:
    given = next(given for value, given in engine.state["tensors"] if value.name == name)
    return engine.module.TensorIOMode.INPUT if given else engine.module.TensorIOMode.OUTPUT


def _dtype(engine: Any, name: str) -> Any:
    kinds = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int64)": "INT64"}
    return getattr(engine.module.DataType, kinds[_of(engine, name).type])


def _shape(engine: Any, name: str) -> Any:
    return tuple(size if isinstance(size, int) else -1 for size in _of(engine, name).shape)


def _set_shape(context: Any, name: str, shape: Any) -> bool:
    engine = context.state["engine"]
    fixed = _shape(engine, name)
    most = {wanted: top for wanted, _, _, top in engine.state["profiles"]}.get(name)
    fits = all(size in (-1, asked) for size, asked in zip(fixed, shape, strict=True))
    if not fits or (most is not None and shape[0] > most[0]):
        return False
    context.state["shapes"][name] = tuple(shape)
    return True


def _shape_now(context: Any, name: str) -> Any:
    shape = context.state["shapes"].get(name) or _shape(context.state["engine"], name)
    batch = next((value[0] for value in context.state["shapes"].values()), 1)
    return tuple(batch if size == -1 else size for size in shape)


def _execute(context: Any, stream_handle: int) -> bool:
    session = context.state["engine"].state["session"]
    addresses = context.state["addresses"]

    def array(value: Any) -> Any:
        dtype = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}[value.type]
        shape = _shape_now(context, value.name)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = (ctypes.c_char * size).from_address(addresses[value.name])
        return np.frombuffer(memoryview(memory), np.dtype(dtype)).reshape(shape)

    outputs = session.run(None, {value.name: array(value).copy() for value in session.get_inputs()})
    for value, output in zip(session.get_outputs(), outputs, strict=True):
        array(value)[...] = output
    profiler = context.state.get("profiler")
    if profiler is not None:
        assert isinstance(profiler, context.module.IProfiler)
        for at, name in enumerate(context.state["engine"].state["layers"]):
            profiler.report_layer_time(name, 0.001 * (at + 1))
    return True


def _set_address(context: Any, name: str, memory: int) -> bool:
    context.state["addresses"][name] = memory
    return True


def _begin(*names: str) -> Callable[..., None]:
    def begin(self: Any, *args: Any) -> None:
        if args and "logger" in names:
            assert isinstance(args[names.index("logger")], self.module.ILogger)
        self.state.update(zip(names, args, strict=True))

    return begin


BEGIN: dict[str, Callable[..., None]] = {
    "Builder": _begin("logger"),
    "Runtime": _begin("logger"),
    "OnnxParser": _begin("network", "logger"),
}
BEHAVIOR: dict[str, Callable[..., Any]] = {
    "Builder.create_network": _created_network,
    "Builder.create_builder_config": lambda self: _make(self.module, "IBuilderConfig"),
    "Builder.create_optimization_profile": lambda self: _make(self.module, "IOptimizationProfile", shapes=[]),
    "Builder.build_serialized_network": _built,
    "OnnxParser.parse_from_file": _parsed,
    "OnnxParser.num_errors": lambda self: len(self.state["errors"]),
    "OnnxParser.get_error": lambda self, index: self.state["errors"][index],
    "ParserError.node": lambda self: self.state["index"],
    "ParserError.code": lambda self: self.module.ErrorCode.UNSUPPORTED_NODE,
    "ParserError.desc": lambda self: "No importer registered\nfor op",
    "ParserError.node_name": lambda self: self.state["node"].name,
    "ParserError.node_operator": lambda self: self.state["node"].op_type,
    "IBuilderConfig.set_flag": _set_flag,
    "IBuilderConfig.clear_flag": _clear_flag,
    "IBuilderConfig.set_compute_capability": lambda self, compute_capability, index: True,
    "IBuilderConfig.set_memory_pool_limit": lambda self, pool, pool_size: None,
    "IBuilderConfig.create_timing_cache": _new_cache,
    "IBuilderConfig.set_timing_cache": _take_cache,
    "IBuilderConfig.get_timing_cache": lambda self: self.state.get("cache"),
    "IBuilderConfig.add_optimization_profile": lambda self, profile: (
        self.state.setdefault("profiles", []).extend(profile.state["shapes"]) or 0
    ),
    "IOptimizationProfile.set_shape": lambda self, input, min, opt, max: self.state["shapes"].append(
        (input, min, opt, max)
    ),
    "ITimingCache.serialize": lambda self: self.module.IHostMemory(self.state["data"]),
    "Runtime.deserialize_cuda_engine": _deserialized,
    "ICudaEngine.create_execution_context": lambda self: _make(
        self.module, "IExecutionContext", engine=self, shapes={}, addresses={}
    ),
    "ICudaEngine.get_tensor_name": lambda self, index: self.state["tensors"][index][0].name,
    "ICudaEngine.get_tensor_mode": _mode,
    "ICudaEngine.get_tensor_dtype": _dtype,
    "ICudaEngine.get_tensor_shape": _shape,
    "IExecutionContext.set_input_shape": _set_shape,
    "IExecutionContext.get_tensor_shape": _shape_now,
    "IExecutionContext.set_tensor_address": _set_address,
    "IExecutionContext.execute_async_v3": _execute,
    "ILogger.log": lambda self, severity, msg: None,
}


def install(name: str, dump: str) -> None:
    """Become the package `name` of this process (what the stand-in package's __init__ calls)."""
    module = load(Path(dump))
    module.__dict__.update({key: sys.modules[name].__dict__[key] for key in ("__spec__", "__path__", "__file__")})
    sys.modules[name] = module
