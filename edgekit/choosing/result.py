"""What `choose` answers: the file, and each other candidate with the reason why it was passed over."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgekit.choosing.gaps import INVALID_LATENCY, Gap
from edgekit.choosing.limits import Limits
from edgekit.errors import GateFailed, MeasurementInvalid
from edgekit.reporting.rows import Row
from edgekit.stats.losses import Loss
from edgekit.stats.medians import Interval
from edgekit.util.tabled import Tabled

# The answer, and what a candidate can be.
CHOSEN, NONE_FITS, CANNOT_DECIDE = "chosen", "none fits", "cannot decide"
FITS, CANNOT_TELL, FAILS = "fits", "cannot tell", "fails"
FIELDS = (
    *("artifact", "path", "sha256", "label", "variant", "model", "format", "precision", "bytes"),
    *("top1", "top1_ci95", "images", "dataset", "median_ms", "ci95_ms", "verdict", "peak_memory_bytes"),
    *("device", "place", "runtime", "way", "threads", "batch", "sizes"),
)


@dataclass(frozen=True)
class Candidate:
    """A file under its run conditions. `difference` is its top-1 minus that of the most accurate one that fits."""

    row: Row
    status: str  # chosen, fits, cannot tell or fails
    reasons: tuple[str, ...]
    difference: float | None = None  # as a fraction
    difference_ci95: Interval | None = None  # image by image; None where that is not known
    is_level: bool = False  # the images cannot tell it apart from the most accurate one that fits
    gaps: tuple[Gap, ...] = ()  # what leaves it open
    loss: Loss | None = None  # of top-1 against its own float file, where both were evaluated on the same images

    @property
    def is_invalid(self) -> bool:
        """Whether nothing but an invalid latency leaves it open."""
        return set(self.gaps) == {INVALID_LATENCY}

    @property
    def condition(self) -> str | None:
        """What must turn out for it to be the one to ship; None where nothing is open."""
        return " and ".join(dict.fromkeys(gap.condition for gap in self.gaps)) or None

    def to_json(self) -> dict[str, Any]:
        """Return the facts of the row that the choice rests on, the status and its reasons."""
        return {name: getattr(self.row, name) for name in FIELDS} | {
            "status": self.status,
            "reasons": list(self.reasons),
            "verdict_reasons": list(self.row.reasons),
            "top1_difference": self.difference,
            "top1_difference_ci95": list(self.difference_ci95) if self.difference_ci95 else None,
            "loss": self.loss.to_json() if self.loss else None,
        }


@dataclass(frozen=True, repr=False)
class ChooseResult(Tabled):
    """`chosen` is None where no file may be named: `reason` says why, and `provisional` is the likely one of `others`,
    which are in the order of their chances.
    """

    device: str
    limits: Limits
    verdict: str
    reason: str
    chosen: Candidate | None
    others: tuple[Candidate, ...]
    notes: tuple[str, ...] = ()
    remedy: str | None = None  # what to do where no file is named
    provisional: Candidate | None = None
    beside_best: str | None = None  # the accuracy of the likely file beside the best one's, where that is another

    @property
    def exit_code(self) -> int:
        """0 with a file, 6 where only an invalid latency stands in the way of the likely one, else 3."""
        if self.chosen is not None:
            return 0
        is_invalid = self.provisional is not None and self.provisional.is_invalid
        return MeasurementInvalid.exit_code if is_invalid else GateFailed.exit_code

    def to_json(self) -> dict[str, Any]:
        """Return what `edgekit choose --json` prints. Accuracies are fractions of 1."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "remedy": self.remedy,
            "device": self.device,
            "limits": asdict(self.limits),
            "chosen": self.chosen.to_json() if self.chosen else None,
            "provisional": provisional_json(self.provisional, self.beside_best),
            "others": [one.to_json() for one in self.others],
            "notes": list(self.notes),
        }


def provisional_json(one: Candidate | None, beside_best: str | None) -> dict[str, Any] | None:
    """Return the likely file with the condition under which it is the one to ship."""
    return None if one is None else one.to_json() | {"condition": one.condition, "beside_best": beside_best}
