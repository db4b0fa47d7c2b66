"""The YAML file of a grid, as a mapping of keys to values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yaml import MappingNode

from edgekit.errors import UsageError, first_line
from edgekit.network.names import OWN_FILES
from edgekit.sweeps.axes import AXES
from edgekit.sweeps.origin import Origin
from edgekit.util import yaml_text

LARGEST = 1_000_000  # bytes of YAML
OTHER_NAMES = {f"{name}s": name for name in AXES if not name.endswith("s")}  # an axis by the plural of its name


def read(path: Path, paths: Sequence[str]) -> tuple[dict[str, Any], Origin]:
    """Return the keys of a YAML file with their lines, `paths`, weights and files of networks from where it stands.

    Raises UsageError for a file that is missing, too large, no YAML or no mapping.
    """
    example = "write a mapping, as in model: mobilenet"
    if not path.is_file():
        raise UsageError(f"the grid {path} does not exist", "give a network, or a YAML file")
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"the grid {path} has {path.stat().st_size:,} bytes", "a grid names values, not cells")
        text = path.read_text(encoding="utf-8")
        values = yaml_text.values(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"the grid {path} cannot be read: {first_line(error)[:200]}", "correct the YAML") from error
    if not isinstance(values, Mapping):
        raise UsageError(f"the grid {path} is no mapping of keys to values", example)
    found, lines = {str(key): value for key, value in values.items()}, _lines(text)
    for other, name in OTHER_NAMES.items():
        if other in found and name not in found:
            found[name], lines[name] = found.pop(other), lines.pop(other, 0)
    for key in ("eval", "out", *paths):
        if isinstance(found.get(key), str):
            found[key] = path.parent / Path(found[key]).expanduser()
    source = found.get("weights")
    if isinstance(source, str) and source.partition(":")[0] not in ("random", "pretrained"):
        found["weights"] = str(path.parent / Path(source).expanduser())
    for axes in (found, *_entries(found, "include"), *_entries(found, "exclude")):
        model = axes.get("model")
        if model is not None:
            several = [_from(path.parent, one) for one in (model if isinstance(model, list) else [model])]
            axes["model"] = several if isinstance(model, list) else several[0]
    return found, Origin(path, lines)


def _lines(text: str) -> dict[str, int]:
    """The line of each key."""
    root = yaml_text.root(text)
    return {key: line for key, (line, _) in yaml_text.pairs(root).items()} if isinstance(root, MappingNode) else {}


def _entries(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The mappings in a list of combinations; what is none of them is refused by who reads it."""
    entries = found.get(key)
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _from(folder: Path, model: Any) -> Any:
    """A network's file, or the Python file that builds it, from a folder; other names as they are."""
    if not isinstance(model, str) or not model.partition(":")[0].endswith(OWN_FILES):
        return model
    return str(folder / Path(model).expanduser())
