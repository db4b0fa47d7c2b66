"""How a verb's result shows itself where it is printed, in a notebook, and as a data frame: one way for all of them.

What is shown comes from the documented JSON: the first of its lists that `TABLES` names, in the columns named there.
"""

from __future__ import annotations

import html
import importlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from edgekit.errors import BackendMissing
from edgekit.keywords import in_python
from edgekit.util.formatting import UNKNOWN, escaped, percent

# A list of the JSON -> the columns of its short table; a dot leads into a mapping. What no row has is left out.
TABLES = {
    "answers": (
        *("setting", "chosen.artifact", "chosen.sha256", "chosen.top1", "chosen.median_ms", "chosen.bytes", "verdict"),
    ),
    "artifacts": ("path", "format", "precision", "bytes", "seconds", "parity.passed"),
    "measurements": ("artifact", "runtime", "threads", "batch", "median_ms", "ci95_ms", "peak_memory_bytes", "verdict"),
    "results": ("artifact", "n", "top1", "top1_ci95", "top5"),
    "others": ("artifact", "sha256", "top1", "median_ms", "bytes", "verdict", "status"),
    "cells": ("variant", "format", "precision", "device", "status", "measurement.median_ms", "accuracy.top1"),
    "records": ("kind", "id", "created", "variant", "precision", "device", "median_ms", "top1", "verdict"),
    "points": ("label", "family", "top1", "macs", "params", "ms.fp32"),
    "models": ("name", "family", "input_shape", "params", "macs"),
    "layers": ("name", "op", "output_shape", "params", "macs"),
    "weights": ("name", "model", "alpha", "resolution", "path"),
    "pulled": ("name", "model", "alpha", "resolution", "path"),
    "devices": ("name", "link", "runtimes"),
    "packages": ("package", "purpose", "version"),
    "rows": ("artifact", "name", "new", "bytes", "n", "top1", "median_ms", "base_ms", "new_ms", "ratio", "verdict"),
    "checks": ("gate", "name", "verdict", "reason"),
}
LEAD = ("verdict", "reason")  # what stands above the table
WRITTEN = ("paths", "report")  # files that were written
INTERVALS = ("_ci95", "ci95_ms")  # ends of the names of intervals: [low, high]
PARTS = ("artifact", "format", "precision")  # of a failure: what failed
MOST = 20  # rows in a short table
OWN_FAMILY = "own"  # of a user's networks beside the zoo's


@dataclass(frozen=True)
class Shown:
    """A table with lines above and below it, of texts without control characters; or `code`, as it stands."""

    above: Sequence[str] = ()
    heads: Sequence[str] = ()
    lines: Sequence[Sequence[str]] = ()
    below: Sequence[str] = ()
    code: str | None = None

    def as_text(self) -> str:
        """Aligned columns."""
        if self.code is not None:
            return self.code
        widths = [max(map(len, column)) for column in zip(self.heads, *self.lines, strict=True)]
        padded = (map(str.ljust, line, widths) for line in (self.heads, *self.lines))
        return "\n".join(line.rstrip() for line in (*self.above, *map("  ".join, padded), *self.below))

    def as_html(self) -> str:
        """Return a table for a notebook."""
        if self.code is not None:
            return f"<pre>{html.escape(self.code)}</pre>"
        head = _cells("th", self.heads)
        body = "".join(f"<tr>{_cells('td', line)}</tr>" for line in self.lines)
        above, below = ("".join(f"<p>{html.escape(one)}</p>" for one in some) for some in (self.above, self.below))
        return f"{above}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def _cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(f"<{tag}>{html.escape(one)}</{tag}>" for one in texts)


class Tabled:
    """A result with `to_json`: it prints as a short table, has one in notebooks, and becomes a data frame."""

    def to_json(self) -> dict[str, Any]:
        """Return the result under its documented keys."""
        raise NotImplementedError

    def shown(self) -> list[Shown]:
        """Return what stands where it is printed: a short table."""
        return [short(self.to_json())]

    def __repr__(self) -> str:
        return "\n\n".join(one.as_text() for one in self.shown())

    def _repr_html_(self) -> str:
        return "".join(one.as_html() for one in self.shown())

    def to_pandas(self) -> Any:
        """All rows with all their values as a pandas.DataFrame; raises BackendMissing where pandas is not installed."""
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise BackendMissing(f"a data frame needs pandas ({error})", "pip install pandas") from error
        return pandas.DataFrame([_flat(row) for row in self.table_rows()])

    def table_rows(self) -> list[dict[str, Any]]:
        """Return the rows of the data frame: those of the list that the result is about, or the result itself."""
        document = self.to_json()
        return _rows(document)[1] or [document]


T = TypeVar("T", bound=Tabled)


@dataclass(frozen=True, repr=False)
class Several(Tabled, Generic[T]):
    """What a verb gives for several names, in their order. `key`: the list of the JSON; `of`: what tells them apart."""

    key: ClassVar[str]
    of: ClassVar[str]
    results: tuple[T, ...]

    def to_json(self) -> dict[str, Any]:
        """{key: [...]}: of each what it gives alone."""
        return {self.key: [one.to_json() for one in self.results]}

    def shown(self) -> list[Shown]:
        """Return the tables of one after the other."""
        return list(itertools.chain.from_iterable(one.shown() for one in self.results))

    def table_rows(self) -> list[dict[str, Any]]:
        """Return the rows of each, with which it is of."""
        return [{self.of: one.to_json()[self.of], **row} for one in self.results for row in one.table_rows()]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[T]:
        return iter(self.results)

    def __getitem__(self, place: int) -> T:
        return self.results[place]


