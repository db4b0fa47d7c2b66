"""Which records of a store are meant: as conditions in the database, and the same of one record that is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol

from edgekit.errors import UsageError
from edgekit.records.formats import FORMATS, PRECISIONS
from edgekit.records.runtime import RUNTIMES
from edgekit.registry import each
from edgekit.util.numerals import LARGEST

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from edgekit.records.summary import Summary
    from edgekit.storage.looking import Entry

DIGITS = "0123456789"
NAMED = ("format", "precision", "runtime")
Names = str | Sequence[str] | None  # one, several, or several with commas between


class Columns(Protocol):
    """Columns of a table, by name."""

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True)
class Filters:
    """Which records are meant; None, and a row without names, leave one out. `since` is a time as records have it."""

    device: str | None = None
    model: str | None = None
    since: str | None = None
    latest: int | None = None
    format: tuple[str, ...] = ()
    precision: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Filters()

    def fits(self, one: Entry | Summary) -> bool:
        """Whether a record is meant, as far as it alone tells: `latest` is a matter of all of them."""
        return (
            self.device in (None, one.device)
            and (self.model is None or self._is_named(one, self.model))
            and (self.since is None or one.created >= self.since)
            and all(not names or getattr(one, field) in names for field, names in self._named())
        )

    def _named(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The fields of which several values may be meant."""
        return ((field, getattr(self, field)) for field in NAMED)

    @staticmethod
    def _is_named(one: Entry | Summary, name: str) -> bool:
        variant = one.variant or ""
        return name in (variant, one.artifact) or (
            variant.startswith(f"{name}_") and variant[len(name) + 1 : len(name) + 2] in tuple(DIGITS)
        )

    def where(self, columns: Columns, dialect: str) -> Iterator[ColumnElement[bool]]:
        """Yield the same as conditions on columns, which are found by an entry's names."""
        if self.device is not None:
            yield columns["device"] == self.device
        if self.since is not None:
            yield columns["created"] >= self.since
        if self.model is not None:
            yield self.of_model(columns, dialect)
        yield from (columns[field].in_(names) for field, names in self._named() if names)

    def of_model(self, columns: Columns, dialect: str) -> ColumnElement[bool]:
        """That it is of the model: near it in an index, and of these those that begin so."""
        from sqlalchemy import Text, func, type_coerce

        assert self.model is not None
        variant, size = columns["variant"], len(self.model)
        variant = type_coerce(variant.collate("C"), Text()) if dialect == "postgresql" else variant
        begins = func.substr(variant, 1, size + 1) == f"{self.model}_"  # LIKE minds case in PostgreSQL alone
        of_it = begins & func.substr(variant, size + 2, 1).in_(list(DIGITS))
        near = variant.between(f"{self.model}_", f"{self.model}_~")
        found: ColumnElement[bool] = (variant == self.model) | (columns["artifact"] == self.model) | (near & of_it)
        return found


def filters(
    device: str | None,
    model: str | None,
    since: str | None,
    latest: int | None,
    format: Names = None,
    precision: Names = None,
    runtime: Names = None,
) -> Filters:
    """Filters as a user writes them. Raises UsageError for a time or a number that is none, and an unknown name."""
    if latest is not None and not 1 <= latest <= LARGEST:
        raise UsageError(f"--latest cannot be {latest}", "give a number of records from 1, say --latest 10")
    return Filters(
        device,
        model,
        None if since is None else _time(since),
        latest,
        _named(format, FORMATS.canonical),
        _named(precision, PRECISIONS.canonical),
        _named(runtime, RUNTIMES.canonical),
    )


def _named(asked: Names, canonical: Callable[[str], str]) -> tuple[str, ...]:
    found = () if asked is None else each(asked, canonical)
    if asked is not None and not found:
        raise UsageError("a filter names nothing", "give one or more names, or leave it out")
    return found


def _time(text: str) -> str:
    """`7d`, `24h` or an ISO date or time (UTC where it names no zone), as records write theirs."""
    try:
        if match := re.fullmatch(r"([0-9]{1,5})([dh])", text.strip()):
            back = timedelta(**{{"d": "days", "h": "hours"}[match[2]]: int(match[1])})
            found = datetime.now(timezone.utc) - back
        else:
            found = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text.strip()))
            found = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
        return found.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise UsageError(f"--since cannot be '{text}'", "write a date, say 2026-01-31, or 7d or 24h") from None
