"""Opens archives of torch.export (.pt2), each looked at before torch opens it, because torch would run code of it.

torch unpickles parts of an archive, looks every operator up by its name from `torch` on, evaluates the sizes that are
left free as Python, and writes the names of tensors into the source of a function. So that a stranger's archive is data
and no program, pickles must hold tensors alone, operators be of ATen, and names be names.
"""

from __future__ import annotations

import io
import json
import logging
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.export

if TYPE_CHECKING:  # Python 3.8 cannot subscript it at run time
    from collections.abc import Callable

GRAPH, OLD_GRAPH = "models/model.json", "serialized_exported_program.json"  # since torch 2.8, and before
WEIGHTS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
PICKLES = ("data/sample_inputs/model.pt", "data/weights/model.pt", "data/constants/model.pt")
OLD_PICKLES = ("serialized_state_dict.pt", "serialized_constants.pt", "serialized_example_inputs.pt")
_BESIDE = "extra/"
LARGEST_GRAPH = 1 << 27  # bytes of JSON
SHARED = 64  # how often the same bytes may be a tensor

_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|torchvision)\._?[a-z]\w*\.[A-Za-z]\w*"
    r"|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast|cond|while_loop|scan|map_impl)"
    r"|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|torch\.sym_(max|min|int|float|ite|not|sum)"
    r"|math\.(ceil|floor|trunc)"
)
_SYMBOL = r"Symbol\('[su]\d{1,9}'(?:, (?:positive|nonnegative|integer)=True)*\)"
_FUNCTION = r"(?:Add|Mul|Integer|Max|Min|Mod|FloorDiv|CleanDiv|PythonMod|CeilToInt)\("  # no power: it has no end
_FREE_SIZE = re.compile(rf"(?:{_SYMBOL}|{_FUNCTION}|[su]?\d{{1,18}}|[ ,()-])*")
# What sizes must be to one another: comparisons of sums and products of sizes and numbers; no power, which has no end.
_GUARD = re.compile(
    r"(?:L\['\w{1,99}'\](?:\[(?:\d{1,4}|'\w{1,99}')\])*\.size\(\)\[\d{1,2}\]|\b\d{1,18}\b|\b(?:and|or|not)\b"
    r"|[ ()+%<>-]|[=!<>]=|//?|\*(?!\*))*",
    re.ASCII,
)
_NAME = re.compile(r"([A-Za-z_]\w*)?", re.ASCII)
_PLAIN = re.compile(r"[\w.+:/ -]*", re.ASCII)
_PAYLOAD = re.compile(r"(weight|tensor)_\d{1,9}", re.ASCII)
_TREES = (None, "builtins.tuple", "builtins.list", "builtins.dict")
_OWN = "names"  # the file beside the graph in which edgekit has the names of inputs and outputs


class Refused(ValueError):
    """An archive that would run code."""


class Archive(NamedTuple):
    """A program, the names that edgekit gave its two sides, and the release of torch that wrote it ("" unless told)."""

    program: torch.export.ExportedProgram
    names: dict[str, list[str]]
    release: str


def load(path: Path) -> Archive:
    """Return what an archive holds, of which nothing has run.

    Raises ValueError for a file that is none, is made to run code, or is of another release of torch.
    """
    told, beside = check(path), {_OWN: ""}
    release = str(told.get("torch_version", ""))
    wrote = f"torch {release or 'of another release'}"
    try:
        program = _opened(path, beside)
        return Archive(program, json.loads(beside[_OWN] or "{}"), release)
    except Exception as error:  # torch has many kinds of errors of its own
        raise ValueError(
            f"{path.name}, written by {wrote}, cannot be read by torch {torch.__version__}: {_line(error)}"
        ) from error


def _opened(path: Path, beside: dict[str, str]) -> torch.export.ExportedProgram:
    """Return torch's program. What torch only logs, and points to in another error, is raised in its place."""
    logged: list[BaseException] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            logged.append(record.exc_info[1])
        return not record.exc_info

    log = logging.getLogger("torch.export")
    log.addFilter(keep)
    try:
        return torch.export.load(path, extra_files=beside)
    except Exception as error:
        raise (logged[-1] if logged else error) from error
    finally:
        log.removeFilter(keep)


