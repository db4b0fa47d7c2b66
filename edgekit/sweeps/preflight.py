"""What would fail in every cell of a grid, told before the first step. Each of these raises UsageError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.device.registry import DeviceList
from edgekit.errors import UsageError
from edgekit.network.names import is_own_name
from edgekit.records.formats import FORMATS
from edgekit.records.preprocessing_file import Reader, reader
from edgekit.sweeps.grid.axes import Point
from edgekit.sweeps.grid.fields import Grid
from edgekit.sweeps.weights import NAMED

if TYPE_CHECKING:
    from edgekit.network.spec import Variant


def check_files(grid: Grid, known: DeviceList) -> None:
    """See that the files which a grid names are there, and that its engines are built where they run."""
    is_built = any(FORMATS[one].is_built for one in grid.export.format)
    far = next((name for name in grid.devices if is_built and not known[name].is_local), None)
    if far is not None:
        raise UsageError(
            f"an engine runs where it was built, and a sweep makes each file once, not for {far}",
            "leave tensorrt out, and build with `edgekit export --format tensorrt --device`",
        )
    named = [("--preprocess", grid.export.preprocess), ("--labels", grid.export.labels)]
    for option, path in [*named, *(("--preprocess", own.get("preprocess")) for _, own in grid.own)]:
        if isinstance(path, str | Path) and not Path(path).is_file():
            raise UsageError(f"{path} does not exist", f"give a file with {option}")
    for weights in dict.fromkeys(grid.of(model).weights for model in grid.model):
        if weights.partition(":")[0] not in NAMED and not Path(weights).expanduser().exists():
            raise UsageError(f"the weights {weights} do not exist", "check the path, or say --weights random")


def refuse_for_random(grid: Grid) -> None:
    """Refuse what random weights do not heed; a user's own function brings weights."""
    random = [grid.of(model) for model in grid.model if not is_own_name(model)]
    random = [one for one in random if one.weights.startswith("random")]
    if not random or grid.random_where_missing:
        return
    preprocess = next((one.export.preprocess for one in random if one.export.preprocess is not None), None)
    for option, value in {"--data": grid.export.data, "--preprocess": preprocess}.items():
        if value is not None:
            raise UsageError(
                f"{option} means nothing for random weights",
                "give --weights, or --synthetic-calibration for int8 where only latency matters",
            )


def refuse_same_images(grid: Grid) -> None:
    """Refuse to calibrate int8 on the images that evaluate it, before files are made of them."""
    data, images = grid.export.data, grid.eval
    if data is None or images is None or not grid.export.has_int8 or grid.export.synthetic_calibration:
        return
    if Path(data).resolve() == images.resolve():
        raise UsageError(
            f"{images} is given to --data and to --eval: accuracy on images of the calibration would flatter int8",
            "give other images to one of them; some 100 for --data",
        )


def check_images(grid: Grid, variants: Sequence[tuple[str, Variant]]) -> None:
    """See that networks, each with its variant, take the images that are prepared as the grid says for them.

    A file that says it is read once.
    """
    from edgekit.exporting.images import check_fits, said_for

    read: dict[str, Reader] = {}
    for model, variant in variants:
        said = grid.of(model).export.preprocess
        if said is None:
            continue
        with grid.origin.at("model" if "preprocess" in dict(grid.own).get(model, {}) else "preprocess"):
            name = str(said)
            read[name] = read.get(name) or reader(said)
            check_fits(said, said_for(read[name], variant), variant)


def refuse_namesakes(names: Mapping[Point, str]) -> None:
    """Refuse two networks that would write files of the same names."""
    models: dict[str, str] = {}
    for point, name in names.items():
        other = models.setdefault(name, point.model)
        if other != point.model:
            raise UsageError(
                f"{other} and {point.model} are both called {name}: one's files would replace the other's",
                "put them into files of different names",
            )
