"""What runs in the environment of `make oracle`: other converters, another quantizer and another reader of TFLite.

One line of JSON asks, one answers; libraries print as they like, and none of it reaches the answers. What a library
raises is an answer too: {"error": "Type: message"}.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

Answer = dict[str, Any]


def network(ask: Answer) -> nn.Module:
    """The network as its builder makes it, BatchNorm and all, with the weights of the file `state`."""
    import importlib

    from edgekit.network.spec import variant

    importlib.import_module("edgekit.models")
    built = variant(ask["network"], ask["alpha"], ask["resolution"], ask.get("classes")).build()
    built.load_state_dict(torch.load(ask["state"], weights_only=True))
    # litert-torch knows constants by address: a copy that it makes of one that is not contiguous is freed, and the
    # next copy of the same shape is taken for it.
    for tensor in (*built.parameters(), *built.buffers()):
        tensor.data = tensor.data.contiguous()
    return built


def litert(ask: Answer) -> Answer:
    """The unfolded network through litert-torch, its input channels-last; the output too where it is a map."""
    import litert_torch

    built = network(ask)
    x = torch.zeros(ask["shape"])
    ends = [0] if built(x).dim() > 2 else []
    built = litert_torch.to_channel_last_io(built, args=[0], outputs=ends)
    litert_torch.convert(built, (x.movedim(1, -1).contiguous(),)).export(ask["to"])
    return {}


def quantize(ask: Answer) -> Answer:
    """A float file through ai-edge-quantizer's static int8, with the true extremes of the inputs in `inputs`.

    Its own way, `stock`, is a moving average of the extremes.
    """
    from ai_edge_quantizer import quantizer, recipe, recipe_manager
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.utils import qsv_utils

    way = {} if ask["stock"] else {"qsv_update_func": qsv_utils.min_max_update}
    calibrator = Calibrator(ask["file"], num_threads=1, **way)
    interpreter = calibrator._tfl_interpreter
    (key,) = interpreter.get_signature_list()
    (name,) = interpreter.get_signature_list()[key]["inputs"]
    rules = recipe_manager.RecipeManager()
    rules.load_quantization_recipe(recipe.static_wi8_ai8())
    inputs = np.load(ask["inputs"], mmap_mode="r")
    calibrator.calibrate({key: [{name: np.ascontiguousarray(x[None])} for x in inputs]}, rules)
    made = quantizer.Quantizer(ask["file"], recipe.static_wi8_ai8())
    Path(ask["to"]).write_bytes(made.quantize(calibrator.get_model_qsvs()).quantized_model)
    return {}


def onnx(ask: Answer) -> Answer:
    """The unfolded network through torch's own exporter: the old one, or dynamo's."""
    more: Answer = {"dynamo": True, "external_data": False} if ask["dynamo"] else {"dynamo": False, "opset_version": 17}
    torch.onnx.export(network(ask), (torch.zeros(ask["shape"]),), ask["to"], **more)
    return {}


def walk(ask: Answer) -> Answer:
    """What a full walk through a TFLite file finds."""
    from tests.oracle.walk import read

    return read(Path(ask["file"]))


TASKS: dict[str, Callable[[Answer], Answer]] = {"litert": litert, "quantize": quantize, "onnx": onnx, "walk": walk}


def main() -> None:
    """Answer until nobody asks."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            with torch.no_grad():
                answer = TASKS[ask["task"]](ask)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
