"""Which weights a variant of a sweep gets: the same for all, or the file of a folder whose name tells the variant.

A name is the network's, then alpha, then the resolution; anything may follow: `mobilenet_0.5_160.safetensors`, Google's
`mobilenet_v1_0_5_160_quant.tflite` (0_5 is 0.5), Keras' `mobilenet_5_0_160_tf.h5` (5_0 is 0.5). A name without a
resolution serves every resolution. Of two files, int8 takes the one that was trained for it (`quant` or `uint8` in its
name), and other precisions take the other. What a name promises is checked when the file is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgekit.checkpoints.file import suffix_of
from edgekit.errors import UsageError
from edgekit.util.files import known_sha256

NAMED = ("random", "pretrained")  # weights that are no path
OWN = "own"  # said of a user's network in a grid: the weights that it brings, where others have a folder
_QUANTIZED = re.compile(r"quant|uint8|int8", re.IGNORECASE)  # in the name of weights that were trained for integers
_POINT = re.compile(r"(?:_v1)?(?:_(?P<alpha>\d[._]\d+|1))?(?:_(?P<res>\d{2,4}))?(?:-(?!v\d).*|[_.](?!v\d)\D.*)?")


@dataclass(frozen=True)
class Source:
    """What `export` is given as weights; `sha256` is of a file, None for what has none."""

    weights: str
    sha256: str | None
    random: bool

    @property
    def identity(self) -> str:
        """What tells these weights from others."""
        return self.sha256 or self.weights


def source(
    weights: str, model: str, alpha: float | None, res: int | None, precision: str, random_where_missing: bool
) -> Source:
    """Return the weights of one variant in one precision. Raises UsageError where there are none."""
    if weights.partition(":")[0] in NAMED:
        return Source(weights, None, weights.startswith("random"))
    path = Path(weights).expanduser()
    if not path.is_dir():
        if not path.is_file():
            raise UsageError(f"the weights {path} do not exist", "check the path, or say --weights random")
        return Source(str(path), known_sha256(path), False)
    found = in_folder(path, model, alpha, res, precision)
    if found is not None:
        return Source(str(found), known_sha256(found), False)
    if random_where_missing:
        return Source("random", None, True)
    raise UsageError(
        f"{path} has no weights of {named(model, alpha, res)}",
        f"add a file named so, such as {model}.safetensors, or --random-where-missing for its latency alone",
    )


def named(model: str, alpha: float | None, res: int | None) -> str:
    """Return what a variant is called, as far as it is known."""
    width = [] if alpha is None else ["1.0" if alpha == 1 else f"{alpha:g}"]
    return "_".join([model, *width, *([] if res is None else [str(res)])])


def in_folder(folder: Path, model: str, alpha: float | None, res: int | None, precision: str) -> Path | None:
    """The file of a variant: one that names its resolution before one that does not, then the one for its precision."""
    fitting = []
    for path in sorted(folder.iterdir()):
        told = told_by(path.name, model)
        if told is None:
            continue
        its_alpha, its_res = told
        if its_alpha in (alpha, None) and its_res in (res, None):
            unfit = bool(_QUANTIZED.search(path.name)) != (precision == "int8")
            rank = (its_res is None, its_alpha is None, unfit, path.name)
            fitting.append((rank, path))
    return min(fitting)[1] if fitting else None


def told_by(name: str, model: str) -> tuple[float | None, int | None] | None:
    """(alpha, resolution) as a file's name tells them; None for a file of something else."""
    suffix = suffix_of(name)
    if not name.startswith(model) or not suffix:
        return None
    stem = name.removeprefix(model).removesuffix(name[-len(suffix) :])
    match = _POINT.fullmatch(stem)
    if match is None:
        return None
    alpha = float(match["alpha"].replace("_", ".")) if match["alpha"] else None
    if alpha is not None and alpha > 1:
        alpha /= 10  # as Keras writes it
    return alpha, int(match["res"]) if match["res"] else None
