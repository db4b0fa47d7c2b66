"""The YAML file of a grid: its keys with their values and lines, so that what is wrong is told where it stands."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yaml import MappingNode

from edgekit.errors import UsageError, closest, first_line, nearest
from edgekit.exporting.options import flag
from edgekit.network.names import OWN_FILES
from edgekit.sweeps.grid.axes import AXES
from edgekit.sweeps.weights import NAMED, OWN
from edgekit.util import yaml_text

if TYPE_CHECKING:
    from pydantic import ValidationError

LARGEST = 1_000_000  # bytes of YAML
OTHER_NAMES = {f"{name}s": name for name in AXES if not name.endswith("s")}  # an axis by the plural of its name
# Options of `edgekit sweep` that say how it runs, not what it makes: they are no keys of a file.
TYPED = (
    *("store", "jobs", "continue", "retry", "dry_run", "yes", "json"),
    *("engine", "scheduler", "tls_ca", "tls_cert", "tls_key", "insecure"),
)
# What a key is sometimes called.
MEANT = {
    **dict.fromkeys(("resolution", "resolutions", "imgsz", "size"), "res"),
    **dict.fromkeys(("network", "networks", "name", "names"), "model"),
    **dict.fromkeys(("calibration", "images", "calibrate"), "data"),
    **dict.fromkeys(("dataset", "evaluate", "evaluation"), "eval"),
    **dict.fromkeys(("width", "widths", "multiplier"), "alpha"),
    "quantization": "precision",
}
_SHORT = reprlib.Repr()  # aliases can make a short text a value without end
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 60, 60


@dataclass(frozen=True)
class Origin:
    """The file of a grid, and the lines of the keys that count there; without a file all keys were typed."""

    file: Path | None = None
    lines: Mapping[str, int] = field(default_factory=dict, hash=False)

    def of(self, key: str) -> str:
        """Return `" in grid.yaml, line 3"`, as far as that is known of a key."""
        if self.file is None or (self.lines and key not in self.lines):
            return ""
        return f" in {self.file}, line {self.lines[key]}" if key in self.lines else f" in {self.file}"

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise a UsageError of the block with options of the command line as the keys of the file that they are."""
        try:
            yield
        except UsageError as error:
            if not self.lines:
                raise
            message, remedy = self._in_its_words(error.message, True), self._in_its_words(error.remedy, False)
            raise UsageError(message, remedy) from error

    def _in_its_words(self, text: str, with_line: bool) -> str:
        def word(found: re.Match[str]) -> str:
            key = found[1].replace("-", "_")
            if key not in self.lines:
                return found[0]
            return f"'{key}'{self.of(key)}" if with_line else f"'{key}'"

        if not with_line:
            text = re.sub(r"(?<=add |say )--([a-z][a-z0-9-]*) ([\w.]+)", _pair(self.lines), text)
        return re.sub(r"--([a-z][a-z0-9-]*)", word, text)

    @contextmanager
    def at(self, key: str) -> Iterator[None]:
        """Raise a UsageError about the values of a key with its place in the file before it."""
        try:
            yield
        except UsageError as error:
            place = self.of(key)
            raise UsageError(f"'{key}'{place}: {error.message}" if place else error.message, error.remedy) from error


def _pair(keys: Mapping[str, int]) -> Callable[[re.Match[str]], str]:
    """Write an option and its value as a key and its value, where the file has that key."""
    return lambda found: (
        f"'{found[1].replace('-', '_')}: {found[2]}'" if found[1].replace("-", "_") in keys else found[0]
    )


def refuse_unknown(keys: Sequence[str], known: Sequence[str], origin: Origin) -> None:
    """Raise UsageError for the first key that a grid does not have, with a guess of what was meant."""
    unknown = next((key for key in keys if key not in known), None)
    if unknown is None:
        return
    where, word = origin.of(unknown), unknown.lower().replace("-", "_")
    guess = MEANT.get(word) or closest(word, (*known, *TYPED))
    if guess in TYPED:
        raise UsageError(
            f"'{unknown}'{where} is no key of a grid: it is told on the command line",
            f"take it out, and say {flag(guess)}" + (", or set $EDGEKIT_STORE" if guess == "store" else ""),
        )
    hint = f"; did you mean '{guess}'?" if guess else ""
    raise UsageError(f"unknown key '{unknown}'{where}{hint}", f"the keys are: {', '.join(known)}")


