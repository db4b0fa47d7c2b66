"""A Keras file -> a Source: looked into, its input shapes settled, its network built when it is asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgekit.checkpoints.keras import stored
from edgekit.checkpoints.keras.config import KerasModel, Ref, Size, flat
from edgekit.errors import UsageError
from edgekit.importers.held import as_torch
from edgekit.importers.keras.network import KerasNetwork
from edgekit.importers.keras.plan import count
from edgekit.importers.keras.table import operator
from edgekit.importers.source import Given, Shape, Source, given_by_name, settled
from edgekit.records.artifact import content_of
from edgekit.records.manifest import SourceRecord
from edgekit.records.preprocessing import TENSORFLOW, Preprocessing

_PIXELS = TENSORFLOW.model_copy(update={"mean": (0.0,) * 3, "std": (1.0,) * 3})
MOST_CALLS = 50_000
_SCALES = ("Rescaling", "Normalization")


def open_source(path: Path, given: Given) -> Source:
    """Look into a file; `given` are shapes of its inputs as torch has them, by name or in order. Raises UsageError."""
    whole = stored.read(path, path.stat().st_size)
    if whole is None:
        raise UsageError(
            f"{path.name} holds weights alone, and no configuration that says what they are for",
            "save the whole model with Keras: model.save('FILE.keras')",
        )
    _refuse_unknown(path, whole)
    names = _input_names(whole.model)
    shapes = _shapes(path, whole.model, names, given)
    network = KerasNetwork(path, whole, names)
    prepared, note = _prepared(whole.model, shapes)
    return Source(
        path=path,
        shapes=shapes,
        build=lambda: network,
        record=SourceRecord(
            file=path.name,
            format="keras",
            sha256=content_of(path).sha256,
            producer=f"keras {whole.version}".strip(),
        ),
        preprocessing=prepared,
        notes=note,
    )


def _refuse_unknown(path: Path, whole: stored.Whole) -> None:
    if not any(flat(whole.model.outputs)):
        raise UsageError(f"{path.name} has no outputs", "save it with Keras again")
    if (calls := count(whole.model)) > MOST_CALLS:
        raise UsageError(
            f"{path.name} calls {calls:,} layers, and edgekit reads at most {MOST_CALLS:,}", "give a smaller model"
        )
    kinds = [one for one in whole.layers if one.kind != "InputLayer"]
    counts = Counter(one.kind for one in kinds if operator(one.kind, one.config, one.is_operation) is None)
    if counts:
        told = ", ".join(f"{kind[:40]} ({count})" for kind, count in sorted(counts.items()))
        raise UsageError(
            f"{path.name} has layers that edgekit does not read: {told}",
            "make the model without them; docs/from-files.md says what is read",
        )


def _input_names(model: KerasModel) -> list[str]:
    return [ref.layer or "input" for ref in flat(model.inputs)]


def _shapes(path: Path, model: KerasModel, names: list[str], given: Given) -> dict[str, Shape]:
    """The shape of each input as torch has it: as given, else the file's own with a batch of 1."""
    wanted = given_by_name(path, names, given)
    return {
        name: _shape(path, model, name, size, dtype, wanted.get(name))
        for name, size, dtype in zip(names, model.sizes, model.dtypes, strict=True)
    }


def _shape(path: Path, model: KerasModel, name: str, size: Size | None, dtype: str, given: Shape | None) -> Shape:
    if "float" not in dtype:
        raise UsageError(
            f"input {name} of {path.name} takes {dtype}, and edgekit gives real numbers",
            "make a model whose inputs are float32",
        )
    own = ("?", *("?" if one is None else one for one in size[1:])) if size is not None else ()  # any batch will do
    return settled(path, name, own if model.channels_first else as_torch(own), given)


def _prepared(model: KerasModel, shapes: dict[str, Shape]) -> tuple[Preprocessing | None, tuple[str, ...]]:
    """How images are prepared, where the model tells: one that begins with a scale takes pixels from 0 to 255."""
    (shape, *more) = shapes.values()
    if more or len(shape) != 4 or shape[1] != 3:
        return None, ()
    (given,) = flat(model.inputs)
    if _scales(model, given):
        return _PIXELS, ()
    return TENSORFLOW, ("the file does not say how images are prepared: pixels / 127.5 - 1 is taken; see --preprocess",)


def _scales(model: KerasModel, given: Ref) -> bool:
    """Whether the first layer that is no augmentation scales what the model is given."""
    readers = [layer for layer in model.layers for call in layer.calls if given in call.refs]
    if len(readers) != 1:
        return False
    (reader,) = readers
    if reader.model is not None:
        return _scales(reader.model, next(flat(reader.model.inputs)))
    if reader.kind in _SCALES or (
        reader.is_operation and reader.kind in ("Divide", "TrueDivide", "Multiply", "Subtract")
    ):
        return True
    return reader.kind.startswith("Random") and _scales(model, Ref(reader.name))
