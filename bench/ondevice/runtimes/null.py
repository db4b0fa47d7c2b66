"""The null runtime: does nothing, so that what it measures is the harness itself.

Where $EDGEKIT_NULL_MS is set there, each inference is a pause of so many milliseconds: a known time to find again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ..tensor import Tensor

PAUSE = "EDGEKIT_NULL_MS"


class Session:
    """Accepts anything and returns one zero per row of the batch."""

    def __init__(self, options: dict[str, Any]) -> None:
        import numpy as np

        batch = options.get("batch") or 1
        self.inputs = [Tensor("nothing", "float32", (batch, 1))]
        self.outputs = [Tensor("nothing", "float32", (batch, 1))]
        self._seconds = float(os.environ.get(PAUSE, "0")) / 1000
        timed = f"a pause of {1000 * self._seconds:g} ms" if self._seconds else "an empty call"
        self.found: dict[str, Any] = {"threads": 1, "batch": batch, "runtime_version": None, "timed": timed}
        self._result = [np.zeros((batch, 1), np.float32)]

    def run(self, arrays: list[Any]) -> list[Any]:
        """Return the same zeros for everything."""
        return self._result

    def prepare(self, arrays: list[Any]) -> Callable[[], object]:
        """Return what is timed: a function that does nothing, or waits."""
        return partial(time.sleep, self._seconds) if self._seconds else _nothing


def _nothing() -> None:
    return None


def preload() -> None:
    """There is no runtime to load."""


def open_session(path: str, options: dict[str, Any]) -> Session:
    """Open a session that never looks at the file."""
    for name in ("provider", "delegate"):
        if options.get(name):
            raise ValueError("the null runtime has no " + name)
    return Session(options)