def invalid(error: ValidationError, origin: Origin) -> UsageError:
    """Return the first thing that pydantic finds wrong in a grid as an error that names its key and line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not str(part).endswith("]"))
    key = where.partition(".")[0]
    if first["type"] == "missing":
        place = f" in {origin.file}" if origin.file else ""
        return UsageError(f"there is no '{where}'{place}", "name a network, as in model: mobilenet")
    return UsageError(
        f"'{where}'{origin.of(key)}: {first['msg'].lower()}, not {_SHORT.repr(first['input'])}",
        "write, say, input: [1, 3, 224, 224]" if key == "input" else "correct the value",
    )


def read(path: Path, paths: Sequence[str]) -> tuple[dict[str, Any], Origin]:
    """Return the keys of a YAML file with their lines, `paths`, weights and files of networks from where it stands.

    Raises UsageError for a file that is missing, too large, no YAML or no mapping.
    """
    text, values = _parsed(path)
    found, lines = {str(key): value for key, value in values.items()}, _lines(text)
    for other, name in OTHER_NAMES.items():
        if other in found and name not in found:
            found[name], lines[name] = found.pop(other), lines.pop(other, 0)
    _lead_from(path.parent, found, paths)
    return found, Origin(path, lines)


def _parsed(path: Path) -> tuple[str, Mapping[Any, Any]]:
    """The text of a grid, and its keys with their values."""
    if not path.is_file():
        hint = nearest(path.name, sorted(one.name for one in path.parent.glob("*.y*ml")))
        raise UsageError(f"the grid {path} does not exist{hint}", "give a network, or a YAML file")
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"the grid {path} has {path.stat().st_size:,} bytes", "a grid names values, not cells")
        text = path.read_text(encoding="utf-8")
        values = yaml_text.values(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"the grid {path} cannot be read: {first_line(error)[:200]}", "correct the YAML") from error
    if not isinstance(values, Mapping):
        raise UsageError(f"the grid {path} is no mapping of keys to values", "write a mapping, as in model: mobilenet")
    return text, values


def _lead_from(folder: Path, found: dict[str, Any], paths: Sequence[str]) -> None:
    """Let the paths of a grid, its weights and the files of its networks lead from the grid's folder."""
    for key in ("eval", "out", *paths):
        if isinstance(found.get(key), str):
            found[key] = folder / Path(found[key]).expanduser()
    if isinstance(found.get("weights"), str):
        found["weights"] = _weights_from(folder, found["weights"])
    for axes in (found, *_entries(found, "include"), *_entries(found, "exclude")):
        model = axes.get("model")
        if model is not None:
            several = [_from(folder, one) for one in (model if isinstance(model, list) else [model])]
            axes["model"] = several if isinstance(model, list) else several[0]


def _weights_from(folder: Path, weights: str) -> str:
    """A file or a folder of weights from the grid's folder; what is no path as it is."""
    is_path = weights.partition(":")[0] not in (*NAMED, OWN)
    return str(folder / Path(weights).expanduser()) if is_path else weights


def _lines(text: str) -> dict[str, int]:
    """The line of each key."""
    root = yaml_text.root(text)
    return {key: line for key, (line, _) in yaml_text.pairs(root).items()} if isinstance(root, MappingNode) else {}


def _entries(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The mappings in a list of combinations; what is none of them is refused by who reads it."""
    entries = found.get(key)
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _from(folder: Path, model: Any) -> Any:
    """A network's file or Python file, and the files it has of its own, from a folder; other names as they are."""
    if isinstance(model, Mapping):
        leads: dict[str, Callable[[Path, str], Any]] = {
            "model": _from,
            "weights": _weights_from,
            "preprocess": lambda folder, said: folder / Path(said).expanduser(),
        }
        led = {key: lead(folder, model[key]) for key, lead in leads.items() if isinstance(model.get(key), str)}
        return {**model, **led}
    if not isinstance(model, str) or not model.partition(":")[0].endswith(OWN_FILES):
        return model
    return str(folder / Path(model).expanduser())
