"""Calls that no Python makes: inside a function of torch.jit.script, say, torch's library is called from C++.

These are seen one level deeper (TorchDispatchMode), where they are of the inner library (aten).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from edgekit.frontend.node import leaves
from edgekit.frontend.recorder import Recorder


class Beneath(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Hands the recorder the calls that do not come through torch's Python functions."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder


def _dispatched(
    mode: Beneath, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
) -> Any:
    recorder, kwargs = mode.recorder, kwargs or {}
    if recorder.answering or not any(x in recorder.storage for x in leaves((args, kwargs), Tensor)):
        return func(*args, **kwargs)
    recorder.answering = True
    try:
        return recorder.answer(func, args, kwargs)
    finally:
        recorder.answering = False


# In the class's own body torch would wrap it, and import its compiler for that.
Beneath.__torch_dispatch__ = _dispatched  # type: ignore[method-assign, assignment]
