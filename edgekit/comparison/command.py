"""The verb `compare`: whether files became slower, from stored measurements, with the noise in view."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.comparison.matching import pairs
from edgekit.comparison.selection import Selection, select
from edgekit.errors import GateFailed, MeasurementInvalid, UsageError, worst_exit_code
from edgekit.measure.pair import compared, medians
from edgekit.records import hosts
from edgekit.records.conditions import fact, gpu, instructions, load, run_conditions
from edgekit.records.measurement import Measurement
from edgekit.records.summary import subject
from edgekit.redact import redacted_url
from edgekit.stats import latency
from edgekit.stats import ratio as stats_ratio
from edgekit.stats.ratio import CANNOT_TELL, FASTER, SAME, SLOWER
from edgekit.storage.store import open_store
from edgekit.util.files import write_atomically

NOT_COMPARABLE = "not comparable"
Namer = Callable[[Measurement], str]
# What a row is: compared; or not, because of what the status says.
MEASURED, MISSING, INVALID, ADDED = "measured", "missing", "invalid", "added"
WORST_FIRST = (NOT_COMPARABLE, SLOWER, MISSING, INVALID, CANNOT_TELL, FASTER, SAME)  # as their exit codes
# Facts that must agree beside the run conditions: a number of another machine is another number.
SAME_FACTS: dict[str, Callable[[Measurement], Any]] = {
    "machine": lambda record: fact(record, "machine"),
    "processor": lambda record: fact(record, "processor"),
    "model": lambda record: fact(record, "model"),
    "gpu": gpu,
}


@dataclass(frozen=True)
class Row:
    """One subject in both selections; `base` and `new` are ids. `ratio` is new over base: above 1 is slower."""

    name: str
    base: str | None
    new: str | None
    base_ms: float | None
    new_ms: float | None
    ratio: float | None
    ratio_ci95: list[float] | None
    verdict: str
    reason: str
    status: str

    @property
    def word(self) -> str:
        """The verdict, or the status that stands in its way."""
        return self.verdict if self.status == MEASURED else self.status

    def exit_code(self, strict: bool) -> int:
        """What this row alone would end the command with."""
        if self.verdict == NOT_COMPARABLE:
            return UsageError.exit_code
        if self.status == INVALID:
            return MeasurementInvalid.exit_code
        failed = self.verdict == SLOWER or self.status == MISSING or (strict and self.verdict == CANNOT_TELL)
        return GateFailed.exit_code if failed and self.status != ADDED else 0


@dataclass(frozen=True)
class CompareResult:
    """The rows in the base's order, then what only the new side has."""

    base: str
    new: str
    max_slowdown: float
    strict: bool
    rows: tuple[Row, ...]

    @property
    def verdict(self) -> str:
        """The worst of the rows', or what stands in the way of one."""
        words = {row.word for row in self.rows if row.status != ADDED}
        return next((word for word in WORST_FIRST if word in words), CANNOT_TELL)

    @property
    def exit_code(self) -> int:
        """0, or the first that applies in the documented order."""
        return worst_exit_code(row.exit_code(self.strict) for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """What `edgekit compare --json` prints."""
        return {
            "verdict": self.verdict,
            "base": self.base,
            "new": self.new,
            "max_slowdown": self.max_slowdown,
            "strict": self.strict,
            "passed": self.exit_code == 0,
            "rows": [asdict(row) for row in self.rows],
        }

    def to_markdown(self) -> str:
        """A table for a pull request."""
        from edgekit.comparison.formats import markdown

        return markdown(self)

    def to_junit(self) -> str:
        """JUnit's XML: a test case for each row."""
        from edgekit.comparison.formats import junit

        return junit(self)


def compare(
    base: str | Path,
    new: str | Path,
    *,
    max_slowdown: str | float = "5%",
    strict: bool = False,
    junit: str | Path | None = None,
    store: str | None = None,
) -> CompareResult:
    """Compare the stored latencies of `new` with those of `base`, file by file.

    Each is `latest`, `latest~1` (bench commands and sweeps, counted back), the id of a measurement or of a command, a
    file that was measured, or another store. They are matched by variant, precision, format and run conditions
    (edgekit.records.conditions); two files by the last. `max_slowdown` is a fraction, or text such as "5%". `junit` is
    written as XML. Raises UsageError where a side names nothing, or several files of one variant leave it open which
    belongs to which (edgekit.comparison.matching).
    """
    margin = _margin(max_slowdown)
    database = open_store(store)
    before, after = (select(str(word), database) for word in (base, new))
    result = CompareResult(
        redacted_url(str(base)), redacted_url(str(new)), margin, strict, tuple(_rows(before, after, margin))
    )
    if junit is not None:
        write_atomically(Path(junit), result.to_junit().encode())
    return result


def _margin(value: str | float) -> float:
    text = str(value).strip()
    try:
        margin = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        margin = math.nan
    if not 0 <= margin < 1:
        raise UsageError(f"--max-slowdown cannot be '{value}'", "write a percentage, say --max-slowdown 5%")
    if margin < stats_ratio.NOISE:
        raise UsageError(
            f"--max-slowdown {value} is below the noise of {stats_ratio.NOISE:.0%} that the same file shows",
            f"give {stats_ratio.NOISE:.0%} or more",
        )
    return margin


def _rows(base: Selection, new: Selection, margin: float) -> Iterator[Row]:
    matched = pairs(base, new)
    name = _namer(base.measurements, new.measurements)
    is_unchanged = base.is_there and new.is_there  # two files of the same bytes: the same number is the answer
    for one in base.measurements:
        two = matched.get(one.id)
        if two is not None and two.id == one.id and not is_unchanged:
            yield _itself(one, name)
        else:
            yield _row(one, two, margin, name)
    taken = {two.id for two in matched.values()}
    yield from (_added(two, name) for two in new.measurements if two.id not in taken)


def _itself(one: Measurement, name: Namer) -> Row:
    """A number that is compared with itself tells nothing, and would pass every gate."""
    values: dict[str, Any] = {"base": one.id, "new": one.id, "base_ms": _ms(one), "new_ms": _ms(one)}
    unknown: dict[str, Any] = {"ratio": None, "ratio_ci95": None}
    reason = "both sides are this one measurement"
    return Row(name=name(one), **values, **unknown, verdict=NOT_COMPARABLE, reason=reason, status=MEASURED)


def _row(base: Measurement, new: Measurement | None, margin: float, name: Namer) -> Row:
    values: dict[str, Any] = {"name": name(base), "base": base.id, "base_ms": _ms(base)}
    unknown: dict[str, Any] = {"ratio": None, "ratio_ci95": None}
    if new is None:
        reason = "missing: the base has this cell and the new side does not"
        nothing: dict[str, Any] = {"new": None, "new_ms": None, **unknown}
        return Row(**values, **nothing, verdict=CANNOT_TELL, reason=reason, status=MISSING)
    values |= {"new": new.id, "new_ms": _ms(new)}
    if subject(base) != subject(new):
        other = new.artifact if run_conditions(base) == run_conditions(new) else name(new)
        values["name"] = f"{other} against {name(base)}"
    differences = list(_differences(base, new))
    if differences:
        return Row(**values, **unknown, verdict=NOT_COMPARABLE, reason="; ".join(differences), status=MEASURED)
    return Row(**values, **compared(base, new, margin))


def _added(new: Measurement, name: Namer) -> Row:
    nothing: dict[str, Any] = dict.fromkeys(("base", "base_ms", "ratio", "ratio_ci95"))
    reason = "the base does not have this cell"
    return Row(name=name(new), new=new.id, new_ms=_ms(new), **nothing, verdict=CANNOT_TELL, reason=reason, status=ADDED)


def _differences(base: Measurement, new: Measurement) -> Iterator[str]:
    """Why two numbers must not be compared, a difference each; nothing where they may."""
    one, two = asdict(run_conditions(base)), asdict(run_conditions(new))
    if None in (one["host"], two["host"]):  # an older record: its processor must do
        one["host"] = two["host"]
    yield from (f"{key} {one[key]} and {two[key]}" for key in one if one[key] != two[key])
    facts = ((key, told(base), told(new)) for key, told in SAME_FACTS.items())
    yield from (f"{key} {a} and {b}" for key, a, b in facts if a != b)
    kernels = [instructions(record) for record in (base, new)]
    if kernels[0] != kernels[1] and None not in kernels:  # older records do not tell them
        yield "instructions {} and {}".format(*kernels)
    versions = [str(record.found.get("runtime_version")) for record in (base, new)]
    if versions[0].partition(".")[0] != versions[1].partition(".")[0]:
        yield f"{base.runtime} {versions[0]} and {versions[1]}"


def _namer(base: Sequence[Measurement], new: Sequence[Measurement]) -> Namer:
    """What names a row of these records: the host too, where several share a device's name, and the bytes of a file
    where several on one side share all that."""
    ambiguous = hosts.shared((record.device, hosts.host(record)) for record in (*base, *new))

    def plain(record: Measurement) -> str:
        where = run_conditions(record)
        place = where.place(ambiguous)
        threads = f"{where.threads} thread{'' if where.threads == 1 else 's'}"
        told = f"{record.artifact} on {place}, {where.runtime}, {threads}, batch {where.batch}"
        return ", ".join(filter(None, (told, where.sizes, load(where.sustained_seconds))))

    counted = [Counter(map(plain, side)) for side in (base, new)]

    def name(record: Measurement) -> str:
        told = plain(record)
        is_one = all(counts[told] <= 1 for counts in counted)
        return told if is_one else f"{told} (sha256 {record.sha256[:8]})"

    return name


def _ms(record: Measurement) -> float:
    return latency.median(medians(record)) / latency.NS_PER_MS
