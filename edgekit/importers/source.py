"""What a reader of files gives: the network, and what stands in the file beside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from edgekit.errors import UsageError
from edgekit.frontend.imported import Imported
from edgekit.ir.quantized import OwnIntegers
from edgekit.records.manifest import SourceRecord, TensorRecord
from edgekit.records.preprocessing import Preprocessing
from edgekit.util.formatting import shape_text

Shape = tuple[int, ...]
Value = TypeVar("Value", bound=Hashable)  # a name or a number by which a file knows a tensor
REAL = ("float32", "float16", "bfloat16", "float64")  # types of inputs, read in float32
WHOLE = ("bool", "uint8", "int8", "int16", "int32", "int64")  # kept as they are
READ = (*REAL, *WHOLE)
Given = Sequence[Shape] | Mapping[str, Shape] | None  # shapes of inputs, in order or by name
# What an operator raises that cannot be computed as its file has it.
NOT_COMPUTED = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
LARGEST = 2**28  # elements of a tensor whose size is made of numbers in a file
QUANTIZED = (
    "the file is quantized: what is read are the real numbers that its integers stand for, without rounding; "
    "int8 files keep its scales, unless --ranges data asks for others"
)


@dataclass(frozen=True)
class Source:
    """A file that was looked into. `build` reads its weights, and gives the network in float32.

    `shapes` has the shape of each input, batch first. `precision` is what the file computes in: fp32, fp16 or int8.
    `ranges` maps a layer to the (low, high) that the file's own integers span there; empty for a file of real numbers.
    `integers` are the file's own scales and biases, which int8 files can keep.
    `takes` says how the file has its inputs, in its order, and `gives` its outputs, where torch has them otherwise.
    `whole` are the inputs that take whole numbers or truth values.
    """

    path: Path
    shapes: Mapping[str, Shape]
    build: Callable[[], Imported]
    record: SourceRecord
    precision: str = "fp32"
    preprocessing: Preprocessing | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    integers: OwnIntegers | None = None
    batch: int = 1  # for which the file was made; what is read takes one
    notes: tuple[str, ...] = ()
    takes: tuple[TensorRecord, ...] = ()
    gives: tuple[TensorRecord, ...] = ()
    whole: frozenset[str] = frozenset()


def check_type(path: Path, name: str, dtype: str) -> None:
    """Raise UsageError for an input of a type that no network here takes."""
    if dtype not in READ:
        raise UsageError(
            f"input {name} of {path.name} takes {dtype}", f"make a file whose inputs are one of: {', '.join(READ)}"
        )


def refuse_unknown(path: Path, kinds: Iterable[str], known: Collection[str]) -> None:
    """Raise UsageError for operators that no table has, by name and count."""
    counts = Counter(kind for kind in kinds if kind not in known)
    if counts:
        told = ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
        raise UsageError(
            f"{path.name} has operators that edgekit does not read: {told}",
            "export it without them; docs/from-files.md says what is read",
        )


def fixed_batch(shapes: Sequence[Sequence[int | str]]) -> int:
    """Return the batch of several that all maps and volumes of a file are fixed to; 1 where they are not.

    `shapes` are those of its inputs; sizes that are free are texts, or below 0.
    """
    found = {shape[0] for shape in shapes} if all(len(shape) in (4, 5) for shape in shapes) else set()
    (batch,) = found if len(found) == 1 else (1,)
    return batch if isinstance(batch, int) and batch > 1 else 1


def batch_notes(name: str, batch: int) -> tuple[str, ...]:
    """Return a note on a file of a fixed batch of several."""
    if batch == 1:
        return ()
    return (f"{name} is made for a batch of {batch}: it is read for one, and proved on {batch} alike",)


def _example(name: str, sizes: Sequence[int | str]) -> str:
    """An --input that closes the sizes of an input that are texts; for a map where none is known."""
    told = (size if isinstance(size, int) else 1 if axis == 0 else 224 for axis, size in enumerate(sizes))
    return f"--input {name}={','.join(map(str, told)) or '1,3,224,224'}"


def given_by_name(path: Path, names: Sequence[str], given: Given) -> dict[str, Shape]:
    """Return the given shapes by the names of a file's inputs. Raises UsageError for others, and for another number."""
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise UsageError(
                f"{path.name} has no input {unknown[0]}; it takes {', '.join(names)}", "write --input NAME=1,3,224,224"
            )
        return dict(given)
    if given is not None and len(given) != len(names):
        raise UsageError(
            f"{path.name} takes {len(names)} inputs ({', '.join(names)}), not {len(given)}",
            "give a shape for each, or --input NAME=1,3,224,224 for some",
        )
    return dict(zip(names, given or (), strict=False))


def settled(path: Path, name: str, own: Sequence[int | str], given: Shape | None) -> Shape:
    """Return the shape of an input as torch has it: as given, else the file's own with a batch of 1 where that is free.

    In `own` a size that is free is a text; it is empty where the file tells none. Raises UsageError for a given shape
    that is not of the file, for sizes that are left open, and for more elements than any network takes.
    """
    told = "x".join(str(size) or "?" for size in own)
    if given is not None:
        fits = len(given) == len(own) and all(isinstance(a, str) or a == b for a, b in zip(own, given, strict=True))
        if own and not fits:
            is_free = any(isinstance(size, str) for size in own[1:])
            raise UsageError(
                f"input {name} of {path.name} is {told}, not {shape_text(given)}",
                f"write {_example(name, own)}" if is_free else "leave --input out",
            )
        return given
    sizes = [1 if isinstance(size, str) and axis == 0 else size for axis, size in enumerate(own)]
    found = tuple(size for size in sizes if isinstance(size, int))
    if not own or len(found) < len(own):
        raise UsageError(
            f"input {name} of {path.name} leaves sizes open ({told or 'all of them'})",
            f"say how large it is to be, channels first: {_example(name, own)}",
        )
    if not 0 < math.prod(found) <= LARGEST:
        raise UsageError(f"input {name} of {path.name} is {told}", "give a file of a network")
    return found


def dead(steps: Sequence[tuple[Iterable[Value], Iterable[Value]]], kept: Collection[Value]) -> list[list[Value]]:
    """Return for each step, of which the values are given that it makes and reads, those that none reads after it.

    Without those that are `kept`, and without those that no step makes.
    """
    both = [(list(made), list(read)) for made, read in steps]
    last = {value: at for at, (made, read) in enumerate(both) for value in (*made, *read)}
    found: list[list[Value]] = [[] for _ in both]
    for value in (value for made, _ in both for value in made if value not in kept):
        found[last[value]].append(value)
    return found
