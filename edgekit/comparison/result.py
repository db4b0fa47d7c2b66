"""What `compare` gives: a row for each latency, a check for each other limit, and the gate made of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgekit.comparison.limits import LATENCY, Limits
from edgekit.errors import GateFailed, MeasurementInvalid, UsageError, worst_exit_code
from edgekit.stats.limit import FAILED, PASSED
from edgekit.stats.ratio import CANNOT_TELL, FASTER, SAME, SLOWER
from edgekit.util.tabled import Tabled

NOT_COMPARABLE = "not comparable"
# What a row is: compared; or not, because of what the status says.
MEASURED, MISSING, INVALID, ADDED = "measured", "missing", "invalid", "added"
# As their exit codes.
WORST_FIRST = (NOT_COMPARABLE, FAILED, SLOWER, MISSING, INVALID, CANNOT_TELL, FASTER, SAME, PASSED)

AGAIN = (
    "measure again while nothing else runs there, as on a quieter runner; or hold no latency here, with "
    "--max-slowdown none beside another limit"
)
GROUPS = (FAILED, "not judged", CANNOT_TELL, "held")


def _group(code: int, word: str) -> str:
    """What came of one limit on one file."""
    if word == CANNOT_TELL:
        return CANNOT_TELL
    return FAILED if code == GateFailed.exit_code else "not judged" if code else "held"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One subject in both selections; `base` and `new` are ids. `ratio` is new over base: above 1 is slower."""

    name: str
    base: str | None = None
    new: str | None = None
    base_ms: float | None = None
    new_ms: float | None = None
    ratio: float | None = None
    ratio_ci95: list[float] | None = None
    verdict: str
    reason: str
    status: str

    @property
    def word(self) -> str:
        """The verdict, or the status that stands in its way."""
        return self.verdict if self.status == MEASURED else self.status

    def exit_code(self, strict: bool) -> int:
        """Return what this row alone would end the command with."""
        if self.verdict == NOT_COMPARABLE:
            return UsageError.exit_code
        if self.status == INVALID:
            return MeasurementInvalid.exit_code
        failed = self.verdict == SLOWER or self.status == MISSING or (strict and self.verdict == CANNOT_TELL)
        return GateFailed.exit_code if failed and self.status != ADDED else 0


@dataclass(frozen=True)
class Check:
    """One limit on one file: `gate` is accuracy, size or memory; latency only where no cell can be held against it.

    `base` and `new` are the values, as fractions of 1 or bytes; `change` is the drop, or the growth as a fraction.
    `passed` goes by what was measured, and is None where nothing could be compared.
    """

    gate: str
    name: str
    base: float | None
    new: float | None
    change: float | None
    change_ci95: list[float] | None
    limit: float
    passed: bool | None
    verdict: str  # passed, failed, cannot tell, missing or not comparable
    reason: str

    @property
    def word(self) -> str:
        """The verdict; of what was measured beyond the limit it is failed, however sure that is."""
        return FAILED if self.passed is False else self.verdict

    def exit_code(self, strict: bool) -> int:
        """Return what this check alone would end the command with."""
        if self.verdict == NOT_COMPARABLE:
            return UsageError.exit_code
        failed = self.passed is False or self.verdict == MISSING or (strict and self.verdict == CANNOT_TELL)
        return GateFailed.exit_code if failed else 0


@dataclass(frozen=True, repr=False)
class CompareResult(Tabled):
    """The rows in the base's order, then what only the new side has; then the checks of the other limits."""

    base: str
    new: str
    limits: Limits
    strict: bool
    rows: tuple[Row, ...]
    checks: tuple[Check, ...] = ()

    @property
    def verdict(self) -> str:
        """The worst of the rows' and checks', or what stands in the way of one."""
        words = {row.word for row in self.rows if row.status != ADDED} | {check.word for check in self.checks}
        return next((word for word in WORST_FIRST if word in words), CANNOT_TELL)

    @property
    def exit_code(self) -> int:
        """0, or the first that applies in the documented order."""
        codes = [row.exit_code(self.strict) for row in self.rows]
        return worst_exit_code([*codes, *(check.exit_code(self.strict) for check in self.checks)])

    @property
    def gate(self) -> str:
        """The limits that the outcome rests on, in words: those that stop the gate, or all that it was held against."""
        judged = [(LATENCY, row.exit_code(self.strict)) for row in self.rows]
        judged += [(check.gate, check.exit_code(self.strict)) for check in self.checks]
        stopped = {gate for gate, code in judged if code}
        return self.limits.told(stopped or {gate for gate, _ in judged})

    @property
    def outcome(self) -> str:
        """The gates by what came of them: "failed: accuracy; not judged: latency; held: size, memory"."""
        judged = [(LATENCY, one.exit_code(self.strict), one.word) for one in self.rows if one.status != ADDED]
        judged += [(one.gate, one.exit_code(self.strict), one.word) for one in self.checks]
        found: dict[str, list[str]] = {}
        for gate in self.limits.asked:
            groups = {_group(code, word) for name, code, word in judged if name == gate}
            if groups:  # a gate once, by the worst of its files
                found.setdefault(min(groups, key=GROUPS.index), []).append(gate)
        return "; ".join(f"{group}: {', '.join(found[group])}" for group in GROUPS if group in found)

    @property
    def note(self) -> str | None:
        """That no latency was held, where that is no error, and why."""
        if self.limits.slowdown is None:
            return "latency is not held: --max-slowdown none"
        judged = self.rows or any(check.gate == LATENCY for check in self.checks)
        return None if judged else "no latency was held: neither side has one"

    @property
    def remedy(self) -> str | None:
        """What to do where an invalid measurement is all that stands in the way; else None."""
        return AGAIN if self.exit_code == MeasurementInvalid.exit_code else None

    def to_json(self) -> dict[str, Any]:
        """Return what `edgekit compare --json` prints. A limit that is not held is null."""
        return {
            "verdict": self.verdict,
            "base": self.base,
            "new": self.new,
            "max_slowdown": self.limits.slowdown,
            "max_drop": self.limits.drop,
            "max_growth": self.limits.growth,
            "max_memory_growth": self.limits.memory_growth,
            "strict": self.strict,
            "passed": self.exit_code == 0,
            "gate": self.gate,
            "outcome": self.outcome,
            "note": self.note,
            "remedy": self.remedy,
            "rows": [asdict(row) | {"verdict": row.word} for row in self.rows],
            "checks": [asdict(check) for check in self.checks],
        }

    def to_markdown(self) -> str:
        """Return a table for a pull request."""
        from edgekit.comparison.formats import markdown

        return markdown(self)

    def to_junit(self) -> str:
        """JUnit's XML: a test case for each row and check."""
        from edgekit.comparison.formats import junit

        return junit(self)
