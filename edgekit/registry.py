"""A visible table from names to things; a thing may be a lazy `"module:attribute"` path."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

from edgekit.errors import UsageError, closest

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to things of one kind. A name is registered once; an unknown one suggests the nearest.

    `aliases` are other spellings that users bring from elsewhere; they are accepted and never listed.
    """

    def __init__(
        self, kind: str, entries: dict[str, T | str] | None = None, aliases: dict[str, str] | None = None
    ) -> None:
        self.kind = kind
        self._entries: dict[str, T | str] = dict(entries or {})
        self._aliases = dict(aliases or {})

    def register(self, name: str, thing: T) -> T:
        """Add a thing under a name that is still free."""
        if name in self._entries:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._entries[name] = thing
        return thing

    def canonical(self, name: str) -> str:
        """Return the listed name for `name` or one of its aliases; UsageError when there is none."""
        name = self._aliases.get(name, name)
        if name not in self._entries:
            guess = closest(name, [*self._entries, *self._aliases])
            hint = f"; did you mean '{self._aliases.get(guess, guess)}'?" if guess else ""
            raise UsageError(f"unknown {self.kind} '{name}'{hint}", f"choose one of: {', '.join(self._entries)}")
        return name

    def __getitem__(self, name: str) -> T:
        entry = self._entries[self.canonical(name)]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            return cast(T, getattr(importlib.import_module(module), attribute))
        return entry

    def __contains__(self, name: str) -> bool:
        return self._aliases.get(name, name) in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Return every name with its thing, loading what is lazy."""
        return ((name, self[name]) for name in self._entries)


def each(names: Sequence[str], canonical: Callable[[str], str]) -> tuple[str, ...]:
    """Return the listed name for each of several, once, in their order; one text may hold several with commas."""
    every = names.split(",") if isinstance(names, str) else names
    return tuple(dict.fromkeys(canonical(name.strip()) for name in every if name.strip()))