def check(path: Path) -> dict[str, Any]:
    """Return an archive's graph. Raises ValueError for one that is more than a graph and tensors, or is none."""
    try:
        parts, read = _parts(path)
        graph = GRAPH if GRAPH in parts else OLD_GRAPH
        others = [name for name in parts if name.startswith("models/") and name != GRAPH]
        if graph not in parts or others:
            raise ValueError("it holds {}".format(", ".join(others[:3]) or "no graph"))
        for name in (*PICKLES, *OLD_PICKLES):
            if name in parts:
                _check_pickle(path, name, read(name))
        for name in WEIGHTS:
            if name in parts:
                _check_tensors(path, _json(read(name)))
        found: dict[str, Any] = _json(read(graph))
        _check_graph(path, found, ())
        assert found["graph_module"]["graph"]["nodes"]
        return found
    except Refused:
        raise
    except Exception as error:  # zip, JSON and torch raise many kinds for bytes that are not their own
        raise ValueError(f"{path} cannot be read as an archive of torch.export: {_line(error)}") from error


def beside(path: Path, name: str) -> str:
    """Return a text that lies beside the graph; empty where there is none. Raises ValueError for no archive."""
    try:
        parts, read = _parts(path)
        return read(_BESIDE + name).decode() if _BESIDE + name in parts else ""
    except Exception as error:  # as above
        raise ValueError(f"{path} cannot be read as an archive of torch.export: {_line(error)}") from error


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


def _parts(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    """The names of the parts, and what reads one: the same reader that torch takes for each kind of archive."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    names = [member.filename for member in members]
    if len(set(names)) < len(names) or any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("another program has packed it again")
    if OLD_GRAPH in names or "version" in names:
        return names, lambda name: _member(path, name)
    reader = torch._C.PyTorchFileReader(str(path))
    return reader.get_all_records(), reader.get_record


def _member(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _refused(path: Path, why: str) -> Refused:
    return Refused(f"{path.name} {why}: refused")


def _check_pickle(path: Path, name: str, data: bytes) -> None:
    """What torch unpickles in any case, it must be able to without running anything."""
    try:
        if data:
            torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise _refused(path, f"holds more than tensors in {name} and would run code when opened") from error


def _json(data: bytes) -> Any:
    if len(data) > LARGEST_GRAPH:
        raise ValueError(f"its graph is larger than {LARGEST_GRAPH >> 20} MiB")
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("its graph is nested too deep") from error


def _check_tensors(path: Path, found: Any) -> None:
    """Each tensor must lie in the archive as plain bytes, and not be more than these."""
    total = 0
    for name, entry in found["config"].items():
        if entry["use_pickle"] is not False or not _PAYLOAD.fullmatch(entry["path_name"]):
            raise _refused(path, f"holds '{name[:80]}' as a pickle, which would run code when opened")
        if not _PLAIN.fullmatch(name):
            raise _refused(path, f"has a tensor called {name[:80]!r}")
        total += math.prod(int(size["as_int"]) for size in entry["tensor_meta"]["sizes"])
    if total > SHARED * path.stat().st_size:
        raise _refused(path, f"says that it holds {total:,} numbers, and has {path.stat().st_size:,} bytes")


def _check_graph(path: Path, value: Any, keys: tuple[str, ...]) -> None:
    """Every text of a graph must be what its place is for."""
    if isinstance(value, dict):
        for key, one in value.items():
            if not _PLAIN.fullmatch(key):
                raise _refused(path, f"has a part called {key[:80]!r}")
            _check_graph(path, one, (*keys, key))
    elif isinstance(value, list):
        for one in value:
            _check_graph(path, one, keys)
    elif isinstance(value, str) and not _is_meant(value, keys):
        raise _refused(path, f"has {value[:80]!r} as {keys[-1] if keys else 'its graph'}, which would run as code")


def _is_meant(text: str, keys: tuple[str, ...]) -> bool:
    key, around = keys[-1] if keys else "", keys[-2] if len(keys) > 1 else ""
    if key in ("target", "as_operator"):
        return _OPERATORS.fullmatch(text) is not None
    if key == "expr_str":
        return len(text) < 1000 and _FREE_SIZE.fullmatch(text) is not None
    if key == "guards_code":
        return len(text) < 1000 and _GUARD.fullmatch(text) is not None
    if key in ("in_spec", "out_spec"):
        hidden = "__" in text or "\\u" in text  # what torch takes there for the name of a class to import
        return not text or (not hidden and all(kind in _TREES for kind in _kinds(json.loads(text))))
    if key in ("name", "as_name", "forward_arg_names"):
        return _NAME.fullmatch(text) is not None
    if key in ("as_string", "as_strings"):
        return True  # torch quotes it
    return around == "metadata" or _PLAIN.fullmatch(text) is not None  # where a call stands in its source


def _kinds(tree: Any) -> Iterator[Any]:
    """What each level of the nested tuples is that a forward() takes or gives."""
    if isinstance(tree, dict):
        yield tree.get("type")
        for one in tree.values():
            yield from _kinds(one)
    elif isinstance(tree, list):
        for one in tree:
            yield from _kinds(one)
