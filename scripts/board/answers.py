"""What several files answer, in one process: this program runs on the board.

    python answers.py TOOLS

TOOLS is the folder of bench/ondevice there. Each line on stdin is a job, {"file", "runtime", "inputs"}, where `inputs`
is a .npy file of images, one after another. Each line on stdout is what the file answers to them, as .npy in base64.
Below an emulator a runtime takes many seconds to start, so that all files of it share one.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np


def main() -> None:
    """Answer each line until stdin ends."""
    tools = ModuleType("ondevice")
    tools.__path__ = [sys.argv[1]]
    sys.modules[tools.__name__] = tools
    runner, protocol = import_module("ondevice.runner"), import_module("ondevice.protocol")
    with protocol.answer_stream() as stream:
        for line in sys.stdin:
            stream.write(_answers(runner, json.loads(line)) + b"\n")
            stream.flush()


def _answers(runner: Any, job: dict[str, str]) -> bytes:
    session = runner.loaded(job["runtime"]).open_session(job["file"], {"threads": 1, "batch": None, "free": True})
    found = np.stack([np.asarray(session.run([image[None]])[0])[0] for image in np.load(job["inputs"])])
    packed = io.BytesIO()
    np.save(packed, found, allow_pickle=False)
    return base64.b64encode(packed.getvalue())


if __name__ == "__main__":
    main()