def _rows(document: Mapping[str, Any]) -> tuple[str | None, list[dict[str, Any]]]:
    """The name of the list that a document is about, and its rows."""
    for name in TABLES:
        found = document.get(name)
        if isinstance(found, list) and (found or document.get("chosen")):
            return name, [*([document["chosen"]] if document.get("chosen") else []), *found]
    return None, []


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with each interval in two columns and each mapping in one for each key, as a report's CSV has it."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith(INTERVALS):
            found[f"{name}_low"], found[f"{name}_high"] = value or (None, None)
        elif isinstance(value, Mapping):
            found |= {f"{name}_{key}": one for key, one in _flat(value).items()}
        else:
            found[name] = value
    return found


def short(document: Mapping[str, Any]) -> Shown:
    """Return the table of a document, or its facts where it has no rows."""
    name, rows = _rows(document)
    if name is None:
        plain = {key: one for key, one in document.items() if key not in WRITTEN and not isinstance(one, (dict, list))}
        facts = [[key, _text(key, value)] for key, value in plain.items()]
        return Shown((), ("what", "value"), facts, _told(document))
    columns = [one for one in TABLES[name] if any(_value(row, one) is not None for row in rows)]
    first = sorted(rows, key=lambda row: row.get("family") != OWN_FAMILY)[:MOST]  # a user's own lead
    lines = [[_text(one, _value(row, one)) for one in columns] for row in first]
    told = ": ".join(str(document[key]) for key in LEAD if document.get(key))
    chosen = document.get("chosen")
    above = [told] * bool(told) + [f"   fix: {document.get('remedy')}"] * bool(document.get("remedy"))
    above += likely(document)
    if chosen:
        above.append("  ".join(filter(None, (chosen.get("path") or chosen["artifact"], chosen.get("sha256")))))
        above += [f"   {chosen['loss']['told']}"] if chosen.get("loss") else []
    more = (
        [f"... {len(rows) - MOST} more of {len(rows)}; to_pandas() and to_json() have all"] if len(rows) > MOST else []
    )
    heads = [one.rpartition(".")[2] for one in columns]
    return Shown([escaped(in_python(one)) for one in above], heads, lines, more + _told(document))


def _told(document: Mapping[str, Any]) -> list[str]:
    """Lines below the table: what failed and how to mend it, limits that do not hold, notes, and what was written."""
    failed = [(one, one["reason"], one["remedy"]) for one in document.get("failed") or ()]
    for one in document.get("measurements") or ():
        failed += [(one, error["message"], error["remedy"]) for error in (one.get("error"),) if error]
    unanswered = [one for one in document.get("answers") or () if one["chosen"] is None]
    found = [line for one in unanswered for line in (_unanswered(one), *likely(one))]
    for one, reason, remedy in failed:
        name = " ".join(str(one[key]) for key in PARTS if one.get(key) is not None)
        found += [f"failed: {name}: {reason}", f"   fix: {remedy}"]
    found += [
        f"{one['verdict']}: {_text('artifact', one['artifact'])}: {one['reason']}"
        for one in document.get("gates") or ()
        if one["verdict"] != "passed"
    ]
    remarks = [(one.get("accuracy") or {}).get("remark") for one in document.get("cells") or ()]
    found += [f"note: {one}" for one in (*dict.fromkeys(filter(None, remarks)), *(document.get("notes") or ()))]
    found += [f"wrote {path}" for key in WRITTEN for path in _each(document.get(key))]
    return [escaped(in_python(one)) for one in found]


def _unanswered(one: Mapping[str, Any]) -> str:
    why = "; ".join(filter(None, (one["reason"], one["remedy"])))
    return f"no file can be named for {one['setting'] or 'any device'}: {why}"


def likely(document: Mapping[str, Any]) -> list[str]:
    """Return a line with the file that is likely to ship, and under which condition, where none was chosen."""
    one = document.get("provisional")
    if one is None:
        return []
    but = f"; but {one['beside_best']}" if one.get("beside_best") else ""
    lost = [f"   {one['loss']['told']}"] if one.get("loss") else []
    return [f"   likely: {one['path'] or one['artifact']} (sha256 {one['sha256']}), if {one['condition']}{but}", *lost]


def _each(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else value or []


def _value(row: Mapping[str, Any], column: str) -> Any:
    first, _, rest = column.partition(".")
    value = row.get(first)
    return _value(value, rest) if rest and isinstance(value, Mapping) else None if rest else value


def _text(column: str, value: Any) -> str:
    """A value as a person reads it: accuracies in percent, a path by its last part."""
    last = column.rpartition(".")[2]
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if last in ("top1", "top5") and isinstance(value, (int, float)):
        return f"{percent(value)} %"
    if last.endswith(INTERVALS):
        low, high = (percent(one) if last == "top1_ci95" else _text("", one) for one in value)
        return f"{low} .. {high}" + " %" * (last == "top1_ci95")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ("x" if last.endswith("_shape") else " ").join(_text("", one) for one in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if last == "sha256":
        return value[:8]  # type: ignore[no-any-return]
    return escaped(value.rpartition("/")[2] if last in ("path", "artifact", "new") else str(value))
