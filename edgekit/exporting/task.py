"""One file that an export is to make."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from edgekit.exporting.options import ExportOptions
from edgekit.exporting.prepare import Prepared
from edgekit.exporting.site import Site
from edgekit.records.formats import FORMATS
from edgekit.tensorrt.capabilities import targets

TOGETHER = 7  # inputs at once, where the batch is free; no size that a kernel is made for


@dataclass(frozen=True)
class ExportTask:
    """One file to be made; `asked` holds the options that it heeds.

    `made_from` is the key of all that goes into it; None where nothing tells all of that.
    """

    format: str
    precision: str
    asked: ExportOptions
    site: Site
    last: bool = False  # of its export: nobody needs the weights after it
    made_from: str | None = None

    def target(self, prepared: Prepared) -> str:
        """The file's name. An engine belongs to its device or its GPUs; other files are the same for all of them."""
        format = FORMATS[self.format]
        device = f"_{_plain(self.site.name)}" if format.is_built and self.site.name != "local" else ""
        gpus = targets(self.asked.target_gpu) if self.asked.target_gpu else ()
        ahead = "".join(f"_sm{one.replace('.', '')}" for one in gpus)
        return f"{prepared.point}_{prepared.weights.id}_{self.precision}{device}{ahead}{format.suffix}"

    @property
    def together(self) -> int | None:
        """How many inputs go through at once, to prove a free batch."""
        return min(TOGETHER, self.asked.max_batch or TOGETHER) if self.asked.dynamic_batch else None


def _plain(name: str) -> str:
    """A device's name as part of a file's: what had to be changed makes it another name."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
