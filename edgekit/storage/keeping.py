"""No measurement is lost because its store refuses it: what was taken is kept in a file beside, for `store merge`."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from edgekit.errors import EdgekitError, EnvironmentRefused, as_json
from edgekit.redact import redacted_url
from edgekit.storage.store import AnyRecord, Store, open_store


class Keeper:
    """Puts records into a store; from the first time on that it refuses some, into a store of their own beside it."""

    def __init__(self, store: str | Store | None) -> None:
        self.store = store if isinstance(store, Store) else open_store(store)
        self._cause: str | None = None  # why it refused
        self._files: list[Path] = []  # where records are instead
        self._lost = False  # some could be kept nowhere

    def check(self) -> None:
        """As Store.check; of one that has refused already, nothing more is asked."""
        if self._cause is None:
            self.store.check()

    def append(self, *records: AnyRecord) -> None:
        """Keep all of these records together. Raises nothing: `refusal` says where they are, if not in the store."""
        if not records:
            return
        if self._cause is None:
            try:
                self.store.append(*records)
                return
            except EdgekitError as error:
                self._cause = error.message
        self._lost |= not self._is_kept(*records)

    @property
    def refusal(self) -> EnvironmentRefused | None:
        """What the store said, and where the records are; None where it has them all."""
        if self._cause is None:
            return None
        kept = " and ".join(map(str, self._files))
        said = [self._cause]
        said += [f"what was measured is kept in {kept}"] if kept else []
        said += ["what could be kept in no file stands in the output alone"] if self._lost else []
        into = shlex.quote(redacted_url(self.store.url))
        merging = [f"edgekit store merge {shlex.quote(str(file))} --store {into}" for file in self._files]
        remedy = (
            f"when the store can be written: {'; '.join(merging)}" if merging else "free some space and run it again"
        )
        return EnvironmentRefused("; ".join(said), remedy)

    def _is_kept(self, *records: AnyRecord) -> bool:
        """Put records into the file that took the last ones, or in the first place that can be written."""
        for path in dict.fromkeys([*reversed(self._files), *self._places()]):
            with suppress(EdgekitError, OSError):
                Store(str(path)).append(*records)
                self._files += [path] if path not in self._files else []
                return True
        return False

    def _places(self) -> Iterator[Path]:
        file = self.store.file
        folders = [file.parent] if file is not None and file.parent.is_dir() else []
        for folder in dict.fromkeys([*folders, Path(), Path(tempfile.gettempdir())]):
            yield (folder / _name()).absolute()


class Unkept(Keeper):
    """Puts records nowhere: who asked for them finds them in the result, and stores them."""

    def __init__(self) -> None:
        super().__init__(Store("sqlite://"))

    def check(self) -> None:
        """There is nothing that could refuse."""

    def append(self, *records: AnyRecord) -> None:
        """Keep nothing."""


def told(refusal: EnvironmentRefused | None) -> dict[str, str] | None:
    """Return a refusal as results of commands show it in JSON."""
    return as_json(refusal) if refusal else None


@cache
def _name() -> str:
    """One for all that this process keeps."""
    return f"edgekit-kept-{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{os.getpid()}.db"
