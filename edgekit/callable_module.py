"""Modules that can be called: `edgekit.bench(...)` is the verb although `edgekit.bench` is a package.

The import system sets `edgekit.bench` to the package as soon as anything inside it is imported, whatever
`edgekit/__init__.py` says. Rather than have the name mean two things in turn, the module itself is callable.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module that, when called, calls `__verb__`, a `"module:function"` path."""

    __verb__: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        """The verb's own, for whoever asks `inspect.signature`, as notebooks do."""
        return inspect.signature(self._function())

    def _function(self) -> Callable[..., Any]:
        module, _, function = self.__verb__.partition(":")
        found: Callable[..., Any] = getattr(importlib.import_module(module), function)
        return found


def make_callable(name: str, verb: str) -> None:
    """Let the loaded module `name` be called as the function at `verb`, which is imported at the first call."""
    module = sys.modules[name]
    module.__class__ = CallableModule  # the language reference allows this for subclasses of ModuleType
    vars(module)["__verb__"] = verb
