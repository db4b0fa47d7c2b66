"""Where a call stands: the layer that makes it, the name that it gets, and the line of the user's code."""

from __future__ import annotations

import inspect
import re
import sys
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from edgekit.frontend.imported import Layer
from edgekit.frontend.node import Node

_PYTHON = str(Path(re.__file__).parents[1])
_RUNS_IT = "edgekit.frontend.tracer"  # whoever stands around it has not to do with forward()
_NUMBERED = re.compile(r"(.*)_(\d+)$")


def is_theirs(frame: FrameType) -> bool:
    """Whether code is neither Python's, numpy's, torch's nor edgekit's."""
    return _is_theirs(frame.f_code.co_filename, str(frame.f_globals.get("__name__")))


def _is_theirs(file: str, name: str) -> bool:
    if name.partition(".")[0] in ("torch", "numpy", "edgekit") or file.startswith("<"):
        return False
    return not file.startswith(_PYTHON) or "-packages" in file


def line() -> str:
    """The innermost line of the user's code that is running, as "net.py:14"; empty where there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != _RUNS_IT:
        if is_theirs(frame):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def line_of(error: BaseException) -> str:
    """The innermost line of the user's code that an error came through."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if is_theirs(trace.tb_frame):
            found = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def of_forward(module: nn.Module) -> str:
    """Where the user's forward() begins, as "net.py:12"; empty for one of torch's."""
    function = inspect.unwrap(getattr(module.forward, "__func__", module.forward))
    code = getattr(function, "__code__", None)
    if code is None or not _is_theirs(code.co_filename, str(function.__module__)):
        return ""
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def is_layer(module: nn.Module) -> bool:
    """Whether it is a layer of torch.nn or of a file, which a network is made of and not looked into."""
    if isinstance(module, Layer):
        return True
    kind = type(module).__bases__[0] if parametrize.is_parametrized(module) else type(module)
    return kind.__module__.startswith("torch.nn.modules") and not isinstance(
        module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    )


class _Names:
    """Names of calls that are made once each: add, add_1, add_2."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._count: dict[str, int] = defaultdict(int)

    def new(self, wanted: str) -> str:
        numbered = _NUMBERED.match(wanted)
        base, number = (numbered[1], int(numbered[2])) if numbered else (wanted, 0)
        number = number or self._count[base]
        while wanted in self._used:
            number += 1
            wanted = f"{base}_{number}"
        self._used.add(wanted)
        self._count[base] = number
        return wanted


class Scope:
    """The stack of modules that are running. A layer's call bears the layer's name, others their function's in it."""

    def __init__(self, module: nn.Module) -> None:
        self._paths = {id(part): name for name, part in module.named_modules()}
        self._stack: list[tuple[str, bool, int]] = []  # path, whether a layer, how many operators there were
        self._names = _Names()

    def enter(self, module: nn.Module, operators: int) -> None:
        """A module begins."""
        path = module.label if isinstance(module, Layer) else self._paths.get(id(module))
        layer = path != "" and is_layer(module)
        if path is None:
            outer = self._stack[-1][0] if self._stack else ""
            path = ".".join(filter(None, (outer, type(module).__name__.lower())))
        if layer:
            self._names.new(path.replace(".", "_"))
        self._stack.append((path, layer, operators))

    def leave(self, result: Any, operators: list[Node]) -> None:
        """A module ends: what a layer gives bears the layer's name."""
        path, layer, before = self._stack.pop()
        if not layer or not isinstance(result, Node):
            return
        made = operators[before:]
        if result not in made:
            return
        for node in made:
            if node is not result and node.name.partition("#")[0] == path:
                node.name = f"{path}/{node.kind}"
        result.name = path

    def name(self, function: str) -> str:
        """The name of a call of a function that stands here."""
        if self._stack and self._stack[-1][1]:
            return self._stack[-1][0]
        scope = self._stack[-1][0] if self._stack else ""
        own = self._names.new(function)
        return f"{scope}.{own}" if scope else own

    def argument(self, name: str) -> str:
        """The name of an input."""
        return self._names.new(name)
