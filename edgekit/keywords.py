"""Turn the options of a message into Python's keywords: `--classes-by-order` into `classes_by_order=True`.

Every message is written for the command line. The keyword of an option, and whether it takes a value, come from the
signatures of the verbs that are loaded; the verb that raised the message is one of them.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping

import edgekit

# Where a keyword is not the option's name with `_` for `-`.
OTHERS = {"continue": "continue_", "with": "own", "option": "options", "imgsz": "res", "last": "latest"}
# Words behind an option that are its value, and no part of the sentence. They are listed here because errors are told
# before any registry is loaded; a test compares them with the registries.
VALUES = frozenset(
    [
        *("fp32", "fp16", "int8", "int8w", "float32", "uint8"),
        *("onnx", "tflite", "tensorrt", "pt2", "html", "md", "csv", "json", "python", "cpp", "kotlin"),
        *("logits", "softmax", "argmax", "nhwc", "nchw", "auto", "data", "file", "safe", "full"),
        *("quick", "default", "rigorous", "fast", "random", "pretrained", "failed", "local", "dask"),
        *("onnxruntime", "litert", "tensorrt_rtx", "trtexec", "benchmark_model", "torch", "null"),
        *("cpu", "cuda", "cuda-graph", "gpu", "gpu-fp16", "npu", "nnapi", "xnnpack"),
    ]
)
_OPTION = re.compile(r"(?<![\w`-])--([a-z][a-z0-9-]*)(?![\w])(?:[ ]('[^']*'|[^\s`]*(?:\.\.\.|[^\s`;:),.])))?")
_IS_VALUE = re.compile(r"'.*'|\[?[A-Z0-9].*|.+[=/.,:].*")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_SHAPE = re.compile(r"(?:\[?(\w+)=\]?)?((?:[0-9]+|\.\.\.)(?:[,x](?:[0-9]+|\.\.\.))+)")


def in_python(text: str) -> str:
    """Return a message with its options as keywords; what stands between backticks is a command, and stays."""
    if "--" not in text:
        return text
    known = parameters()

    def turned(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        parameter = known.get(keyword(name))
        if parameter is None:
            return found[0]
        is_value = value is not None and (value in VALUES or _IS_VALUE.fullmatch(value) is not None)
        if isinstance(parameter.default, bool):
            return f"{parameter.name}=True" + ("" if value is None else f" {value}")
        if not is_value:
            return f"`{parameter.name}`" + ("" if value is None else f" {value}")
        return f"{parameter.name}={_literal(parameter, value)}"

    parts = text.split("`")
    parts[::2] = [_OPTION.sub(turned, part) for part in parts[::2]]
    return re.sub(r"(=\S+) (?=\w+=[\w\"'({])", r"\1, ", "`".join(parts))


def keyword(option: str) -> str:
    """Return the keyword of an option, which is given without its dashes."""
    return OTHERS.get(option, option.replace("-", "_"))


def _literal(parameter: inspect.Parameter, value: str) -> str:
    """A value as it is written in Python; a word in capitals stands for one."""
    shape = _SHAPE.fullmatch(value) if parameter.name == "input" else None
    if shape is not None:
        sizes = f"({', '.join(re.split('[,x]', shape[2]))})"
        return f'{{"{shape[1]}": {sizes}}}' if shape[1] else sizes
    if parameter.name == "options" and "=" in value:
        name, _, given = value.partition("=")
        return f'{{"{name}": "{given}"}}'
    takes_numbers = any(kind in str(parameter.annotation) for kind in ("int", "float"))
    if value.isupper() or value[0] == "'" or (takes_numbers and _NUMBER.fullmatch(value)):
        return value
    return f'"{value}"'


def parameters() -> Mapping[str, inspect.Parameter]:
    """Return the parameters of the verbs that are loaded, by name."""
    found: dict[str, inspect.Parameter] = {}
    for module, function, _ in edgekit.COMMANDS.values():
        verb: Callable[..., object] | None = getattr(sys.modules.get(module), function, None)
        if verb is not None:
            found = {**inspect.signature(verb).parameters, **found}
    return found
