"""What runs in the environment with tflite-runtime: opens files and runs them. Asked like tests.oracle.worker."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter

from tests.oracle.client import run_interpreter


def main() -> None:
    """Answer until nobody asks: {"task": "run", "file": ..., "inputs": .npy, "to": .npy}."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        ask = json.loads(line)
        answer = {}
        try:
            np.save(ask["to"], run_interpreter(Interpreter(ask["file"], num_threads=1), np.load(ask["inputs"])))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
