"""Write the Keras files of tests/samples/keras, and what Keras itself answers.

Needs Keras 3 with any backend (`KERAS_BACKEND=torch`), in an environment of its own:

    python scripts/keras_samples.py tests/samples/keras
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers as L

WIDTHS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
ALPHA, RESOLUTION, CLASSES = 1 / 32, 32, 3


def body(x: Any, **norm: Any) -> Any:
    """MobileNet v1 up to its last map, with names that Keras gives."""

    def block(x: Any, layer: Any) -> Any:
        return L.ReLU(6.0)(L.BatchNormalization(**norm)(layer(x)))

    x = block(x, L.Conv2D(int(32 * ALPHA), 3, 2, padding="same", use_bias=False))
    for width, stride in WIDTHS:
        if stride == 2:
            x = L.ZeroPadding2D(((0, 1), (0, 1)))(x)
        x = block(x, L.DepthwiseConv2D(3, stride, "same" if stride == 1 else "valid", use_bias=False))
        x = block(x, L.Conv2D(int(width * ALPHA), 1, padding="same", use_bias=False))
    return x


def convolutional_head() -> Any:
    """As keras.applications writes it, compiled for training, so that an optimizer's state is in the file."""
    inputs = L.Input((RESOLUTION, RESOLUTION, 3))
    x = L.Dropout(1e-3)(L.GlobalAveragePooling2D(keepdims=True)(body(inputs)))
    x = L.Activation("softmax")(L.Reshape((CLASSES,))(L.Conv2D(CLASSES, 1, padding="same")(x)))
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse")
    return model


def transferred() -> Any:
    """A model in a model, as transfer learning makes it, with its own preprocessing, epsilon and no scale."""
    inner = L.Input((RESOLUTION, RESOLUTION, 3))
    base = keras.Model(inner, body(inner, epsilon=2e-2, scale=False))
    inputs = L.Input((RESOLUTION, RESOLUTION, 3))
    x = L.RandomFlip("horizontal")(inputs)
    x = base(L.Rescaling(1 / 64.0, offset=-2)(x), training=False)
    return keras.Model(inputs, L.Dense(CLASSES)(L.Dropout(0.2)(L.GlobalAveragePooling2D()(x))))


def sequential() -> Any:
    """A chain of layers with biases in front of BatchNorm, which has no shift of its own."""
    model = keras.Sequential([L.Input((RESOLUTION, RESOLUTION, 3))])
    inputs = L.Input((RESOLUTION, RESOLUTION, 3))
    for layer in keras.Model(inputs, body(inputs, center=False)).layers[1:]:
        settings = layer.get_config() | ({"use_bias": True} if "use_bias" in layer.get_config() else {})
        model.add(type(layer).from_config(settings))
    for layer in (L.GlobalAveragePooling2D(), L.Dense(CLASSES, activation="softmax")):
        model.add(layer)
    return model


MODELS = {"convolutional_head": convolutional_head, "transferred": transferred, "sequential": sequential}

SUFFIXES = {
    "convolutional_head": (".keras", ".h5", ".weights.h5"),
    "transferred": (".keras", ".h5"),
    "sequential": (".keras", ".h5"),
}


def trained(model: Any) -> Any:
    """The model with numbers that all matter."""
    generator = np.random.default_rng(0)
    for weight in model.weights:
        low, high = (0.5, 1.5) if "gamma" in weight.name or "variance" in weight.name else (-1.0, 1.0)
        drawn = generator.uniform(low, high, weight.shape) * (0.2 if "mean" in weight.name else 1.0)
        weight.assign(drawn.astype(np.float32) if weight.dtype == "float32" else np.zeros(weight.shape))
    return model


def main(folder: Path) -> None:
    """Write each model as .keras, .h5 and .weights.h5, packed, beside Keras' answers to two images."""
    answers = {}
    for name, build in MODELS.items():
        keras.backend.clear_session()
        model = trained(build())
        pixels = np.random.default_rng(1).integers(0, 256, (2, RESOLUTION, RESOLUTION, 3)).astype(np.float32)
        x = pixels if name == "transferred" else pixels / 127.5 - 1
        answers[name] = np.asarray(model.predict(x, verbose=0)).tolist()
        for suffix in SUFFIXES[name]:
            path = folder / f"{name}{suffix}"
            (model.save_weights if suffix == ".weights.h5" else model.save)(path)
            (folder / f"{path.name}.xz").write_bytes(lzma.compress(path.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
            path.unlink()
    text = json.dumps({"keras": keras.__version__, "answers": answers}, indent=1)
    (folder / "answers.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
