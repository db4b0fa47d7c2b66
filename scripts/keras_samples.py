"""Write the Keras files of tests/samples/keras, and what Keras itself answers.

Needs Keras 3, in an environment of its own. The backend is jax, which pads as TensorFlow does; on torch some pools and
transposed convolutions are shifted (`KERAS_BACKEND=jax`):

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


def residual() -> Any:
    """Blocks that fork and join, with a layer and a norm that two places share, and squeeze and excitation."""
    inputs = L.Input((12, 10, 3), name="image")
    x = L.Conv2D(4, 3, 2, padding="same", use_bias=False)(L.Rescaling(1 / 127.5, offset=-1)(inputs))
    conv, norm = L.Conv2D(4, 3, padding="same", activation="relu"), L.BatchNormalization()
    for _ in range(2):
        x = L.Add()([norm(conv(x)), x])
    scale = L.Dense(4, activation="hard_sigmoid")(L.GlobalAveragePooling2D()(x))
    x = L.Multiply()([x, L.Reshape((1, 1, 4))(scale)])
    branches = [L.SeparableConv2D(3, 3, padding="same")(x), L.PReLU(shared_axes=[1, 2])(x)]
    branches += [L.AveragePooling2D(3, 1, padding="same")(x), L.MaxPooling2D(2, 1, padding="same")(x)]
    x = L.LeakyReLU()(L.Concatenate()(branches))
    return keras.Model(inputs, L.Dense(CLASSES, activation="softmax")(L.Dropout(0.1)(L.Flatten()(x))))


def shapes() -> Any:
    """A decoder: transposed convolutions, borders, sizes, a model in a model with two outputs, and outputs by name."""
    inner = L.Input((6, 5, 3))
    two = keras.Model(inner, [L.Conv2D(4, 2)(inner), L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(inner)])
    inputs = L.Input((6, 5, 3), name="image")
    small, same = two(inputs)
    small = keras.Sequential([L.Input((5, 4, 4)), L.Conv2DTranspose(6, 3, 2, padding="same"), L.Activation("elu")])(
        small
    )
    same = L.UpSampling2D(2, interpolation="bilinear")(L.Cropping2D(((1, 0), (0, 1)))(same))
    x = L.Average()([small, same])
    x = L.ZeroPadding2D(((0, 1), (2, 0)))(L.LayerNormalization()(x))
    turned = L.Permute((2, 1, 3))(L.UpSampling2D((1, 2))(L.Conv2DTranspose(2, 2, 2)(x)))
    return keras.Model(
        inputs, {"map": turned, "pooled": L.GlobalMaxPooling2D(keepdims=True)(x), "flat": L.Flatten()(x)}
    )


def several() -> Any:
    """Two inputs, and operations on tensors and numbers."""
    image, state = L.Input((6, 6, 3), name="image"), L.Input((5,), name="state")
    x = keras.ops.relu(image * 2.0 - 1.0) / 3.0
    x = keras.ops.mean(L.GroupNormalization(2)(L.Conv2D(4, 3)(x)), axis=(1, 2)) - keras.ops.max(1.0 - x, axis=(1, 2, 3))
    both = keras.ops.concatenate([x, L.Dense(4, activation="gelu")(state)], axis=-1)
    return keras.Model([image, state], [both[:, 1:6], L.Softmax()(L.Subtract()([both, both**2]))])


def volume() -> Any:
    """Three spatial axes."""
    inputs = L.Input((5, 6, 6, 2))
    x = L.MaxPooling3D(2, padding="same")(L.Conv3D(3, 3, (1, 2, 2), padding="same", activation="relu")(inputs))
    x = L.Conv3DTranspose(2, 2, 2)(L.Cropping3D(((0, 1), 0, 0))(L.ZeroPadding3D(((0, 1), 0, 0))(x)))
    return keras.Model(
        inputs, L.Dense(CLASSES)(L.Flatten()(L.AveragePooling3D(2, padding="same")(L.UpSampling3D(1)(x))))
    )


def signal() -> Any:
    """One spatial axis."""
    inputs = L.Input((16, 4))
    x = L.SeparableConv1D(4, 3, 2, "same")(
        L.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="swish")(inputs)
    )
    x = L.MaxPooling1D(2)(L.Conv1DTranspose(5, 3, 2)(L.ZeroPadding1D((1, 0))(x)))
    return keras.Model(inputs, L.Dense(CLASSES)(L.Concatenate()([L.GlobalMaxPooling1D()(x), L.Flatten()(x)])))


def channels_first() -> Any:
    """Maps with their channels first, as the file has them."""
    first = {"data_format": "channels_first"}
    inputs = L.Input((3, 8, 9))
    x = L.BatchNormalization(axis=1)(L.MaxPooling2D(2, padding="same", **first)(L.Conv2D(4, 3, **first)(inputs)))
    pooled = L.GlobalAveragePooling2D(**first)(x)
    return keras.Model(inputs, L.Dense(CLASSES)(L.Concatenate()([L.Flatten(**first)(x), pooled])))


NETWORKS = (residual, shapes, several, volume, signal, channels_first)

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


def drawn(model: Any) -> Any:
    """The model with numbers that keep the size of what passes through it."""
    generator = np.random.default_rng(0)
    for weight in model.weights:
        low, high = (0.5, 1.5) if "gamma" in weight.name or "variance" in weight.name else (-1.0, 1.0)
        size = (3 / max(1, np.prod(weight.shape[:-1]))) ** 0.5 if "kernel" in weight.name else 1.0
        if weight.dtype == "float32":
            weight.assign((generator.uniform(low, high, weight.shape) * size).astype(np.float32))
    return model


def packed(path: Path) -> None:
    """The file under another name, compressed."""
    path.with_name(f"{path.name}.xz").write_bytes(lzma.compress(path.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
    path.unlink()


def mobilenets(folder: Path) -> None:
    """Write each MobileNet as .keras, .h5 and .weights.h5, packed, beside Keras' answers to two images."""
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
            packed(path)
    _write(folder, {"keras": keras.__version__, "answers": answers})


def networks(folder: Path) -> None:
    """Write each network as .keras and .h5, packed, beside Keras' answers to one example by the outputs' names."""
    answers = {}
    for build in NETWORKS:
        keras.backend.clear_session()
        model = drawn(build())
        size, middle = (64.0, 128.0) if any(layer.name == "rescaling" for layer in model.layers) else (1.0, 0.0)
        examples = [
            (np.random.default_rng(1).normal(size=(1, *one.shape[1:])) * size + middle).astype(np.float32)
            for one in model.inputs
        ]
        found = model.predict(examples, verbose=0)
        several = found.values() if isinstance(found, dict) else found if isinstance(found, list) else [found]
        names = list(found) if isinstance(found, dict) else range(len(several))
        answers[build.__name__] = {
            str(name): np.round(one.astype(np.float64), 7).tolist() for name, one in zip(names, several, strict=True)
        }
        for suffix in (".keras", ".h5"):
            path = folder / f"{build.__name__}{suffix}"
            model.save(path)
            packed(path)
    _write(folder, {"keras": keras.__version__, "answers": answers})


def _write(folder: Path, found: dict[str, Any]) -> None:
    (folder / "answers.json").write_text(f"{json.dumps(found)}\n", encoding="utf-8")


if __name__ == "__main__":
    mobilenets(Path(sys.argv[1]))
    networks(Path(sys.argv[1]) / "networks")
